import type { Gap, Span, TimelineData } from './library.ts';
import { hhmm, zoneOffset } from './time.ts';

// The timeline's arithmetic: no canvas, no clock. Moments are UTC seconds, x is CSS pixels.

export interface Zoom {
  name: string;
  seconds: number;
  /** A label and a tick every so many seconds. */
  label: number;
  tick: number;
}

export const ZOOMS: readonly Zoom[] = [
  { name: '24 h', seconds: 86_400, label: 7_200, tick: 3_600 },
  { name: '6 h', seconds: 21_600, label: 1_800, tick: 600 },
  { name: '1 h', seconds: 3_600, label: 300, tick: 60 },
  { name: '10 min', seconds: 600, label: 60, tick: 10 },
];

export interface Window {
  from: number;
  to: number;
}

export const toX = (t: number, { from, to }: Window, width: number): number =>
  ((t - from) / (to - from)) * width;

export const toTime = (x: number, { from, to }: Window, width: number): number =>
  from + (x / width) * (to - from);

/** The window of another length in which `about` stays where it is. */
export function zoomed(window: Window, seconds: number, about: number): Window {
  const share = (about - window.from) / (window.to - window.from);
  const from = about - seconds * Math.min(1, Math.max(0, share));
  return { from, to: from + seconds };
}

export function panned(window: Window, seconds: number): Window {
  return { from: window.from + seconds, to: window.to + seconds };
}

/** Moves the window by as little as needed so that it lies inside the day. */
export function inside(window: Window, day: Window): Window {
  const length = window.to - window.from;
  if (length >= day.to - day.from) return { from: day.from, to: day.to };
  if (window.from < day.from) return { from: day.from, to: day.from + length };
  if (window.to > day.to) return { from: day.to - length, to: day.to };
  return window;
}

/** From the first to the last recording, stored or still on the device. */
function extent(data: TimelineData): Window | null {
  const all = [...data.spans, ...data.onDevice];
  if (!all.length) return null;
  return {
    from: Math.min(...all.map((one) => one.from)),
    to: Math.max(...all.map((one) => one.to)),
  };
}

/** Kept free on both sides of what a window was fitted to, as a share of it. */
const MARGIN = 0.05;

/**
 * The closest zoom that holds a day's recordings and the playhead, and a window to begin with: the
 * first minutes of an installation, a line 1 px wide in 24 h, are seen and clicked. Null when
 * nothing is recorded.
 */
export function fitted(
  data: TimelineData,
  playhead: number | null,
  day: Window,
): { zoom: number; window: Window; holds: Window } | null {
  const all = extent(data);
  if (!all) return null;
  const at = playhead !== null && playhead >= day.from && playhead < day.to ? playhead : all.to;
  const holds = {
    from: Math.max(day.from, Math.min(all.from, at)),
    to: Math.min(day.to, Math.max(all.to, at)),
  };
  const length = holds.to - holds.from;
  const zoom = Math.max(
    0,
    ZOOMS.findLastIndex(({ seconds }) => length <= seconds * (1 - 2 * MARGIN)),
  );
  const seconds = zoom === 0 ? day.to - day.from : (ZOOMS[zoom] as Zoom).seconds;
  const from = holds.from - seconds * MARGIN;
  return { zoom, window: inside({ from, to: from + seconds }, day), holds };
}

/** Round moments of the zone's clock: every `step` seconds since its midnight. */
export function marks(window: Window, step: number, zone: string | null): number[] {
  const found: number[] = [];
  const offset = zoneOffset(window.from, zone);
  let t = Math.ceil((window.from + offset - 1e-6) / step) * step - offset;
  while (t <= window.to + 1e-6) {
    // After a clock change the round moments lie elsewhere.
    const shift = zoneOffset(t, zone) - offset;
    const at = step > 3_600 ? t - shift : t;
    if (at >= window.from - 1e-6 && at <= window.to + 1e-6) found.push(at);
    t += step;
  }
  return found;
}

/** How many steps lie between labels so that they do not touch. */
export function labelStep(zoom: Zoom, width: number): number {
  const steps = [1, 2, 3, 6, 12];
  const fits = (n: number) => (width * zoom.label * n) / zoom.seconds >= 56;
  return zoom.label * (steps.find(fits) ?? 12);
}

export function labels(window: Window, zoom: Zoom, width: number, zone: string | null) {
  const wholeDay = window.to - window.from >= 82_000;
  return marks(window, labelStep(zoom, width), zone).map((at) => ({
    at,
    text: wholeDay && at >= window.to - 1 ? '24:00' : hhmm(at, zone),
  }));
}

export type PieceKind = 'stored' | 'later' | 'device' | 'gap';

export interface Piece {
  kind: PieceKind;
  x: number;
  width: number;
}

/**
 * What to draw, in drawing order: stored first, with stretches closer than a pixel merged; then
 * the rest, each at least 2 px wide, so that a gap never disappears by scaling.
 */
export function pieces(data: TimelineData, window: Window, width: number): Piece[] {
  const drawn = merged(data.spans, window, width);
  const rest = (kind: PieceKind, spans: Span[]): Piece[] =>
    spans
      .filter((span) => span.to > window.from && span.from < window.to)
      .map((span) => piece(kind, span, window, width));
  return [
    ...drawn,
    ...rest('later', data.later),
    ...rest('gap', data.gaps),
    ...rest('device', data.onDevice),
  ].filter((one) => one.x + one.width > 0 && one.x < width);
}

function piece(kind: PieceKind, span: Span, window: Window, width: number): Piece {
  const x = toX(span.from, window, width);
  return { kind, x, width: Math.max(2, toX(span.to, window, width) - x) };
}

function merged(spans: Span[], window: Window, width: number): Piece[] {
  const out: Piece[] = [];
  for (let n = firstAfter(spans, window.from); n < spans.length; n += 1) {
    const span = spans[n] as Span;
    if (span.from >= window.to) break;
    const x = Math.max(0, toX(span.from, window, width));
    const end = Math.min(width, toX(span.to, window, width));
    const last = out.at(-1);
    if (last && x - (last.x + last.width) < 0.5) last.width = Math.max(last.width, end - last.x);
    else out.push({ kind: 'stored', x, width: end - x });
  }
  return out;
}

/** The first span (they are in order) that ends after this moment: a month has 43,200 chunks. */
function firstAfter(spans: Span[], moment: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle] as Span).to <= moment) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One bar every 4 px: the mean activity under it, 0 to 1; none under 2 %. */
export function bars(data: TimelineData, window: Window, width: number) {
  const { interval, values } = data.activity;
  const out: { x: number; height: number }[] = [];
  if (interval <= 0) return out;
  for (let x = 0; x + 3 <= width; x += 4) {
    const first = (toTime(x, window, width) - data.from) / interval;
    const last = (toTime(x + 4, window, width) - data.from) / interval;
    const height = mean(values, first, last);
    if (height >= 0.02) out.push({ x, height: Math.min(1, height) });
  }
  return out;
}

function mean(values: number[], from: number, to: number): number {
  const first = Math.max(0, Math.floor(from));
  const end = Math.min(values.length, Math.max(Math.ceil(to), Math.floor(from) + 1));
  if (end <= first || from >= values.length) return 0;
  let sum = 0;
  for (let i = first; i < end; i += 1) sum += values[i] ?? 0;
  return sum / (end - first);
}

export type Stored = 'stored' | 'arrived later' | 'on the device' | 'nothing recorded' | 'not yet';

/** What there is at a moment, in a word for those who do not see the picture. */
export function stateAt(data: TimelineData | null, moment: number, now: number): Stored {
  const holds = (span: Span) => moment >= span.from && moment < span.to;
  if (moment > now) return 'not yet';
  if (data?.onDevice.some(holds)) return 'on the device';
  if (data?.later.some(holds)) return 'arrived later';
  return data?.spans.some(holds) ? 'stored' : 'nothing recorded';
}

/** The stretch of this state that holds a moment. */
export function spanAt(spans: Span[], moment: number): Span | null {
  return spans.find((span) => moment >= span.from && moment < span.to) ?? null;
}

export function gapAt(data: TimelineData | null, moment: number): Gap | null {
  return data?.gaps.find((gap) => moment >= gap.from && moment < gap.to) ?? null;
}
