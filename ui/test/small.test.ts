import assert from 'node:assert/strict';
import { test } from 'node:test';
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
