import type { TimelineData } from './library.ts';

// Stretches in which the picture changed much more than it did for the rest of the window.

export interface Moment {
  from: number;
  to: number;
  /** The liveliest interval of it begins here. */
  peak: number;
}

/** Lively: this far above what is usual, and this much at least. */
const ABOVE = 0.25;
const LEAST = 0.3;
/** Stretches closer than this belong together. */
const APART_SECONDS = 60;
/** More than this share of a window isn't moments any more: it is what always happens. */
const MOST_SHARE = 0.35;

/** Newest last. Empty where the curve says nothing: a constant bit rate, or all of it lively. */
export function moments({ from, activity }: TimelineData): Moment[] {
  const { interval, values } = activity;
  if (interval <= 0) return [];
  const known = values.filter((value) => value > 0).toSorted((a, b) => a - b);
  const usual = known[Math.floor(known.length / 2)] ?? 0;
  const bar = Math.max(LEAST, usual + ABOVE);
  const found: (Moment & { top: number })[] = [];
  values.forEach((value, index) => {
    if (value < bar) return;
    const start = from + index * interval;
    const last = found.at(-1);
    if (last && start - last.to <= APART_SECONDS) {
      last.to = start + interval;
      if (value > last.top) Object.assign(last, { top: value, peak: start });
    } else {
      found.push({ from: start, to: start + interval, peak: start, top: value });
    }
  });
  const total = found.reduce((sum, one) => sum + one.to - one.from, 0);
  if (total > MOST_SHARE * known.length * interval) return [];
  return found.map(({ from: begin, to, peak }) => ({ from: begin, to, peak }));
}

/** Where the next moment begins, or the previous one ended up; null when there is none. */
export function moveTo(all: Moment[], at: number, by: 1 | -1): number | null {
  if (by > 0) return all.find((one) => one.from > at + 1)?.from ?? null;
  // A person who has just begun to watch one wants the one before.
  return all.findLast((one) => one.from < at - 3)?.from ?? null;
}
