import type { Camera } from '../core/room.ts';
import { ZOOMS } from '../core/scale.ts';
import { SPEEDS, speedAfter } from '../core/speeds.ts';
import { dayWords, hhmmss } from '../core/time.ts';
import { app, Icon, Link } from './base.tsx';
import type { Desk } from './desk.ts';
import { Rec } from './footage.tsx';

interface Props {
  camera: Camera;
  desk: Desk;
  now: number;
}

const isPlaying = ({ live, state }: Desk): boolean =>
  live || state === 'playing' || state === 'loading';


export function Controls({ camera, desk, now }: Props) {
  const { live, moment } = desk;
  const at = live ? now : moment;
  return (
    <>
      <div class="ctl">
        <Transport
          playing={isPlaying(desk)}
          live={live}
          back={() => desk.seek(at - 10)}
          forward={() => desk.seek(at + 10)}
          toggle={desk.toggle}
          skip={desk.skip}
        />
        <span class="clock">
          {hhmmss(at, camera.zone)}
          <small>{dayWords(at, camera.zone)}</small>
        </span>
        <span class="grow" />
        <Speed rate={desk.rate} disabled={live} set={desk.setRate} />
        <span class="cg" />
        <Actions desk={desk} />
        {live ? (
          <span class="s m2 live-word">Live</span>
        ) : (
          <button class="btn live-btn" title="Go to live (N)" onClick={desk.toLive}>
            Go to live
          </button>
        )}
      </div>
      <Acts desk={desk} />
      <div class="foot">
        <Legend />
        <span class="grow" />
        <ZoomChoice zoom={desk.zoom} set={desk.setZoom} />
      </div>
      <Landscape camera={camera} desk={desk} now={now} at={at} />
    </>
  );
}

interface TransportProps {
  playing: boolean;
  live: boolean;
  back(): void;
  forward(): void;
  toggle(): void;
  skip(by: 1 | -1): void;
}

export function Transport({ playing, live, back, forward, toggle, skip }: TransportProps) {
  return (
    <>
      <button
        class="tool"
        title="Previous moment (Shift ←)"
        aria-label="Previous moment"
        onClick={() => skip(-1)}
      >
        <Icon name="previous" />
      </button>
      <button class="tool ten" title="Back 10 s (←)" onClick={back}>
        <Icon name="rewind" />
        <span class="s b">10</span>
        <span class="sr">seconds back</span>
      </button>
      <button
        class="play"
        title={playing ? 'Pause (Space)' : 'Play (Space)'}
        aria-label={playing ? 'Pause' : 'Play'}
        onClick={toggle}
      >
        <Icon name={playing ? 'pause' : 'play'} />
      </button>
      <button class="tool ten" title="Forward 10 s (→)" disabled={live} onClick={forward}>
        <span class="s b">10</span>
        <Icon name="forward" />
        <span class="sr">seconds forward</span>
      </button>
      <button
        class="tool"
        title="Next moment (Shift →)"
        aria-label="Next moment"
        disabled={live}
        onClick={() => skip(1)}
      >
        <Icon name="following" />
      </button>
    </>
  );
}

interface SpeedProps {
  rate: number;
  disabled: boolean;
  set(rate: number): void;
}

export function Speed({ rate, disabled, set }: SpeedProps) {
  return (
    <div class="seg speed" role="group" aria-label="Speed">
      {SPEEDS.map((speed) => (
        <button
          key={speed}
          aria-pressed={rate === speed}
          disabled={disabled}
          onClick={() => set(speed)}
        >
          {speed}×
        </button>
      ))}
    </div>
  );
}

export function ZoomChoice({ zoom, set }: { zoom: number; set(zoom: number): void }) {
  return (
    <div class="seg hide-m" role="group" aria-label="Zoom">
      {ZOOMS.map(({ name }, index) => (
        <button key={name} aria-pressed={zoom === index} onClick={() => set(index)}>
          {name}
        </button>
      ))}
    </div>
  );
}

function Actions({ desk }: { desk: Desk }) {
  return (
    <>
      {desk.audio && (
        <button
          class="tool"
          title={desk.sound ? 'Sound off (M)' : 'Sound on (M)'}
          aria-label="Sound"
          aria-pressed={desk.sound}
          onClick={() => desk.setSound(!desk.sound)}
        >
          <Icon name={desk.sound ? 'sound' : 'mute'} />
        </button>
      )}
      <button class="tool wide hide-m" title="Snapshot (S)" onClick={desk.snapshot}>
        <Icon name="snapshot" />
        <span class="s b">Snapshot</span>
      </button>
      <button
        class="tool wide hide-m"
        title="Export (E)"
        aria-pressed={desk.selection !== null}
        onClick={desk.toggleExport}
      >
        <Icon name="export" />
        <span class="s b">Export</span>
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

/** A phone's four actions. */
function Acts({ desk }: { desk: Desk }) {
  const zoom = ZOOMS[desk.zoom]?.name;
  return (
    <div class="acts only-m">
      <button
        disabled={desk.live}
        aria-label={`Speed ${desk.rate}, change`}
        onClick={() => desk.setRate(speedAfter(desk.rate))}
      >
        <Icon name="speed" />
        {desk.rate}×
      </button>
      <button
        aria-label={`Timeline ${zoom}, zoom`}
        onClick={() => desk.setZoom((desk.zoom + 1) % ZOOMS.length)}
      >
        <Icon name="zoom" />
        {zoom}
      </button>
      <button onClick={desk.snapshot}>
        <Icon name="snapshot" />
        Snapshot
      </button>
      <button aria-pressed={desk.selection !== null} onClick={desk.toggleExport}>
        <Icon name="export" />
        Export
      </button>
    </div>
  );
}

function Legend() {
  const kinds: [string, string][] = [
    ['s', 'Stored'],
    ['l', 'Arrived later'],
    ['d', 'Still on the device'],
    ['g', 'Nothing recorded'],
  ];
  return (
    <div class="legend">
      {kinds.map(([kind, words]) => (
        <span key={kind}>
          <span class={kind === 'g' || kind === 'l' ? 'tape t10 known' : 'tape'}>
            <i class={kind} />
          </span>
          {words}
        </span>
      ))}
    </div>
  );
}

/** A phone held sideways: whole picture, controls in the side bands within reach of the thumbs. */
function Landscape({ camera, desk, now, at }: Props & { at: number }) {
  const { route } = app.feed(camera.jid);
  const playing = isPlaying(desk);
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
      <button class="band ml" onClick={() => desk.seek(at - 10)}>
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
      <button class="band tr2" onClick={desk.toggleExport}>
        <Icon name="export" />
        Export
      </button>
      <button class="band mr" disabled={desk.live} onClick={() => desk.seek(at + 10)}>
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
