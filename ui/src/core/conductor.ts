import type { Span } from './library.ts';
import type { PlayerState } from './player.ts';

// Several cameras in step: one clock, and players that are kept to it. No I/O but the players'.

/** What is needed of a player. */
export interface Track {
  readonly moment: number;
  readonly seeking: boolean;
  readonly playing: boolean;
  readonly state: PlayerState | null;
  play(): void;
  pause(): void;
  seek(moment: number): void;
  setRate(rate: number): void;
  trim(factor: number): void;
}

export interface ConductorEvents {
  /** The moment, or whether it plays, or who waits, has changed. */
  changed(): void;
}

/** Further from the clock than this (in seconds watched) a player seeks; below, it is trimmed. */
const SEEK_APART = 0.8;
const TRIM = 0.06;
/** A player that has just sought isn't sent anywhere else so soon: a slow one would never arrive. */
const SEEK_AGAIN_MS = 2_000;
/** A seek takes its time, and the clock goes on meanwhile: as long as the last one took, at most. */
const MOST_LEAD_MS = 4_000;

interface Entry {
  track: Track;
  /** Where its camera recorded, in order; null: not known yet. */
  spans: Span[] | null;
  gap: boolean;
  soughtMs: number;
  /** Whether it is still on its way to where it was sent, and how long the last way took. */
  arriving: boolean;
  tookMs: number;
}

export class Conductor {
  moment: number;
  playing = false;
  rate = 1;
  readonly #events: ConductorEvents;
  readonly #tracks = new Map<string, Entry>();
  #ms: number | null = null;
  #gaps = '';

  constructor(moment: number, events: ConductorEvents) {
    this.moment = moment;
    this.#events = events;
  }

  /** A camera joins: it goes to where the others are. */
  add(jid: string, track: Track): void {
    const entry: Entry = {
      track,
      spans: null,
      gap: false,
      soughtMs: Number.NEGATIVE_INFINITY,
      arriving: false,
      tookMs: 0,
    };
    this.#tracks.set(jid, entry);
    track.setRate(this.rate);
    this.#to(entry);
  }

  remove(jid: string): void {
    this.#tracks.delete(jid);
  }

  setSpans(jid: string, spans: Span[] | null): void {
    const entry = this.#tracks.get(jid);
    if (entry) entry.spans = spans;
  }

  /** Whether this camera recorded nothing at the moment that is shown. */
  inGap(jid: string): boolean {
    return this.#tracks.get(jid)?.gap ?? false;
  }

  play(): void {
    this.playing = true;
    this.#ms = null;
    this.#events.changed();
  }

  pause(): void {
    this.playing = false;
    for (const { track } of this.#tracks.values()) track.pause();
    this.#events.changed();
  }

  seek(moment: number): void {
    this.moment = moment;
    this.#ms = null;
    for (const entry of this.#tracks.values()) this.#to(entry);
    this.#events.changed();
  }

  setRate(rate: number): void {
    this.rate = rate;
    for (const { track } of this.#tracks.values()) track.setRate(rate);
    this.#events.changed();
  }

  /** To be called several times a second; `ms` is a clock that never goes back. */
  tick(ms: number): void {
    const passed = this.#ms === null ? 0 : (ms - this.#ms) / 1000;
    this.#ms = ms;
    for (const entry of this.#tracks.values()) entry.gap = nothingAt(entry.spans, this.moment);
    if (this.playing) this.#advance(passed, ms);
    const gaps = [...this.#tracks].map(([jid, { gap }]) => `${jid} ${gap}`).join();
    if (gaps !== this.#gaps) {
      this.#gaps = gaps;
      this.#events.changed();
    }
  }

  #advance(passed: number, ms: number): void {
    const all = [...this.#tracks.values()];
    const active = all.filter(({ gap }) => !gap);
    if (!active.length) {
      this.#overGap(all);
      return;
    }
    // One that loads doesn't hold the others up; when all do, time stands.
    if (active.some(({ track }) => track.state === 'playing' && !track.seeking)) {
      this.moment += passed * this.rate;
      this.#events.changed();
    }
    for (const entry of all) this.#keep(entry, ms);
  }

  #keep(entry: Entry, ms: number): void {
    const { track } = entry;
    if (entry.gap) {
      if (track.playing) track.pause();
      return;
    }
    if (entry.arriving && !track.seeking && track.state === 'playing') {
      entry.arriving = false;
      entry.tookMs = Math.min(MOST_LEAD_MS, ms - entry.soughtMs);
    }
    const apart = track.moment - this.moment;
    const far = Math.abs(apart) > SEEK_APART * Math.max(1, this.rate);
    if (far && !track.seeking && ms - entry.soughtMs > SEEK_AGAIN_MS) {
      entry.soughtMs = ms;
      entry.arriving = true;
      track.seek(this.moment + (this.rate * entry.tookMs) / 1000);
    }
    if (!track.playing) track.play();
    const trim = Math.min(TRIM, Math.max(-TRIM, apart / (2 * this.rate)));
    track.trim(far ? 1 : 1 - trim);
  }

  /** None of them recorded anything now: on to where the first one did. */
  #overGap(all: Entry[]): void {
    const begins = all.flatMap(({ spans }) => spans ?? []).map(({ from }) => from);
    const next = Math.min(...begins.filter((from) => from > this.moment));
    if (Number.isFinite(next)) this.seek(next);
    else this.pause();
  }

  #to(entry: Entry): void {
    entry.gap = nothingAt(entry.spans, this.moment);
    entry.soughtMs = Number.NEGATIVE_INFINITY;
    entry.arriving = false;
    if (!entry.gap) entry.track.seek(this.moment);
  }
}

function nothingAt(spans: Span[] | null, moment: number): boolean {
  return spans !== null && !spans.some(({ from, to }) => moment >= from && moment < to);
}
