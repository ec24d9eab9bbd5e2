import type { Fragment } from './chunks.ts';

/** Kept behind the picture, so that a step back of some seconds needs no network. */
const BEHIND_BYTES = 16_000_000;
/** One media source spans this much; a moment outside needs a new one. */
const SOURCE_SECONDS = 2 * 86_400;
/** Times closer than this are the same: the rounding of container and browser. */
const EDGE = 0.02;
/** A picture that stands this close to the end of what is there has nothing more to show. */
export const STALL_EDGE = 0.3;

/** What is put into the element: fragments of one chunk behind their init segment. */
export interface Media {
  chunkId: number;
  codecs: string;
  init: Uint8Array<ArrayBuffer>;
  bytes: Uint8Array<ArrayBuffer>[];
  fragments: Fragment[];
  /** When each picture is shown, UTC seconds, in order. */
  pictures: number[];
}

interface Kept {
  start: number;
  end: number;
  bytes: number;
  pictures: number[];
}

/**
 * The video element's media source: takes fragments whose times are UTC, shows them on a time line
 * that begins at `base` (the start of a day), and holds a bounded number of bytes.
 */
export class MediaBuffer {
  /** UTC seconds of the element's time 0. */
  base = 0;
  readonly #video: HTMLVideoElement;
  #source: MediaSource | null = null;
  #buffer: SourceBuffer | null = null;
  #mime = '';
  /** Whose init segment is in force, and whether it is the one without sound. */
  #initId: string | null = null;
  /** How many tracks the source buffer was made for: it takes no other number. */
  #tracks = 0;
  #kept: Kept[] = [];
  /** Operations on the source buffer follow each other; an overtaken one finishes first. */
  #last: Promise<void> = Promise.resolve();
  #busy = 0;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
  }

  get ready(): boolean {
    return this.#buffer !== null;
  }

  /** The moment of the picture, UTC seconds. */
  get moment(): number {
    return this.base + this.#video.currentTime;
  }

  /** Makes room for this moment: an empty buffer on a time line that holds it, for such media. */
  prepare(moment: number, dayStart: number, media: Media, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      signal.throwIfAborted();
      const inside = moment >= this.base && moment < this.base + SOURCE_SECONDS;
      const other = this.#tracks > 0 && this.#tracks !== tracksOf(media);
      if (!inside || other || this.#source?.readyState !== 'open') {
        await this.#open(dayStart);
        signal.throwIfAborted();
      } else if (this.#kept.length) {
        this.#buffer?.remove(0, Number.POSITIVE_INFINITY);
        await this.#idle();
      }
      this.#kept = [];
      this.#video.currentTime = moment - this.base;
    });
  }

  /** Appends; false when told to stop before it began. */
  append(media: Media, signal: AbortSignal): Promise<boolean> {
    return this.#inTurn(async () => {
      if (signal.aborted) return false;
      const initId = `${media.chunkId} ${media.codecs}`;
      if (this.#initId !== initId) {
        this.#use(`video/mp4; codecs="${media.codecs}"`);
        this.#tracks = tracksOf(media);
        await this.#put(media.init);
        this.#initId = initId;
      }
      for (const bytes of media.bytes) await this.#put(bytes);
      for (const { start, end, length } of media.fragments) {
        const pictures = media.pictures.filter((time) => time >= start - EDGE && time < end - EDGE / 20);
        this.#kept.push({ start, end, bytes: length, pictures });
      }
      return true;
    });
  }

  /** Whether this can follow what is there: a source buffer never changes its number of tracks. */
  takes(media: Media): boolean {
    return this.#tracks === 0 || this.#tracks === tracksOf(media);
  }

  /** Seeks inside what is there; false when the moment is not. */
  jump(moment: number): boolean {
    const x = moment - this.base;
    if (!this.#buffer || !holds(this.#video.buffered, x)) return false;
    this.#video.currentTime = x;
    return true;
  }

  /** Resolves when what was begun before is done. */
  settled(): Promise<void> {
    return this.#last;
  }

  /** Whether the picture stands still for want of the next one. */
  get stalled(): boolean {
    const { readyState, seeking, ended } = this.#video;
    return !seeking && !ended && readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  /** Steps over a gap when the picture stands in or before one and later pictures are there. */
  overGap(): void {
    const { buffered, currentTime } = this.#video;
    if (!this.#buffer || holds(buffered, currentTime, this.stalled ? STALL_EDGE : EDGE)) return;
    for (let i = 0; i < buffered.length; i += 1) {
      if (buffered.start(i) > currentTime) {
        this.#video.currentTime = buffered.start(i) + 0.001;
        return;
      }
    }
  }

  /** What waits to be shown: its bytes, and its seconds without the gaps. */
  ahead(): { bytes: number; seconds: number } {
    const now = this.moment;
    const ahead = { bytes: 0, seconds: 0 };
    for (const { start, end, bytes } of this.#kept) {
      if (end <= now) continue;
      ahead.bytes += bytes;
      ahead.seconds += end - Math.max(now, start);
    }
    return ahead;
  }

  /** When each picture that is there is shown, UTC seconds, in order. */
  get pictures(): number[] {
    return [...new Set(this.#kept.flatMap(({ pictures }) => pictures))].sort((a, b) => a - b);
  }

  /** Up to when there is something, UTC seconds. */
  get end(): number | null {
    return this.#kept.at(-1)?.end ?? null;
  }

  /** Drops what lies too far behind, unless the buffer is being written. */
  tidy(): void {
    if (this.#busy === 0) void this.#inTurn(() => this.#evict(BEHIND_BYTES));
  }

  close(): void {
    this.#source = null;
    this.#buffer = null;
    this.#mime = '';
    this.#initId = null;
    this.#tracks = 0;
    this.#kept = [];
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#busy += 1;
    const result = this.#last.then(work).finally(() => {
      this.#busy -= 1;
    });
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  async #open(dayStart: number): Promise<void> {
    this.close();
    const managed = (globalThis as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource;
    const source = new (managed ?? MediaSource)();
    this.#source = source;
    this.base = dayStart;
    // iPhones play a managed source only when the picture stays on this device.
    this.#video.disableRemotePlayback = true;
    const rate = this.#video.playbackRate;
    const url = URL.createObjectURL(source);
    const opened = new Promise((resolve) => {
      source.addEventListener('sourceopen', resolve, { once: true });
    });
    this.#video.src = url;
    this.#video.playbackRate = rate;
    await opened;
    URL.revokeObjectURL(url);
    if (source.readyState === 'open') source.duration = SOURCE_SECONDS;
  }

  #use(mime: string): void {
    if (mime === this.#mime || !this.#source) return;
    if (this.#buffer) this.#buffer.changeType(mime);
    else {
      this.#buffer = this.#source.addSourceBuffer(mime);
      this.#buffer.timestampOffset = -this.base;
    }
    this.#mime = mime;
  }

  async #put(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let keep = BEHIND_BYTES; ; keep = Math.floor(keep / 4)) {
      if (!this.#buffer) return;
      try {
        this.#buffer.appendBuffer(bytes);
        await this.#idle();
        return;
      } catch (error) {
        const full = error instanceof DOMException && error.name === 'QuotaExceededError';
        if (!full || keep === 0) throw error;
        await this.#evict(keep);
      }
    }
  }

  async #evict(keep: number): Promise<void> {
    const cut = evictBefore(this.#kept, this.moment - 2, keep);
    if (cut === null || !this.#buffer) return;
    this.#buffer.remove(0, Math.max(0.001, cut - this.base));
    this.#kept = this.#kept.filter((kept) => kept.end > cut);
    await this.#idle();
  }

  async #idle(): Promise<void> {
    const buffer = this.#buffer;
    if (!buffer?.updating) return;
    await new Promise((resolve) => buffer.addEventListener('updateend', resolve, { once: true }));
  }
}

const tracksOf = (media: Media): number => media.codecs.split(',').length;

/** Up to where to drop, so that at most `keep` bytes stay of what ended before `now`. */
export function evictBefore(kept: Pick<Kept, 'end' | 'bytes'>[], now: number, keep: number): number | null {
  let bytes = 0;
  for (const { end, bytes: more } of kept.toReversed()) {
    if (end > now) continue;
    bytes += more;
    if (bytes > keep) return end;
  }
  return null;
}

function holds(ranges: TimeRanges, x: number, edge = EDGE): boolean {
  for (let i = 0; i < ranges.length; i += 1) {
    if (x >= ranges.start(i) - EDGE / 20 && x < ranges.end(i) - edge) return true;
  }
  return false;
}
