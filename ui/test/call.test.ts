import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Call, route } from '../src/core/call.ts';
import { FakePeerConnection, FakeRoom, fakeWindow, settle } from './fakes.ts';

const CAMERA = 'gate@shop.loc/1';
const ice = (candidate: string) => ({ candidate, sdpMid: '0', sdpMLineIndex: 0 });

let room: FakeRoom;
let ended: string[];
let call: Call;
let pc: FakePeerConnection;

beforeEach(() => {
  room = new FakeRoom();
  ended = [];
  call = new Call(room, CAMERA, 'live', { ended: (reason) => ended.push(reason) });
  pc = FakePeerConnection.all.at(-1) as FakePeerConnection;
});

function offer(part: object, from = CAMERA): void {
  room.calls.get(room.call)?.offer({ type: 'OfferMedia', from, call: room.call, ...part });
}

test('asks, and answers the offer', async () => {
  offer({ sdp: 'offer' });
  await settle();
  assert.deepEqual(room.types(), ['RequestMedia', 'AnswerMedia']);
  assert.deepEqual(room.sent[1], {
    type: 'AnswerMedia',
    to: CAMERA,
    call: room.call,
    sdp: 'answer',
  });
});

test('candidates that come before the offer wait for it', async () => {
  offer({ ice: ice('a') });
  offer({ ice: ice('b') });
  offer({ sdp: 'offer' });
  await settle();
  offer({ ice: ice('c') });
  assert.deepEqual(pc.log, ['remote offer', 'ice a', 'ice b', 'ice c']);
});

test('own candidates are sent as they are found, their end included', () => {
  pc.onicecandidate?.({ candidate: ice('mine') });
  pc.onicecandidate?.({ candidate: ice('') });
  pc.onicecandidate?.({ candidate: null });
  const sent = room.sent.slice(1).map((message) => 'ice' in message && message.ice?.candidate);
  assert.deepEqual(sent, ['mine', '']);
});

test('an offer or an end from somebody else is no part of the call', async () => {
  offer({ sdp: 'offer' }, 'thief@shop.loc/1');
  const sink = room.calls.get(room.call);
  sink?.end({ type: 'EndMedia', from: 'thief@shop.loc/1', to: '', call: '', reason: 'x' });
  await settle();
  assert.deepEqual(pc.log, []);
  assert.deepEqual(ended, []);
});

test('stopping tells the device once and is no event', () => {
  call.stop();
  call.stop();
  assert.deepEqual(room.types(), ['RequestMedia', 'EndMedia']);
  assert.deepEqual(ended, []);
  assert.equal(room.calls.size, 0);
  assert.equal(pc.connectionState, 'closed');
});

test('the end from the device is told once, and not answered', () => {
  room.calls.get(room.call)?.end({
    type: 'EndMedia',
    from: CAMERA,
    to: '',
    call: '',
    reason: 'camera stops',
  });
  pc.turn('failed');
  assert.deepEqual(ended, ['camera stops']);
  assert.deepEqual(room.types(), ['RequestMedia']);
});

test('a lost connection ends the call, and the device is told', () => {
  pc.turn('failed');
  assert.deepEqual(ended, ['connection lost']);
  assert.deepEqual(room.types(), ['RequestMedia', 'EndMedia']);
});

test('another network: the call is asked for again by its id, and goes on with the new offer', async () => {
  offer({ sdp: 'first' });
  await settle();
  pc.turn('connected');
  fakeWindow.dispatchEvent(new Event('online'));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(room.types(), ['RequestMedia', 'AnswerMedia', 'RequestMedia']);
  assert.deepEqual(room.sent[2], room.sent[0]);
  offer({ sdp: 'second' });
  await settle();
  offer({ ice: ice('a') });
  const again = FakePeerConnection.all.at(-1) as FakePeerConnection;
  assert.notEqual(again, pc);
  assert.deepEqual(again.log, ['remote second', 'ice a']);
  assert.equal(pc.connectionState, 'closed');
  again.turn('connected');
  assert.deepEqual(ended, []);
  call.stop();
});

test('a lost connection is waited for, asked for again, and given up', async () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    offer({ sdp: 'first' });
    pc.turn('connected');
    pc.turn('disconnected');
    mock.timers.tick(900);
    assert.deepEqual(room.types(), ['RequestMedia']);
    mock.timers.tick(200);
    assert.deepEqual(room.types(), ['RequestMedia', 'RequestMedia']);
    pc.turn('failed');
    for (let s = 0; s < 15; s += 1) mock.timers.tick(1_000);
    assert.deepEqual(ended, ['connection lost']);
    assert.equal(room.types().at(-1), 'EndMedia');
    assert.ok(room.types().filter((type) => type === 'RequestMedia').length < 8);
  } finally {
    mock.timers.reset();
  }
});

test('a connection that heals by itself asks for nothing', () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    pc.turn('connected');
    pc.turn('disconnected');
    mock.timers.tick(500);
    pc.turn('connected');
    mock.timers.tick(20_000);
    assert.deepEqual(room.types(), ['RequestMedia']);
    assert.deepEqual(ended, []);
  } finally {
    mock.timers.reset();
  }
});

test('an offer that cannot be taken ends the call', async () => {
  offer({ sdp: 'bad' });
  await settle();
  assert.match(ended[0] ?? '', /^offer refused/);
});

test('a room that is not there ends the call, after its maker has it', async () => {
  room.connected = false;
  const late = new Call(room, CAMERA, 'live', { ended: (reason) => ended.push(reason) });
  assert.deepEqual(ended, []);
  await settle();
  assert.deepEqual(ended, ['no room']);
  late.stop();
});

test('the way of the media, from the pair in use', () => {
  const entries: [string, object][] = [
    ['T', { type: 'transport', selectedCandidatePairId: 'P2' }],
    ['P1', { type: 'candidate-pair', localCandidateId: 'R', remoteCandidateId: 'H' }],
    ['P2', { type: 'candidate-pair', localCandidateId: 'H', remoteCandidateId: 'H' }],
    ['R', { type: 'local-candidate', candidateType: 'relay' }],
    ['H', { type: 'local-candidate', candidateType: 'host' }],
  ];
  const stats = (list: [string, object][]) => new Map(list) as unknown as RTCStatsReport;
  assert.equal(route(stats(entries)), 'Direct');
  entries[0] = ['T', { type: 'transport', selectedCandidatePairId: 'P1' }];
  assert.equal(route(stats(entries)), 'Relayed');
  assert.equal(route(stats(entries.slice(1))), null);
});
