import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LONGEST, selectionAround, withEnd } from '../src/core/selection.ts';

test('a minute around the moment, as far as it has passed', () => {
  assert.deepEqual(selectionAround(1000, 5000), { from: 970, to: 1030 });
  assert.deepEqual(selectionAround(1000, 1010), { from: 970, to: 1010 });
  const now = selectionAround(2000, 1000);
  assert.ok(now.to === 1000 && now.from < now.to);
});

test('an end gives way rather than be overtaken, and seven days are the most', () => {
  assert.deepEqual(withEnd({ from: 10, to: 20 }, 'from', 30), { from: 30, to: 31 });
  assert.deepEqual(withEnd({ from: 10, to: 20 }, 'to', 5), { from: 4, to: 5 });
  assert.deepEqual(withEnd({ from: 10, to: 20 }, 'from', 12), { from: 12, to: 20 });
  const far = withEnd({ from: 0, to: LONGEST }, 'to', 2 * LONGEST);
  assert.equal(far.to - far.from, LONGEST);
});
