import type { Summary } from './words.ts';

/** A camera that is away for less than this is not worth a notice. */
const PATIENCE_SECONDS = 30;

export interface Notice {
  title: string;
  body: string;
}

/**
 * When to tell a person who doesn't look that something is wrong, and that it is well again. Fed
 * with the summary about once a second; time is an argument.
 */
export class Notices {
  #wrongSince: number | null = null;
  #told = '';

  /** A notice to show now, or null. `known`: the room is connected, so that the summary is true. */
  next(summary: Summary, known: boolean, now: number): Notice | null {
    if (!known || summary.tone === 'checking') return null;
    if (summary.tone === 'quiet') {
      this.#wrongSince = null;
      if (!this.#told) return null;
      this.#told = '';
      return { title: summary.number, body: 'All is well again.' };
    }
    this.#wrongSince ??= now;
    if (now - this.#wrongSince < PATIENCE_SECONDS || this.#told === summary.number) return null;
    this.#told = summary.number;
    return { title: summary.number, body: summary.why };
  }
}
