import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cameraState, Room, storedAge } from '../src/core/room.ts';
import { formatTime } from '../src/core/time.ts';
import { offlineSince, summary, trouble } from '../src/core/words.ts';
import type { Chat, MessageFromServer, Peer, StatusFields } from '../src/protocol.gen.ts';

const NOW = Date.parse('2026-11-22T14:10:00Z') / 1000;
const ago = (seconds: number): string => formatTime(NOW - seconds);

function camera(name: string, status: StatusFields | null, ready = true): Peer {
  const jid = `${name}@shop.loc/1`;
  return { jid, name, role: 'device', location: 'shop', capabilities: [], ready, status };
}

function storage(recording: Record<string, { 'durable-until': string }>): Peer {
  const jid = 'storage@shop.loc/1';
  const status = { recording };
  return { jid, name: 's', role: 'storage', location: 'shop', capabilities: [], ready: true, status };
}

function room(roster: Peer[], names = ['gate', 'yard', 'till']): Room {
  const made = new Room();
  const devices = names.map((name) => ({
    jid: `${name}@shop.loc`,
    name: name.slice(0, 1).toUpperCase() + name.slice(1),
    'last-seen': ago(480),
  }));
  const welcome = {
    type: 'Welcome',
    jid: 'owner@shop.loc/page',
    roster,
    'ice-servers': [],
    'server-time': formatTime(NOW),
    locations: [
      { name: 'shop', title: 'Shop', timezone: 'UTC', storage: 'storage@shop.loc', devices },
    ],
    chat: [],
  };
  // This browser's clock is three minutes behind the server's.
  // A newer server tells more, and the page does without.
  made.apply(welcome as unknown as MessageFromServer, NOW - 180);
  return made;
}

const EMPTY = {
  type: 'Welcome' as const,
  jid: 'owner@shop.loc/page',
  roster: [],
  'ice-servers': [],
  'server-time': formatTime(NOW),
  locations: [],
};
const stored = (age: number): StatusFields => ({ recording: 'stored', 'durable-until': ago(age) });
const cameras = (made: Room) => made.sections().flatMap((section) => section.cameras);

test('all stored is quiet, and a wrong clock of the browser is no matter', () => {
  const made = room([camera('gate', stored(2)), camera('yard', stored(9)), camera('till', stored(0))]);
  assert.equal(made.clockOffset, 180);
  const { tone, number, why } = summary(cameras(made), NOW);
  assert.deepEqual([tone, number, why], ['quiet', 'All 3 recording', '']);
});

test('REC follows what storage confirmed: more than 10 s is late', () => {
  const [gate] = cameras(room([camera('gate', stored(11))]));
  assert.ok(gate);
  assert.equal(cameraState(gate, NOW), 'late');
  assert.equal(storedAge(gate, NOW), 11);
  assert.equal(trouble(gate, NOW), 'gate was last stored 11 s ago.');
});

test('an offline camera is told with the time it left', () => {
  const made = room([camera('yard', stored(1)), camera('till', stored(1))]);
  const [gate] = cameras(made);
  assert.ok(gate);
  assert.equal(cameraState(gate, NOW), 'offline');
  assert.equal(offlineSince(gate, NOW), 'offline since 14:02');
  const { number, tone, why } = summary(cameras(made), NOW);
  assert.equal(number, '2 of 3 recording');
  assert.equal(tone, 'care');
  assert.match(why, /^Gate is offline since 14:02\. It keeps recording on the device/);
});

test('a Disconnect is newer than what Welcome said', () => {
  const made = room([camera('gate', stored(1))]);
  const { ready: _r, status: _s, ...who } = camera('gate', null);
  made.apply({ type: 'Disconnect', ...who }, NOW - 180 + 60);
  const [gate] = cameras(made);
  assert.ok(gate);
  assert.equal(offlineSince(gate, NOW + 60), 'offline since 14:11');
});

test('a camera cut off from the room but not from storage is recording', () => {
  const made = room([storage({ 'gate@shop.loc': { 'durable-until': ago(3) } })]);
  const [gate] = cameras(made);
  assert.ok(gate);
  assert.equal(gate.peer, null);
  assert.equal(cameraState(gate, NOW), 'stored');
});

test('on the device is amber, nothing at all is red and comes first', () => {
  const spooled: StatusFields = { recording: 'spooled', 'durable-until': ago(900) };
  const amber = room([camera('gate', spooled), camera('yard', stored(1)), camera('till', stored(1))]);
  assert.deepEqual(
    [summary(cameras(amber), NOW).tone, summary(cameras(amber), NOW).why],
    ['care', 'gate records on the device.'],
  );
  const nothing: StatusFields = { recording: 'nothing', 'durable-until': ago(2) };
  const red = room([camera('gate', spooled), camera('yard', nothing), camera('till', nothing)]);
  const { tone, number, why } = summary(cameras(red), NOW);
  assert.deepEqual([tone, number, why], ['lost', '0 of 3 recording', '2 record nothing.']);
});

test('before the first Status nothing is claimed', () => {
  const made = room([camera('gate', null), camera('yard', null), camera('till', null)]);
  const { tone, number } = summary(cameras(made), NOW);
  assert.deepEqual([tone, number], ['checking', 'Checking 3 cameras']);
});

test('Status, readiness and coming back change what is known', () => {
  const made = room([camera('gate', null, false)]);
  const from = 'gate@shop.loc/1';
  made.apply({ type: 'OfferMedia', from, sdp: 'v=0' }, NOW);
  made.apply({ type: 'Status', from, ...stored(1) }, NOW);
  const [gate] = cameras(made);
  assert.equal(gate?.peer?.ready, true);
  assert.ok(gate && cameraState(gate, NOW) === 'stored');
});

test('the storage is no camera, a device that joins a location is one', () => {
  const made = room([camera('shed', stored(1)), storage({})], ['gate', 'storage']);
  assert.deepEqual(
    cameras(made).map((one) => one.jid),
    ['gate@shop.loc', 'shed@shop.loc'],
  );
});

test('chat is kept, but not without end', () => {
  const made = room([]);
  for (let i = 0; i < 600; i += 1) made.apply({ type: 'Chat', text: String(i) }, NOW);
  assert.equal(made.chats.length, 500);
  assert.equal(made.chats.at(-1)?.text, '599');
});

test('what was said before and while away stands once, in order', () => {
  const made = room([]);
  const line = (second: number): Chat => ({
    type: 'Chat',
    text: `said at ${second}`,
    from: 'ann@shop.loc/a',
    time: formatTime(NOW + second),
  });
  made.apply(line(1), NOW);
  made.apply(line(2), NOW);
  made.apply({ ...EMPTY, chat: [line(0), line(2), line(3)] }, NOW);
  assert.deepEqual(
    made.chats.map((chat) => chat.text),
    ['said at 0', 'said at 1', 'said at 2', 'said at 3'],
  );
});
