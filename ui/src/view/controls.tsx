import type { Camera } from '../core/room.ts';
import { ZOOMS } from '../core/scale.ts';
import { dayOf, dayWords, hhmmss } from '../core/time.ts';
import { app, Icon, Link } from './base.tsx';
import type { Desk } from './desk.ts';
import { SPEEDS, speedAfter } from './desk.ts';
import { Rec } from './footage.tsx';

interface Props {
  camera: Camera;
  desk: Desk;
  now: number;
}

export function Controls({ camera, desk, now }: Props) {
  const { live } = desk;
  const moment = live ? now : desk.moment;
  const playing = live || desk.state === 'playing' || desk.state === 'loading';
  return (
    <>
      <div class="ctl">
        <button class="tool" title="Back 10 s (←)" onClick={() => desk.seek(moment - 10)}>
          <Icon name="rewind" />
          <span class="s b">10</span>
          <span class="sr">seconds back</span>
        </button>
        <button
          class="play"
          title={playing ? 'Pause (Space)' : 'Play (Space)'}
          aria-label={playing ? 'Pause' : 'Play'}
          onClick={desk.toggle}
        >
          <Icon name={playing ? 'pause' : 'play'} />
        </button>
        <button
          class="tool"
          title="Forward 10 s (→)"
          disabled={live}
          onClick={() => desk.seek(moment + 10)}
        >
          <span class="s b">10</span>
          <Icon name="forward" />
          <span class="sr">seconds forward</span>
        </button>
        <span class="clock">
          {hhmmss(moment, camera.zone)}
          <small>{dayWords(moment, camera.zone)}</small>
        </span>
        <Days desk={desk} now={now} zone={camera.zone} />
        <span class="grow" />
        <Speed desk={desk} />
        <span class="cg" />
        <Actions desk={desk} />
        {!live && (
          <button class="btn live-btn" title="Go to live (N)" onClick={desk.toLive}>
            Go to live
          </button>
        )}
        {live && <span class="s m2 live-word">Live</span>}
      </div>
      <div class="acts only-m">
        <button
          disabled={live}
          aria-label={`Speed ${desk.rate}, change`}
          onClick={() => desk.setRate(speedAfter(desk.rate))}
        >
          <Icon name="speed" />
          {desk.rate}×
        </button>
        <button
          aria-label={`Timeline ${ZOOMS[desk.zoom]?.name}, zoom`}
          onClick={() => desk.setZoom((desk.zoom + 1) % ZOOMS.length)}
        >
          <Icon name="zoom" />
          {ZOOMS[desk.zoom]?.name}
        </button>
        <button onClick={desk.snapshot}>
          <Icon name="snapshot" />
          Snapshot
        </button>
        {document.fullscreenEnabled && (
          <button onClick={desk.fullScreen}>
            <Icon name="fullscreen" />
            Full screen
          </button>
        )}
      </div>
      <div class="foot">
        <Legend />
        <span class="grow" />
        <div class="seg hide-m" role="group" aria-label="Zoom">
          {ZOOMS.map(({ name }, index) => (
            <button
              key={name}
              aria-pressed={desk.zoom === index}
              onClick={() => desk.setZoom(index)}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      <Landscape camera={camera} desk={desk} now={now} playing={playing} moment={moment} />
    </>
  );
}

/** A day back or forward, at the same time of day. */
function Days({ desk, now, zone }: { desk: Desk; now: number; zone: string | null }) {
  const { start, end } = desk.day;
  const into = (desk.live ? now : desk.moment) - start;
  return (
    <span class="days">
      <button
        class="tool"
        title="Previous day"
        aria-label="Previous day"
        onClick={() => desk.seek(dayOf(start - 1, zone).start + into)}
      >
        <Icon name="back" />
      </button>
      <button
        class="tool"
        title="Next day"
        aria-label="Next day"
        disabled={end > app.now()}
        onClick={() => desk.seek(end + into)}
      >
        <Icon name="next" />
      </button>
    </span>
  );
}

function Speed({ desk }: { desk: Desk }) {
  return (
    <div class="seg speed" role="group" aria-label="Speed">
      {SPEEDS.map((speed) => (
        <button
          key={speed}
          aria-pressed={desk.rate === speed}
          disabled={desk.live}
          onClick={() => desk.setRate(speed)}
        >
          {speed}×
        </button>
      ))}
    </div>
  );
}

function Actions({ desk }: { desk: Desk }) {
  return (
    <>
      <button class="tool wide hide-m" title="Snapshot (S)" onClick={desk.snapshot}>
        <Icon name="snapshot" />
        <span class="s b">Snapshot</span>
      </button>
      {document.fullscreenEnabled && (
        <button
          class="tool hide-m"
          title="Full screen (F)"
          aria-label="Full screen"
          onClick={desk.fullScreen}
        >
          <Icon name="fullscreen" />
        </button>
      )}
    </>
  );
}

function Legend() {
  return (
    <div class="legend">
      <span>
        <span class="tape">
          <i class="s" />
        </span>
        Stored
      </span>
      <span>
        <span class="tape">
          <i class="d" />
        </span>
        Still on the device
      </span>
      <span>
        <span class="tape t10 known">
          <i class="g" />
        </span>
        Nothing recorded
      </span>
    </div>
  );
}

interface LandscapeProps extends Props {
  playing: boolean;
  moment: number;
}

/** A phone held sideways: whole picture, controls in the side bands within reach of the thumbs. */
function Landscape({ camera, desk, now, playing, moment }: LandscapeProps) {
  const { route } = app.feed(camera.jid);
  return (
    <div class="bands">
      <span class="plate">
        <b class="b">{camera.name}</b>
        <Rec camera={camera} now={now} />
        {desk.live && route && <span class="s m2">{route}</span>}
      </span>
      <Link class="band tl-l" to="/">
        <Icon name="back" />
        Back
      </Link>
      <button class="band ml" onClick={() => desk.seek(moment - 10)}>
        <Icon name="rewind" />
        10 s
      </button>
      <button class="play bl" aria-label={playing ? 'Pause' : 'Play'} onClick={desk.toggle}>
        <Icon name={playing ? 'pause' : 'play'} />
      </button>
      <button class="band tr" onClick={desk.snapshot}>
        <Icon name="snapshot" />
        Snapshot
      </button>
      <button class="band mr" disabled={desk.live} onClick={() => desk.seek(moment + 10)}>
        <Icon name="forward" />
        10 s
      </button>
      <button
        class="band sr2"
        disabled={desk.live}
        aria-label={`Speed ${desk.rate}, change`}
        onClick={() => desk.setRate(speedAfter(desk.rate))}
      >
        <Icon name="speed" />
        {desk.rate}×
      </button>
      <button class="band br" disabled={desk.live} onClick={desk.toLive}>
        <Icon name="golive" />
        Live
      </button>
    </div>
  );
}
