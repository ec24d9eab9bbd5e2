import { useEffect, useRef, useState } from 'preact/hooks';
import type { ExportCamera, OpenSink } from '../core/export.ts';
import { ExportJob } from '../core/export.ts';
import type { CameraRecordings, Span } from '../core/library.ts';
import type { Camera } from '../core/room.ts';
import { LONGEST } from '../core/selection.ts';
import { MEMORY_LIMIT, memorySink, pickFiles, wayToSave } from '../core/sinks.ts';
import { hhmmss, size, spanExact, span as spanWords } from '../core/time.ts';
import { workerSink } from '../core/worker.ts';
import { app, Icon } from './base.tsx';
import { save } from './snapshot.ts';

interface Props {
  cameras: Camera[];
  selection: Span;
  zone: string | null;
  close(): void;
}

/** The export sheet: what, how much, and how far it is. */
export function ExportBar({ cameras, selection, zone, close }: Props) {
  const [bundle, setBundle] = useState(false);
  const [, again] = useState(0);
  const [declined, setDeclined] = useState('');
  const job = useRef<ExportJob | null>(null);
  const sheet = useRef<HTMLElement>(null);
  const bytes = useBytes(cameras, selection);
  // On a phone it opens below the window.
  useEffect(() => sheet.current?.scrollIntoView({ block: 'nearest' }), []);
  // Whoever leaves the page ends what only the page does.
  useEffect(() => () => job.current?.cancel(), []);
  // Other handles, other file: what was done before is done.
  useEffect(() => {
    if (job.current && !job.current.running) job.current = null;
  }, [selection.from, selection.to, cameras.length, bundle]);

  const start = async (): Promise<void> => {
    setDeclined('');
    const parts = cameras.map(
      (camera): ExportCamera => ({
        jid: camera.jid,
        name: camera.name,
        zone: camera.zone,
        channel: app.channel(camera.storage),
        stored: camera.durableUntil,
      }),
    );
    let made: ExportJob;
    let open: OpenSink | null = null;
    made = new ExportJob(parts, selection, bundle, (...file) => opened(open, ...file), () =>
      again((n) => n + 1),
    );
    const [first] = parts;
    if (!first) return;
    try {
      open = await chosenWay(parts.length, made.name(first));
    } catch (error) {
      setDeclined(`No file could be made: ${String(error)}`);
      return;
    }
    if (!open) return;
    job.current = made;
    await made.run();
  };

  const length = selection.to - selection.from;
  const current = job.current;
  return (
    <section class="bar" aria-label="Export" ref={sheet}>
      <div class="what">
        <b class="b">
          {spanExact(length)} from {cameras.length === 1 ? cameras[0]?.name : `${cameras.length} cameras`}
        </b>
        <p class="s m2">
          {hhmmss(selection.from, zone)} to {hhmmss(selection.to, zone)}
          {bytes !== null && ` · about ${size(bytes)}`} · original quality, nothing re-encoded
        </p>
      </div>
      <div class="grow">
        {current ? (
          <Progress job={current} zone={zone} />
        ) : (
          <Kind bundle={bundle} set={setBundle} />
        )}
        {declined && (
          <p class="s lost" role="alert">
            {declined}
          </p>
        )}
        {memoryWarning(bytes) && <p class="s care">{memoryWarning(bytes)}</p>}
      </div>
      <div class="row">
        <button
          class="btn"
          onClick={() => {
            if (current?.running) current.cancel();
            else close();
          }}
        >
          {current && !current.running ? 'Close' : 'Cancel'}
        </button>
        {!current?.running && (
          <button
            class="btn pri"
            disabled={length > LONGEST || !cameras.length}
            onClick={() => void start()}
          >
            <Icon name="download" />
            {current ? 'Download again' : 'Download'}
          </button>
        )}
      </div>
    </section>
  );
}

function opened(open: OpenSink | null, ...file: Parameters<OpenSink>) {
  if (!open) throw new Error('no place for the file');
  return open(...file);
}

/** A person is asked where to where the browser can; null when they thought better of it. */
async function chosenWay(files: number, name: string): Promise<OpenSink | null> {
  const worker = app.worker?.active ?? null;
  switch (wayToSave(worker !== null, files)) {
    case 'file':
      return pickFiles(files, name);
    case 'worker':
      return worker && workerSink(worker);
    case 'memory':
      return memorySink(save);
  }
}

function memoryWarning(bytes: number | null): string {
  if (bytes === null || wayToSave(app.worker?.active != null, 1) !== 'memory') return '';
  if (bytes < MEMORY_LIMIT) return '';
  return `This browser keeps downloads in memory: at most ${size(MEMORY_LIMIT)} a camera.`;
}

function Kind({ bundle, set }: { bundle: boolean; set(bundle: boolean): void }) {
  const choice = (value: boolean, name: string, words: string) => (
    <label class="pick">
      <input type="radio" name="kind" checked={bundle === value} onChange={() => set(value)} />
      <span>
        <b class="b">{name}</b>
        <br />
        <span class="s m2">{words}</span>
      </span>
    </label>
  );
  return (
    <fieldset class="kinds">
      <legend class="sr">What to make</legend>
      {choice(false, 'MP4', 'For any player')}
      {choice(true, 'Evidence bundle', 'The stored files with what proves them')}
    </fieldset>
  );
}

function Progress({ job, zone }: { job: ExportJob; zone: string | null }) {
  const { parts } = job;
  const index = parts.findIndex(({ state }) => state === 'running');
  const part = parts[index];
  const percent = Math.floor(100 * job.share);
  const left = job.secondsLeft(Date.now());
  const failed = parts.filter(({ state }) => state === 'failed');
  const done = parts.filter(({ state }) => state === 'done').length;
  const of = parts.length > 1 ? ` ${index + 1} of ${parts.length}` : '';
  const over = failed.length
    ? failed.map(({ why }) => why).join(' ')
    : done === parts.length
      ? `Saved: ${done === 1 ? 'one file' : `${done} files`}.${endsBefore(job, zone)}`
      : 'Cancelled. Nothing was kept of what was not whole.';
  return (
    <>
      <div class="row s">
        <span class={failed.length && !job.running ? 'b lost' : 'b'} role="status">
          {job.running ? `Saving${of}: ${part?.camera.name ?? ''}` : over}
        </span>
        <span class="grow" />
        <span class="m2">
          {job.running && `${percent} %`}
          {job.running && left !== null && `, about ${spanWords(Math.max(1, left))} left`}
        </span>
      </div>
      <div
        class="prog"
        role="progressbar"
        aria-label="Export"
        aria-valuenow={percent}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <i style={{ width: `${100 * job.share}%` }} />
      </div>
    </>
  );
}

/** Told from this on, s: the last seconds are on their way always. */
const TOLD_SECONDS = 5;

/** What is being written at this moment is in no file yet. */
function endsBefore({ parts, span }: ExportJob, zone: string | null): string {
  const until = Math.min(...parts.map((part) => part.until));
  return until < span.to - TOLD_SECONDS ? ` It ends at ${hhmmss(until, zone)}: newer is still being stored.` : '';
}

/** About how many bytes it will be, by what the cameras took so far. */
function useBytes(cameras: Camera[], { from, to }: Span): number | null {
  const [known, set] = useState<CameraRecordings[]>([]);
  const storages = [...new Set(cameras.map(({ storage }) => storage))].join(' ');
  useEffect(() => {
    let alive = true;
    for (const storage of storages.split(' ').filter(Boolean)) {
      app.recordings(storage).then(
        (more) => alive && set((before) => [...before, ...more]),
        () => undefined,
      );
    }
    return () => {
      alive = false;
      set([]);
    };
  }, [storages]);
  let sum = 0;
  for (const { jid } of cameras) {
    const camera = known.find((one) => one.jid === jid);
    if (!camera || camera.first === null || camera.last === null) return null;
    sum += (camera.bytes / Math.max(1, camera.last - camera.first)) * (to - from);
  }
  return sum;
}
