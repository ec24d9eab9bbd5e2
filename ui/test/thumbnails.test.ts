import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { RecordingsChannel } from '../src/core/recordings.ts';
import { intervalFor, Thumbnails } from '../src/core/thumbnails.ts';
import { FakeChannel, FakePeerConnection, FakeRoom, settle } from './fakes.ts';

const FROM = Date.parse('2026-09-17T12:00:00Z') / 1000;
const closed: string[] = [];
let channel: FakeChannel;
let recordings: RecordingsChannel;
let thumbs: Thumbnails;
let changes: number;

beforeEach(async () => {
  closed.length = 0;
  changes = 0;
  recordings = new RecordingsChannel(new FakeRoom(), () => 'storage@shop.loc/1');
  const decode = async (bytes: Uint8Array<ArrayBuffer>) =>
    ({ name: bytes[0], close: () => closed.push(String(bytes[0])) }) as unknown as ImageBitmap;
  const now = (): number => FROM + 86_400;
  thumbs = new Thumbnails(recordings, 'yard@shop.loc', now, () => (changes += 1), decode);
  channel = new FakeChannel();
});

afterEach(() => {
  thumbs.close();
  recordings.close();
});

const until = async (ready: () => boolean): Promise<void> => {
  while (!ready()) await new Promise((resolve) => setTimeout(resolve, 5));
};

async function answerSheet(times: (string | null)[], name: number): Promise<void> {
  const before = channel.sent.length;
  await settle();
  if (before === 0) {
    await until(() => FakePeerConnection.all.at(-1)?.ondatachannel !== null);
    FakePeerConnection.all.at(-1)?.ondatachannel?.({ channel });
  }
  await until(() => channel.sent.some((one) => one.path?.includes('/thumbnails')));
  const index = channel.sent.findLast((one) => one.path?.includes('/thumbnails'));
  const grid = { interval: 10, width: 160, height: 90, columns: 10, rows: 6 };
  const sheets = [{ from: new Date(FROM * 1000).toISOString(), sheet: 'sheet?from=x', times }];
  const text = new TextEncoder().encode(JSON.stringify({ ...grid, sheets }));
  channel.answer(index?.id ?? 0, 200, text);
  const asked = (): number => channel.sent.filter((one) => one.path?.includes('/sheet')).length;
  await until(() => asked() > 0);
  const sheet = channel.sent.findLast((one) => one.path?.includes('/sheet'));
  channel.answer(sheet?.id ?? 0, 200, Uint8Array.of(name));
  await until(() => changes > 0);
}

test('asks for a sheet on the grid, and finds pictures in it', async () => {
  FakePeerConnection.all.length = 0;
  thumbs.want(FROM + 25, 10);
  await until(() => FakePeerConnection.all.length > 0);
  const at = (s: number) => new Date((FROM + s) * 1000).toISOString();
  await answerSheet([at(0.5), at(10.5), at(20.5), null, ...Array(56).fill(null)], 7);
  const index = channel.sent.find((one) => one.path?.includes('/thumbnails'));
  assert.match(index?.path ?? '', /from=2026-09-17T12:00:00.000000Z&to=2026-09-17T12:10:00.*=10$/);
  const found = thumbs.near(FROM + 22, 60);
  assert.equal(found?.at, FROM + 20.5);
  assert.deepEqual([found?.x, found?.y], [320, 0]);
  assert.equal(thumbs.near(FROM + 22, 1), null, 'too far away');
  assert.equal(thumbs.near(FROM + 300, 600), null, 'nothing was recorded there');
  thumbs.want(FROM + 400, 10);
  await settle();
  assert.equal(channel.sent.length, 2, 'the same sheet is not asked for again');
});

test('the storage makes only some intervals', () => {
  assert.equal(intervalFor(0.4), 1);
  assert.equal(intervalFor(360), 600);
  assert.equal(intervalFor(9e9), 3600);
});
