import { useEffect, useState } from 'preact/hooks';
import type { CameraRecordings } from '../core/library.ts';
import type { Camera, Section } from '../core/room.ts';
import { dateWords, formatTime, size, span } from '../core/time.ts';
import { moment } from '../core/words.ts';
import { app, cameraPath, Link, useNow, usePath, useStore } from './base.tsx';
import { Tape } from './footage.tsx';
import { Shell, Tabs, TitleHeader } from './shell.tsx';

/** Which recordings there are: each camera's, and the way to them. */
export function Recordings() {
  useStore();
  const now = useNow();
  const chosen = usePath().searchParams.get('location');
  const sections = app.room.sections();
  return (
    <Shell
      page="recordings"
      title="Recordings"
      header={
        <TitleHeader title="Recordings" now={now}>
          <Tabs sections={sections} chosen={chosen} path="/recordings" now={now} />
        </TitleHeader>
      }
    >
      {sections
        .filter((section) => chosen === null || section.name === chosen)
        .map((section) => (
          <Kept key={section.name} section={section} now={now} />
        ))}
    </Shell>
  );
}

type Answer = 'waiting' | 'away' | CameraRecordings[];

function useKept(storage: string | null): Answer {
  const [answer, set] = useState<Answer>('waiting');
  const here = storage !== null && app.room.online(storage) !== null;
  useEffect(() => {
    if (!storage || !here) {
      set('away');
      return undefined;
    }
    let alive = true;
    const ask = async (): Promise<void> => {
      try {
        const kept = await app.recordings(storage);
        if (alive) set(kept);
      } catch {
        if (alive) set((before) => (Array.isArray(before) ? before : 'away'));
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), 30_000);
    return () => {
      alive = false;
      clearInterval(timer);
    };
  }, [storage, here]);
  return answer;
}

function Kept({ section, now }: { section: Section; now: number }) {
  const answer = useKept(section.storage);
  return (
    <section aria-label={section.title}>
      <div class="loc">
        <h2>{section.title}</h2>
        <span class="s m3">{sectionWords(section, answer)}</span>
      </div>
      {Array.isArray(answer) && (
        <div class="scroll">
          <table class="ht">
            <thead>
              <tr>
                <th>Camera</th>
                <th class="hide-m">Last 24 h</th>
                <th>Kept since</th>
                <th>Kept for</th>
                <th class="hide-m">Newest</th>
                <th class="hide-m">Size</th>
              </tr>
            </thead>
            <tbody>
              {rows(section, answer).map(([camera, kept]) => (
                <Row key={camera.jid} camera={camera} kept={kept} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function sectionWords(section: Section, answer: Answer): string {
  if (section.storage === null) return 'no storage: nothing is recorded here';
  if (answer === 'waiting') return 'asking the storage';
  if (answer === 'away') return 'The storage is not connected. What it holds is safe.';
  const left = answer.map((camera) => camera.daysLeft).filter((days) => days !== null);
  const bytes = answer.reduce((sum, camera) => sum + camera.bytes, 0);
  const words = `${size(bytes)} kept`;
  if (!left.length) return words;
  return `${words}, room for ${days(Math.min(...left))} more before the oldest are replaced`;
}

function days(count: number): string {
  return span(count * 86_400);
}

function rows(section: Section, kept: CameraRecordings[]): [Camera, CameraRecordings | null][] {
  return section.cameras.map((camera) => [
    camera,
    kept.find((one) => one.jid === camera.jid) ?? null,
  ]);
}

interface RowProps {
  camera: Camera;
  kept: CameraRecordings | null;
  now: number;
}

function Row({ camera, kept, now }: RowProps) {
  const path = cameraPath(camera.jid);
  if (!kept || kept.first === null || kept.last === null) {
    return (
      <tr>
        <td>
          <Link to={path}>{camera.name}</Link>
        </td>
        <td class="m3" colSpan={5}>
          Nothing recorded yet
        </td>
      </tr>
    );
  }
  return (
    <tr>
      <td>
        <Link to={path}>{camera.name}</Link>
      </td>
      <td class="hide-m tape-cell">
        <Tape camera={camera} now={now} tall />
      </td>
      <td>
        <Link to={`${path}?t=${formatTime(kept.first)}`}>{moment(kept.first, camera.zone, now)}</Link>
      </td>
      <td>{days(kept.daysKept ?? (kept.last - kept.first) / 86_400)}</td>
      <td class="hide-m" title={dateWords(kept.last, camera.zone, now)}>
        {moment(kept.last, camera.zone, now)}
      </td>
      <td class="hide-m">{size(kept.bytes)}</td>
    </tr>
  );
}
