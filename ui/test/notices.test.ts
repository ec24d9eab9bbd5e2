import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Notices } from '../src/core/notices.ts';
import type { Summary } from '../src/core/words.ts';

const GOOD: Summary = { total: 3, recording: 3, tone: 'quiet', number: 'All 3 recording', why: '' };
const BAD: Summary = { ...GOOD, recording: 2, tone: 'care', number: '2 of 3 recording', why: 'Till is offline.' };

test('trouble is told once, when it lasts, and its end once', () => {
  const notices = new Notices();
  assert.equal(notices.next(GOOD, true, 0), null);
  assert.equal(notices.next(BAD, true, 10), null, 'not at once');
  assert.deepEqual(notices.next(BAD, true, 41), { title: BAD.number, body: BAD.why });
  assert.equal(notices.next(BAD, true, 100), null, 'told already');
  assert.deepEqual(notices.next(GOOD, true, 120), {
    title: GOOD.number,
    body: 'All is well again.',
  });
  assert.equal(notices.next(GOOD, true, 130), null);
});

test('trouble that passes is not told, nor what nobody knows', () => {
  const notices = new Notices();
  notices.next(BAD, true, 0);
  notices.next(GOOD, true, 20);
  assert.equal(notices.next(BAD, true, 40), null, 'counted anew');
  assert.equal(notices.next(BAD, false, 90), null, 'the room is away');
  assert.equal(notices.next({ ...BAD, tone: 'checking' }, true, 90), null);
});
