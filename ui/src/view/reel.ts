import { useEffect, useRef, useState } from 'preact/hooks';
import { Conductor } from '../core/conductor.ts';
import type { Span, TimelineData } from '../core/library.ts';
import { timeline as fetchTimeline } from '../core/library.ts';
import { moments, moveTo } from '../core/moments.ts';
import type { Camera } from '../core/room.ts';
import type { Window } from '../core/scale.ts';
import { selectionAround, withEnd } from '../core/selection.ts';
import { formatTime } from '../core/time.ts';
import { app, go } from './base.tsx';
import type { Deck } from './desk-keys.ts';
import { pressed } from './desk-keys.ts';
import { upToDate } from './footage.tsx';
import { useKeys } from './keys.tsx';
import { toggleFullScreen } from './snapshot.ts';

const TICK_MS = 200;
const FETCH_MS = 15_000;
const AGAIN_MS = 3_000;
const FRAME = 1 / 25;
const EXPORT_ZOOM = 3;

/** Several cameras' recordings in step. */
export interface Reel extends Deck {
  moment: number;
  conductor: Conductor;
  strip: { current: HTMLDivElement | null };
  /** Where the playhead is dragged, or null. */
  dragged: number | null;
  window: Window;
  /** What is known of each camera's recordings in and around the window. */
  data: Map<string, TimelineData>;
  look(window: Window, zoom: number): void;
  drag(moment: number | null): void;
}

/** `chosen` are played; all of `cameras` have a row. `asked`: where to begin. */
export function useReel(cameras: Camera[], chosen: Camera[], asked: number | null): Reel {
  const [, again] = useState(0);
  const conductor = useRef<Conductor | null>(null);
  conductor.current ??= new Conductor(asked ?? app.now() - 30, {
    changed: () => again((n) => n + 1),
  });
  const { current } = conductor;
  const [zoom, setZoom] = useState(2);
  const [window, setWindow] = useState<Window>(() => around(current.moment, 3_600));
  const [selection, select] = useState<Span | null>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const wasPlaying = useRef(false);
  const strip = useRef<HTMLDivElement>(null);
  const data = useRows(cameras, window);
  useEffect(() => {
    const timer = setInterval(() => current.tick(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  const now = app.now();
  for (const camera of chosen) {
    const known = data.get(camera.jid);
    const covers = known && current.moment >= known.from && current.moment <= known.to;
    current.setSpans(camera.jid, covers ? upToDate(known, camera, now).spans : null);
  }
  const seek = (to: number): void => {
    if (dragged !== null && wasPlaying.current) current.play();
    setDragged(null);
    current.seek(Math.min(to, app.now() - 1));
    write(current.moment);
  };
  const reel: Reel = {
    live: false,
    moment: dragged ?? current.moment,
    state: current.playing ? 'playing' : 'paused',
    conductor: current,
    strip,
    dragged,
    window,
    data,
    rate: current.rate,
    zoom,
    audio: false,
    sound: false,
    selection,
    look: useDebounced(setWindow),
    setZoom,
    select,
    seek,
    drag: (to) => {
      if (to !== null && dragged === null) {
        wasPlaying.current = current.playing;
        current.pause();
      }
      setDragged(to === null ? null : Math.min(to, app.now() - 1));
    },
    toggle: () => (current.playing ? current.pause() : current.play()),
    step: (frames) => {
      current.pause();
      seek(current.moment + frames * FRAME);
    },
    skip: (by) => {
      const all = chosen
        .flatMap((camera) => moments(data.get(camera.jid) ?? EMPTY))
        .toSorted((a, b) => a.from - b.from);
      const to = moveTo(all, current.moment, by);
      if (to !== null) seek(to);
    },
    setRate: (rate) => current.setRate(rate),
    setSound: () => undefined,
    mark: (end) =>
      select(withEnd(selection ?? selectionAround(current.moment, app.now()), end, current.moment)),
    toggleExport: () => {
      select(selection ? null : selectionAround(current.moment, app.now()));
      if (!selection && zoom < EXPORT_ZOOM) setZoom(EXPORT_ZOOM);
    },
    toLive: () => go('/'),
    // Each picture listens for it: it knows its camera and its own moment.
    snapshot: () => dispatchEvent(new Event(SNAPSHOT)),
    fullScreen: () => toggleFullScreen(strip.current),
  };
  useKeys((event) => pressed(event, reel, current.moment));
  return reel;
}

/** Asks every picture of the page for a snapshot. */
export const SNAPSHOT = 'ucam-snapshot';

const EMPTY: TimelineData = {
  from: 0,
  to: 0,
  spans: [],
  gaps: [],
  onDevice: [],
  later: [],
  activity: { interval: 0, values: [] },
};

export const around = (moment: number, seconds: number): Window => ({
  from: moment - seconds / 2,
  to: moment + seconds / 2,
});

function write(moment: number): void {
  const url = new URL(location.href);
  url.searchParams.set('t', formatTime(moment).replace(/\.?0*Z$/, 'Z'));
  go(url.pathname + url.search, true);
}

function useDebounced(set: (window: Window) => void): (window: Window, zoom: number) => void {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  return (window) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(window), 200);
  };
}

/** Each camera's timeline of the window and as much again; none waits for another. */
function useRows(cameras: Camera[], window: Window): Map<string, TimelineData> {
  const [data, setData] = useState<Map<string, TimelineData>>(() => new Map());
  const wanted = cameras
    .filter(({ storage }) => storage && app.room.online(storage))
    .map(({ jid, storage }) => `${jid} ${storage}`)
    .join('\n');
  const half = (window.to - window.from) / 2;
  const from = window.from - half;
  const to = window.to + half;
  useEffect(() => {
    const stop = new AbortController();
    const timers = new Set<ReturnType<typeof setTimeout>>();
    const round = async (jid: string, storage: string): Promise<void> => {
      const channel = app.channel(storage);
      const until = Math.min(to, app.now());
      if (!channel || until <= from) return;
      let next = FETCH_MS;
      try {
        const known = await fetchTimeline(channel, jid, from, until, stop.signal);
        setData((before) => new Map(before).set(jid, known));
      } catch {
        // What is drawn stays.
        next = AGAIN_MS;
      }
      if (stop.signal.aborted) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        void round(jid, storage);
      }, next);
      timers.add(timer);
    };
    for (const line of wanted.split('\n').filter(Boolean)) {
      const [jid = '', storage = ''] = line.split(' ');
      void round(jid, storage);
    }
    return () => {
      stop.abort();
      timers.forEach(clearTimeout);
    };
  }, [wanted, from, to]);
  return data;
}
