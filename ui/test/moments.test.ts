import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TimelineData } from '../src/core/library.ts';
import { moments, moveTo } from '../src/core/moments.ts';

function curve(values: number[]): TimelineData {
  const activity = { interval: 10, values };
  return { from: 1000, to: 1000 + 10 * values.length, spans: [], gaps: [], onDevice: [], later: [], activity };
}

const quiet = (n: number): number[] => Array(n).fill(0.1);

test('lively stretches are moments, near ones are one', () => {
  const values = [...quiet(20), 0.6, 0.9, ...quiet(3), 0.7, ...quiet(40), 0.8, ...quiet(20)];
  assert.deepEqual(moments(curve(values)), [
    { from: 1200, to: 1260, peak: 1210 },
    { from: 1660, to: 1670, peak: 1660 },
  ]);
});

test('what always happens is no moment', () => {
  assert.deepEqual(moments(curve(Array(50).fill(0.9))), []);
  assert.deepEqual(moments(curve([...quiet(5), ...Array(40).fill(0.8)])), []);
  assert.deepEqual(moments(curve([])), []);
});

test('to the next and to the previous', () => {
  const all = [
    { from: 100, to: 110, peak: 100 },
    { from: 200, to: 210, peak: 200 },
  ];
  assert.equal(moveTo(all, 100, 1), 200);
  assert.equal(moveTo(all, 202, -1), 100, 'just begun: the one before');
  assert.equal(moveTo(all, 209, -1), 200, 'well into it: its begin');
  assert.equal(moveTo(all, 250, 1), null);
  assert.equal(moveTo(all, 50, -1), null);
});
