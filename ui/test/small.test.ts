import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileTime, fromTo } from '../src/core/time.ts';
import { asSentence, refusalInWords } from '../src/core/words.ts';
import { Backoff } from '../src/core/backoff.ts';
import { bare, initials, personName } from '../src/core/jid.ts';
import { evictBefore } from '../src/core/media-buffer.ts';
import { segment } from '../src/core/recordings.ts';
import { claims } from '../src/core/session.ts';

test('waiting times double up to their bound and start over', () => {
  const backoff = new Backoff(400, 3_000, () => 1);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => backoff.next()),
    [400, 800, 1600, 3000, 3000],
  );
  backoff.reset();
  assert.equal(backoff.next(), 400);
});

test('waiting times differ between pages', () => {
  assert.equal(new Backoff(400, 3_000, () => 0).next(), 200);
});

test('names and initials from addresses', () => {
  assert.equal(bare('owner@x.example/page'), 'owner@x.example');
  assert.equal(initials('mara.lindqvist@x.example'), 'ML');
  assert.equal(initials('jonas@x.example/page'), 'JO');
  assert.equal(initials(''), '?');
  assert.equal(personName('jonas.ek@x.example'), 'Jonas');
});

test('a JID in a path cannot leave its segment', () => {
  assert.equal(segment('cam001@studio.loc'), 'cam001@studio.loc');
  assert.equal(segment('a/b?c@d'), 'a%2Fb%3Fc@d');
});

test('claims of a token, also one with letters outside ASCII, and of no token', () => {
  const part = Buffer.from('{"sub":"møte@x.example","iat":1,"exp":3}').toString('base64url');
  assert.deepEqual(claims(`e30.${part}.sig`), { sub: 'møte@x.example', iat: 1, exp: 3 });
  assert.deepEqual(claims('nonsense'), {});
});

test('only what lies behind is dropped, the oldest first', () => {
  const kept = [10, 20, 30, 40].map((end) => ({ start: end - 10, end, bytes: 100 }));
  assert.equal(evictBefore(kept, 35, 100), 20);
  assert.equal(evictBefore(kept, 35, 300), null);
  assert.equal(evictBefore(kept, 5, 0), null);
});

test('a stretch of time with seconds when it is short, and a reason as a sentence', () => {
  assert.equal(fromTo(0, 10, 'UTC'), '00:00:00 to 00:00:10');
  assert.equal(fromTo(0, 840, 'UTC'), '00:00 to 00:14');
  assert.equal(asSentence('the camera was not connected'), 'The camera was not connected.');
  assert.equal(asSentence('The device lost power.'), 'The device lost power.');
  assert.equal(asSentence(''), '');
});

test('a file is named by the time on the location’s wall', () => {
  const summer = Date.parse('2026-07-01T10:00:00.25Z') / 1000;
  assert.equal(fileTime(summer, 'Europe/Berlin'), '2026-07-01_12-00-00.250+0200');
  assert.equal(fileTime(summer, 'America/St_Johns'), '2026-07-01_07-30-00.250-0230');
});

test('why a camera takes no call', () => {
  assert.match(refusalInWords('max-viewers: 8 watch already'), /^8 watch this camera already/);
  assert.equal(refusalInWords('too many calls: wait a moment'), 'Too many calls: wait a moment.');
  assert.equal(refusalInWords('This camera sends H.265.'), 'This camera sends H.265.');
});
