import type { Span, TimelineData } from './library.ts';
import type { Camera } from './room.ts';
import { moments } from './moments.ts';
import { hhmm, span } from './time.ts';

// What happened, as sentences: from the cameras' timelines and from what the room told this page.

export type EventKind = 'gap' | 'offline' | 'late' | 'moment' | 'other';
export type EventMark = 'stored' | 'late' | 'dev' | 'none' | null;

export interface Happened {
  at: number;
  kind: EventKind;
  mark: EventMark;
  /** The camera's JID and name, where it is about one; the name comes first in the sentence. */
  jid: string | null;
  name: string;
  text: string;
  /** How long it lasted, s. */
  seconds: number | null;
}

/** What a device did while this page looked on. */
export interface Noticed {
  at: number;
  jid: string;
  what: 'came' | 'left' | 'spooled' | 'stored' | 'nothing';
}

/** Shorter holes are told by the timeline alone. */
const GAP_SECONDS = 3;

/** From one camera's timeline. */
export function fromTimeline(camera: Camera, data: TimelineData): Happened[] {
  const about = { jid: camera.jid, name: camera.name };
  const gaps = data.gaps
    .filter(({ from, to }) => to - from >= GAP_SECONDS && to > data.from)
    .map((gap): Happened => {
      const seconds = gap.to - gap.from;
      if (!camera.peer && gap.to > data.to - GAP_SECONDS) {
        // Not over, and nobody knows yet what it has kept.
        const text = 'went offline. It keeps recording on the device while it has power.';
        return { at: gap.from, kind: 'offline', mark: 'dev', ...about, text, seconds };
      }
      const why = gap.reason ? `: ${lower(gap.reason).replace(/\.$/, '')}.` : '.';
      const text = `recorded nothing for ${span(seconds)}${why}`;
      return { at: gap.from, kind: 'gap', mark: 'none', ...about, text, seconds };
    });
  const later = data.later.map((one): Happened => {
    const seconds = one.to - one.from;
    const text = `kept ${span(seconds)} on the device. All of it arrived.`;
    return { at: one.from, kind: 'late', mark: 'late', ...about, text, seconds };
  });
  return [...gaps, ...later];
}

export function fromMoments(camera: Camera, data: TimelineData): Happened[] {
  return moments(data).map(({ from, to }) => ({
    at: from,
    kind: 'moment',
    mark: null,
    jid: camera.jid,
    name: camera.name,
    text: 'saw activity',
    seconds: to - from,
  }));
}

export function fromNoticed(one: Noticed, camera: Camera): Happened {
  const { zone } = camera;
  const base = { at: one.at, jid: one.jid, name: camera.name, seconds: null };
  switch (one.what) {
    case 'left':
      return {
        ...base,
        kind: 'offline',
        mark: 'dev',
        text: `lost its network at ${hhmm(one.at, zone)}. It records on the device while it has power.`,
      };
    case 'came':
      return { ...base, kind: 'offline', mark: null, text: `came back at ${hhmm(one.at, zone)}.` };
    case 'spooled':
      return {
        ...base,
        kind: 'offline',
        mark: 'dev',
        text: 'does not reach its storage and records on the device.',
      };
    case 'nothing':
      return { ...base, kind: 'gap', mark: 'none', text: 'records nothing.' };
    case 'stored':
      return { ...base, kind: 'late', mark: 'stored', text: 'is recorded by its storage again.' };
  }
}

/** Newest first, each once. */
export function ordered(all: Happened[]): Happened[] {
  const seen = new Set<string>();
  return all
    .toSorted((a, b) => b.at - a.at)
    .filter(({ at, jid, text }) => {
      const key = `${Math.round(at)} ${jid} ${text}`;
      return !seen.has(key) && seen.add(key);
    });
}

/** What is repeated within this time of the last time is told once, s. */
const SAME_SITTING = 600;

/** Newest first: whoever looked at a camera ten times in a row has looked at it, ten times. */
export function gathered<Line extends { at: number; text: string }>(
  lines: Line[],
  same: (line: Line) => string | null,
): Line[] {
  const last = new Map<string, { index: number; at: number; times: number }>();
  const told: Line[] = [];
  for (const line of lines) {
    const key = same(line);
    const before = key === null ? undefined : last.get(key);
    if (before && before.at - line.at < SAME_SITTING) {
      before.at = line.at;
      before.times += 1;
      const newest = told[before.index] as Line;
      const text = `${line.text.replace(/\.$/, '')}, ${before.times} times.`;
      told[before.index] = { ...newest, text };
    } else {
      if (key !== null) last.set(key, { index: told.length, at: line.at, times: 1 });
      told.push(line);
    }
  }
  return told;
}

export const within = (all: Happened[], { from, to }: Span): Happened[] =>
  all.filter(({ at }) => at >= from && at < to);

const lower = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? text.slice(0, 1).toLowerCase() + text.slice(1) : text;
