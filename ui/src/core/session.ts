import { Backoff } from './backoff.ts';

const KEY = 'ucam.session';
/** The server repeats the same successor for 10 s: lost answers are asked for again within that. */
const REPEAT_MS = 8_000;

interface Stored {
  token: string;
  /** When this browser got it, by its own clock (ms), so that a wrong clock does no harm. */
  at: number;
  /** How long the token lives, in seconds. */
  life: number;
}

export type LinkResult = 'signed-in' | 'expired' | 'failed';

/** The person's sign-in: one token in local storage, shared by all tabs, recycled at half its life. */
export class Session {
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #recycling: Promise<boolean> | undefined;

  constructor() {
    addEventListener('storage', (event) => {
      if (event.key === KEY || event.key === null) this.#changed();
    });
    this.#schedule();
  }

  get token(): string | null {
    return read()?.token ?? null;
  }

  /** The bare JID (the e-mail address) the token was made for. */
  get jid(): string | null {
    const token = this.token;
    const sub = token ? claims(token)['sub'] : undefined;
    return typeof sub === 'string' ? sub : null;
  }

  /** Calls back when the token changes, comes or goes, in this tab or another. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks for a link by mail. True when the server took the request (it says no more than that). */
  async requestLink(email: string): Promise<boolean> {
    try {
      const answer = await post({ email });
      return answer.ok;
    } catch {
      return false;
    }
  }

  async finish(linkToken: string): Promise<LinkResult> {
    try {
      const answer = await post({ token: linkToken });
      if (answer.ok) {
        this.#store(await answer.json());
        return 'signed-in';
      }
      return answer.status === 401 || answer.status === 400 ? 'expired' : 'failed';
    } catch {
      return 'failed';
    }
  }

  /** Ends the session on the server and forgets the token, also when the server is out of reach. */
  async signOut(): Promise<void> {
    const token = this.token;
    this.#forget();
    if (!token) return;
    try {
      await fetch('/auth', { method: 'DELETE', headers: bearer(token), keepalive: true });
    } catch {
      // Out of reach: the token is forgotten here and dies by itself.
    }
  }

  /** Forgets the token: the server has said that it opens nothing any more. */
  end(): void {
    this.#forget();
  }

  /** Gets a successor for the token. False when the session has ended: the person signs in again. */
  recycle(): Promise<boolean> {
    this.#recycling ??= this.#recycleAlone().finally(() => {
      this.#recycling = undefined;
    });
    return this.#recycling;
  }

  async #recycleAlone(): Promise<boolean> {
    const before = this.token;
    if (!before) return false;
    return exclusively(async () => {
      const current = this.token;
      if (!current) return false;
      if (current !== before) return true; // another tab was faster
      return this.#exchange(current);
    });
  }

  async #exchange(token: string): Promise<boolean> {
    const backoff = new Backoff(300, 2_000);
    const until = Date.now() + REPEAT_MS;
    for (;;) {
      try {
        const answer = await fetch('/auth', { method: 'POST', headers: bearer(token) });
        if (answer.ok) {
          this.#store(await answer.json());
          return true;
        }
        if (answer.status === 401 || answer.status === 403) {
          if (this.token === token) this.#forget();
          return false;
        }
      } catch {
        // No answer: the same question again, while the server still gives the same successor.
      }
      const wait = backoff.next();
      if (Date.now() + wait > until) {
        this.#schedule(30_000);
        return true;
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  #store(answer: unknown): void {
    const token = (answer as { token?: unknown }).token;
    if (typeof token !== 'string') throw new TypeError('answer without a token');
    const { iat, exp } = claims(token);
    const life = typeof iat === 'number' && typeof exp === 'number' ? exp - iat : 3600;
    const stored: Stored = { token, at: Date.now(), life };
    localStorage.setItem(KEY, JSON.stringify(stored));
    this.#changed();
  }

  #forget(): void {
    localStorage.removeItem(KEY);
    this.#changed();
  }

  #changed(): void {
    this.#schedule();
    for (const listener of this.#listeners) listener();
  }

  #schedule(atLeastMs = 0): void {
    clearTimeout(this.#timer);
    const stored = read();
    if (!stored) return;
    const due = stored.at + (stored.life * 1000) / 2 - Date.now();
    // setTimeout takes 31 bits; a longer life is looked at again then.
    const wait = Math.min(Math.max(due, atLeastMs, 0), 2 ** 31 - 1);
    this.#timer = setTimeout(() => {
      if (wait >= due) void this.recycle();
      else this.#schedule();
    }, wait);
  }
}

function post(body: object): Promise<Response> {
  return fetch('/auth', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

function read(): Stored | null {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Stored | null;
    return stored && typeof stored.token === 'string' ? stored : null;
  } catch {
    return null;
  }
}

/** The claims of a JWT, unverified: the page shows them, the server decides by them. */
export function claims(token: string): Record<string, unknown> {
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** One tab at a time, where the browser has locks (it has none on plain http but for localhost). */
function exclusively<T>(work: () => Promise<T>): Promise<T> {
  if (!('locks' in navigator)) return work();
  return navigator.locks.request(KEY, work) as Promise<T>;
}
