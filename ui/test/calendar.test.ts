import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monthOf, sameTime, storedShare, weekTo } from '../src/core/calendar.ts';
import { hhmm } from '../src/core/time.ts';

const at = (text: string): number => Date.parse(text) / 1000;

test('a month has its days, and begins on its weekday', () => {
  const month = monthOf(at('2026-09-17T10:00:00Z'), 'Europe/Lisbon');
  assert.deepEqual([month.year, month.month, month.days.length, month.blanks], [2026, 9, 30, 1]);
  assert.equal(month.start, at('2026-08-31T23:00:00Z'));
  const next = monthOf(at('2026-12-31T10:00:00Z'), 'UTC', 1);
  assert.deepEqual([next.year, next.month], [2027, 1]);
});

test('days of a clock change are 23 and 25 hours long', () => {
  const length = (month: string, day: number): number => {
    const found = monthOf(at(`${month}-10T12:00:00Z`), 'Europe/Berlin').days[day - 1];
    return ((found?.end ?? 0) - (found?.start ?? 0)) / 3600;
  };
  assert.equal(length('2026-03', 29), 23);
  assert.equal(length('2026-10', 25), 25);
  assert.equal(length('2026-10', 26), 24);
});

test('where midnight is skipped the month still has each day once', () => {
  // Beirut's clocks go forward at 00:00 to 01:00.
  const days = monthOf(at('2026-03-10T12:00:00Z'), 'Asia/Beirut').days;
  assert.equal(days.length, 31);
  days.forEach((day, index) => {
    assert.equal(day.number, index + 1);
    assert.equal(day.end, days[index + 1]?.start ?? day.end);
  });
});

test('a week ends with the day', () => {
  const week = weekTo(at('2026-09-17T10:00:00Z'), 'UTC');
  assert.deepEqual(
    week.map((day) => day.number),
    [11, 12, 13, 14, 15, 16, 17],
  );
});

test('the share of a day counts only what has passed', () => {
  const day = { number: 17, start: at('2026-09-17T00:00:00Z'), end: at('2026-09-18T00:00:00Z') };
  const spans = [
    { from: day.start - 999, to: day.start + 3600 },
    { from: day.start + 7200, to: day.start + 10_800 },
  ];
  assert.equal(storedShare(spans, day, day.start + 14_400), 0.5);
  assert.equal(storedShare(spans, day, day.start - 1), 0);
});

test('another day at the same time of day, also across a clock change', () => {
  const zone = 'Europe/Berlin';
  const days = monthOf(at('2026-10-10T12:00:00Z'), zone).days;
  const sunday = days[24];
  assert.ok(sunday);
  assert.equal(hhmm(sameTime(at('2026-10-20T12:30:00Z'), sunday, zone), zone), '14:30');
});
