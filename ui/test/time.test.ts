import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  dayOf,
  dayWords,
  formatMs,
  formatTime,
  hhmm,
  hhmmss,
  parseTime,
  size,
  span,
  zoneOffset,
} from '../src/core/time.ts';

const at = (text: string): number => Date.parse(text) / 1000;

test('microseconds survive reading and writing', () => {
  const text = '2026-11-22T05:30:00.123456Z';
  assert.equal(formatTime(parseTime(text)), text);
  assert.equal(parseTime('2026-11-22T06:30:00+01:00'), at('2026-11-22T05:30:00Z'));
  assert.ok(Number.isNaN(parseTime('yesterday')));
});

test('milliseconds are rounded, not cut', () => {
  assert.equal(formatMs(parseTime('2026-11-22T05:30:00.1239Z')), '2026-11-22T05:30:00.124Z');
});

test('times are those of the zone', () => {
  assert.equal(hhmm(at('2026-11-22T05:30:09Z'), 'Asia/Kathmandu'), '11:15');
  assert.equal(hhmmss(at('2026-11-22T00:00:09Z'), 'UTC'), '00:00:09');
  assert.equal(dayWords(at('2026-09-17T18:42:07Z'), 'Europe/Lisbon'), 'Thursday 17 September');
});

test('a zone that the browser does not know still gives a time', () => {
  assert.match(hhmm(0, 'Nowhere/At_all'), /^\d\d:\d\d$/);
});

test('a day begins at the midnight of the zone', () => {
  const { start, end } = dayOf(at('2026-11-22T23:30:00Z'), 'Europe/Helsinki');
  assert.equal(start, at('2026-11-22T22:00:00Z'));
  assert.equal(end, at('2026-11-23T22:00:00Z'));
});

test('days of a clock change are 23 and 25 hours long', () => {
  const spring = dayOf(at('2026-03-29T12:00:00Z'), 'Europe/Lisbon');
  assert.equal(spring.end - spring.start, 23 * 3600);
  const autumn = dayOf(at('2026-10-25T12:00:00Z'), 'Europe/Lisbon');
  assert.equal(autumn.end - autumn.start, 25 * 3600);
});

test('each moment of a day of a clock change belongs to that day', () => {
  const day = dayOf(at('2026-10-25T12:00:00Z'), 'Europe/Lisbon');
  for (let t = day.start; t < day.end; t += 900) {
    assert.deepEqual(dayOf(t, 'Europe/Lisbon'), day, formatTime(t));
  }
});

test('a clock change counts from its very second, in a week that holds one', () => {
  const changes: [string, string, number, number][] = [
    ['Europe/Lisbon', '2026-03-29T01:00:00Z', 0, 3600],
    ['Australia/Lord_Howe', '2026-10-03T15:30:00Z', 37_800, 39_600],
    ['Africa/Casablanca', '2026-02-15T02:00:00Z', 3600, 0],
    ['Africa/Casablanca', '2026-03-22T02:00:00Z', 0, 3600],
  ];
  for (const [zone, moment, before, after] of changes) {
    assert.equal(zoneOffset(at(moment) - 0.001, zone), before, zone);
    assert.equal(zoneOffset(at(moment), zone), after, zone);
    assert.equal(zoneOffset(at(moment) + 3 * 86_400, zone), after, zone);
    assert.equal(zoneOffset(at(moment) - 3 * 86_400, zone), before, zone);
  }
});

test('offsets of the zone', () => {
  assert.equal(zoneOffset(at('2026-07-01T00:00:00Z'), 'Europe/Lisbon'), 3600);
  assert.equal(zoneOffset(at('2026-01-01T00:00:00.9Z'), 'America/New_York'), -5 * 3600);
});

test('stretches of time in words', () => {
  assert.deepEqual([6.9, 61, 3600, 10_080, 4 * 86_400].map(span), [
    '6 s',
    '1 min',
    '1 h',
    '2 h 48 min',
    '4 days',
  ]);
  assert.equal(span(-3), '0 s');
});

test('sizes in words', () => {
  assert.deepEqual([0, 999, 1_234_567, 48_000_000, 1.2e12].map(size), [
    '0 B',
    '999 B',
    '1.2 MB',
    '48 MB',
    '1.2 TB',
  ]);
});
