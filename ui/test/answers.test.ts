import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Answers, ChannelError } from '../src/core/answers.ts';

function piece(id: number, bytes: number[]): ArrayBuffer {
  const buffer = new ArrayBuffer(4 + bytes.length);
  new DataView(buffer).setUint32(0, id);
  new Uint8Array(buffer, 4).set(bytes);
  return buffer;
}

const head = (id: number, length: number, status = 206): string =>
  JSON.stringify({ id, status, headers: { 'Content-Type': 'video/mp4' }, length });

test('pieces of two answers that come mixed are told apart', async () => {
  const answers = new Answers();
  const one = answers.expect();
  const two = answers.expect();
  answers.text(head(one.id, 4));
  answers.text(head(two.id, 2, 200));
  answers.piece(piece(one.id, [1, 2]));
  answers.piece(piece(two.id, [9, 8]));
  answers.piece(piece(one.id, [3, 4]));
  const first = await one.answer;
  assert.deepEqual([...first.body], [1, 2, 3, 4]);
  assert.equal(first.status, 206);
  assert.equal(first.headers['content-type'], 'video/mp4');
  assert.deepEqual([...(await two.answer).body], [9, 8]);
  assert.equal(answers.count, 0);
});

test('an empty answer is complete with its head', async () => {
  const answers = new Answers();
  const { id, answer } = answers.expect();
  answers.text(JSON.stringify({ id, status: 404, headers: {}, length: 0 }));
  assert.equal((await answer).status, 404);
});

test('what was forgotten is dropped without harm', () => {
  const answers = new Answers();
  const { id, answer } = answers.expect();
  void answer.catch(() => undefined);
  assert.equal(answers.forget(id), true);
  assert.equal(answers.forget(id), false);
  answers.text(head(id, 3));
  answers.piece(piece(id, [1, 2, 3]));
  assert.equal(answers.count, 0);
});

test('more bytes than announced fail the answer', async () => {
  const answers = new Answers();
  const { id, answer } = answers.expect();
  answers.text(head(id, 1));
  answers.piece(piece(id, [1, 2]));
  await assert.rejects(answer, ChannelError);
});

test('an absurd length is refused before memory is taken', async () => {
  const answers = new Answers();
  const { id, answer } = answers.expect();
  answers.text(head(id, 2 ** 40));
  await assert.rejects(answer, /1099511627776 bytes/);
});

test('pieces without a head, and runts, are ignored', () => {
  const answers = new Answers();
  const { id, answer } = answers.expect();
  void answer.catch(() => undefined);
  answers.piece(piece(id, [1]));
  answers.piece(new ArrayBuffer(2));
  assert.equal(answers.count, 1);
});

test('when the channel dies everything expected fails', async () => {
  const answers = new Answers();
  const expected = [answers.expect(), answers.expect()];
  answers.failAll(new ChannelError('gone'));
  for (const { answer } of expected) await assert.rejects(answer, /gone/);
});
