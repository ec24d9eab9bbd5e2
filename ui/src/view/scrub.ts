import { useEffect, useRef, useState } from 'preact/hooks';
import type { Player } from '../core/player.ts';

/** The picture stands this close to the pointer's moment: the small one isn't needed any more. */
const SHARP_SECONDS = 1.5;

export interface Scrub {
  /** Where the pointer drags the playhead, or null. */
  at: number | null;
  /** Whether the video's own picture is the one of that moment. */
  sharp: boolean;
  /** Begins or goes on; the player follows as fast as it can. */
  move(moment: number): void;
  /** The pointer was let go: what lies over the picture leaves when the picture is there. */
  end(): void;
}

/** The small pictures follow the pointer at once; the video follows them, one seek after another. */
export function useScrub(player: { current: Player | null }): Scrub {
  const [at, setAt] = useState<number | null>(null);
  const [sharp, setSharp] = useState(false);
  const wish = useRef<number | null>(null);
  const asked = useRef<number | null>(null);
  const letGo = useRef(false);
  const frame = useRef(0);

  const follow = (): void => {
    frame.current = 0;
    const to = wish.current;
    const current = player.current;
    if (to === null || !current) {
      // Let go over the live end: there is no player any more.
      wish.current = null;
      setAt(null);
      return;
    }
    const there = !current.seeking && Math.abs(current.moment - to) < SHARP_SECONDS;
    if (letGo.current && (there || !current.seeking)) {
      wish.current = asked.current = null;
      setAt(null);
      return;
    }
    setSharp(there);
    if (!current.seeking && !letGo.current && asked.current !== to) {
      asked.current = to;
      current.seek(to);
    }
    frame.current = requestAnimationFrame(follow);
  };
  useEffect(() => () => cancelAnimationFrame(frame.current), []);
  return {
    at,
    sharp,
    move: (moment) => {
      if (wish.current === null) {
        asked.current = null;
        setSharp(false);
      }
      letGo.current = false;
      wish.current = moment;
      setAt(moment);
      frame.current ||= requestAnimationFrame(follow);
    },
    end: () => {
      letGo.current = true;
      // The seek of the release begins after this: looked at from the next picture on.
      if (wish.current !== null) frame.current ||= requestAnimationFrame(follow);
    },
  };
}
