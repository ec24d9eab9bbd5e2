import { useEffect, useState } from 'preact/hooks';
import { personName } from '../core/jid.ts';
import type { Way } from '../core/recordings.ts';
import type { Camera } from '../core/room.ts';
import { app, Icon, Link, useNow, usePath, useStore } from './base.tsx';
import { Aside, Week } from './aside.tsx';
import { Controls } from './controls.tsx';
import type { Desk } from './desk.ts';
import { useDesk } from './desk.ts';
import { ExportBar } from './export-bar.tsx';
import { Rec } from './footage.tsx';
import { Over, Picture, shownState, Watchers, watchersOf } from './live.tsx';
import { Locate } from './locate.tsx';
import { Away, Me, Shell } from './shell.tsx';
import { Thumb } from './thumb.tsx';
import { TimelineView } from './timeline-view.tsx';
import { useWay } from './way.ts';

const CALM_MS = 3_000;
const SECOND_CLICK_MS = 600;

export function CameraPage({ jid }: { jid: string }) {
  useStore();
  const section = app.room.sections().find((one) => one.cameras.some((cam) => cam.jid === jid));
  const camera = section?.cameras.find((one) => one.jid === jid);
  if (camera && section) {
    return <CameraView key={jid} camera={camera} title={section.title} />;
  }
  return (
    <Shell
      page="live"
      title="Camera"
      header={
        <>
          <Link to="/" class="tool back" aria-label="Back to Live">
            <Icon name="back" />
          </Link>
          <span class="grow" />
          <Me />
        </>
      }
    >
      {app.room.welcomed ? (
        <div class="empty">
          <h1 class="say">This camera is not shared with you.</h1>
          <p>
            It may also have been removed. <Link to="/">See all your cameras</Link>
          </p>
        </div>
      ) : (
        <p class="m2" role="status">
          Connecting
        </p>
      )}
    </Shell>
  );
}

interface ViewProps {
  camera: Camera;
  title: string;
}

function CameraView({ camera, title }: ViewProps) {
  const now = useNow();
  const url = usePath();
  const desk = useDesk(camera, url.searchParams.get('t'));
  const feed = app.feed(camera.jid);
  const state = shownState(camera, feed);
  const { live } = desk;
  const calm = useCalm();
  const way = useWay(camera.storage, !live);
  const connecting = live && state === 'connecting' ? 'connecting' : null;
  const route = connecting ?? (live ? feed.state === 'live' && feed.route : way);
  useSecondClick(desk.fullScreen);
  return (
    <Shell
      page="live"
      title={camera.name}
      class="on-camera"
      header={<CameraHeader camera={camera} title={title} now={now} route={route || null} />}
    >
      <div class={`cam${calm ? ' calm' : ''}${desk.selection ? ' exporting' : ''}`}>
        <div
          class={`video ${live ? state : 'recorded'}`}
          ref={desk.frame}
          data-jid={camera.jid}
          data-state={live ? state : desk.state}
          data-rate={desk.rate}
          onDblClick={desk.fullScreen}
        >
          {live && <Picture camera={camera} feed={feed} state={state} sound={desk.sound} />}
          {live && <Over camera={camera} feed={feed} state={state} now={now} />}
          <video
            ref={desk.video}
            class={live ? 'away' : ''}
            muted
            playsInline
            aria-label={`${camera.name}, recorded`}
          />
          <ScrubPicture desk={desk} />
          {!live && desk.trouble && (
            <p class="pill" role="status">
              {desk.trouble}
            </p>
          )}
        </div>
        <p class="st only-m">
          <Rec camera={camera} now={now} />
          {route && <span class="m2">{route}</span>}
          <Watchers viewers={camera.status?.viewers} />
          <span class="grow" />
          {!live && (
            <button class="b" onClick={desk.toLive}>
              Go to live
            </button>
          )}
        </p>
        <TimelineView
          camera={camera}
          desk={desk}
          moment={live && desk.scrub.at === null ? now : desk.moment}
          now={now}
        />
        <Controls camera={camera} desk={desk} now={now} />
        {desk.selection && (
          <ExportBar
            cameras={[camera]}
            selection={desk.selection}
            zone={camera.zone}
            close={() => desk.select(null)}
          />
        )}
        <Week camera={camera} desk={desk} now={now} />
        <Aside camera={camera} desk={desk} now={now} />
      </div>
    </Shell>
  );
}

/** A double click on a tile: its first click has led here, the second means full screen. */
function useSecondClick(fullScreen: () => void): void {
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), SECOND_CLICK_MS);
    const click = ({ detail }: MouseEvent): void => {
      if (detail === 2) fullScreen();
      stop.abort();
    };
    addEventListener('click', click, { signal: stop.signal, capture: true });
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, []);
}

/** While the playhead is dragged: the small picture at once, until the video has followed. */
function ScrubPicture({ desk }: { desk: Desk }) {
  const { at, sharp } = desk.scrub;
  const { from, to } = { from: desk.day.start, to: desk.day.end };
  if (at === null) return null;
  const picture = desk.thumbs?.near(at, to - from) ?? null;
  return (
    <div class={sharp || !picture ? 'scrub hidden' : 'scrub'} data-scrub={at}>
      <Thumb picture={picture} width={640} height={360} />
    </div>
  );
}

/** True while nobody has touched anything for 3 s: what lies on the picture leaves it. */
function useCalm(): boolean {
  const [calm, set] = useState(false);
  useEffect(() => {
    let timer = setTimeout(() => set(true), CALM_MS);
    const stir = (): void => {
      clearTimeout(timer);
      set(false);
      timer = setTimeout(() => set(true), CALM_MS);
    };
    const kinds = ['pointerdown', 'pointermove', 'keydown'] as const;
    for (const kind of kinds) addEventListener(kind, stir);
    return () => {
      clearTimeout(timer);
      for (const kind of kinds) removeEventListener(kind, stir);
    };
  }, []);
  return calm;
}

interface HeaderProps extends ViewProps {
  now: number;
  /** How the picture that is shown comes here. */
  route: Way | 'connecting' | null;
}

function CameraHeader({ camera, title, now, route }: HeaderProps) {
  const others = watchersOf(camera.status?.viewers).map(personName);
  return (
    <>
      <Link to="/" class="tool back" aria-label="Back to Live">
        <Icon name="back" />
      </Link>
      <h1 class="h2">{camera.name}</h1>
      <span class="m3">{title}</span>
      <span class="hide-m">
        <Rec camera={camera} now={now} />
      </span>
      {route && <span class="s m2 hide-m">{route}</span>}
      <span class="grow" />
      {!app.room.connected && (
        <span class="s hide-m">
          <Away />
        </span>
      )}
      {others.length > 0 && (
        <span class="s m2 row hide-m">
          <Icon name="eye" />
          {others.join(' and ')} {others.length === 1 ? 'is' : 'are'} watching too
        </span>
      )}
      <Locate camera={camera} now={now} small />
      <Me />
    </>
  );
}
