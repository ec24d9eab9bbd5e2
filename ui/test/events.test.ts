import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromNoticed, fromTimeline, gathered, ordered } from '../src/core/events.ts';
import type { Camera } from '../src/core/room.ts';
import { Room } from '../src/core/room.ts';
import type { Location } from '../src/protocol.gen.ts';

const NOW = Date.parse('2026-09-17T14:02:00Z') / 1000;
const YARD = { jid: 'yard@shop.loc', name: 'Yard', zone: 'UTC', peer: {} } as Camera;

test('gaps with their reasons, and what arrived later', () => {
  const activity = { interval: 0, values: [] };
  const data = {
    from: NOW - 9000,
    to: NOW,
    spans: [],
    onDevice: [],
    activity,
    gaps: [
      { from: NOW - 5000, to: NOW - 4640, reason: 'The device restarted.' },
      { from: NOW - 10, to: NOW - 9, reason: 'too short to tell' },
    ],
    later: [{ from: NOW - 8000, to: NOW - 7400 }],
  };
  assert.deepEqual(
    ordered(fromTimeline(YARD, data)).map(({ text }) => text),
    [
      'recorded nothing for 6 min: the device restarted.',
      'kept 10 min on the device. All of it arrived.',
    ],
  );
});

test('what an offline camera misses is not lost yet', () => {
  const activity = { interval: 0, values: [] };
  const gaps = [{ from: NOW - 60, to: NOW, reason: 'The camera was not connected.' }];
  const data = { from: NOW - 9000, to: NOW, spans: [], onDevice: [], later: [], activity, gaps };
  assert.equal(fromTimeline(YARD, data)[0]?.kind, 'gap');
  const [offline] = fromTimeline({ ...YARD, peer: null }, data);
  assert.equal(offline?.kind, 'offline');
  assert.match(offline?.text ?? '', /^went offline\. It keeps recording/);
});

test('looking again and again is told once, with how often', () => {
  const line = (at: number, text: string) => ({ at, text });
  const lines = [
    line(NOW, 'watched Yard live.'),
    line(NOW - 10, 'watched Till live.'),
    line(NOW - 500, 'watched Yard live.'),
    line(NOW - 1000, 'watched Yard live.'),
    line(NOW - 1700, 'watched Yard live.'),
    line(NOW - 1701, 'signed in.'),
    line(NOW - 1702, 'signed in.'),
  ];
  const told = gathered(lines, ({ text }) => (text.startsWith('watched') ? text : null));
  assert.deepEqual(
    told.map(({ at, text }) => [NOW - at, text]),
    [
      [0, 'watched Yard live, 3 times.'],
      [10, 'watched Till live.'],
      [1700, 'watched Yard live.'],
      [1701, 'signed in.'],
      [1702, 'signed in.'],
    ],
  );
});

test('the same event is told once, the newest first', () => {
  const came = fromNoticed({ at: NOW, jid: YARD.jid, what: 'came' }, YARD);
  const left = fromNoticed({ at: NOW - 60, jid: YARD.jid, what: 'left' }, YARD);
  assert.deepEqual(
    ordered([left, came, left]).map(({ at }) => at),
    [NOW, NOW - 60],
  );
  assert.match(left.text, /^lost its network at 14:01\./);
});

test('the room notices devices that come, go, and record elsewhere', () => {
  const room = new Room();
  const from = 'yard@shop.loc/1';
  const peer = { jid: from, name: 'Yard', role: 'device' as const, location: 'shop', capabilities: [] };
  room.apply({ type: 'Connect', ...peer }, NOW);
  room.apply({ type: 'Status', from, recording: 'stored', spool: { bytes: 0, seconds: 1 } }, NOW);
  room.apply({ type: 'Status', from, recording: 'spooled', spool: { bytes: 9, seconds: 20 } }, NOW + 20);
  room.apply({ type: 'Status', from, recording: 'spooled', spool: { bytes: 9, seconds: 50 } }, NOW + 50);
  room.apply({ type: 'Status', from, recording: 'stored', spool: { bytes: 0, seconds: 1 } }, NOW + 60);
  room.apply({ type: 'Connect', ...peer, jid: 'mara@x/1', role: 'user' }, NOW);
  room.apply({ type: 'Disconnect', ...peer }, NOW + 70);
  assert.deepEqual(
    room.noticed.map(({ what }) => what),
    ['came', 'spooled', 'stored', 'left'],
  );
  const devices = [{ jid: YARD.jid, name: 'Yard', 'last-seen': null }];
  room.locations = [{ name: 'shop', title: '', timezone: null, storage: null, devices } as Location];
  assert.deepEqual(room.sections()[0]?.cameras[0]?.waited, [{ from: NOW, to: NOW + 50 }]);
});
