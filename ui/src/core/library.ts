import { ChannelError, NotFound } from './answers.ts';
import type { Chunk, ChunkEntry, Fragment, Run } from './chunks.ts';
import { keyframesOf, nextRun, parseChunks, seekRun } from './chunks.ts';
import type { VideoInit } from './keyframes.ts';
import { firstPicture, hasVideo, videoCodec, videoInit } from './keyframes.ts';
import type { Media } from './media-buffer.ts';
import { pictureTimes } from './pictures.ts';
import type { RecordingsChannel } from './recordings.ts';
import { segment } from './recordings.ts';
import { formatTime, parseTime } from './time.ts';

export interface Span {
  from: number;
  to: number;
}

export interface Gap extends Span {
  reason: string;
}

/** What one camera's recordings look like over a stretch of time; moments in UTC seconds. */
export interface TimelineData {
  from: number;
  to: number;
  spans: Span[];
  gaps: Gap[];
  onDevice: Span[];
  /** What came later than it was recorded, from the device's spool; part of the spans. */
  later: Span[];
  /** One value from 0 to 1 per interval (seconds) from `from` on. */
  activity: { interval: number; values: number[] };
}

interface WireSpan {
  from: string;
  to: string;
}

interface WireTimeline {
  from: string;
  to: string;
  spans: WireSpan[];
  gaps?: (WireSpan & { reason: string })[];
  'on-device'?: WireSpan[];
  'arrived-later'?: WireSpan[];
  activity?: { interval: number; values: number[] } | null;
}

export interface CameraRecordings {
  jid: string;
  first: number | null;
  last: number | null;
  bytes: number;
  daysKept: number | null;
  daysLeft: number | null;
}

interface WireCamera {
  jid: string;
  first: string | null;
  last: string | null;
  bytes: number;
  'days-kept'?: number | null;
  'days-left'?: number | null;
}

/** How much of the chunk list is asked for at a time, in seconds of recording. */
const LIST_SECONDS = 180;
/** … and before a moment that is sought: whoever seeks once often seeks again near it. */
const LIST_BEFORE = 120;
const RUN_BYTES = 4_000_000;
/** The list is not asked for more often than this at the newest recording. */
const FOLLOW_MS = 1_000;
/** A moment past the newest recording means this long before its end: enough to play at once. */
const EDGE_SECONDS = 2;
const INIT_LIMIT = 64;
/** Asked of a fragment first for its keyframe; the size of the last one corrects it. */
const PICTURE_GUESS = 48 * 1024;
/** Fast play shows this many pictures a second. */
const FAST_PICTURES = 8;

export async function cameras(channel: RecordingsChannel, signal?: AbortSignal) {
  const answer = await channel.json<{ cameras: WireCamera[] }>('/cameras', signal);
  return answer.cameras.map(
    (camera): CameraRecordings => ({
      jid: camera.jid,
      first: camera.first ? parseTime(camera.first) : null,
      last: camera.last ? parseTime(camera.last) : null,
      bytes: camera.bytes,
      daysKept: camera['days-kept'] ?? null,
      daysLeft: camera['days-left'] ?? null,
    }),
  );
}

export async function timeline(
  channel: RecordingsChannel,
  jid: string,
  from: number,
  to: number,
  signal?: AbortSignal,
): Promise<TimelineData> {
  const query = `from=${formatTime(from)}&to=${formatTime(to)}`;
  const path = `/cameras/${segment(jid)}/timeline?${query}`;
  const wire = await channel.json<WireTimeline>(path, signal);
  const span = ({ from: a, to: b }: WireSpan) => ({ from: parseTime(a), to: parseTime(b) });
  return {
    from: parseTime(wire.from),
    to: parseTime(wire.to),
    spans: wire.spans.map(span),
    gaps: (wire.gaps ?? []).map((gap) => ({ ...span(gap), reason: gap.reason })),
    onDevice: (wire['on-device'] ?? []).map(span),
    later: (wire['arrived-later'] ?? []).map(span),
    activity: wire.activity ?? { interval: 0, values: [] },
  };
}

/** One camera's chunks as far as the player needs them: finds runs of fragments and fetches them. */
export class Library {
  readonly #channel: RecordingsChannel;
  readonly #jid: string;
  readonly #now: () => number;
  readonly #inits = new Map<number, Uint8Array<ArrayBuffer>>();
  #chunks: Chunk[] = [];
  #from = 0;
  #to = 0;
  #listedAt = 0;
  #guess = PICTURE_GUESS;
  /** How much sound and picture the newest fetched chunk has, as its codecs tell. */
  codecs = '';

  constructor(channel: RecordingsChannel, jid: string, now: () => number) {
    this.#channel = channel;
    this.#jid = jid;
    this.#now = now;
  }

  /**
   * What to show for a moment and where exactly to stand: in its fragment, at the next recording
   * after a gap, or a little before the end of everything. Null when nothing is recorded at all.
   */
  async locate(moment: number, signal: AbortSignal): Promise<{ run: Run; at: number } | null> {
    const listed = moment >= this.#from && moment < this.#to;
    const known = listed ? seekRun(this.#chunks, moment) : null;
    if (known) return place(known, moment);
    try {
      return await this.#search(moment, signal);
    } catch (error) {
      // The storage has never heard of this camera.
      if (error instanceof NotFound) return null;
      throw error;
    }
  }

  async #search(moment: number, signal: AbortSignal): Promise<{ run: Run; at: number } | null> {
    await this.#list(moment, signal, LIST_BEFORE);
    const here = seekRun(this.#chunks, moment);
    if (here) return place(here, moment);
    const later = await this.#resume(moment, signal);
    const target = later ?? (await this.#beforeEnd(moment, signal));
    if (target === null) return null;
    await this.#list(target, signal);
    const run = seekRun(this.#chunks, target);
    return run ? place(run, target) : null;
  }

  /** What follows the cursor, or null when nothing newer is stored yet. */
  async next(
    cursor: number,
    count: number,
    signal: AbortSignal,
    keyframes = false,
  ): Promise<Run | null> {
    // Of keyframes alone only a small part of a run is fetched.
    const most = keyframes ? Number.POSITIVE_INFINITY : RUN_BYTES;
    const known = nextRun(this.#chunks, cursor, count, most);
    if (known) return known;
    if (Date.now() - this.#listedAt < FOLLOW_MS) return null;
    await this.#list(cursor, signal);
    const listed = nextRun(this.#chunks, cursor, count, most);
    if (listed || this.#to >= this.#now()) return listed;
    const later = await this.#resume(cursor, signal);
    if (later === null) return null;
    await this.#list(later, signal);
    return nextRun(this.#chunks, cursor, count, most);
  }

  async fetch(run: Run, signal: AbortSignal): Promise<Media> {
    const { chunk, fragments, offset, length } = run;
    this.codecs = chunk.codecs;
    const [init, bytes] = await Promise.all([
      this.#init(chunk, signal),
      this.#bytes(chunk.id, offset, length, signal),
    ]);
    const pictures = hasVideo(chunk.codecs) ? pictureTimes(bytes, videoInit(init)) : [];
    return { chunkId: chunk.id, codecs: chunk.codecs, init, bytes: [bytes], fragments, pictures };
  }

  /** Only the keyframes of a run, without sound, for a speed above 2×. */
  async fetchKeyframes(run: Run, rate: number, signal: AbortSignal): Promise<Media> {
    const { chunk } = run;
    this.codecs = chunk.codecs;
    const init = videoInit(await this.#init(chunk, signal));
    const shown = keyframesOf(run, rate / FAST_PICTURES);
    const pictures = await Promise.all(
      shown.map((fragment) => this.#picture(chunk, fragment, init, signal)),
    );
    return {
      chunkId: chunk.id,
      codecs: videoCodec(chunk.codecs),
      init: init.bytes,
      bytes: pictures,
      pictures: pictures.flatMap((one) => pictureTimes(one, init)),
      fragments: shown.map((fragment, index) => ({
        ...fragment,
        length: pictures[index]?.length ?? 0,
      })),
    };
  }

  async #picture(chunk: Chunk, shown: Fragment, init: VideoInit, signal: AbortSignal) {
    let length = Math.min(shown.length, this.#guess);
    for (;;) {
      const bytes = await this.#bytes(chunk.id, shown.offset, length, signal);
      const found = firstPicture(bytes, init, shown.end - shown.start);
      if ('bytes' in found) {
        this.#guess = Math.max(8_192, Math.round(found.bytes.length * 1.3));
        return found.bytes;
      }
      if (length >= shown.length) throw new ChannelError(`no keyframe in chunk ${chunk.id}`);
      length = Math.min(shown.length, found.need);
    }
  }

  async #list(from: number, signal: AbortSignal, before = 1): Promise<void> {
    const start = from - before;
    const to = from + LIST_SECONDS;
    const query = `from=${formatTime(start)}&to=${formatTime(to)}`;
    const path = `/cameras/${segment(this.#jid)}/chunks?${query}`;
    const answer = await this.#channel.json<{ chunks: ChunkEntry[] }>(path, signal);
    this.#chunks = parseChunks(answer.chunks);
    this.#from = start;
    this.#to = to;
    this.#listedAt = Date.now();
  }

  /** When recordings go on after this moment, or null. */
  async #resume(moment: number, signal: AbortSignal): Promise<number | null> {
    const to = this.#now() + 1;
    if (to <= moment) return null;
    const { spans } = await timeline(this.#channel, this.#jid, moment, to, signal);
    const next = spans.find((span) => span.to > moment + 0.1);
    return next ? Math.max(next.from, moment) : null;
  }

  async #beforeEnd(moment: number, signal: AbortSignal): Promise<number | null> {
    const cameraList = await cameras(this.#channel, signal);
    const camera = cameraList.find(({ jid }) => jid === this.#jid);
    if (!camera || camera.last === null) return null;
    // The open chunk may not count yet in the overview: the timeline knows it.
    const from = Math.min(camera.last, moment) - 60;
    const { spans } = await timeline(this.#channel, this.#jid, from, this.#now() + 1, signal);
    const last = spans.at(-1);
    const end = last?.to ?? camera.last;
    return Math.max(end - EDGE_SECONDS, last?.from ?? camera.first ?? 0);
  }

  async #init(chunk: Chunk, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const known = this.#inits.get(chunk.id);
    if (known) return known;
    const bytes = await this.#bytes(chunk.id, chunk.init[0], chunk.init[1], signal);
    if (this.#inits.size >= INIT_LIMIT) this.#inits.clear();
    this.#inits.set(chunk.id, bytes);
    return bytes;
  }

  async #bytes(id: number, offset: number, length: number, signal: AbortSignal) {
    const range: [number, number] = [offset, offset + length - 1];
    const { status, body } = await this.#channel.request(`/chunks/${id}`, { range, signal });
    if (status === 206 && body.length === length) return body as Uint8Array<ArrayBuffer>;
    // Rotated away meanwhile: what the list says is no longer true.
    this.#chunks = [];
    this.#to = 0;
    throw new ChannelError(`status ${status}, ${body.length} bytes for chunk ${id}`);
  }
}

/** The exact place: not before the fragment that is shown, which lies after a gap. */
function place(run: Run, moment: number): { run: Run; at: number } {
  const shown = run.fragments.at(-1);
  return { run, at: Math.max(moment, shown?.start ?? moment) };
}
