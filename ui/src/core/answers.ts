// The recordings channel's protocol without the channel: what was asked, what has come.
// Request {"id","path","range"}; answer {"id","status","headers","length"}, then binary
// pieces [u32 id, big-endian][bytes] until `length` bytes have come.

/** Larger answers are refused: nothing the page asks for comes near. */
export const MAX_LENGTH = 64 * 1024 * 1024;

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
}

export class ChannelError extends Error {
  override name = 'ChannelError';
}

/** There is no such thing: asking again changes nothing. */
export class NotFound extends ChannelError {
  override name = 'NotFound';
}

interface Pending {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  head: { status: number; headers: Record<string, string>; length: number } | null;
  body: Uint8Array;
  received: number;
}

interface Head {
  id: number;
  status: number;
  headers?: Record<string, string>;
  length?: number;
  abort?: boolean;
}

/** Puts the pieces of answers together, several at a time, in whatever order they come. */
export class Answers {
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  get count(): number {
    return this.#pending.size;
  }

  expect(): { id: number; answer: Promise<Answer> } {
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#pending.set(id, {
      resolve,
      reject,
      head: null,
      body: new Uint8Array(),
      received: 0,
    });
    return { id, answer: promise };
  }

  /** What comes for this id from now on is dropped. True when something was still expected. */
  forget(id: number): boolean {
    return this.#pending.delete(id);
  }

  failAll(error: Error): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const one of pending) one.reject(error);
  }

  text(data: string): void {
    const head = JSON.parse(data) as Head;
    const pending = this.#pending.get(head.id);
    if (!pending) return;
    if (head.abort) {
      this.#fail(head.id, 'ended by the storage');
      return;
    }
    const length = head.length ?? 0;
    if (!Number.isInteger(length) || length < 0 || length > MAX_LENGTH) {
      this.#fail(head.id, `answer of ${length} bytes`);
      return;
    }
    pending.head = { status: head.status, headers: lower(head.headers ?? {}), length };
    pending.body = new Uint8Array(length);
    this.#finish(head.id, pending);
  }

  piece(data: ArrayBuffer): void {
    if (data.byteLength < 4) return;
    const id = new DataView(data).getUint32(0);
    const pending = this.#pending.get(id);
    if (!pending?.head) return;
    const bytes = new Uint8Array(data, 4);
    if (pending.received + bytes.length > pending.head.length) {
      this.#fail(id, 'more bytes than announced');
      return;
    }
    pending.body.set(bytes, pending.received);
    pending.received += bytes.length;
    this.#finish(id, pending);
  }

  #finish(id: number, pending: Pending): void {
    if (!pending.head || pending.received < pending.head.length) return;
    this.#pending.delete(id);
    const { status, headers } = pending.head;
    pending.resolve({ status, headers, body: pending.body });
  }

  #fail(id: number, why: string): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.reject(new ChannelError(why));
  }
}

function lower(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v]));
}
