import { useEffect, useState } from 'preact/hooks';
import { diagnose } from '../core/diagnosis.ts';
import type { CameraRecordings } from '../core/library.ts';
import type { Camera, CameraState } from '../core/room.ts';
import { cameraState } from '../core/room.ts';
import { size, span } from '../core/time.ts';
import { summary } from '../core/words.ts';
import { app, cameraPath, Icon, Link, useNow, usePath, useStore } from './base.tsx';
import { clockWords, recordingWords, spoolWords, temperatureWords, versionWords } from './facts.ts';
import { StateMark, Tape } from './footage.tsx';
import { Log } from './log.tsx';
import { Me, Shell, Tabs } from './shell.tsx';

const ORDER: CameraState[] = ['nothing', 'offline', 'spooled', 'late', 'checking', 'stored'];

/** How the cameras are: a sentence, what is kept, a row for each with trouble first, and a log. */
export function Health() {
  useStore();
  const now = useNow();
  const chosen = usePath().searchParams.get('location');
  const sections = app.room.sections();
  const shown = sections.filter((section) => chosen === null || section.name === chosen);
  const cameras = shown.flatMap((section) => section.cameras);
  const kept = useKept(shown.map((section) => section.storage));
  return (
    <Shell
      page="health"
      title="Health"
      header={
        <>
          <h1 class="h2">Health</h1>
          <Tabs sections={sections} chosen={chosen} path="/health" now={now} />
          <span class="grow" />
          <Me />
        </>
      }
    >
      <Sentence cameras={cameras} kept={kept} now={now} />
      {/* All at once: what stands above the log would push it down. */}
      {app.room.welcomed && (
        <div class="health">
          <Table cameras={cameras} now={now} />
          <Log cameras={cameras} now={now} />
        </div>
      )}
    </Shell>
  );
}

interface SentenceProps {
  cameras: Camera[];
  kept: Kept;
  now: number;
}

function Sentence({ cameras, kept, now }: SentenceProps) {
  const days = keptDays(cameras, kept);
  return (
    <>
      <p class="say">{sentence(cameras, days, now)}</p>
      <p class="m2 line" aria-live="off">
        {facts(cameras, kept, now)}
      </p>
    </>
  );
}

function sentence(cameras: Camera[], days: number | null, now: number): string {
  if (!app.room.welcomed) return 'Connecting.';
  if (!cameras.length) return 'No camera yet.';
  if (!app.room.connected) return 'Connecting again. Recording goes on without this page.';
  const { total, recording, tone, why, number } = summary(cameras, now);
  if (tone === 'checking') return `${number}.`;
  if (tone !== 'quiet') return `${recording} of ${total} cameras are recording. ${why}`;
  const all = total === 1 ? 'The camera is recording' : `All ${total} cameras are recording`;
  return days === null ? `${all}.` : `${all}; ${daysWords(days)} kept.`;
}

const daysWords = (days: number): string => span(days * 86_400);

function keptDays(cameras: Camera[], { answers }: Kept): number | null {
  const days = known(cameras, answers).map((one) => one.daysKept ?? 0);
  return days.length ? Math.max(...days) : null;
}

const known = (cameras: Camera[], answers: Map<string, CameraRecordings[]>): CameraRecordings[] =>
  [...answers.values()].flat().filter(({ jid }) => cameras.some((camera) => camera.jid === jid));

function facts(cameras: Camera[], { answers, at }: Kept, now: number): string {
  const all = known(cameras, answers);
  if (!cameras.length) return '';
  if (!all.length || at === null) return 'Asking the storage what is kept.';
  const left = all.map((one) => one.daysLeft).filter((days) => days !== null);
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0);
  // When all is well the sentence above has told the days.
  const told = summary(cameras, now).tone === 'quiet';
  const kept = daysWords(keptDays(cameras, { answers, at }) ?? 0);
  const parts = [told ? `${size(bytes)} of recordings` : `${kept} kept, ${size(bytes)}`];
  if (left.length) {
    parts.push(`room for ${daysWords(Math.min(...left))} more before the oldest are replaced`);
  }
  parts.push(`storage checked ${span(now - at)} ago`);
  return parts.join(' · ');
}

interface Kept {
  answers: Map<string, CameraRecordings[]>;
  /** When a storage answered last. */
  at: number | null;
}

/** What the storages keep, asked again every half minute; none waits for another. */
function useKept(storages: (string | null)[]): Kept {
  const [kept, set] = useState<Kept>({ answers: new Map(), at: null });
  const wanted = storages
    .filter((storage) => storage !== null && app.room.online(storage) !== null)
    .join(' ');
  useEffect(() => {
    let alive = true;
    const ask = async (storage: string): Promise<void> => {
      try {
        const answer = await app.recordings(storage);
        if (!alive) return;
        set(({ answers }) => ({ answers: new Map(answers).set(storage, answer), at: app.now() }));
      } catch {
        // Asked again in the next round.
      }
    };
    const round = (): void => {
      for (const storage of wanted.split(' ').filter(Boolean)) void ask(storage);
    };
    round();
    const timer = setInterval(round, 30_000);
    return () => {
      alive = false;
      clearInterval(timer);
      set({ answers: new Map(), at: null });
    };
  }, [wanted]);
  return kept;
}

function Table({ cameras, now }: { cameras: Camera[]; now: number }) {
  if (!cameras.length) return <div />;
  const rank = (camera: Camera) =>
    2 * ORDER.indexOf(cameraState(camera, now)) - (diagnose(camera, now).fault ? 1 : 0);
  const warm = cameras.some((camera) => temperatureWords(camera));
  const versions = cameras.some((camera) => versionWords(camera));
  return (
    <div class="scroll">
      <table class="ht list">
        <thead>
          <tr>
            <th>Camera</th>
            <th class="hide-m">Last 24 h</th>
            <th class="hide-m">Live</th>
            <th>Stored</th>
            <th class="hide-m">On the device</th>
            <th class="hide-m">Clock</th>
            {warm && <th class="hide-m">Temp.</th>}
            {versions && <th class="hide-m">Version</th>}
            <th>In plain words</th>
          </tr>
        </thead>
        <tbody>
          {cameras
            .toSorted((a, b) => rank(a) - rank(b))
            .map((camera) => (
              <Row key={camera.jid} camera={camera} now={now} warm={warm} versions={versions} />
            ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  camera: Camera;
  now: number;
  warm: boolean;
  versions: boolean;
}

function Row({ camera, now, warm, versions }: RowProps) {
  const state = cameraState(camera, now);
  const feed = app.feed(camera.jid);
  return (
    <tr data-jid={camera.jid} data-recording={state}>
      <td>
        <Link to={cameraPath(camera.jid)}>{camera.name}</Link>
      </td>
      <td class="hide-m tape-cell">
        <Tape camera={camera} now={now} tall />
      </td>
      <td class="hide-m w84">{camera.peer ? (feed.route ?? 'Connected') : 'Offline'}</td>
      <td class="w108">
        <span class="row">
          <StateMark state={state} />
          {state === 'offline' ? 'not now' : recordingWords(camera, now)}
        </span>
      </td>
      <td class="hide-m w84">{spoolWords(camera)}</td>
      <td class="hide-m w84">{clockWords(camera)}</td>
      {warm && <td class="hide-m">{temperatureWords(camera)}</td>}
      {versions && <td class="hide-m m2">{versionWords(camera)}</td>}
      <td class="say2">
        <Plain camera={camera} now={now} />
      </td>
    </tr>
  );
}

function Plain({ camera, now }: { camera: Camera; now: number }) {
  const { fault, advice } = diagnose(camera, now);
  if (!fault && !advice) {
    const checking = cameraState(camera, now) === 'checking';
    return <span class="m2 hide-m">{checking ? 'Checking' : 'Fine'}</span>;
  }
  return (
    <>
      {fault && (
        <span class="care">
          <Icon name="warning" />
        </span>
      )}
      {fault && <b class="b">{fault} </b>}
      <span class="m2">{advice}</span>
    </>
  );
}
