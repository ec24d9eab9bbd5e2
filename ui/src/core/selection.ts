import type { Span } from './library.ts';

// What is to be exported: a stretch of time between two handles.

const SHORTEST = 1;
/** The storage makes files of at most seven days. */
export const LONGEST = 7 * 86_400;
const AROUND = 30;

/** Half a minute on both sides of a moment, as far as it has passed. */
export function selectionAround(moment: number, now: number): Span {
  const to = Math.min(now, moment + AROUND);
  return { from: Math.min(moment, to) - AROUND, to };
}

/** The same with one end moved; the other gives way rather than be overtaken. */
export function withEnd({ from, to }: Span, end: 'from' | 'to', moment: number): Span {
  if (end === 'from') {
    return { from: moment, to: Math.min(Math.max(to, moment + SHORTEST), moment + LONGEST) };
  }
  return { from: Math.max(Math.min(from, moment - SHORTEST), moment - LONGEST), to: moment };
}
