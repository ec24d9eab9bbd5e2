import type { NearToken } from './near.ts';
import type { Session } from './session.ts';
import { claims } from './session.ts';

// What the web application tells over HTTP. A server that doesn't know a resource answers 404: what
// hangs on it is not shown then.

export interface SignIn {
  id: string;
  /** The one that asks. */
  here: boolean;
  device: string;
  network: string;
  since: string;
  lastSeen: string;
}

interface WireSession {
  id: string;
  this?: boolean;
  current?: boolean;
  agent?: string;
  device?: string;
  network?: string;
  since: string;
  'last-seen': string;
}

export interface AuditEntry {
  time: string;
  what: string;
  who: string | null;
  role: string | null;
  about: string | null;
  network: string | null;
  agent: string | null;
  detail: string | null;
}

interface WireEntry {
  time: string;
  what: string;
  who?: string | null;
  role?: string | null;
  agent?: string | null;
  object?: string | null;
  about?: string | null;
  network?: string | null;
  'from-network'?: string | null;
  detail?: string | null;
}

export interface Audit {
  entries: AuditEntry[];
  /** What each `what` means, where the server says so. */
  actions: Record<string, string>;
}

/** People and the locations that each sees; values by their keys, as the file writes them. */
export interface ServerSettings {
  people: Record<string, string[]>;
  values: Record<string, string>;
}

/** A device that a code may be made for; `back`: it has been here before. */
export interface Invitable {
  jid: string;
  role: 'device' | 'storage';
  back: boolean;
}

/** A one-time code, the command that redeems it, and that command as a QR code's rows of 0 and 1. */
export interface Invited {
  id: string;
  code: string;
  command: string;
  picture: string[];
  expires: string;
}

export class Api {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Where this person is signed in; null: the server doesn't tell. */
  async sessions(): Promise<SignIn[] | null> {
    const answer = await this.#get<{ sessions: WireSession[] }>('/sessions');
    return (
      answer?.sessions.map((one) => ({
        id: one.id,
        here: one.this ?? one.current ?? false,
        device: one.agent || one.device || 'A browser',
        network: one.network ?? '',
        since: one.since,
        lastSeen: one['last-seen'],
      })) ?? null
    );
  }

  /** True when that session is over. */
  async endSession(id: string): Promise<boolean> {
    const answer = await this.#ask(`/sessions/${encodeURIComponent(id)}`, 'DELETE');
    return answer !== null && (answer.ok || answer.status === 404);
  }

  /** Newest first; null: the server keeps no audit log, or doesn't show it. */
  async audit(from: string, to: string): Promise<Audit | null> {
    const answer = await this.#get<{ entries: WireEntry[]; actions?: Record<string, string> }>(
      `/audit?from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`,
    );
    if (!answer) return null;
    return {
      entries: answer.entries.map((one) => ({
        time: one.time,
        what: one.what,
        who: one.who ?? null,
        role: one.role ?? null,
        agent: one.agent ?? null,
        about: one.object ?? one.about ?? null,
        network: one.network ?? one['from-network'] ?? null,
        detail: one.detail ?? null,
      })),
      actions: answer.actions ?? {},
    };
  }

  /** A token that shows a storage's recordings, for asking it directly; null: none to be had. */
  async playbackToken(storage: string): Promise<NearToken | null> {
    const answer = await this.#post<{ token: string }>('/playback', { storage });
    if (!answer) return null;
    // Its life counts from now: this browser's clock may be wrong.
    const { iat, exp } = claims(answer.token);
    return { token: answer.token, until: Date.now() + 1000 * (Number(exp) - Number(iat)) };
  }

  /** What the server's file says; null: it is told to those alone who see every location. */
  async settings(): Promise<ServerSettings | null> {
    return this.#get<ServerSettings>('/settings.json');
  }

  /** For whom this person may make a code now; null: for nobody. */
  async invitable(): Promise<Invitable[] | null> {
    return (await this.#get<{ devices: Invitable[] }>('/invites'))?.devices ?? null;
  }

  /** A code for a new device; null when none could be made. */
  async invite(jid: string): Promise<Invited | null> {
    return this.#post<Invited>('/invites', { jid });
  }

  async takeBack(invited: Invited): Promise<void> {
    await this.#ask(`/invites/${invited.id}`, 'DELETE');
  }

  /** The server's version; null when it can't be told. */
  async version(): Promise<string | null> {
    return (await this.#get<{ version?: string }>('/healthz'))?.version ?? null;
  }

  async #get<T>(path: string): Promise<T | null> {
    const answer = await this.#ask(path, 'GET');
    const json = answer?.headers.get('content-type')?.includes('json');
    return answer?.ok && json ? ((await answer.json()) as T) : null;
  }

  async #post<T>(path: string, body: object): Promise<T | null> {
    const answer = await this.#ask(path, 'POST', JSON.stringify(body));
    return answer?.ok ? ((await answer.json()) as T) : null;
  }

  async #ask(path: string, method: string, body?: string): Promise<Response | null> {
    const { token } = this.#session;
    if (!token) return null;
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    try {
      return await fetch(path, { method, headers, body: body ?? null });
    } catch {
      return null;
    }
  }
}
