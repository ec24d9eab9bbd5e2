import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEntry } from '../src/core/api.ts';
import { said } from '../src/core/audit.ts';

const names: Record<string, string> = { 'till@shop.loc': 'Till', 'disk@shop.loc': 'Harbour Street' };
const entry = (what: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
  time: '2026-11-22T10:00:00.000000Z',
  what,
  who: null,
  role: null,
  about: null,
  network: null,
  agent: null,
  detail: null,
  ...more,
});
const sentence = (what: string, more: Partial<AuditEntry> = {}): string => {
  const { bold, text } = said(entry(what, more), (jid) => names[jid], { odd: 'something was odd' });
  return `${bold} ${text}`.trim();
};
const mara = { who: 'mara@northwick.example', role: 'user' };
const till = { who: 'till@shop.loc', role: 'device' };

test('people', () => {
  const network = '192.0.2.0/24';
  assert.equal(
    sentence('login', { ...mara, network, agent: 'Firefox on Android' }),
    'Mara signed in from 192.0.2.0/24, with Firefox on Android.',
  );
  assert.equal(sentence('watch', { ...mara, about: 'till@shop.loc' }), 'Mara watched Till live.');
  assert.equal(
    sentence('recordings', { ...mara, about: 'disk@shop.loc', detail: 'over its own network' }),
    'Mara looked at recordings of Harbour Street.',
  );
  assert.equal(
    sentence('invited', { ...mara, about: 'till@shop.loc', detail: 'made on the page' }),
    'Mara made a code to set Till up.',
  );
  assert.equal(
    sentence('session-ended', { ...mara, network, detail: 'a replaced token was used again' }),
    'Mara was signed out: an old copy of the sign-in was used from 192.0.2.0/24. Somebody else may have it.',
  );
});

test('devices, and the server itself', () => {
  assert.equal(sentence('token-made', { ...till, detail: 'enrolled' }), 'Till was set up with a code.');
  assert.equal(
    sentence('token-made', { ...till, detail: 'device, id abc' }),
    'Till got its access, made by hand on the server.',
  );
  assert.equal(sentence('invited', till), 'Till may be set up with a code, made on the server.');
  assert.equal(sentence('reloaded'), 'The server took over changed settings.');
  assert.equal(sentence('lost', { detail: '3 entries' }), 'This log lacks 3 entries: the disk refused them.');
});

test('who was refused, and what a newer server says', () => {
  assert.equal(
    sentence('refused', { network: '192.0.2.0/24', detail: 'this link is not valid any more' }),
    'Somebody was refused from 192.0.2.0/24: the sign-in link was used before, or too old.',
  );
  assert.equal(sentence('refused', { ...till, detail: '/audit is for people' }), 'Till was refused: /audit is for people.');
  assert.equal(sentence('odd', { ...mara, detail: 'really' }), 'Mara Something was odd. Really.');
});
