import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Track } from '../src/core/conductor.ts';
import { Conductor } from '../src/core/conductor.ts';
import type { PlayerState } from '../src/core/player.ts';

class Fake implements Track {
  moment = 0;
  seeking = false;
  playing = false;
  state: PlayerState | null = 'paused';
  rate = 1;
  factor = 1;
  sought: number[] = [];
  play(): void {
    this.playing = true;
    this.state = 'playing';
  }
  pause(): void {
    this.playing = false;
    this.state = 'paused';
  }
  seek(moment: number): void {
    this.sought.push(moment);
    this.moment = moment;
  }
  setRate(rate: number): void {
    this.rate = rate;
  }
  trim(factor: number): void {
    this.factor = factor;
  }
}

let yard: Fake;
let till: Fake;
let conductor: Conductor;
let ms: number;

beforeEach(() => {
  yard = new Fake();
  till = new Fake();
  ms = 0;
  conductor = new Conductor(1000, { changed: () => {} });
  conductor.add('yard', yard);
  conductor.add('till', till);
});

/** Lets time pass for the clock and for those that play. */
function pass(seconds: number, speeds: [Fake, number][] = [[yard, 1], [till, 1]]): void {
  for (let n = 0; n < seconds * 5; n += 1) {
    ms += 200;
    for (const [one, speed] of speeds) {
      if (one.state === 'playing') one.moment += 0.2 * speed * one.factor * one.rate;
    }
    conductor.tick(ms);
  }
}

test('all go where the clock is, and play on together', () => {
  conductor.seek(2000);
  assert.deepEqual([yard.moment, till.moment], [2000, 2000]);
  conductor.play();
  conductor.tick(0);
  pass(10);
  assert.ok(Math.abs(conductor.moment - 2010) < 0.5);
  assert.ok(Math.abs(yard.moment - till.moment) < 0.1);
});

test('one that runs ahead is trimmed back without a seek', () => {
  conductor.play();
  conductor.tick(0);
  const before = till.sought.length;
  pass(20, [[yard, 1], [till, 1.02]]);
  assert.equal(till.sought.length, before);
  assert.ok(Math.abs(till.moment - conductor.moment) < 0.3);
});

test('one that stands still holds nobody up, and catches up', () => {
  conductor.play();
  conductor.tick(0);
  till.state = 'loading';
  pass(5);
  assert.ok(yard.moment > 1004);
  assert.ok(till.sought.length > 1, 'sent after the others');
  assert.ok(Math.abs(till.moment - conductor.moment) < 3);
});

test('one whose seeks take long is sent to where the clock will be', () => {
  // Two seconds from a seek to its picture, as on a machine with much else to do.
  const slow = new (class extends Fake {
    override seek(moment: number): void {
      super.seek(moment);
      this.seeking = true;
      this.state = 'loading';
      this.arrives = ms + 2_000;
    }
    arrives = Number.POSITIVE_INFINITY;
  })();
  conductor.remove('till');
  conductor.add('slow', slow);
  conductor.play();
  conductor.tick(0);
  for (let n = 0; n < 60; n += 1) {
    if (ms >= slow.arrives) {
      slow.seeking = false;
      slow.state = 'playing';
      slow.arrives = Number.POSITIVE_INFINITY;
    }
    pass(0.2, [[yard, 1], [slow, 1]]);
  }
  assert.ok(slow.sought.length <= 3, `sent ${slow.sought.length} times`);
  assert.ok(Math.abs(slow.moment - conductor.moment) < 0.5, `${slow.moment - conductor.moment}`);
});

test('when all are loading, time stands', () => {
  conductor.play();
  conductor.tick(0);
  yard.state = till.state = 'loading';
  pass(5);
  assert.equal(conductor.moment, 1000);
});

test('one waits through its gap; when all have one, it is skipped', () => {
  conductor.setSpans('yard', [{ from: 0, to: 1010 }, { from: 1100, to: 2000 }]);
  conductor.setSpans('till', [{ from: 0, to: 1003 }, { from: 1200, to: 2000 }]);
  conductor.play();
  conductor.tick(0);
  pass(5);
  assert.deepEqual([conductor.inGap('yard'), conductor.inGap('till')], [false, true]);
  assert.equal(till.playing, false);
  pass(8);
  assert.ok(conductor.moment >= 1100 && conductor.moment < 1110, String(conductor.moment));
  assert.equal(yard.playing, true);
});

test('at the end of everything it pauses', () => {
  for (const jid of ['yard', 'till']) conductor.setSpans(jid, [{ from: 0, to: 1002 }]);
  conductor.play();
  conductor.tick(0);
  pass(5);
  assert.equal(conductor.playing, false);
});
