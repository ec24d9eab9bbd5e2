import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChunkEntry } from '../src/core/chunks.ts';
import { after, nextRun, parseChunks, seekRun } from '../src/core/chunks.ts';
import { formatTime } from '../src/core/time.ts';

const T0 = 1_800_000_000;

/** A chunk of one-second fragments of 100 bytes, a keyframe in each but where told otherwise. */
function chunk(id: number, from: number, seconds: number, keyframes = (_: number) => true) {
  const fragments = Array.from({ length: seconds }, (_, i): ChunkEntry['fragments'][number] => [
    1000 + 100 * i,
    100,
    i * 1e6,
    1e6,
    keyframes(i) ? 1 : 0,
  ]);
  const entry: ChunkEntry = {
    id,
    start: formatTime(T0 + from),
    duration: seconds,
    bytes: 1000 + 100 * seconds,
    codecs: 'avc1.64001f',
    width: 1280,
    height: 720,
    open: false,
    init: [0, 800],
    fragments,
  };
  return entry;
}

test('chunks are put in order, empty ones left out', () => {
  const chunks = parseChunks([chunk(2, 60, 3), chunk(3, 200, 0), chunk(1, 0, 60)]);
  assert.deepEqual(
    chunks.map((one) => one.id),
    [1, 2],
  );
});

test('a seek shows the fragment that holds the moment', () => {
  const run = seekRun(parseChunks([chunk(1, 0, 60)]), T0 + 30.5);
  assert.equal(run?.start, T0 + 30);
  assert.equal(run?.offset, 4000);
  assert.equal(run?.length, 100);
});

test('a seek into a fragment without a keyframe starts at the one before', () => {
  const run = seekRun(parseChunks([chunk(1, 0, 60, (i) => i % 4 === 0)]), T0 + 30.5);
  assert.equal(run?.start, T0 + 28);
  assert.equal(run?.end, T0 + 31);
  assert.equal(run?.length, 300);
});

test('a seek into a gap goes on after it, past the end nothing is there', () => {
  const chunks = parseChunks([chunk(1, 0, 10), chunk(2, 100, 10)]);
  assert.equal(seekRun(chunks, T0 + 50)?.start, T0 + 100);
  assert.equal(seekRun(chunks, T0 + 110), null);
});

test('reading goes on in the next chunk, and over a gap', () => {
  const chunks = parseChunks([chunk(1, 0, 10), chunk(2, 10, 10), chunk(3, 90, 1)]);
  assert.deepEqual(
    [9, 10, 20].map((cursor) => nextRun(chunks, T0 + cursor, 1, 1e6)?.start),
    [T0 + 9, T0 + 10, T0 + 90],
  );
  assert.equal(nextRun(chunks, T0 + 91, 1, 1e6), null);
});

test('a run ends with its chunk, its count and its bytes, and has one fragment at least', () => {
  const chunks = parseChunks([chunk(1, 0, 10), chunk(2, 10, 10)]);
  assert.equal(nextRun(chunks, T0 + 8, 16, 1e6)?.fragments.length, 2);
  assert.equal(nextRun(chunks, T0, 4, 1e6)?.length, 400);
  assert.equal(nextRun(chunks, T0, 16, 250)?.length, 200);
  assert.equal(nextRun(chunks, T0, 16, 1)?.length, 100);
});

test('fragments that do not touch in the file are not fetched as one range', () => {
  const entry = chunk(1, 0, 3);
  entry.fragments[2] = [5000, 100, 2e6, 1e6, 1];
  assert.equal(nextRun(parseChunks([entry]), T0, 8, 1e6)?.fragments.length, 2);
});

test('rounding of a fragment end does not repeat the fragment', () => {
  const chunks = parseChunks([chunk(1, 0, 3)]);
  assert.equal(after(chunks, T0 + 1 - 0.0004)?.index, 1);
});
