import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

class FakeSocket {
  static all: FakeSocket[] = [];
  static readonly OPEN = 1;
  readyState = 1;
  sent: string[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly url: string;

  constructor(url: string, protocols: string[]) {
    this.url = `${url} ${protocols.join(' ')}`;
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.readyState = 3;
  }
}

const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
const page = new EventTarget();
Object.assign(globalThis, {
  WebSocket: FakeSocket,
  document,
  addEventListener: page.addEventListener.bind(page),
  removeEventListener: page.removeEventListener.bind(page),
});
const { Signaling } = await import('../src/core/signaling.ts');

let told: string[];
let token: string | null;
let signaling: InstanceType<typeof Signaling>;
const socket = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;
const receive = (message: object): void => socket().onmessage?.({ data: JSON.stringify(message) });

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  FakeSocket.all = [];
  told = [];
  token = 'a';
  signaling = new Signaling(() => token === null ? null : { url: 'wss://x/ws', token }, {
    message: (message) => told.push(message.type),
    connected: (connected) => told.push(connected ? 'connected' : 'gone'),
    closed: (code) => told.push(`closed ${code}`),
  });
  signaling.start();
});

afterEach(() => {
  signaling.stop();
  mock.timers.reset();
});

test('sends only after Welcome', () => {
  const chat = { type: 'Chat', text: 'hello' } as const;
  assert.equal(signaling.send(chat), false);
  receive({ type: 'Welcome' });
  assert.equal(signaling.send(chat), true);
  assert.deepEqual(socket().sent, [JSON.stringify(chat)]);
  assert.deepEqual(told, ['connected', 'Welcome']);
});

test('comes back by itself, with the token that is good then', () => {
  receive({ type: 'Welcome' });
  socket().onclose?.({ code: 1006 });
  token = 'b';
  assert.deepEqual(told.slice(2), ['gone', 'closed 1006']);
  mock.timers.tick(400);
  assert.equal(FakeSocket.all.length, 2);
  assert.equal(socket().url, 'wss://x/ws ucam bearer.b');
});

test('waits longer each time, and starts over after a Welcome', () => {
  for (const ceiling of [400, 800, 1600]) {
    const before = FakeSocket.all.length;
    socket().onclose?.({ code: 1006 });
    mock.timers.tick(ceiling / 2 - 1);
    assert.equal(FakeSocket.all.length, before, `not before half of ${ceiling} ms`);
    mock.timers.tick(ceiling / 2 + 1);
    assert.equal(FakeSocket.all.length, before + 1);
  }
  receive({ type: 'Welcome' });
  socket().onclose?.({ code: 1006 });
  mock.timers.tick(400);
  assert.equal(FakeSocket.all.length, 5);
});

test('a network that comes back is not waited for', () => {
  socket().onclose?.({ code: 1006 });
  page.dispatchEvent(new Event('online'));
  assert.equal(FakeSocket.all.length, 2);
  mock.timers.tick(1_000);
  assert.equal(FakeSocket.all.length, 2, 'the attempt that was due is not made as well');
});

test('cameras that fall silent mean a dead connection', () => {
  receive({ type: 'Welcome' });
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.all.length, 1, 'without cameras silence is fine');
  receive({ type: 'Status', from: 'gate@shop.loc/1' });
  mock.timers.tick(8_000);
  receive({ type: 'Status', from: 'gate@shop.loc/1' });
  mock.timers.tick(8_000);
  assert.equal(FakeSocket.all.length, 1);
  mock.timers.tick(2_000);
  assert.ok(told.includes('gone'));
});

test('what is no message is ignored', () => {
  socket().onmessage?.({ data: 'not JSON' });
  socket().onmessage?.({ data: new ArrayBuffer(3) });
  assert.deepEqual(told, []);
});

test('after stop nothing comes any more', () => {
  const last = socket();
  signaling.stop();
  last.onclose?.({ code: 1006 });
  last.onmessage?.({ data: '{"type":"Welcome"}' });
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.deepEqual(told, []);
});
