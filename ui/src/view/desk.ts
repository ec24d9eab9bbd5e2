import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { TimelineData } from '../core/library.ts';
import { timeline as fetchTimeline } from '../core/library.ts';
import type { PlayerState } from '../core/player.ts';
import { Player } from '../core/player.ts';
import type { Camera } from '../core/room.ts';
import type { Window } from '../core/scale.ts';
import { dayOf, formatMs, formatTime, parseTime } from '../core/time.ts';
import { app, go } from './base.tsx';
import { upToDate } from './footage.tsx';
import { useKeys } from './keys.tsx';

export const SPEEDS: readonly number[] = [0.5, 1, 2, 4, 8, 16];

/** For a button that goes through the speeds one by one. */
export const speedAfter = (rate: number): number =>
  SPEEDS[(SPEEDS.indexOf(rate) + 1) % SPEEDS.length] ?? 1;

/** What the camera page does: live or a moment of the recordings, and how it plays. */
export interface Desk {
  live: boolean;
  /** The moment on the screen, UTC seconds; now while live. */
  moment: number;
  state: PlayerState;
  rate: number;
  trouble: string | null;
  zoom: number;
  frame: { current: HTMLDivElement | null };
  video: { current: HTMLVideoElement | null };
  day: { start: number; end: number };
  data: TimelineData | null;
  fine: TimelineData | null;
  setZoom(zoom: number): void;
  look(window: Window, zoom: number): void;
  seek(moment: number): void;
  toggle(): void;
  step(frames: number): void;
  setRate(rate: number): void;
  toLive(): void;
  snapshot(): void;
  fullScreen(): void;
}

/** asked is the address's `t`: a moment, or null for live. */
export function useDesk(camera: Camera, asked: string | null): Desk {
  const [live, setLive] = useState(() => momentOf(asked) === null);
  const [moment, setMoment] = useState(() => momentOf(asked) ?? app.now());
  const [state, setState] = useState<PlayerState>('loading');
  const [rate, setRateShown] = useState(1);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [zoom, setZoom] = useState(0);
  const frame = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<Player | null>(null);
  /** What stands in the address by this desk's own doing. */
  const written = useRef(asked);
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
      rate: setRateShown,
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

  const seek = (moment: number, play = true): void => {
    const to = Math.min(moment, app.now());
    const next = open();
    setLive(false);
    setMoment(to);
    if (!next) return;
    const wasLive = live;
    if (wasLive ? play : next.playing) next.play();
    next.seek(to);
    written.current = formatTime(to).replace(/\.?0*Z$/, 'Z');
    go(`${location.pathname}?t=${written.current}`, true);
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
    else seek(to);
  }, [asked]);

  const at = live ? app.now() : moment;
  const day = useDay(at, zone);
  const { data, fine, look } = useTimeline(camera, day);
  const setRate = (next: number): void => {
    player.current?.setRate(next);
    setRateShown(next);
  };
  const toggle = (): void => {
    if (live) seek(app.now(), false);
    else if (player.current?.playing) player.current.pause();
    else player.current?.play();
  };
  const step = (frames: number): void => {
    if (live) seek(app.now(), false);
    else player.current?.step(frames);
  };
  const snapshot = (): void => {
    const shown = live ? frame.current?.querySelector('video') : video.current;
    if (shown) void save(shown, camera, live ? app.now() : (player.current?.moment ?? moment));
  };
  const fullScreen = (): void => toggleFullScreen(frame.current);
  const desk: Desk = {
    live,
    moment,
    state,
    rate,
    trouble,
    zoom,
    frame,
    video,
    day,
    data,
    fine,
    setZoom,
    look,
    seek,
    toggle,
    step,
    setRate,
    toLive,
    snapshot,
    fullScreen,
  };
  useKeys((event) => pressed(event, desk, player.current));
  return desk;
}

function momentOf(asked: string | null): number | null {
  const moment = asked === null ? Number.NaN : parseTime(asked);
  return Number.isNaN(moment) ? null : moment;
}

function pressed(event: KeyboardEvent, desk: Desk, player: Player | null): boolean {
  const at = desk.live ? app.now() : (player?.moment ?? desk.moment);
  const speed = SPEEDS.indexOf(desk.rate);
  const faster = (by: number): void => {
    const next = SPEEDS[speed + by];
    if (next && !desk.live) desk.setRate(next);
  };
  const actions: Record<string, () => void> = {
    ' ': desk.toggle,
    ArrowLeft: () => desk.seek(at - 10),
    ArrowRight: () => !desk.live && desk.seek(at + 10),
    ArrowUp: () => desk.setZoom(Math.min(3, desk.zoom + 1)),
    ArrowDown: () => desk.setZoom(Math.max(0, desk.zoom - 1)),
    ',': () => desk.step(-1),
    '.': () => desk.step(1),
    j: () => faster(-1),
    k: () => player?.playing && player.pause(),
    l: () => faster(1),
    s: desk.snapshot,
    f: desk.fullScreen,
    n: desk.toLive,
  };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // A focused button takes the space bar itself.
  if (key === ' ' && event.target instanceof HTMLButtonElement) return false;
  const action = actions[key];
  if (!action || event.shiftKey) return false;
  action();
  return true;
}

function useDay(moment: number, zone: string | null): { start: number; end: number } {
  const last = useRef({ start: 0, end: 0 });
  const { start, end } = last.current;
  if (moment < start || moment >= end) last.current = dayOf(moment, zone);
  return last.current;
}

/** The day's tape, and a finer one of the window when zoomed in; kept up to date. */
function useTimeline(camera: Camera, day: { start: number; end: number }) {
  const [data, setData] = useState<TimelineData | null>(null);
  const [fine, setFine] = useState<TimelineData | null>(null);
  const [seen, setSeen] = useState<Window | null>(null);
  const { jid, storage } = camera;
  const here = storage !== null && app.room.online(storage) !== null;
  useFetched(jid, storage, here, { from: day.start, to: day.end }, setData);
  useFetched(jid, storage, here, seen, setFine);
  const look = useMemo(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    return (window: Window, zoom: number): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        // Half a window on both sides, so that panning has something to show.
        const more = (window.to - window.from) / 2;
        setSeen(zoom === 0 ? null : { from: window.from - more, to: window.to + more });
      }, 200);
    };
  }, []);
  const now = app.now();
  return {
    data: data && upToDate(data, camera, now),
    fine: seen && fine && upToDate(fine, camera, now),
    look,
  };
}

function useFetched(
  jid: string,
  storage: string | null,
  here: boolean,
  window: Window | null,
  set: (data: TimelineData | null) => void,
): void {
  const { from = 0, to = 0 } = window ?? {};
  useEffect(() => {
    const channel = app.channel(storage);
    if (!channel || !here || to <= from) return undefined;
    const stop = new AbortController();
    const fetch = async (): Promise<void> => {
      if (document.visibilityState !== 'visible') return;
      const until = Math.min(to, app.now());
      if (until <= from) return;
      try {
        set(await fetchTimeline(channel, jid, from, until, stop.signal));
      } catch {
        // What is drawn stays; the next round asks again.
      }
    };
    void fetch();
    const timer = setInterval(() => void fetch(), 15_000);
    return () => {
      clearInterval(timer);
      stop.abort();
      set(null);
    };
  }, [jid, storage, here, from, to]);
}

async function save(video: HTMLVideoElement, camera: Camera, moment: number): Promise<void> {
  if (!video.videoWidth) return;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d')?.drawImage(video, 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (!blob) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  const name = camera.name.replaceAll(/[^\p{L}\p{N}]+/gu, '-');
  link.download = `${name}_${formatMs(moment).replaceAll(':', '-')}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function toggleFullScreen(frame: HTMLElement | null): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else if (frame && 'requestFullscreen' in frame) void frame.requestFullscreen();
}
