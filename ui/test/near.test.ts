import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { NearSources } from '../src/core/near.ts';
import { mayReachLocal, Near } from '../src/core/near.ts';

const real = globalThis.fetch;
const ORIGIN = 'https://nvr.shop.test:8443';

let asked: string[];
let origin: string | null;
let may: boolean;
let answer: (path: string) => Response | Promise<Response>;
let tokens: number;
let changed: number;

beforeEach(() => {
  asked = [];
  origin = ORIGIN;
  may = true;
  tokens = changed = 0;
  answer = () => new Response('body', { status: 206, headers: { 'content-range': 'bytes 0-3/9' } });
  globalThis.fetch = async (url, options) => {
    const headers = new Headers(options?.headers);
    asked.push([options?.method, url, headers.get('authorization'), headers.get('range')].join(' '));
    return answer(String(url));
  };
});

afterEach(() => {
  globalThis.fetch = real;
});

function near(more: Partial<NearSources> = {}): Near {
  return new Near({
    origin: () => origin,
    token: async () => ({ token: `T${(tokens += 1)}`, until: Date.now() + 3_600_000 }),
    mayReach: async () => may,
    changed: () => (changed += 1),
    ...more,
  });
}

async function proved(): Promise<Near> {
  const one = near();
  await one.probe();
  assert.equal(one.used, true);
  asked = [];
  return one;
}

test('a storage that answers quickly is asked directly', async () => {
  const one = near();
  assert.equal(await one.request('/cameras', {}), null, 'not before it has proved good');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(one.used, true);
  asked = [];
  const found = await one.request('/chunks/1', { range: [0, 3] });
  assert.equal(new TextDecoder().decode(found?.body), 'body');
  assert.equal(found?.headers['content-range'], 'bytes 0-3/9');
  assert.deepEqual(asked, [`GET ${ORIGIN}/chunks/1 Bearer T1 bytes=0-3`]);
  assert.equal(changed, 1);
});

test('one that is slow is left alone, and so is one that may not be reached', async () => {
  answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 40));
    return new Response();
  };
  const slow = near();
  await slow.probe();
  assert.equal(slow.used, false);
  asked = [];
  may = false;
  const closed = near();
  await closed.probe();
  assert.deepEqual(asked, [], 'the person would be asked out of the blue');
  answer = () => new Response();
  await closed.probe(true);
  assert.equal(closed.used, true, 'the person has asked for it');
});

test('without an address there is nothing to try', async () => {
  origin = null;
  const one = near();
  await one.probe(true);
  assert.deepEqual(asked, []);
  assert.equal(one.used, false);
});

for (const [what, fails] of [
  ['a connection that breaks', () => Promise.reject(new TypeError('network'))],
  ['a token that is refused', () => new Response('', { status: 401 })],
  ['too many at once', () => new Response('', { status: 503 })],
] as [string, () => Response | Promise<Response>][]) {
  test(`${what} leads back to the channel, and is not tried again at once`, async () => {
    const one = await proved();
    answer = fails;
    assert.equal(await one.request('/chunks/1', {}), null);
    assert.equal(one.used, false);
    asked = [];
    assert.equal(await one.request('/chunks/1', {}), null);
    assert.deepEqual(asked, []);
  });
}

test('what is not there is an answer, not a fault of the way', async () => {
  const one = await proved();
  answer = () => new Response('', { status: 404 });
  assert.equal((await one.request('/chunks/1', {}))?.status, 404);
  assert.equal(one.used, true);
});

test('what nobody waits for any more is no fault either', async () => {
  const one = await proved();
  const stop = new AbortController();
  answer = () => {
    stop.abort();
    return Promise.reject(new DOMException('aborted', 'AbortError'));
  };
  await assert.rejects(one.request('/chunks/1', { signal: stop.signal }), { name: 'AbortError' });
  assert.equal(one.used, true);
});

test('another network, or another address, is tried anew', async () => {
  const one = await proved();
  one.networkChanged();
  assert.equal(one.used, false);
  await one.probe();
  assert.equal(one.used, true);
  origin = 'https://other.shop.test:8443';
  assert.equal(one.used, false);
  await one.probe();
  assert.match(asked.at(-1) ?? '', /^HEAD https:\/\/other/);
  assert.equal(tokens, 1, 'one token does for all of it');
});

test('pages of the same network need no leave', async () => {
  for (const host of ['localhost', '127.0.0.1', '192.168.1.4', '172.20.0.9', '[::1]', 'nas.local']) {
    assert.equal(await mayReachLocal(host), 'granted', host);
  }
  const query = async ({ name }: { name: string }) => {
    if (name !== 'local-network-access') throw new TypeError('no such permission');
    return { state: 'prompt' };
  };
  Object.defineProperty(navigator, 'permissions', { value: { query }, configurable: true });
  for (const host of ['cams.example.com', '[2001:db8::1]', '172.40.0.1', 'x.local.example.com']) {
    assert.equal(await mayReachLocal(host), 'prompt', host);
  }
});
