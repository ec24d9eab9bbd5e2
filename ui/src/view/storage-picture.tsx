import { useRef } from 'preact/hooks';
import type { Feed } from '../core/feed.ts';
import { Player } from '../core/player.ts';
import type { Camera } from '../core/room.ts';
import { dayOf } from '../core/time.ts';
import { app } from './base.tsx';
import { useSeen } from './live.tsx';

/** Further behind than this, what lies between is skipped. */
const BEHIND_SECONDS = 8;
const LOOK_MS = 3_000;

/** What the storage records, as it records it, in place of a camera that can't be reached. */
export function StoragePicture({ camera, feed }: { camera: Camera; feed: Feed }) {
  const video = useRef<HTMLVideoElement>(null);
  useSeen(video, (element) => follow(element, camera, feed), feed);
  return <video ref={video} class="by-storage" muted playsInline tabIndex={-1} aria-hidden="true" />;
}

/** Plays the newest recording until the returned function is called. */
function follow(video: HTMLVideoElement, camera: Camera, feed: Feed): () => void {
  const channel = app.channel(camera.storage);
  if (!channel) return () => undefined;
  const tell = (playing: boolean): void => {
    if (feed.substituted === playing) return;
    feed.substituted = playing;
    app.store.changed();
  };
  const clock = { now: () => app.now(), dayStart: (at: number) => dayOf(at, camera.zone).start };
  const player = new Player(video, channel, camera.jid, clock, {
    state: (state) => {
      if (state === 'playing') tell(true);
      if (state === 'ended') tell(false);
    },
    moment: () => undefined,
    trouble: (text) => {
      if (text) tell(false);
    },
  });
  player.play();
  player.seek(app.now());
  const timer = setInterval(() => {
    const behind = app.now() - player.moment;
    if (!player.seeking && behind > BEHIND_SECONDS) player.seek(app.now());
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    player.close();
    tell(false);
  };
}
