import { useEffect, useRef, useState } from 'preact/hooks';
import { Player } from '../core/player.ts';
import type { Camera } from '../core/room.ts';
import { gapAt, stateAt } from '../core/scale.ts';
import { intervalFor } from '../core/thumbnails.ts';
import { dayOf, formatMs, fromTo } from '../core/time.ts';
import { asSentence } from '../core/words.ts';
import { app, Mark } from './base.tsx';
import { upToDate } from './footage.tsx';
import type { Reel } from './reel.ts';
import { SNAPSHOT } from './reel.ts';
import { useScrub } from './scrub.ts';
import { snapshot } from './snapshot.ts';
import { Thumb } from './thumb.tsx';
import { useThumbnails } from './use-timeline.ts';

interface Props {
  camera: Camera;
  title: string;
  reel: Reel;
}

/** One of several pictures in step, with its own player. */
export function ReelPicture({ camera, title, reel }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const player = useRef<Player | null>(null);
  const [state, setState] = useState('loading');
  const [trouble, setTrouble] = useState<string | null>(null);
  const scrub = useScrub(player);
  const thumbs = useThumbnails(camera);
  const { conductor, dragged } = reel;
  const { jid, storage, zone } = camera;

  useEffect(() => {
    const channel = app.channel(storage);
    if (!channel || !video.current) {
      setTrouble('This location has no storage: nothing is recorded here.');
      return undefined;
    }
    const clock = { now: () => app.now(), dayStart: (at: number) => dayOf(at, zone).start };
    const events = {
      state: setState,
      trouble: setTrouble,
      moment: (utc: number) => {
        if (frame.current) frame.current.dataset['utc'] = formatMs(utc);
      },
    };
    const made = new Player(video.current, channel, jid, clock, events, { overGaps: false });
    player.current = made;
    conductor.add(jid, made);
    const take = (): void => {
      if (video.current) void snapshot(video.current, camera, made.moment);
    };
    addEventListener(SNAPSHOT, take);
    return () => {
      removeEventListener(SNAPSHOT, take);
      conductor.remove(jid);
      made.close();
      player.current = null;
    };
  }, [jid, storage]);
  useEffect(() => {
    if (dragged === null) {
      if (scrub.at !== null) scrub.end();
      return;
    }
    scrub.move(dragged);
    const seconds = reel.window.to - reel.window.from;
    thumbs?.want(dragged, intervalFor(seconds / 240));
  }, [dragged]);

  const at = dragged ?? conductor.moment;
  const known = reel.data.get(jid);
  const data = known ? upToDate(known, camera, app.now()) : null;
  const gap = gapAt(data, at);
  const nothing = conductor.inGap(jid);
  const word = data ? stateAt(data, at, app.now()) : '';
  const picture = scrub.at === null ? null : (thumbs?.near(scrub.at, 86_400) ?? null);
  return (
    <figure>
      <div class="video" ref={frame} data-jid={jid} data-state={nothing ? 'gap' : state}>
        <video
          ref={video}
          class={nothing ? 'away' : ''}
          muted
          playsInline
          aria-label={`${camera.name}, recorded`}
        />
        {scrub.at !== null && picture && !scrub.sharp && (
          <div class="scrub">
            <Thumb picture={picture} width={480} height={270} />
          </div>
        )}
        {nothing && (
          <p class="pill">
            {gap
              ? `Nothing from ${fromTo(gap.from, gap.to, zone)}. ${asSentence(gap.reason)}`
              : 'Nothing recorded at this time.'}
          </p>
        )}
        {!nothing && trouble && (
          <p class="pill" role="status">
            {trouble}
          </p>
        )}
      </div>
      <figcaption>
        <b class="ell">{camera.name}</b>
        <span class="m3 ell">{title}</span>
        <span class="grow" />
        <span class="s m2">{word.slice(0, 1).toUpperCase() + word.slice(1)}</span>
        {word === 'stored' && <Mark kind="stored" />}
        {word === 'arrived later' && <Mark kind="late" />}
        {word === 'on the device' && <Mark kind="dev" />}
        {word === 'nothing recorded' && <Mark kind="none" />}
      </figcaption>
    </figure>
  );
}
