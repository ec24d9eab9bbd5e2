import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { keyframesOf } from '../src/core/chunks.ts';
import { firstPicture, hasAudio, videoCodec, videoInit } from '../src/core/keyframes.ts';

// Two seconds of video with sound, as the storage writes them: see vectors/README.md.
const file = readFileSync(new URL('./vectors/av-fragment.mp4', import.meta.url));
const BYTES = new Uint8Array(file) as Uint8Array<ArrayBuffer>;

interface Box {
  type: string;
  start: number;
  end: number;
}

function boxes(data: Uint8Array, from = 0, to = data.length): Box[] {
  const view = new DataView(data.buffer, data.byteOffset);
  const found: Box[] = [];
  for (let at = from; at + 8 <= to; ) {
    const size = view.getUint32(at);
    const type = String.fromCharCode(...data.subarray(at + 4, at + 8));
    found.push({ type, start: at, end: at + size });
    at += size;
  }
  return found;
}

const all = boxes(BYTES);
const moov = all.find(({ type }) => type === 'moov') as Box;
const INIT = BYTES.slice(0, moov.end);
const moof = all.find(({ type }) => type === 'moof') as Box;
const mdat = all.find(({ type }) => type === 'mdat') as Box;
const FRAGMENT = BYTES.slice(moof.start, mdat.end);

test('an init segment loses its sound', () => {
  const { bytes, timescale } = videoInit(INIT);
  const types = (data: Uint8Array): string[] => {
    const inside = boxes(data).find(({ type }) => type === 'moov') as Box;
    return boxes(data, inside.start + 8, inside.end).map(({ type }) => type);
  };
  assert.equal(types(INIT).filter((type) => type === 'trak').length, 2);
  assert.equal(types(bytes).filter((type) => type === 'trak').length, 1);
  assert.equal(timescale, 90_000);
});

test('a fragment keeps its first picture, and is as long as is said', () => {
  const init = videoInit(INIT);
  const found = firstPicture(FRAGMENT, init, 2);
  assert.ok('bytes' in found);
  const [head, data] = boxes(found.bytes);
  assert.deepEqual([head?.type, data?.type, data?.end], ['moof', 'mdat', found.bytes.length]);
  const picture = found.bytes.subarray((data?.start ?? 0) + 8);
  // It is what stands first in the stored fragment: all video comes before the sound.
  const stored = BYTES.subarray(mdat.start + 8, mdat.start + 8 + picture.length);
  assert.deepEqual(picture, new Uint8Array(stored));
  assert.ok(picture.length > 100 && picture.length < mdat.end - mdat.start - 8);
});

test('from too few bytes it tells how many it takes', () => {
  const init = videoInit(INIT);
  let length = 16;
  let rounds = 0;
  for (;;) {
    const found = firstPicture(FRAGMENT.slice(0, length), init, 1);
    if ('bytes' in found) break;
    assert.ok(found.need > length, 'more each time');
    length = Math.min(FRAGMENT.length, found.need);
    rounds += 1;
    assert.ok(rounds < 20);
  }
  assert.ok(length < FRAGMENT.length, 'the rest is never needed');
});

test('codecs with and without sound', () => {
  assert.equal(videoCodec('avc1.64001f,mp4a.40.2'), 'avc1.64001f');
  assert.equal(videoCodec('opus, hvc1.1.6.L93.B0'), 'hvc1.1.6.L93.B0');
  assert.deepEqual([hasAudio('avc1.64001f'), hasAudio('avc1.64001f,opus')], [false, true]);
});

test('fast play takes keyframes so far apart, each as long as until the next', () => {
  const fragments = Array.from({ length: 6 }, (_, n) => ({
    offset: n * 100,
    length: 100,
    start: n,
    end: n + 1,
    keyframe: n !== 3,
  }));
  const run = { chunk: { id: 1, codecs: '', init: [0, 0] as [number, number], fragments }, fragments, offset: 0, length: 600, start: 0, end: 6 };
  const spans = (apart: number): number[][] =>
    keyframesOf(run, apart).map(({ start, end }) => [start, end]);
  assert.deepEqual(spans(1), [[0, 1], [1, 2], [2, 4], [4, 5], [5, 6]]);
  assert.deepEqual(spans(2), [[0, 2], [2, 4], [4, 6]]);
});
