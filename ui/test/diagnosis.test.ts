import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnose } from '../src/core/diagnosis.ts';
import type { Camera, CameraStatus } from '../src/core/room.ts';

const NOW = Date.parse('2026-09-17T14:30:00Z') / 1000;

function camera(status: CameraStatus, more: Partial<Camera> = {}): Camera {
  const recording = typeof status.recording === 'string' ? status.recording : 'stored';
  const peer = {
    jid: 'gate@shop.loc/1',
    name: 'Gate',
    role: 'device' as const,
    location: 'shop',
    capabilities: [],
    ready: true,
    status,
  };
  return {
    jid: 'gate@shop.loc',
    name: 'Gate',
    location: 'shop',
    zone: 'UTC',
    storage: 'storage@shop.loc',
    peer,
    lastSeen: NOW,
    durableUntil: NOW - 2,
    recording,
    status,
    waited: [],
    ...more,
  };
}

const faultOf = (one: Camera): string => diagnose(one, NOW).fault;

test('a camera that is well has no fault', () => {
  const well = camera({ spool: { bytes: 0, seconds: 1 }, temperature: 45, 'clock-offset': 0.2 });
  assert.deepEqual(diagnose(well, NOW), { fault: '', advice: '' });
});

test('what becomes of the footage comes before the machine', () => {
  const stale = { durableUntil: NOW - 900 };
  const spooled = camera({ recording: 'spooled', 'under-voltage': 2, spool: { bytes: 9, seconds: 1920 } }, stale);
  assert.equal(faultOf(spooled), 'Does not reach its storage.');
  assert.match(diagnose(spooled, NOW).advice, /32 min so far/);
  assert.equal(faultOf(camera({ recording: 'nothing' }, stale)), 'Records nothing.');
  const away = camera({}, { ...stale, peer: null, lastSeen: NOW - 1680 });
  assert.equal(faultOf(away), 'No network since 14:02.');
  const never = camera({}, { peer: null, lastSeen: null, durableUntil: null });
  assert.equal(faultOf(never), 'It has not been here yet.');
});

test('the machine: power, clock, heat', () => {
  assert.equal(faultOf(camera({ 'under-voltage': 1 })), 'Pi under-voltage.');
  assert.equal(faultOf(camera({ 'clock-offset': -180 })), 'Clock off by 3 min.');
  assert.equal(faultOf(camera({ temperature: 83.4 })), 'Hot: 83 °C.');
});

test('back with a backlog, and what the camera says itself', () => {
  const back = camera({ spool: { bytes: 9, seconds: 1920 } });
  assert.deepEqual(diagnose(back, NOW), {
    fault: 'Back.',
    advice: '32 min of recording are on their way.',
  });
  assert.equal(diagnose(camera({ message: 'The lens is dirty.' }), NOW).advice, 'The lens is dirty.');
});
