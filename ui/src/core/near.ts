import type { Answer } from './answers.ts';
import { MAX_LENGTH } from './answers.ts';
import { Backoff } from './backoff.ts';
import type { RequestOptions, Shortcut } from './recordings.ts';

// Recordings over HTTPS from a storage in the viewer's own network. It works where the storage has
// a certificate that this browser believes; nobody is asked to believe one.

/** A way that answers within this is one in the same network: no channel is quicker there. */
const NEAR_MS = 30;
const PROBES = 4;
/** A probe, and what is quick to make, has this long without a byte; ... */
const SILENCE_MS = 2_500;
/** ... sheets of pictures and exports are made first. */
const MAKING_MS = 10_000;
const MADE = /\/(thumbnails|sheet|export)/;
/** What failed is tried again after this, and when the network changes; ... */
const AGAIN_MS = 60_000;
/** ... what was slow after this, then twice that and so on: somebody else may have been busy. */
const SLOW_AGAIN_MS = 4_000;
/** A token is replaced when this much of its life is left. */
const TOKEN_MS = 120_000;

export interface NearToken {
  token: string;
  /** When it ends, by this browser's clock (ms). */
  until: number;
}

export interface NearSources {
  /** Where the storage says that it can be asked: https://HOST:PORT, or null. */
  origin(): string | null;
  token(): Promise<NearToken | null>;
  /** Whether the browser lets the page into the local network without asking the person. */
  mayReach(): Promise<boolean>;
  changed(): void;
}

export class Near implements Shortcut {
  readonly #from: NearSources;
  /** The address that has proved good; null: none has. */
  #good: string | null = null;
  #probing = false;
  /** When to probe again (ms), for this address. */
  #againAt = 0;
  #tried: string | null = null;
  readonly #slow = new Backoff(SLOW_AGAIN_MS, AGAIN_MS);
  #token: NearToken | null = null;

  constructor(from: NearSources) {
    this.#from = from;
  }

  get used(): boolean {
    return this.#good !== null && this.#good === this.#from.origin();
  }

  /** Another network: what did not work may work now, and the other way round. */
  networkChanged(): void {
    this.#againAt = 0;
    this.#set(null);
  }

  async request(path: string, options: RequestOptions): Promise<Answer | null> {
    if (!this.used) {
      void this.probe();
      return null;
    }
    const origin = this.#good ?? '';
    try {
      return await this.#ask(origin, path, options, MADE.test(path) ? MAKING_MS : SILENCE_MS);
    } catch {
      options.signal?.throwIfAborted();
      // Whatever it was: the channel tells what is true.
      this.#set(null);
      return null;
    }
  }

  /** Finds out whether this way works and is quick. `asked`: by a person, who may be asked back. */
  async probe(asked = false): Promise<void> {
    const origin = this.#from.origin();
    const due = asked || origin !== this.#tried || Date.now() >= this.#againAt;
    if (origin === null || this.#probing || !due) return;
    this.#probing = true;
    this.#tried = origin;
    this.#againAt = Date.now() + AGAIN_MS;
    try {
      if (!asked && !(await this.#from.mayReach())) return;
      const times: number[] = [];
      // The first one pays for the connection.
      for (let i = 0; i <= PROBES; i += 1) {
        const began = performance.now();
        await this.#ask(origin, '/schema', {}, SILENCE_MS, 'HEAD');
        if (i > 0) times.push(performance.now() - began);
      }
      if (Math.min(...times) <= NEAR_MS) {
        this.#slow.reset();
        this.#set(origin);
      } else {
        this.#againAt = Date.now() + this.#slow.next();
      }
    } catch {
      // Not reached, not believed, or not let in: the channel is there.
    } finally {
      this.#probing = false;
    }
  }

  #set(good: string | null): void {
    if (good === this.#good) return;
    this.#good = good;
    this.#from.changed();
  }

  async #ask(
    origin: string,
    path: string,
    { range, signal }: RequestOptions,
    silenceMs: number,
    method = 'GET',
  ): Promise<Answer> {
    const silence = new AbortController();
    const quiet = (): void => silence.abort(new Error('silent'));
    let timer = setTimeout(quiet, silenceMs);
    try {
      const headers: Record<string, string> = { authorization: `Bearer ${await this.#bearer()}` };
      if (range) headers['range'] = `bytes=${range[0]}-${range[1]}`;
      const answer = await fetch(origin + path, {
        method,
        headers,
        signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
        // Video is kept by the player, as far as it is wanted; no disk needs a copy.
        cache: 'no-store',
        credentials: 'omit',
      });
      if (answer.status === 401) this.#token = null;
      // Of the way, not of the question: the channel has an answer.
      if ([401, 403, 429].includes(answer.status) || answer.status >= 500) {
        throw new Error(`status ${answer.status}`);
      }
      const body = await whole(answer, () => {
        clearTimeout(timer);
        timer = setTimeout(quiet, silenceMs);
      });
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body };
    } finally {
      clearTimeout(timer);
    }
  }

  async #bearer(): Promise<string> {
    if (!this.#token || this.#token.until - Date.now() < TOKEN_MS) {
      this.#token = await this.#from.token();
    }
    if (!this.#token) throw new Error('no token');
    return this.#token.token;
  }
}

async function whole(answer: Response, heard: () => void): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for (const reader = answer.body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    heard();
    length += value.length;
    if (length > MAX_LENGTH) throw new Error('too long');
    pieces.push(value);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

/** Of Chromium alone, under two names so far. */
const PERMISSIONS = ['local-network', 'local-network-access'];
const LOCAL = /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[(::1|f[cd]|fe80:)|[^.]+\.local$)/;

export type Reach = 'granted' | 'prompt' | 'denied';

/** Whether this page may ask machines in the local network, or the browser would ask first. */
export async function mayReachLocal(host = location.hostname): Promise<Reach> {
  // Pages from the same network may anyway.
  if (LOCAL.test(host)) return 'granted';
  for (const name of PERMISSIONS) {
    try {
      const { state } = await navigator.permissions.query({ name: name as PermissionName });
      return state;
    } catch {
      // A browser that knows no such permission asks nobody.
    }
  }
  return 'granted';
}
