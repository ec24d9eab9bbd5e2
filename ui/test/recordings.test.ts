import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { NotFound } from '../src/core/answers.ts';
import { RecordingsChannel, StorageAway } from '../src/core/recordings.ts';
import { FakeChannel, FakePeerConnection, FakeRoom, settle } from './fakes.ts';

const STORAGE = 'storage@shop.loc/1';
const BYTES = Uint8Array.of(1, 2, 3);

let room: FakeRoom;
let peer: string | null;
let recordings: RecordingsChannel;

beforeEach(() => {
  room = new FakeRoom();
  peer = STORAGE;
  recordings = new RecordingsChannel(room, () => peer);
});

afterEach(() => recordings.close());

/** The storage opens its channel in the newest call. */
function open(): FakeChannel {
  const channel = new FakeChannel();
  FakePeerConnection.all.at(-1)?.ondatachannel?.({ channel });
  return channel;
}

test('connects when first asked, then asks on the same channel', async () => {
  assert.deepEqual(room.types(), []);
  const first = recordings.request('/chunks/1', { range: [0, 2] });
  await settle();
  const channel = open();
  await settle();
  assert.deepEqual(channel.sent, [{ id: 1, path: '/chunks/1', range: 'bytes=0-2' }]);
  channel.answer(1, 206, BYTES);
  assert.deepEqual([...(await first).body], [1, 2, 3]);
  const second = recordings.request('/cameras');
  await settle();
  channel.answer(2, 200, BYTES);
  assert.equal((await second).status, 200);
  assert.deepEqual(room.types(), ['RequestMedia']);
});

test('asks again on a new channel when the first one dies', async () => {
  const answer = recordings.request('/cameras');
  await settle();
  const dead = open();
  await settle();
  dead.onclose?.();
  await new Promise((resolve) => setTimeout(resolve, 400)); // the first pause is at most 300 ms
  const alive = open();
  await settle();
  assert.equal(alive.sent[0]?.path, '/cameras');
  alive.answer(alive.sent[0]?.id ?? 0, 200, BYTES);
  assert.equal((await answer).status, 200);
  assert.deepEqual(room.types(), ['RequestMedia', 'EndMedia', 'RequestMedia']);
});

test('what is no longer wanted is called off', async () => {
  const stop = new AbortController();
  const answer = recordings.request('/chunks/1', { signal: stop.signal });
  await settle();
  const channel = open();
  await settle();
  stop.abort();
  await assert.rejects(answer, { name: 'AbortError' });
  assert.deepEqual(channel.sent.at(-1), { id: 1, abort: true });
  channel.answer(1, 206, BYTES); // too late: dropped
});

test('six at once; the rest wait, and may give up waiting', async () => {
  const stop = new AbortController();
  const answers = Array.from({ length: 7 }, (_, i) => recordings.request(`/chunks/${i}`));
  const eighth = recordings.request('/chunks/8', { signal: stop.signal });
  void eighth.catch(() => undefined);
  await settle();
  const channel = open();
  await settle();
  assert.equal(channel.sent.length, 6);
  stop.abort();
  for (const { id } of channel.sent.slice()) channel.answer(id, 206, BYTES);
  await settle();
  await settle();
  assert.deepEqual(
    channel.sent.slice(6).map((one) => one.path),
    ['/chunks/6'],
  );
  channel.answer(channel.sent[6]?.id ?? 0, 206, BYTES);
  await Promise.all(answers);
  await assert.rejects(eighth, { name: 'AbortError' });
});

test('a storage that is not in the room is told as that, and is found when it comes', async () => {
  peer = null;
  await assert.rejects(recordings.request('/cameras'), StorageAway);
  peer = STORAGE;
  const answer = recordings.request('/cameras');
  await settle();
  const channel = open();
  await settle();
  channel.answer(channel.sent[0]?.id ?? 0, 200, BYTES);
  assert.equal((await answer).status, 200);
});

test('JSON resources are read, what is not there is told', async () => {
  const answer = recordings.json<{ cameras: [] }>('/cameras');
  await settle();
  const channel = open();
  await settle();
  channel.answer(1, 200, new TextEncoder().encode('{"cameras":[]}'));
  assert.deepEqual(await answer, { cameras: [] });
  const missing = recordings.json('/cameras/x@y/timeline');
  await settle();
  channel.answer(2, 404, new TextEncoder().encode('{}'));
  await assert.rejects(missing, NotFound);
});
