import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Api } from '../src/core/api.ts';
import type { Session } from '../src/core/session.ts';

const real = globalThis.fetch;
const api = new Api({ token: 'T' } as Session);
let asked: string[] = [];

function answering(status: number, body: unknown, type = 'application/json'): void {
  asked = [];
  globalThis.fetch = async (path, options) => {
    const headers = new Headers(options?.headers);
    asked.push(`${options?.method} ${String(path)} ${headers.get('authorization')}`);
    return new Response(JSON.stringify(body), { status, headers: { 'content-type': type } });
  };
}

afterEach(() => {
  globalThis.fetch = real;
});

test('sessions, as this server and an older one name them', async () => {
  const times = { since: 'a', 'last-seen': 'b' };
  answering(200, {
    sessions: [
      { id: '1', this: true, agent: 'Firefox on Android', network: '192.0.2.0/24', ...times },
      { id: '2', current: false, device: 'Laptop', ...times },
    ],
  });
  const found = await api.sessions();
  assert.deepEqual(
    found?.map(({ here, device, network }) => [here, device, network]),
    [
      [true, 'Firefox on Android', '192.0.2.0/24'],
      [false, 'Laptop', ''],
    ],
  );
  assert.deepEqual(asked, ['GET /sessions Bearer T']);
});

test('a server that does not know the resource', async () => {
  answering(404, { detail: 'there is nothing here' });
  assert.equal(await api.sessions(), null);
  assert.equal(await api.audit('a', 'b'), null);
  answering(200, '<html>', 'text/html');
  assert.equal(await api.sessions(), null);
});

test('a session is ended, or was over already', async () => {
  answering(204, null);
  globalThis.fetch = async () => new Response(null, { status: 204 });
  assert.equal(await api.endSession('a/b'), true);
  answering(404, {});
  assert.equal(await api.endSession('x'), true);
  answering(500, {});
  assert.equal(await api.endSession('x'), false);
});

test('the audit log', async () => {
  const entry = { time: 't', what: 'login', who: 'a@b', network: 'n' };
  answering(200, { entries: [entry], actions: { login: 'a person has logged in' } });
  const found = await api.audit('2026-09-17T00:00:00Z', '2026-09-18T00:00:00Z');
  assert.deepEqual(found?.entries, [
    { ...entry, role: null, about: null, agent: null, detail: null },
  ]);
  assert.match(asked[0] ?? '', /from=2026-09-17T00%3A00%3A00Z&to=/);
});

test('a token for one storage, its life counted by this browser', async () => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${part({})}.${part({ iat: 1000, exp: 4600 })}.x`;
  answering(200, { token, expires: 'later' });
  const found = await api.playbackToken('storage@shop.loc');
  assert.equal(found?.token, token);
  assert.ok(Math.abs((found?.until ?? 0) - Date.now() - 3_600_000) < 5_000);
  assert.deepEqual(asked, ['POST /playback Bearer T']);
  answering(404, { error: {} });
  assert.equal(await api.playbackToken('storage@shop.loc'), null);
});

test('codes: for whom, made, and none to be had', async () => {
  const device = { jid: 'till@shop.loc', role: 'device', back: false };
  answering(200, { devices: [device] });
  assert.deepEqual(await api.invitable(), [device]);
  answering(403, { error: {} });
  assert.equal(await api.invitable(), null);
  answering(429, { error: {} });
  assert.equal(await api.invite('till@shop.loc'), null);
});
