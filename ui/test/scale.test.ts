import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TimelineData } from '../src/core/library.ts';
import {
  bars,
  fitted,
  gapAt,
  inside,
  labels,
  marks,
  pieces,
  stateAt,
  toTime,
  toX,
  zoomed,
  ZOOMS,
} from '../src/core/scale.ts';

const at = (text: string): number => Date.parse(text) / 1000;
const DAY = { from: at('2026-09-17T00:00:00Z'), to: at('2026-09-18T00:00:00Z') };

function data(more: Partial<TimelineData>): TimelineData {
  const none = { spans: [], gaps: [], onDevice: [], later: [], activity: { interval: 0, values: [] } };
  return { ...DAY, ...none, ...more };
}

test('moments and places are each other’s inverse', () => {
  const moment = DAY.from + 12_345.678;
  assert.ok(Math.abs(toTime(toX(moment, DAY, 1320), DAY, 1320) - moment) < 1e-6);
});

test('zooming keeps the moment under the pointer where it is', () => {
  const about = DAY.from + 6 * 3600;
  const closer = zoomed(DAY, 3600, about);
  assert.equal(closer.to - closer.from, 3600);
  assert.equal(toX(about, closer, 1000), toX(about, DAY, 1000));
});

test('a window stays inside its day', () => {
  assert.deepEqual(inside({ from: DAY.from - 50, to: DAY.from + 50 }, DAY), {
    from: DAY.from,
    to: DAY.from + 100,
  });
  assert.deepEqual(inside({ from: DAY.to - 50, to: DAY.to + 50 }, DAY), {
    from: DAY.to - 100,
    to: DAY.to,
  });
  assert.deepEqual(inside({ from: DAY.from - 9, to: DAY.to + 9 }, DAY), DAY);
});

test('the day has a label every two hours, from 00:00 to 24:00', () => {
  const texts = labels(DAY, ZOOMS[0]!, 1320, 'UTC').map((label) => label.text);
  assert.equal(texts.length, 13);
  assert.deepEqual([texts[0], texts[1], texts.at(-1)], ['00:00', '02:00', '24:00']);
});

test('labels of a narrow timeline do not touch', () => {
  const texts = labels(DAY, ZOOMS[0]!, 358, 'UTC').map((label) => label.text);
  assert.deepEqual(texts, ['00:00', '04:00', '08:00', '12:00', '16:00', '20:00', '24:00']);
});

test('marks are round on the clock of the zone, not of UTC', () => {
  const hour = { from: at('2026-09-17T10:00:00Z'), to: at('2026-09-17T11:00:00Z') };
  const quarter = marks(hour, 1800, 'Asia/Kathmandu').map((t) => (t - hour.from) / 60);
  assert.deepEqual(quarter, [15, 45]);
});

test('marks of a day with a clock change follow the clock', () => {
  const day = { from: at('2026-10-24T23:00:00Z'), to: at('2026-10-26T00:00:00Z') };
  const noon = at('2026-10-25T12:00:00Z');
  assert.ok(marks(day, 7200, 'Europe/Lisbon').includes(noon));
});

test('neighbouring chunks are one piece, a gap of seconds still shows', () => {
  const spans = [
    { from: DAY.from, to: DAY.from + 3600 },
    { from: DAY.from + 3600.03, to: DAY.from + 7200 },
  ];
  const gap = { from: DAY.from + 5000, to: DAY.from + 5003, reason: 'power lost' };
  const drawn = pieces(data({ spans, gaps: [gap] }), DAY, 1320);
  assert.deepEqual(
    drawn.map((one) => one.kind),
    ['stored', 'gap'],
  );
  assert.equal(drawn[1]?.width, 2);
});

test('pieces outside the window are left out, those across its edge cut', () => {
  const window = { from: DAY.from + 3600, to: DAY.from + 7200 };
  const spans = [
    { from: DAY.from, to: DAY.from + 100 },
    { from: DAY.from + 3000, to: DAY.from + 5400 },
  ];
  assert.deepEqual(pieces(data({ spans }), window, 1000), [{ kind: 'stored', x: 0, width: 500 }]);
});

test('bars are means, capped, and absent under 2 %', () => {
  const window = { from: DAY.from, to: DAY.from + 10 };
  const values = [0.01, 0.01, 0.5, 1, 7];
  const drawn = bars(data({ activity: { interval: 2, values } }), window, 20);
  assert.deepEqual(drawn, [
    { x: 8, height: 0.5 },
    { x: 12, height: 1 },
    { x: 16, height: 1 },
  ]);
});

test('what there is at a moment, in words', () => {
  const spans = [{ from: DAY.from, to: DAY.from + 100 }];
  const onDevice = [{ from: DAY.from + 200, to: DAY.from + 300 }];
  const gaps = [{ from: DAY.from + 100, to: DAY.from + 200, reason: 'power lost' }];
  const known = data({ spans, onDevice, gaps });
  const now = DAY.from + 400;
  const words = [50, 150, 250, 500].map((t) => stateAt(known, DAY.from + t, now));
  assert.deepEqual(words, ['stored', 'nothing recorded', 'on the device', 'not yet']);
  assert.equal(gapAt(known, DAY.from + 150)?.reason, 'power lost');
  assert.equal(gapAt(known, DAY.from + 50), null);
});

test('the window to begin with holds the recordings and the playhead as closely as the steps allow', () => {
  const began = DAY.from + 36_000;
  const after = (seconds: number) => {
    const now = began + seconds;
    const found = fitted(data({ spans: [{ from: began, to: now - 1 }] }), now, DAY);
    assert.ok(found && found.window.from <= began && found.window.to >= now);
    return found.zoom;
  };
  assert.deepEqual([0, 180, 539, 541, 3_300, 7_200, 20_000].map(after), [3, 3, 3, 2, 1, 1, 0]);
});

test('the window to begin with lies inside the day; of an empty day there is none', () => {
  const start = fitted(data({ spans: [{ from: DAY.from, to: DAY.from + 60 }] }), null, DAY);
  assert.deepEqual(start?.window, { from: DAY.from, to: DAY.from + 600 });
  const onDevice = [{ from: DAY.to - 60, to: DAY.to }];
  const end = fitted(data({ onDevice }), DAY.from - 5, DAY);
  assert.deepEqual(end?.window, { from: DAY.to - 600, to: DAY.to });
  assert.equal(fitted(data({}), DAY.from + 5, DAY), null);
});
