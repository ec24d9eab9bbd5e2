import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { TimelineData } from '../core/library.ts';
import { timeline as fetchTimeline } from '../core/library.ts';
import type { Camera } from '../core/room.ts';
import type { Window } from '../core/scale.ts';
import { Thumbnails } from '../core/thumbnails.ts';
import { dayOf } from '../core/time.ts';
import { app } from './base.tsx';
import { upToDate } from './footage.tsx';

const FETCH_MS = 15_000;
const AGAIN_MS = 2_000;
const LOOK_MS = 200;

export function useDay(moment: number, zone: string | null): { start: number; end: number } {
  const last = useRef({ start: 0, end: 0 });
  const { start, end } = last.current;
  if (moment < start || moment >= end) last.current = dayOf(moment, zone);
  return last.current;
}

/** The day's tape, and a finer one of the window when zoomed in; kept up to date. */
export function useTimeline(camera: Camera, day: { start: number; end: number }) {
  const { seen, look } = useSeen();
  const data = useFetched(camera, { from: day.start, to: day.end });
  const fine = useFetched(camera, seen);
  const now = app.now();
  return {
    data: data && upToDate(data, camera, now),
    fine: seen && fine && upToDate(fine, camera, now),
    look,
  };
}

/** What of the timeline is in view, a little after it stopped to move; null for the whole day. */
export function useSeen() {
  const [seen, setSeen] = useState<Window | null>(null);
  const look = useMemo(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    return (window: Window, zoom: number): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        // Half a window on both sides, so that panning has something to show.
        const more = (window.to - window.from) / 2;
        setSeen(zoom === 0 ? null : { from: window.from - more, to: window.to + more });
      }, LOOK_MS);
    };
  }, []);
  return { seen, look };
}

/** A camera's timeline of a window, asked for again as long as it is shown. */
export function useFetched(
  camera: Camera,
  window: Window | null,
  everyMs = FETCH_MS,
): TimelineData | null {
  const { jid, storage } = camera;
  const here = storage !== null && app.room.online(storage) !== null;
  const [data, set] = useState<TimelineData | null>(null);
  const { from = 0, to = 0 } = window ?? {};
  useEffect(() => {
    const channel = app.channel(storage);
    if (!channel || !here || to <= from) return undefined;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async (): Promise<void> => {
      // What is past changes only by what arrives later: once in a while is enough.
      let next = to < app.now() ? 4 * everyMs : everyMs;
      const until = Math.min(to, app.now());
      if (document.visibilityState === 'visible' && until > from) {
        try {
          set(await fetchTimeline(channel, jid, from, until, stop.signal));
        } catch {
          // What is drawn stays.
          next = AGAIN_MS;
        }
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void round(), next);
    };
    void round();
    return () => {
      clearTimeout(timer);
      stop.abort();
      set(null);
    };
  }, [jid, storage, here, from, to]);
  return data;
}

/** The camera's small pictures while its page is open; `changed` when there are new ones. */
export function useThumbnails(camera: Camera): Thumbnails | null {
  const { jid, storage } = camera;
  const [, again] = useState(0);
  const [thumbs, set] = useState<Thumbnails | null>(null);
  useEffect(() => {
    const channel = app.channel(storage);
    if (!channel) return undefined;
    const made = new Thumbnails(
      channel,
      jid,
      () => app.now(),
      () => again((n) => n + 1),
    );
    set(made);
    return () => {
      made.close();
      set(null);
    };
  }, [jid, storage]);
  return thumbs;
}
