import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { videoInit } from '../src/core/keyframes.ts';
import { pictureAfter, pictureTimes } from '../src/core/pictures.ts';

const file = readFileSync(new URL('./vectors/av-fragment.mp4', import.meta.url));
const BYTES = new Uint8Array(file) as Uint8Array<ArrayBuffer>;

test('each picture of a fragment has its time, in the order in which they are shown', () => {
  const init = videoInit(BYTES);
  const times = pictureTimes(BYTES, init);
  const apart = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  assert.ok(times.length > 20, String(times.length));
  assert.ok(times.every((time) => time > 1.7e9), 'moments, not offsets');
  for (const one of apart) assert.ok(Math.abs(one - (apart[0] ?? 0)) < 1e-4, String(one));
  // Of sound there are none.
  assert.deepEqual(pictureTimes(BYTES, { ...init, track: 99 }), []);
});

const at = (times: number[], shown: number, count: number): string | undefined =>
  pictureAfter(times, shown, count)?.toFixed(3);

test('one picture on, one back, and none beyond what is known', () => {
  const times = [10, 10.04, 10.2, 10.24];
  assert.equal(at(times, 10.04, 1), '10.201');
  assert.equal(at(times, 10.201, -1), '10.041');
  assert.equal(at(times, 10.19, 1), '10.201', 'in the middle of a long one');
  assert.equal(at(times, 10.0399, -1), '10.001', 'rounded, it is the same picture');
  assert.equal(pictureAfter(times, 10, -1), null);
  assert.equal(pictureAfter(times, 10.24, 1), null);
  assert.equal(pictureAfter(times, 9, 1), null);
  assert.equal(pictureAfter([], 9, 1), null);
});
