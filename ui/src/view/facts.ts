import type { Camera } from '../core/room.ts';
import { cameraState, storedAge } from '../core/room.ts';
import { size, span } from '../core/time.ts';
import { offlineKeeps, offlineSince } from '../core/words.ts';

// A camera's facts in a few words, for tables.

export function recordingWords(camera: Camera, now: number): string {
  const age = storedAge(camera, now);
  switch (cameraState(camera, now)) {
    case 'stored':
      return `${span(age ?? 0)} ago`;
    case 'late':
      return `last stored ${span(age ?? 0)} ago`;
    case 'spooled':
      return 'On the device';
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
  return `${span(Math.abs(offset))} ${offset < 0 ? 'slow' : 'fast'}`;
}

export function temperatureWords(camera: Camera): string {
  const degrees = camera.peer ? camera.status?.temperature : undefined;
  return typeof degrees === 'number' ? `${Math.round(degrees)} °C` : '';
}

export const versionWords = (camera: Camera): string =>
  (camera.peer && camera.status?.version) || '';
