import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { Feed } from '../src/core/feed.ts';
import { FakeRoom } from './fakes.ts';

const NO = 'This camera sends H.265.';

let room: FakeRoom;
let feed: Feed;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  room = new FakeRoom();
  feed = new Feed('gate@shop.loc', room, () => undefined);
  feed.setPeer('gate@shop.loc/1');
  const video = { srcObject: null, videoWidth: 0, requestVideoFrameCallback: () => 0 };
  feed.watch(video as unknown as HTMLVideoElement);
});

afterEach(() => mock.timers.reset());

function end(reason: string): void {
  const message = { type: 'EndMedia' as const, from: 'gate@shop.loc/1', to: '', call: room.call };
  room.calls.get(room.call)?.end({ ...message, reason });
}

function asked(): number {
  return room.types().filter((type) => type === 'RequestMedia').length;
}

test('who was refused asks less and less often, however often the camera is ready', () => {
  const times: number[] = [];
  for (let seconds = 0; seconds < 60; seconds += 1) {
    if (room.calls.size) {
      times.push(seconds);
      end(NO);
    }
    feed.kick();
    mock.timers.tick(1_000);
    assert.equal(feed.refusal, NO);
  }
  assert.ok(times.length > 6 && times.length < 20, `asked at ${times.join(', ')}`);
});

test('a call that broke is tried again as soon as the camera is ready', () => {
  end('');
  feed.kick();
  assert.equal(asked(), 2);
});

test('a page that was put away and comes back asks at once', () => {
  end(NO);
  feed.stop();
  feed.kick();
  assert.equal(asked(), 2);
});

test('another connection of the camera is asked at once', () => {
  end(NO);
  feed.setPeer('gate@shop.loc/2');
  assert.equal(asked(), 2);
});
