import { useEffect, useRef, useState } from 'preact/hooks';
import type { Span, TimelineData } from '../core/library.ts';
import type { Moment } from '../core/moments.ts';
import { moments, moveTo } from '../core/moments.ts';
import type { PlayerState } from '../core/player.ts';
import { Player } from '../core/player.ts';
import type { Camera } from '../core/room.ts';
import type { Window } from '../core/scale.ts';
import { selectionAround, withEnd } from '../core/selection.ts';
import type { Thumbnails } from '../core/thumbnails.ts';
import { dayOf, formatMs, formatTime, parseTime } from '../core/time.ts';
import { app, go } from './base.tsx';
import type { Deck } from './desk-keys.ts';
import { pressed } from './desk-keys.ts';
import { useKeys } from './keys.tsx';
import type { Scrub } from './scrub.ts';
import { useScrub } from './scrub.ts';
import { snapshot, toggleFullScreen } from './snapshot.ts';
import { useDay, useThumbnails, useTimeline } from './use-timeline.ts';

const EXPORT_ZOOM = 3;
/** Whoever points closer to now than this means live. */
const LIVE_SECONDS = 3;

/** What the camera page does: live or a moment of the recordings, and how it plays. */
export interface Desk extends Deck {
  /** The moment on the screen, UTC seconds; now while live, the pointer's while scrubbing. */
  moment: number;
  state: PlayerState;
  trouble: string | null;
  frame: { current: HTMLDivElement | null };
  video: { current: HTMLVideoElement | null };
  day: { start: number; end: number };
  data: TimelineData | null;
  fine: TimelineData | null;
  thumbs: Thumbnails | null;
  scrub: Scrub;
  moments: Moment[];
  look(window: Window, zoom: number): void;
  /** Drags the playhead over a moment; null breaks that off. */
  drag(moment: number | null): void;
}

/** asked is the address's `t`: a moment, or null for live. */
export function useDesk(camera: Camera, asked: string | null): Desk {
  const [live, setLive] = useState(() => momentOf(asked) === null);
  const [moment, setMoment] = useState(() => momentOf(asked) ?? app.now());
  const [state, setState] = useState<PlayerState>('loading');
  const [rate, setRateShown] = useState(1);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [zoom, setZoom] = useState(0);
  const [audio, setAudio] = useState(false);
  const [sound, setSound] = useState(false);
  const [selection, setSelection] = useState<Span | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<Player | null>(null);
  const scrub = useScrub(player);
  /** Whether it goes on playing when the playhead is let go. */
  const playsOn = useRef(true);
  /** What stands in the address by this desk's own doing. */
  const written = useRef(asked);
  /** The newest toLive, for the player's events. */
  const latest = useRef<{ toLive(): void; camera: Camera } | null>(null);
  const { zone, storage, jid } = camera;

  const open = (): Player | null => {
    const channel = app.channel(storage);
    if (player.current || !video.current) return player.current;
    if (!channel) {
      setTrouble('This location has no storage: nothing is recorded here.');
      return null;
    }
    const clock = {
      now: () => app.now(),
      dayStart: (at: number) => dayOf(at, zone).start,
    };
    let shown = 0;
    player.current = new Player(video.current, channel, jid, clock, {
      state: setState,
      trouble: setTrouble,
      audio: setAudio,
      edge: () => {
        setRateShown(1);
        // Caught up: what comes next is live.
        if (latest.current?.camera.peer) latest.current.toLive();
      },
      moment: (utc) => {
        if (frame.current) frame.current.dataset['utc'] = formatMs(utc);
        // The page follows twice a second; the picture's own time stands on the element.
        if (Math.abs(utc - shown) < 0.5 && Math.floor(utc) === Math.floor(shown)) return;
        shown = utc;
        setMoment(utc);
      },
    });
    return player.current;
  };

  const show = (to: number, play: boolean): void => {
    const next = open();
    setLive(false);
    setMoment(to);
    if (!next) return;
    if (play) next.play();
    next.seek(to);
    written.current = formatTime(to).replace(/\.?0*Z$/, 'Z');
    go(`${location.pathname}?t=${written.current}`, true);
  };

  const seek = (to: number): void => {
    const now = app.now();
    const dragged = scrub.at !== null;
    scrub.end();
    if (to > now - LIVE_SECONDS && camera.peer) toLive();
    else show(Math.min(to, now), dragged ? playsOn.current : live || !!player.current?.playing);
  };

  const drag = (to: number | null): void => {
    if (to === null) {
      scrub.end();
      return;
    }
    if (scrub.at === null) {
      playsOn.current = live || !!player.current?.playing;
      open()?.pause();
      setLive(false);
    }
    scrub.move(Math.min(to, app.now()));
  };

  const toLive = (): void => {
    player.current?.close();
    player.current = null;
    if (frame.current) delete frame.current.dataset['utc'];
    setTrouble(null);
    setRateShown(1);
    setState('loading');
    setLive(true);
    written.current = null;
    go(location.pathname, true);
  };
  latest.current = { toLive, camera };

  useEffect(() => {
    if (!live) {
      const first = open();
      first?.play();
      first?.seek(moment);
    }
    return () => {
      player.current?.close();
      player.current = null;
    };
  }, []);
  // Back, forward or a link changed the address.
  useEffect(() => {
    if (asked === written.current) return;
    const to = momentOf(asked);
    if (to === null) toLive();
    else show(to, true);
  }, [asked]);
  useEffect(() => {
    if (video.current) video.current.muted = !sound;
  }, [sound]);

  const at = scrub.at ?? (live ? app.now() : moment);
  const day = useDay(at, zone);
  const { data, fine, look } = useTimeline(camera, day);
  const thumbs = useThumbnails(camera);
  const found = data ? moments(data) : [];
  const here = (): number => (live ? app.now() : (player.current?.moment ?? moment));
  const desk: Desk = {
    live,
    moment: at,
    state,
    rate,
    trouble,
    zoom,
    frame,
    video,
    day,
    data,
    fine,
    thumbs,
    scrub,
    moments: found,
    audio: live ? (app.feed(jid).stream?.getAudioTracks().length ?? 0) > 0 : audio,
    sound,
    selection,
    setZoom,
    look,
    seek,
    drag,
    toggle: () => {
      if (live) show(app.now(), false);
      else if (player.current?.playing) player.current.pause();
      else player.current?.play();
    },
    step: (frames) => {
      if (live) show(app.now(), false);
      else player.current?.step(frames);
    },
    skip: (by) => {
      const to = moveTo(found, here(), by);
      if (to !== null) seek(to);
    },
    setRate: (next) => {
      player.current?.setRate(next);
      setRateShown(next);
    },
    setSound,
    select: setSelection,
    toggleExport: () => {
      setSelection(selection ? null : selectionAround(here(), app.now()));
      // A minute is less than a pixel of a day: the handles are where they can be taken.
      if (!selection) setZoom(EXPORT_ZOOM);
    },
    mark: (end) => setSelection(withEnd(selection ?? selectionAround(here(), app.now()), end, here())),
    toLive,
    snapshot: () => {
      const shown = live ? frame.current?.querySelector('video') : video.current;
      if (shown) void snapshot(shown, camera, here());
    },
    fullScreen: () => toggleFullScreen(frame.current),
  };
  useKeys((event) => pressed(event, desk, here()));
  return desk;
}

function momentOf(asked: string | null): number | null {
  const moment = asked === null ? Number.NaN : parseTime(asked);
  return Number.isNaN(moment) ? null : moment;
}
