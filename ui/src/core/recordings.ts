import type { Answer } from './answers.ts';
import { Answers, ChannelError, NotFound } from './answers.ts';
import { Backoff, pause } from './backoff.ts';
import type { CallRoom, Route } from './call.ts';
import { Call, route } from './call.ts';

/** Asked at the same time; the rest wait here, so that a seek is not behind a hundred answers. */
const AT_ONCE = 6;
const CONNECT_MS = 8_000;
/** Without one byte for this long an answer is given up and the channel is made anew. */
const SILENCE_MS = 10_000;
const ATTEMPTS = 3;

export type Way = Route | 'In this network';

export interface RequestOptions {
  /** Inclusive byte positions. */
  range?: [number, number];
  signal?: AbortSignal;
}

/** Another way to the same answers, taken where it works; null: ask the usual way. */
export interface Shortcut {
  readonly used: boolean;
  request(path: string, options: RequestOptions): Promise<Answer | null>;
}

/** The storage is not in the room. */
export class StorageAway extends ChannelError {
  override name = 'StorageAway';
}

/**
 * Questions to one storage over a WebRTC data channel, shared by the whole page: connects when
 * first asked, again when the channel dies, and repeats what was asked (all of it only reads). Where
 * there is a shortcut that works, it is taken; what it fails to answer goes over the channel.
 */
export class RecordingsChannel {
  readonly #room: CallRoom;
  readonly #peer: () => string | null;
  readonly #shortcut: Shortcut | null;
  readonly #answers = new Answers();
  readonly #backoff = new Backoff(300, 8_000);
  /** Bounded by what the page asks at once: a timeline a camera and a player. */
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #call: Call | null = null;
  #channel: RTCDataChannel | null = null;
  #opening: Promise<RTCDataChannel> | null = null;
  #heardAt = 0;
  #watch: ReturnType<typeof setInterval> | undefined;

  /** peer gives the storage's connection in the room, or null while it is away. */
  constructor(room: CallRoom, peer: () => string | null, shortcut: Shortcut | null = null) {
    this.#room = room;
    this.#peer = peer;
    this.#shortcut = shortcut;
  }

  /** Which way answers come now; null: none came yet. */
  async way(): Promise<Way | null> {
    if (this.#shortcut?.used) return 'In this network';
    return this.#channel && this.#call ? route(await this.#call.stats()) : null;
  }

  /** Asks once; throws ChannelError when no answer can be had, AbortError when told to stop. */
  async request(path: string, options: RequestOptions = {}): Promise<Answer> {
    await this.#turn(options.signal);
    try {
      const near = await this.#shortcut?.request(path, options);
      if (near) return near;
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await this.#ask(path, options);
        } catch (error) {
          const again = error instanceof ChannelError && !(error instanceof StorageAway);
          if (!again || attempt >= ATTEMPTS) throw error;
        }
        await pause(this.#backoff.next(), options.signal);
      }
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** A JSON resource; throws NotFound or another ChannelError for any status but 200. */
  async json<T>(path: string, signal?: AbortSignal): Promise<T> {
    const answer = await this.request(path, signal ? { signal } : {});
    if (answer.status === 404) throw new NotFound(path);
    if (answer.status !== 200) throw new ChannelError(`status ${answer.status} for ${path}`);
    return JSON.parse(new TextDecoder().decode(answer.body)) as T;
  }

  close(): void {
    this.#lost('closed by the page');
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running < AT_ONCE) {
      this.#running += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    if (!signal?.aborted) return;
    this.#running -= 1;
    this.#waiting.shift()?.();
    signal.throwIfAborted();
  }

  async #ask(path: string, { range, signal }: RequestOptions): Promise<Answer> {
    signal?.throwIfAborted();
    const channel = await this.#open();
    signal?.throwIfAborted();
    const { id, answer } = this.#answers.expect();
    const question = range ? { id, path, range: `bytes=${range[0]}-${range[1]}` } : { id, path };
    this.#heardAt = Date.now();
    channel.send(JSON.stringify(question));
    if (!signal) return answer;
    return this.#orAbort(id, channel, answer, signal);
  }

  #orAbort(
    id: number,
    channel: RTCDataChannel,
    answer: Promise<Answer>,
    signal: AbortSignal,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        const expected = this.#answers.forget(id);
        if (expected && channel.readyState === 'open') {
          channel.send(JSON.stringify({ id, abort: true }));
        }
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
      answer
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', abort));
    });
  }

  #open(): Promise<RTCDataChannel> {
    this.#opening ??= this.#connect();
    return this.#opening;
  }

  #connect(): Promise<RTCDataChannel> {
    const peer = this.#peer();
    if (peer === null) {
      // Not remembered: the storage may come at any moment.
      queueMicrotask(() => (this.#opening = null));
      return Promise.reject(new StorageAway('the storage is not connected'));
    }
    const { promise, resolve, reject } = Promise.withResolvers<RTCDataChannel>();
    const deadline = setTimeout(() => this.#lost('no channel in time'), CONNECT_MS);
    const call = new Call(this.#room, peer, 'recordings', {
      channel: (channel) => this.#take(channel, resolve),
      ended: (reason) => {
        if (this.#call === call) this.#lost(reason);
      },
    });
    this.#call = call;
    this.#fail = (error) => {
      clearTimeout(deadline);
      reject(error);
    };
    promise.then(
      () => clearTimeout(deadline),
      () => undefined,
    );
    return promise;
  }

  #fail: (error: Error) => void = () => undefined;

  #take(channel: RTCDataChannel, resolve: (channel: RTCDataChannel) => void): void {
    if (channel.label !== 'recordings') return;
    channel.binaryType = 'arraybuffer';
    this.#channel = channel;
    channel.onmessage = (event) => this.#receive(event.data);
    channel.onclose = () => {
      if (this.#channel === channel) this.#lost('the channel closed');
    };
    const ready = (): void => {
      this.#backoff.reset();
      clearInterval(this.#watch);
      this.#watch = setInterval(() => this.#judge(), 1_000);
      resolve(channel);
    };
    if (channel.readyState === 'open') ready();
    else channel.onopen = ready;
  }

  #receive(data: unknown): void {
    this.#heardAt = Date.now();
    try {
      if (typeof data === 'string') this.#answers.text(data);
      else if (data instanceof ArrayBuffer) this.#answers.piece(data);
    } catch {
      this.#lost('an answer that is not JSON');
    }
  }

  #judge(): void {
    if (this.#answers.count > 0 && Date.now() - this.#heardAt > SILENCE_MS) {
      this.#lost('no answer');
    }
  }

  #lost(reason: string): void {
    clearInterval(this.#watch);
    const call = this.#call;
    this.#call = null;
    this.#channel = null;
    this.#opening = null;
    call?.stop(reason);
    const error = new ChannelError(reason);
    this.#fail(error);
    this.#answers.failAll(error);
  }
}

/** A bare JID as part of a path. */
export function segment(jid: string): string {
  return encodeURIComponent(jid).replaceAll('%40', '@');
}
