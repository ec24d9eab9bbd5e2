import { parseTime } from './time.ts';

// Which bytes to fetch next: chunk lists in, runs of fragments out. No I/O, no clock.

/** As the storage lists it. Fragment: offset, length, start (µs from the chunk's), duration (µs), keyframe. */
export interface ChunkEntry {
  id: number;
  start: string;
  duration: number;
  bytes: number;
  codecs: string;
  width: number;
  height: number;
  open: boolean;
  init: [number, number];
  fragments: [number, number, number, number, number][];
}

export interface Fragment {
  offset: number;
  length: number;
  /** UTC seconds. */
  start: number;
  end: number;
  keyframe: boolean;
}

export interface Chunk {
  id: number;
  codecs: string;
  init: [number, number];
  fragments: Fragment[];
}

/** Neighbouring fragments of one chunk: one range of bytes. */
export interface Run {
  chunk: Chunk;
  fragments: Fragment[];
  offset: number;
  length: number;
  start: number;
  end: number;
}

/** Fragments of B-frame streams may overlap by rounding: less than this is the same moment. */
const EPSILON = 0.001;

export function parseChunks(entries: ChunkEntry[]): Chunk[] {
  const chunks = entries.map((entry) => {
    const start = parseTime(entry.start);
    const fragments = entry.fragments.map(([offset, length, at, duration, keyframe]) => ({
      offset,
      length,
      start: start + at / 1e6,
      end: start + (at + duration) / 1e6,
      keyframe: keyframe === 1,
    }));
    return { id: entry.id, codecs: entry.codecs, init: entry.init, fragments };
  });
  return chunks
    .filter((chunk) => chunk.fragments.length > 0)
    .sort((a, b) => (a.fragments[0]?.start ?? 0) - (b.fragments[0]?.start ?? 0));
}

/** Where reading goes on: the first fragment that ends after the cursor. */
export function after(chunks: Chunk[], cursor: number): { chunk: Chunk; index: number } | null {
  for (const chunk of chunks) {
    const last = chunk.fragments.at(-1);
    if (!last || last.end <= cursor + EPSILON) continue;
    const index = chunk.fragments.findIndex((fragment) => fragment.end > cursor + EPSILON);
    return { chunk, index };
  }
  return null;
}

/**
 * The fragments to show this moment: the one that holds it (or the next one after a gap), from the
 * keyframe that it needs.
 */
export function seekRun(chunks: Chunk[], moment: number): Run | null {
  const found = after(chunks, moment);
  if (!found) return null;
  let first = found.index;
  while (first > 0 && !found.chunk.fragments[first]?.keyframe) first -= 1;
  return run(found.chunk, first, found.index - first + 1, Number.POSITIVE_INFINITY);
}

/** At most `count` fragments and about `bytes` bytes (but one at least) after the cursor. */
export function nextRun(
  chunks: Chunk[],
  cursor: number,
  count: number,
  bytes: number,
): Run | null {
  const found = after(chunks, cursor);
  return found ? run(found.chunk, found.index, count, bytes) : null;
}

/**
 * The keyframes of a run, at least `apart` seconds from each other; each as a fragment that lasts
 * until the next one, so that nothing between them looks like a gap.
 */
export function keyframesOf({ fragments, end }: Run, apart: number): Fragment[] {
  const shown: Fragment[] = [];
  for (const fragment of fragments) {
    const last = shown.at(-1);
    const near = last && fragment.start - last.start < apart - EPSILON;
    if (fragment.keyframe && !near) shown.push({ ...fragment });
  }
  shown.forEach((fragment, index) => {
    fragment.end = shown[index + 1]?.start ?? end;
  });
  return shown;
}

function run(chunk: Chunk, first: number, count: number, bytes: number): Run | null {
  const fragments: Fragment[] = [];
  let length = 0;
  for (const fragment of chunk.fragments.slice(first, first + count)) {
    const previous = fragments.at(-1);
    const apart = previous && previous.offset + previous.length !== fragment.offset;
    if (previous && (apart || length + fragment.length > bytes)) break;
    fragments.push(fragment);
    length += fragment.length;
  }
  const [head] = fragments;
  const tail = fragments.at(-1);
  if (!head || !tail) return null;
  return { chunk, fragments, offset: head.offset, length, start: head.start, end: tail.end };
}
