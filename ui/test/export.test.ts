import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../src/core/answers.ts';
import { ChannelError } from '../src/core/answers.ts';
import type { Sink } from '../src/core/export.ts';
import { ExportJob } from '../src/core/export.ts';
import { formatTime } from '../src/core/time.ts';
import type { RecordingsChannel, RequestOptions } from '../src/core/recordings.ts';

const SPAN = { from: 1_790_000_000, to: 1_790_000_060 };
const FILE = Uint8Array.from({ length: 1000 }, (_, n) => n % 251);

/** A storage with one file; what it was asked for is kept. */
class Store {
  asked: string[] = [];
  status = 206;
  failures = 0;
  mostAtOnce = 0;
  /** When the chunk that is being written began. */
  open: string | null = null;
  version = 'a';
  #now = 0;

  #chunks(): Answer {
    const closed = { open: false, start: '2026-09-21T00:00:00Z' };
    const chunks = this.open ? [closed, { open: true, start: this.open }] : [closed];
    const body = new TextEncoder().encode(JSON.stringify({ chunks }));
    return { status: 200, headers: {}, body };
  }

  async request(path: string, { range, signal }: RequestOptions = {}): Promise<Answer> {
    if (path.includes('/chunks?')) return this.#chunks();
    this.asked.push(`${path} ${range}`);
    this.#now += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#now);
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.#now -= 1;
    signal?.throwIfAborted();
    if (this.failures-- > 0) throw new ChannelError('died');
    const [from, to] = range ?? [0, 0];
    const body = this.status === 206 ? FILE.slice(from, to + 1) : new Uint8Array();
    const headers = {
      'content-range': `bytes ${from}-${to}/1000`,
      'content-type': 'video/mp4',
      etag: this.version,
    };
    return { status: this.status, headers, body };
  }
}

class File implements Sink {
  bytes: number[] = [];
  state = 'open';
  name: string;
  constructor(name: string) {
    this.name = name;
  }
  async write(bytes: Uint8Array): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 2));
    this.bytes.push(...bytes);
  }
  async close(): Promise<void> {
    this.state = 'closed';
  }
  async abort(): Promise<void> {
    this.state = 'aborted';
  }
}

function job(
  stores: Store[],
  bundle = false,
  changed: (job: ExportJob) => void = () => {},
  stored: number | null = null,
) {
  const files: File[] = [];
  const cameras = stores.map((store, n) => ({
    jid: `cam${n}@shop.loc`,
    name: `Cam ${n}`,
    zone: 'UTC',
    channel: store as unknown as RecordingsChannel,
    stored,
  }));
  const made: ExportJob = new ExportJob(
    cameras,
    SPAN,
    bundle,
    async (name) => {
      const file = new File(name);
      files.push(file);
      return file;
    },
    () => changed(made),
    64,
  );
  return { made, files };
}

test('files come in ranges, whole and in order, one range ahead and no more', async () => {
  const store = new Store();
  const { made, files } = job([store]);
  await made.run();
  assert.deepEqual(files[0]?.bytes, [...FILE]);
  assert.equal(files[0]?.state, 'closed');
  assert.match(files[0]?.name ?? '', /^Cam-0_2026-09-21_.*\+0000\.mp4$/);
  assert.equal(made.share, 1);
  assert.equal(store.mostAtOnce, 1);
  assert.equal(store.asked.length, 16);
});

test('one camera after the other; one that fails does not stop the next', async () => {
  const [bad, good] = [new Store(), new Store()];
  bad.status = 404;
  const { made, files } = job([bad, good], true);
  await made.run();
  assert.deepEqual(
    made.parts.map(({ state }) => state),
    ['failed', 'done'],
  );
  assert.equal(made.parts[0]?.why, 'Cam 0 recorded nothing in this time.');
  assert.equal(files.length, 1);
  assert.match(good.asked[0] ?? '', /bundle=1 0,63$/);
});

test('what is not stored yet is not asked for: the file would grow meanwhile', async () => {
  const store = new Store();
  await job([store], false, () => {}, SPAN.from + 20.5).made.run();
  assert.match(store.asked[0] ?? '', /from=2026-09-21T\d\d:\d\d:20.000000Z&to=2026-09-21T\d\d:\d\d:40.500000Z/);
  const early = job([store], false, () => {}, SPAN.from - 1);
  await early.made.run();
  assert.equal(early.made.parts[0]?.state, 'failed');
});

test('a bundle ends before the chunk that is still written: it would be another one meanwhile', async () => {
  const store = new Store();
  store.open = formatTime(SPAN.from + 40);
  const { made } = job([store], true);
  await made.run();
  assert.match(store.asked[0] ?? '', /to=\S+:59\.999000Z&bundle=1/);
  assert.equal(made.parts[0]?.state, 'done');
  assert.ok((made.parts[0]?.until ?? 0) < SPAN.from + 40);
  store.open = formatTime(SPAN.from - 1);
  const early = job([store], true);
  await early.made.run();
  assert.match(early.made.parts[0]?.why ?? '', /still being written/);
});

test('a file that became another one of the same length is not patched together', async () => {
  const store = new Store();
  const { made, files } = job([store], false, (one) => {
    if (one.share > 0.5) store.version = 'b';
  });
  await made.run();
  assert.equal(made.parts[0]?.state, 'failed');
  assert.equal(files[0]?.state, 'aborted');
});

test('cancelled: the file that is not whole is not kept', async () => {
  const { made, files } = job([new Store(), new Store()], false, (one) => {
    if (one.share > 0.1) one.cancel();
  });
  await made.run();
  assert.deepEqual(
    made.parts.map(({ state }) => state),
    ['cancelled', 'cancelled'],
  );
  assert.equal(files.length, 1);
  assert.equal(files[0]?.state, 'aborted');
  assert.equal(made.running, false);
});
