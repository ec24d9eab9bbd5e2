import type { Span } from './library.ts';
import { dayOf, wall, zoneOffset } from './time.ts';

// Which days have recordings, as a calendar shows them. Days are the location's.

export interface Day {
  /** 1 to 31. */
  number: number;
  start: number;
  end: number;
}

export interface Month {
  year: number;
  /** 1 to 12. */
  month: number;
  start: number;
  end: number;
  days: Day[];
  /** How many cells stay empty before the 1st; weeks begin on Monday. */
  blanks: number;
}

/** The month that holds this moment, or one `plus` months later. */
export function monthOf(moment: number, zone: string | null, plus = 0): Month {
  const here = wall(moment, zone);
  const first = new Date(Date.UTC(here.year, here.month - 1 + plus, 1));
  const year = first.getUTCFullYear();
  const month = first.getUTCMonth() + 1;
  const count = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const days: Day[] = [];
  for (let number = 1; number <= count; number += 1) {
    days.push({ number, ...dayOf(noon(year, month, number, zone), zone) });
  }
  const start = days[0]?.start ?? moment;
  const end = days.at(-1)?.end ?? moment;
  return { year, month, start, end, days, blanks: (first.getUTCDay() + 6) % 7 };
}

/** Seven days, the last of them the one that holds this moment. */
export function weekTo(moment: number, zone: string | null): Day[] {
  const days: Day[] = [];
  let day = dayOf(moment, zone);
  for (let n = 0; n < 7; n += 1) {
    days.unshift({ number: wall(day.start, zone).day, ...day });
    day = dayOf(day.start - 1, zone);
  }
  return days;
}

/** No clock is changed at noon: its day is surely the one that is meant. */
function noon(year: number, month: number, day: number, zone: string | null): number {
  const utc = Date.UTC(year, month - 1, day, 12) / 1000;
  return utc - zoneOffset(utc, zone);
}

/** How much of a day, as far as it has passed, was stored: 0 to 1. */
export function storedShare(spans: Span[], { start, end }: Day, now: number): number {
  const until = Math.min(end, now);
  if (until <= start) return 0;
  let stored = 0;
  for (const span of spans) {
    stored += Math.max(0, Math.min(span.to, until) - Math.max(span.from, start));
  }
  return Math.min(1, stored / (until - start));
}

/** The same time of day on another day. */
export function sameTime(moment: number, day: Day, zone: string | null): number {
  const into = moment + zoneOffset(moment, zone) - midnightOf(moment, zone);
  const at = day.start + into;
  const shift = zoneOffset(at, zone) - zoneOffset(day.start, zone);
  return Math.min(day.end - 1, at - shift);
}

function midnightOf(moment: number, zone: string | null): number {
  const { start } = dayOf(moment, zone);
  return start + zoneOffset(start, zone);
}
