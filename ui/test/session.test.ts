import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { settle } from './fakes.ts';

const store = new Map<string, string>();
let answers: (Response | Error)[] = [];
let asked: { method: string; authorization: string | null; body: string }[] = [];

Object.assign(globalThis, {
  addEventListener: () => undefined,
  fetch: async (_: string, init: RequestInit) => {
    const headers = new Headers(init.headers);
    asked.push({
      method: init.method ?? 'GET',
      authorization: headers.get('authorization'),
      body: String(init.body ?? ''),
    });
    const answer = answers.shift() ?? new Error('offline');
    if (answer instanceof Error) throw answer;
    return answer;
  },
});
Object.defineProperty(globalThis, 'localStorage', {
  value: {
    getItem: (key: string) => store.get(key) ?? null,
    setItem: (key: string, value: string) => store.set(key, value),
    removeItem: (key: string) => store.delete(key),
  },
});
// Browsers give a lock later, never at once.
Object.defineProperty(globalThis, 'navigator', {
  value: { locks: { request: async (_: string, work: () => unknown) => (await settle(), work()) } },
});
const { Session } = await import('../src/core/session.ts');

function jwt(id: string): string {
  const claims = { sub: 'owner@shop.loc', jti: id, iat: 1000, exp: 8200 };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.sig`;
}

const ok = (id: string): Response => Response.json({ token: jwt(id), expires: 'x' });
const refused = (): Response => new Response('{}', { status: 401 });

let session: InstanceType<typeof Session>;

beforeEach(() => {
  store.clear();
  answers = [];
  asked = [];
  session = new Session();
});

afterEach(() => {
  session.end();
  mock.timers.reset();
});

test('a link’s token becomes a sign-in', async () => {
  let told = 0;
  session.subscribe(() => (told += 1));
  answers = [ok('a')];
  assert.equal(await session.finish('link'), 'signed-in');
  assert.equal(session.token, jwt('a'));
  assert.equal(session.jid, 'owner@shop.loc');
  assert.equal(told, 1);
  assert.deepEqual(asked[0], { method: 'POST', authorization: null, body: '{"token":"link"}' });
});

test('a used link has expired; no answer is something else', async () => {
  answers = [refused()];
  assert.equal(await session.finish('link'), 'expired');
  assert.equal(await session.finish('link'), 'failed');
  assert.equal(session.token, null);
});

test('the token is recycled at half its life', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  answers = [ok('a'), ok('b')];
  await session.finish('link');
  mock.timers.tick(3_599_000);
  await settle();
  assert.equal(asked.length, 1);
  mock.timers.tick(2_000);
  await settle();
  assert.equal(asked[1]?.authorization, `Bearer ${jwt('a')}`);
  assert.equal(session.token, jwt('b'));
});

test('a session that is over signs out', async () => {
  answers = [ok('a'), refused()];
  await session.finish('link');
  assert.equal(await session.recycle(), false);
  assert.equal(session.token, null);
});

test('a lost answer is asked for again with the same token', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  answers = [ok('a'), new Error('lost'), ok('b')];
  await session.finish('link');
  const recycled = session.recycle();
  await settle();
  mock.timers.tick(400);
  assert.equal(await recycled, true);
  assert.deepEqual(
    asked.slice(1).map((one) => one.authorization),
    [`Bearer ${jwt('a')}`, `Bearer ${jwt('a')}`],
  );
  assert.equal(session.token, jwt('b'));
});

test('two that want it at once recycle once', async () => {
  answers = [ok('a'), ok('b')];
  await session.finish('link');
  await Promise.all([session.recycle(), session.recycle()]);
  assert.equal(asked.length, 2);
});

test('what another tab stored meanwhile is not overwritten', async () => {
  answers = [ok('a')];
  await session.finish('link');
  const recycled = session.recycle();
  // Before this tab gets its turn the other one has finished.
  store.set('ucam.session', JSON.stringify({ token: jwt('c'), at: Date.now(), life: 7200 }));
  assert.equal(await recycled, true);
  assert.equal(asked.length, 1);
  assert.equal(session.token, jwt('c'));
});

test('signing out tells the server, and forgets also when it is out of reach', async () => {
  answers = [ok('a'), new Error('offline')];
  await session.finish('link');
  await session.signOut();
  assert.equal(session.token, null);
  assert.equal(asked[1]?.method, 'DELETE');
});
