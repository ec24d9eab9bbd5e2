import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Feed, FeedState } from '../core/feed.ts';
import { bare, initials } from '../core/jid.ts';
import type { Camera, Section } from '../core/room.ts';
import { cameraState } from '../core/room.ts';
import { span } from '../core/time.ts';
import { offlineKeeps, offlineSince, refusalInWords, sectionNumber } from '../core/words.ts';
import { app, cameraPath, Link, useNow, usePath, useStore } from './base.tsx';
import { Rec, Tape } from './footage.tsx';
import { useKeys } from './keys.tsx';
import { toggleFullScreen } from './snapshot.ts';
import { StoragePicture } from './storage-picture.tsx';
import { Thumb } from './thumb.tsx';
import { Today } from './today.tsx';
import { useThumbnails } from './use-timeline.ts';
import { Header, Shell, Tabs } from './shell.tsx';

/** Seconds between the pictures among which the last one is looked for. */
const LAST_INTERVAL = 10;

export function Live() {
  useStore();
  const now = useNow();
  const chosen = usePath().searchParams.get('location');
  const sections = app.room.sections();
  const shown = sections.filter((section) => chosen === null || section.name === chosen);
  const count = shown.reduce((sum, section) => sum + section.cameras.length, 0);
  useKeys(({ key }) => key.toLowerCase() === 'f' && tileFullScreen());
  return (
    <Shell
      page="live"
      title="Live"
      header={
        <Header now={now}>
          <h1 class="sr">Live</h1>
          <Tabs sections={sections} chosen={chosen} path="/" now={now} />
        </Header>
      }
    >
      {app.room.welcomed && count === 0 && <NoCamera />}
      <div class={`secs ${columns(count)}`}>
        {shown.map((section, index) => (
          <LiveSection key={section.name} section={section} alone={!sections[1]} now={now}>
            {index === shown.length - 1 && spare(section.cameras.length, count) && (
              <Today sections={shown} now={now} />
            )}
          </LiveSection>
        ))}
      </div>
    </Shell>
  );
}

/** The tile that has the focus, or that the pointer is over, at full screen. */
function tileFullScreen(): boolean {
  const tile =
    document.activeElement?.closest('.tile') ?? document.querySelector('.tile:hover');
  const picture = tile?.querySelector<HTMLElement>('.pic') ?? null;
  if (picture || document.fullscreenElement) toggleFullScreen(picture);
  return picture !== null;
}

/** One camera wide; two to four in 2 columns; more in 4. */
function columns(count: number): string {
  if (count <= 1) return 'one';
  return count <= 4 ? 'few' : 'many';
}

/** Whether the last section's last row has room for what happened today. */
function spare(last: number, count: number): boolean {
  if (count <= 1) return false;
  return count <= 4 ? last % 2 === 1 : last % 4 === 1 || last % 4 === 2;
}

interface SectionProps {
  section: Section;
  children?: ComponentChildren;
  /** The only location: the number in the header is this one's. */
  alone: boolean;
  now: number;
}

function LiveSection({ section, alone, now, children }: SectionProps) {
  if (!section.cameras.length) return null;
  const bad = section.cameras.some((camera) => cameraState(camera, now) !== 'stored');
  return (
    <section class={bad ? 'bad' : ''} aria-label={section.title}>
      <div class="loc">
        <h2>{section.title}</h2>
        {!alone && <span class="s m3">{sectionNumber(section, now)}</span>}
      </div>
      <div class="grid">
        {section.cameras.map((camera) => (
          <Tile key={camera.jid} camera={camera} now={now} />
        ))}
        {children}
      </div>
    </section>
  );
}

type Shown = Exclude<FeedState, 'idle'> | 'storage';

/**
 * What a picture is: the storage's where the camera's doesn't get through; offline when the camera
 * is not here, whatever its last call was.
 */
export function shownState(camera: Camera, feed: Feed): Shown {
  if (feed.state === 'live') return 'live';
  if (!camera.peer) return 'offline';
  if (feed.blocked && feed.substituted) return 'storage';
  return feed.state === 'idle' || feed.state === 'offline' ? 'connecting' : feed.state;
}

function Tile({ camera, now }: { camera: Camera; now: number }) {
  const feed = app.feed(camera.jid);
  const state = shownState(camera, feed);
  return (
    <Link
      to={cameraPath(camera.jid)}
      class={`tile ${state}`}
      data-jid={camera.jid}
      data-state={state}
    >
      <div class="pic">
        <Picture camera={camera} feed={feed} state={state} />
        <Over camera={camera} feed={feed} state={state} now={now} />
      </div>
      <Tape camera={camera} now={now} />
      <div class="cap">
        <span class="n ell">{camera.name}</span>
        <span class="grow" />
        <Watchers viewers={camera.peer ? camera.status?.viewers : undefined} />
        {state === 'live' && feed.route && <span class="m2">{feed.route}</span>}
        {state === 'storage' && <span class="m2">By storage</span>}
        {state === 'connecting' && <span class="xs m3">connecting</span>}
        <Rec camera={camera} now={now} />
      </div>
    </Link>
  );
}

/** The picture: a video while it is seen, and the last picture in its place while there is none. */
interface PictureProps {
  camera: Camera;
  feed: Feed;
  state: string;
  sound?: boolean;
}

export function Picture({ camera, feed, state, sound }: PictureProps) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current) video.current.muted = !sound;
  }, [sound]);
  useSeen(video, (element) => feed.watch(element), feed);
  return (
    <>
      <video ref={video} muted playsInline autoPlay tabIndex={-1} aria-hidden="true" />
      {state !== 'live' && state !== 'storage' && (
        <LastPicture camera={camera} feed={feed} state={state} />
      )}
      {feed.blocked && camera.peer && <StoragePicture camera={camera} feed={feed} />}
    </>
  );
}

function LastPicture({ camera, feed, state }: PictureProps) {
  if (feed.picture) return <KeptPicture feed={feed} />;
  return state === 'offline' ? <StoredPicture camera={camera} /> : null;
}

/** Of a camera that was offline before this page was opened: the newest picture in storage. */
function StoredPicture({ camera }: { camera: Camera }) {
  const thumbs = useThumbnails(camera);
  const newest = camera.durableUntil ?? camera.lastSeen;
  useEffect(() => {
    if (newest !== null) thumbs?.want(newest - 2, LAST_INTERVAL);
  }, [thumbs, newest === null]);
  const picture = newest === null ? null : (thumbs?.near(newest, 60 * LAST_INTERVAL) ?? null);
  return picture && <Thumb picture={picture} width={480} height={270} class="last" />;
}

function KeptPicture({ feed }: { feed: Feed }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const kept = feed.picture;
  useEffect(() => {
    const to = canvas.current;
    if (!kept || !to) return;
    to.width = kept.width;
    to.height = kept.height;
    to.getContext('2d')?.drawImage(kept, 0, 0);
  }, [kept, feed.pictureAt]);
  return kept ? <canvas class="last" ref={canvas} aria-hidden="true" /> : null;
}

/** Runs `watch` while the element is in view and the tab is seen. */
export function useSeen(
  ref: { current: HTMLVideoElement | null },
  watch: (video: HTMLVideoElement) => () => void,
  feed: Feed,
): void {
  useEffect(() => {
    const video = ref.current;
    if (!video) return undefined;
    let inView = true;
    let leave: (() => void) | null = null;
    const update = (): void => {
      const seen = inView && document.visibilityState === 'visible';
      if (seen && !leave) leave = watch(video);
      if (!seen && leave) {
        leave();
        leave = null;
      }
    };
    const observer = new IntersectionObserver((entries) => {
      inView = entries.at(-1)?.isIntersecting ?? inView;
      update();
    });
    observer.observe(video);
    document.addEventListener('visibilitychange', update);
    update();
    return () => {
      observer.disconnect();
      document.removeEventListener('visibilitychange', update);
      leave?.();
    };
  }, [feed]);
}

interface OverProps {
  camera: Camera;
  feed: Feed;
  state: string;
  now: number;
}

/** Words on the picture, only while there is no live one. */
export function Over({ camera, feed, state, now }: OverProps) {
  if (state === 'offline') {
    const since = offlineSince(camera, now);
    return (
      <div class="msg">
        <b>{since.slice(0, 1).toUpperCase() + since.slice(1)}</b>
        {offlineKeeps(camera)}
      </div>
    );
  }
  if (feed.blocked && state !== 'live') return <NoWay camera={camera} feed={feed} state={state} />;
  if (state !== 'reconnecting' || feed.pictureAt === null) return null;
  const age = Math.round((Date.now() - feed.pictureAt) / 1000);
  return (
    <div class="pill" role="status">
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6" fill="none" stroke="#767B72" stroke-width="2" />
        <path d="M8 2a6 6 0 0 1 6 6" fill="none" stroke="#F0F1EC" stroke-width="2" />
      </svg>
      Reconnecting. Picture is {span(age)} old.
    </div>
  );
}

/** WebRTC doesn't get through: what is shown instead, and what would help. */
function NoWay({ camera, feed, state }: { camera: Camera; feed: Feed; state: string }) {
  if (feed.refusal !== null) {
    return (
      <div class="pill noway" role="status">
        {refusalInWords(feed.refusal)}
        {state === 'storage' && " These are the storage's pictures, some seconds old."}
      </div>
    );
  }
  const storage = camera.storage !== null && app.room.online(camera.storage) !== null;
  return (
    <div class="pill noway" role="status">
      {state === 'storage'
        ? "The camera's own picture doesn't get through this network. These are the storage's, some seconds old."
        : storage
          ? "The camera's picture doesn't get through this network. Asking the storage for its own."
          : "The camera's picture doesn't get through this network. Another network helps, or a relay on the server (web.toml → ice.turn)."}
    </div>
  );
}

export function watchersOf(viewers: string[] | undefined): string[] {
  const me = bare(app.room.jid);
  return [...new Set((viewers ?? []).map(bare))].filter((jid) => jid !== me);
}

export function Watchers({ viewers }: { viewers: string[] | undefined }) {
  const others = watchersOf(viewers);
  if (!others.length) return null;
  return (
    <span class="who">
      {others.slice(0, 3).map((jid) => (
        <span key={jid} title={`${jid} is watching`}>
          {initials(jid)}
        </span>
      ))}
      {others.length > 3 && <span title={others.slice(3).join(', ')}>+{others.length - 3}</span>}
    </span>
  );
}

function NoCamera() {
  return (
    <div class="empty">
      <h2 class="say">No camera yet. Adding one takes about five minutes.</h2>
      <ol class="steps">
        <li>
          <b>1</b>
          <span>
            Name it on the server: a name such as <code>yard@shop.loc</code> among the{' '}
            <code>devices</code> of a location in <code>web.toml</code>.
          </span>
        </li>
        <li>
          <b>2</b>
          <span>
            Make a code for it <Link to="/settings#invites">in Settings</Link>.
          </span>
        </li>
        <li>
          <b>3</b>
          <span>
            On the camera, type the command that stands below the code, and start{' '}
            <code>ucam capture</code>. It appears here by itself.
          </span>
        </li>
      </ol>
    </div>
  );
}
