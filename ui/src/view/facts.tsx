import { personName } from '../core/jid.ts';
import type { Camera } from '../core/room.ts';
import { cameraState, storedAge } from '../core/room.ts';
import { size, span } from '../core/time.ts';
import { offlineKeeps, offlineSince } from '../core/words.ts';
import { watchersOf } from './live.tsx';

/** What the camera says about itself, beside its picture. */
export function Facts({ camera, title, now }: { camera: Camera; title: string; now: number }) {
  const others = watchersOf(camera.status?.viewers).map(personName);
  const rows: [string, string][] = [
    ['Location', title],
    ['Recording', recordingWords(camera, now)],
    ['On the device', spoolWords(camera)],
    ['Watching too', others.join(', ') || 'nobody'],
    ['Clock', clockWords(camera)],
    ['Source', text(camera.status?.source)],
    ['Encoder', text(camera.status?.encoder)],
  ];
  return (
    <aside class="facts" aria-label="About this camera">
      <h2 class="b">This camera</h2>
      <dl>
        {rows
          .filter(([, value]) => value !== '')
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {camera.status?.message && <p class="s m2">{camera.status.message}</p>}
      <p class="xs m3">
        <code>{camera.jid}</code>
      </p>
    </aside>
  );
}

export function recordingWords(camera: Camera, now: number): string {
  const age = storedAge(camera, now);
  switch (cameraState(camera, now)) {
    case 'stored':
      return `stored, ${span(age ?? 0)} ago`;
    case 'late':
      return `last stored ${span(age ?? 0)} ago`;
    case 'spooled':
      return 'on the device';
    case 'nothing':
      return 'nothing';
    case 'offline':
      return `${offlineSince(camera, now)}. ${offlineKeeps(camera)}`;
    case 'checking':
      return 'not known yet';
  }
}

export function spoolWords(camera: Camera): string {
  const spool = camera.peer ? camera.status?.spool : null;
  if (!spool) return '';
  return spool.seconds < 5 ? 'none' : `${span(spool.seconds)}, ${size(spool.bytes)}`;
}

/** The camera's clock against the storage's or the web's, as far as it was measured. */
export function clockWords(camera: Camera): string {
  const offset = camera.peer ? camera.status?.['clock-offset'] : null;
  if (typeof offset !== 'number') return '';
  if (Math.abs(offset) < 60) return `${Math.abs(offset).toFixed(1)} s`;
  return `off by ${span(Math.abs(offset))}`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
