// Moments are UTC seconds (floating point, microseconds kept) everywhere in the page;
// a location's timezone enters only where a time is shown or a day begins.

/** RFC 3339 to UTC seconds, keeping microseconds (Date keeps only milliseconds). */
export function parseTime(text: string): number {
  const match = /^(.*T\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.exec(text);
  if (!match) return Number.NaN;
  const whole = Date.parse(`${match[1]}${match[3]}`);
  return whole / 1000 + (match[2] ? Number(`0${match[2]}`) : 0);
}

/** UTC seconds to RFC 3339 with microseconds, for requests. */
export function formatTime(seconds: number): string {
  const us = Math.round(seconds * 1e6);
  const whole = Math.floor(us / 1e6);
  const rest = String(us - whole * 1e6).padStart(6, '0');
  return `${new Date(whole * 1000).toISOString().slice(0, 19)}.${rest}Z`;
}

/** UTC seconds to RFC 3339 with milliseconds, rounded to the nearest. */
export function formatMs(seconds: number): string {
  return new Date(Math.round(seconds * 1000)).toISOString();
}

/** "14:02 to 14:25"; with seconds when it is short. */
export function fromTo(from: number, to: number, zone: string | null): string {
  const words = to - from < 120 ? hhmmss : hhmm;
  return `${words(from, zone)} to ${words(to, zone)}`;
}

/** 2026-09-17_18-42-07.250+0200: a moment in the zone's time, for names of files. */
export function fileTime(seconds: number, zone: string | null): string {
  const rounded = Math.round(seconds * 1000) / 1000;
  const offset = Math.round(zoneOffset(rounded, zone) / 60);
  const there = new Date(Math.round(rounded * 1000) + offset * 60_000).toISOString();
  const two = (n: number): string => String(n).padStart(2, '0');
  const away = Math.abs(offset);
  const shift = `${offset < 0 ? '-' : '+'}${two(Math.floor(away / 60))}${two(away % 60)}`;
  return `${there.slice(0, 10)}_${there.slice(11, 23).replaceAll(':', '-')}${shift}`;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string | null, kind: string, options: Intl.DateTimeFormatOptions) {
  const key = `${zone ?? ''} ${kind}`;
  let found = formatters.get(key);
  if (!found) {
    found = make(zone, options);
    formatters.set(key, found);
  }
  return found;
}

function make(zone: string | null, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone ?? undefined });
  } catch {
    // A zone this browser does not know: its own zone is the honest second best.
    return new Intl.DateTimeFormat('en-GB', options);
  }
}

const date = (seconds: number) => new Date(seconds * 1000);

/** 14:02 */
export function hhmm(seconds: number, zone: string | null): string {
  return there(seconds, zone).toISOString().slice(11, 16);
}

/** 14:02:07 */
export function hhmmss(seconds: number, zone: string | null): string {
  return there(seconds, zone).toISOString().slice(11, 19);
}

/** Thursday 17 September */
export function dayWords(seconds: number, zone: string | null): string {
  return formatter(zone, 'day', { weekday: 'long', day: 'numeric', month: 'long' })
    .format(date(seconds))
    .replace(',', '');
}

/** September 2026 */
export function monthWords(seconds: number, zone: string | null): string {
  return formatter(zone, 'my', { month: 'long', year: 'numeric' }).format(date(seconds));
}

/** Thu */
export function weekdayShort(seconds: number, zone: string | null): string {
  return formatter(zone, 'wd', { weekday: 'short' }).format(date(seconds));
}

/** 17 September, with the year when it is not this one. */
export function dateWords(seconds: number, zone: string | null, now: number): string {
  const year = formatter(zone, 'y', { year: 'numeric' });
  const other = year.format(date(seconds)) !== year.format(date(now));
  const options: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'long' };
  if (other) options.year = 'numeric';
  return formatter(zone, other ? 'dmy' : 'dm', options).format(date(seconds));
}

interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** A date whose UTC fields are what a clock in the zone shows. */
function there(seconds: number, zone: string | null): Date {
  return date(seconds + zoneOffset(seconds, zone));
}

/** What a wall clock in the zone shows at this moment. */
export function wall(seconds: number, zone: string | null): Wall {
  const shown = there(seconds, zone);
  return {
    year: shown.getUTCFullYear(),
    month: shown.getUTCMonth() + 1,
    day: shown.getUTCDate(),
    hour: shown.getUTCHours(),
    minute: shown.getUTCMinutes(),
    second: shown.getUTCSeconds(),
  };
}

/** No country changes its clocks twice within this time. */
const WEEK = 7 * 86_400;

/** Offsets before and from a moment on. */
interface Change {
  before: number;
  at: number;
  after: number;
}

/** By zone and week: asking the browser takes a tenth of a millisecond, and a month is asked of. */
const changes = new Map<string, Change>();

/** Seconds that the zone is ahead of UTC at this moment. */
export function zoneOffset(seconds: number, zone: string | null): number {
  const week = Math.floor(seconds / WEEK);
  const key = `${zone ?? ''} ${week}`;
  let change = changes.get(key);
  if (!change) {
    change = changeIn(week * WEEK, zone);
    changes.set(key, change);
  }
  return seconds < change.at ? change.before : change.after;
}

function changeIn(from: number, zone: string | null): Change {
  let [low, high] = [from, from + WEEK];
  const before = askedOffset(low, zone);
  const after = askedOffset(high, zone);
  if (before === after) return { before, at: low, after };
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (askedOffset(middle, zone) === before) low = middle;
    else high = middle;
  }
  return { before, at: high, after };
}

function askedOffset(whole: number, zone: string | null): number {
  const parts = formatter(zone, 'wall', {
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
    hourCycle: 'h23',
  }).formatToParts(date(whole));
  const get = (type: string) => Number(parts.find((part) => part.type === type)?.value ?? 0);
  const utc = Date.UTC(
    get('year'),
    get('month') - 1,
    get('day'),
    get('hour'),
    get('minute'),
    get('second'),
  );
  return utc / 1000 - whole;
}

/** The zone's day that holds this moment: its first moment and the next day's (23 to 25 h apart). */
export function dayOf(seconds: number, zone: string | null): { start: number; end: number } {
  const w = wall(seconds, zone);
  return { start: midnight(w, 0, zone), end: midnight(w, 1, zone) };
}

function midnight(w: Wall, plusDays: number, zone: string | null): number {
  const utc = Date.UTC(w.year, w.month - 1, w.day + plusDays) / 1000;
  const guess = utc - zoneOffset(utc, zone);
  // The offset may differ between the two sides of midnight: one more step settles it.
  return utc - zoneOffset(guess, zone);
}

/** "6 s", "3 min", "2 h 48 min", "4 days": the two largest units that say something. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** "12 min 30 s": nothing is left out. */
export function spanExact(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(s / 3600), 'h'],
    [Math.floor((s % 3600) / 60), 'min'],
    [s % 60, 's'],
  ];
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`);
  return said.join(' ') || '0 s';
}

/** "48 MB", "1.2 GB". */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
