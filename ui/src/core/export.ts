import { ChannelError } from './answers.ts';
import { pause } from './backoff.ts';
import type { ChunkEntry } from './chunks.ts';
import type { Span } from './library.ts';
import type { RecordingsChannel } from './recordings.ts';
import { segment, StorageAway } from './recordings.ts';
import { fileTime, formatTime, parseTime } from './time.ts';

/** Asked for at a time: what is in memory is twice this, however long the export. */
const RANGE = 4 * 1024 * 1024;
/** A storage that is away is waited for this long before the export fails. */
const PATIENCE_MS = 120_000;
/** Clear of a chunk's first moment, in spite of rounding, s. */
const JUST_BEFORE = 0.001;

/** Where a file goes; writes are awaited, so that nothing piles up. */
export interface Sink {
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): Promise<void>;
  /** Nothing of it is kept. */
  abort(): Promise<void>;
}

/** Opens a file of a known size. */
export type OpenSink = (name: string, mime: string, size: number) => Promise<Sink>;

export interface ExportCamera {
  jid: string;
  name: string;
  zone: string | null;
  channel: RecordingsChannel | null;
  /** Up to when all is stored: a file that ends later would grow while it is fetched. */
  stored: number | null;
}

interface Piece {
  bytes: Uint8Array<ArrayBuffer>;
  /** Of the whole file. */
  total: number;
  mime: string;
  /** Changes when the file does. */
  version: string;
}

export type PartState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';

export interface Part {
  camera: ExportCamera;
  state: PartState;
  received: number;
  total: number | null;
  /** Where the file ends, UTC seconds: what is newer isn't stored yet. */
  until: number;
  /** A sentence when it failed. */
  why: string;
}

/** A window of one to four cameras, one file after the other, in ranges that can be repeated. */
export class ExportJob {
  readonly parts: Part[];
  readonly span: Span;
  readonly bundle: boolean;
  readonly #open: OpenSink;
  readonly #changed: () => void;
  readonly #stop = new AbortController();
  readonly #range: number;
  #began = 0;

  constructor(
    cameras: ExportCamera[],
    span: Span,
    bundle: boolean,
    open: OpenSink,
    changed: () => void,
    range = RANGE,
  ) {
    this.parts = cameras.map((camera) => ({
      camera,
      state: 'waiting',
      received: 0,
      total: null,
      until: span.to,
      why: '',
    }));
    this.span = span;
    this.bundle = bundle;
    this.#open = open;
    this.#changed = changed;
    this.#range = range;
  }

  get running(): boolean {
    return this.parts.some(({ state }) => state === 'waiting' || state === 'running');
  }

  /** 0 to 1 over all parts. */
  get share(): number {
    const each = this.parts.map(({ state, received, total }) =>
      state === 'waiting' ? 0 : state === 'running' ? received / (total || Number.MAX_VALUE) : 1,
    );
    return each.reduce((sum, one) => sum + one, 0) / Math.max(1, each.length);
  }

  /** Seconds until all is there, by how it went so far; null while that says little. */
  secondsLeft(nowMs: number): number | null {
    const passed = (nowMs - this.#began) / 1000;
    if (!this.#began || passed < 2 || this.share < 0.01) return null;
    return (passed / this.share) * (1 - this.share);
  }

  async run(): Promise<void> {
    this.#began = Date.now();
    for (const part of this.parts) {
      if (!this.#stop.signal.aborted) await this.#part(part);
      if (this.#stop.signal.aborted && part.state !== 'done') part.state = 'cancelled';
      this.#changed();
    }
  }

  cancel(): void {
    this.#stop.abort(new DOMException('cancelled', 'AbortError'));
  }

  async #part(part: Part): Promise<void> {
    part.state = 'running';
    this.#changed();
    let sink: Sink | null = null;
    try {
      part.until = await this.#end(part.camera);
      const first = await this.#ask(part, 0);
      part.total = first.total;
      sink = await this.#open(this.name(part.camera), first.mime, first.total);
      await this.#pour(part, sink, first);
      await sink.close();
      part.state = 'done';
    } catch (error) {
      await sink?.abort();
      if (this.#stop.signal.aborted) return;
      part.state = 'failed';
      part.why = words(error, part.camera.name);
    }
  }

  /** While one range is written, the next is on its way; never more. */
  async #pour(part: Part, sink: Sink, first: Piece): Promise<void> {
    const { total, version } = first;
    let { bytes } = first;
    for (;;) {
      const next = part.received + bytes.length;
      const coming = next < total ? this.#ask(part, next) : null;
      // Whoever gives up on the write must not leave a refusal that nobody hears.
      coming?.catch(() => undefined);
      await sink.write(bytes);
      part.received = next;
      this.#changed();
      if (!coming) return;
      const answer = await coming;
      if (answer.total !== total || answer.version !== version) throw new ExportError('changed');
      bytes = answer.bytes;
    }
  }

  /** A file's name: which camera, from when, in the location's time. */
  name({ name, zone }: ExportCamera): string {
    const plain = name.replaceAll(/[^\p{L}\p{N}]+/gu, '-') || 'camera';
    const kind = this.bundle ? '_evidence.tar' : '.mp4';
    return `${plain}_${fileTime(this.span.from, zone)}${kind}`;
  }

  /**
   * Where a file must end so that it stays the same while it is fetched: at what is stored, and a
   * bundle, which holds whole chunks, before the one that is still being written.
   */
  async #end({ channel, jid, stored }: ExportCamera): Promise<number> {
    const { from, to } = this.span;
    const end = Math.min(to, stored ?? to);
    if (!channel) throw new ExportError('no-storage');
    if (end <= from) throw new ExportError('404');
    if (!this.bundle) return end;
    const query = `from=${formatTime(end - 1)}&to=${formatTime(end)}`;
    const path = `/cameras/${segment(jid)}/chunks?${query}`;
    const { signal } = this.#stop;
    const { status, body } = await patient(() => channel.request(path, { signal }), signal);
    if (status !== 200) throw new ExportError(String(status));
    const { chunks } = JSON.parse(new TextDecoder().decode(body)) as { chunks: ChunkEntry[] };
    const open = chunks.find((chunk) => chunk.open);
    const closed = open ? parseTime(open.start) - JUST_BEFORE : end;
    if (closed <= from) throw new ExportError('open');
    return Math.min(end, closed);
  }

  async #ask({ camera: { channel, jid }, until }: Part, from: number): Promise<Piece> {
    if (!channel) throw new ExportError('no-storage');
    const { signal } = this.#stop;
    const query = `from=${formatTime(this.span.from)}&to=${formatTime(until)}`;
    const path = `/cameras/${segment(jid)}/export?${query}${this.bundle ? '&bundle=1' : ''}`;
    const range: [number, number] = [from, from + this.#range - 1];
    const answer = await patient(() => channel.request(path, { range, signal }), signal);
    if (answer.status !== 206) throw new ExportError(String(answer.status));
    const total = Number(/\/(\d+)$/.exec(answer.headers['content-range'] ?? '')?.[1]);
    if (!Number.isSafeInteger(total)) throw new ExportError('no-length');
    const mime = answer.headers['content-type'] ?? 'application/octet-stream';
    const version = answer.headers['etag'] ?? '';
    return { bytes: answer.body as Uint8Array<ArrayBuffer>, total, mime, version };
  }
}

/** A channel that dies is made anew, and a storage that restarts comes back. */
async function patient<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ChannelError) || Date.now() > until) throw error;
      await pause(2_000, signal);
    }
  }
}

export class ExportError extends Error {
  override name = 'ExportError';
}

function words(error: unknown, camera: string): string {
  if (error instanceof StorageAway) return `${camera}: the storage is not connected.`;
  if (error instanceof ChannelError) return `${camera}: the storage does not answer. Try again.`;
  if (error instanceof DOMException) {
    return `${camera}: the file could not be written (${error.message}).`;
  }
  if (!(error instanceof ExportError)) return `${camera}: this browser could not save it.`;
  switch (error.message) {
    case 'no-storage':
      return `${camera}: its location has no storage.`;
    case 'no-room':
      return `${camera}: too long for this browser, which keeps downloads in memory. Choose less.`;
    case '404':
      return `${camera} recorded nothing in this time.`;
    case 'open':
      return `${camera}: this is still being written. A bundle holds whole files: try again in a minute.`;
    case '409':
      return `${camera} changed its picture's format in this time: choose a part of it, or the bundle.`;
    case 'changed':
      return `${camera}: its recordings changed meanwhile. Try again.`;
    default:
      return `${camera}: the storage could not make the file (${error.message}).`;
  }
}
