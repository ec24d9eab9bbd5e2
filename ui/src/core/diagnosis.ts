import type { Camera } from './room.ts';
import { cameraState, storedAge } from './room.ts';
import { span } from './time.ts';
import { moment } from './words.ts';

export interface Diagnosis {
  /** The fault in a few words; empty when there is none. */
  fault: string;
  /** What is safe, and what to do. */
  advice: string;
}

const CLOCK_SECONDS = 5;
const HOT = 80;
const BEHIND_SECONDS = 30;

/** What is wrong with a camera, what is safe, what to do; the worst first, one at a time. */
export function diagnose(camera: Camera, now: number): Diagnosis {
  return footage(camera, now) ?? machine(camera) ?? said(camera) ?? { fault: '', advice: '' };
}

function footage(camera: Camera, now: number): Diagnosis | null {
  const waits = camera.status?.spool?.seconds ?? 0;
  const message = camera.peer ? camera.status?.message : null;
  switch (cameraState(camera, now)) {
    case 'nothing':
      return {
        fault: 'Records nothing.',
        advice: message ?? 'Look at the device: its power, its camera, its card.',
      };
    case 'offline':
      return offline(camera, now);
    case 'spooled':
      return {
        fault: 'Does not reach its storage.',
        advice: `It records on the device, ${span(waits)} so far. Look whether the storage runs.`,
      };
    case 'late':
      return {
        fault: 'Storage falls behind.',
        advice: `The newest second in storage is ${span(storedAge(camera, now) ?? 0)} old.`,
      };
    default:
      break;
  }
  if (!camera.peer || waits < BEHIND_SECONDS) return null;
  return { fault: 'Back.', advice: `${span(waits)} of recording are on their way.` };
}

function offline(camera: Camera, now: number): Diagnosis {
  if (camera.lastSeen === null) {
    return {
      fault: 'It has not been here yet.',
      advice: 'Set it up with a code or its token, and start it.',
    };
  }
  return {
    fault: `No network since ${moment(camera.lastSeen, camera.zone, now)}.`,
    advice: 'It keeps recording on the device while it has power. Look at its cable and its power.',
  };
}

function machine(camera: Camera): Diagnosis | null {
  if (!camera.peer) return null;
  const { status } = camera;
  if ((status?.['under-voltage'] ?? 0) > 0) {
    return { fault: 'Pi under-voltage.', advice: 'Use the 5 V 3 A supply that came with it.' };
  }
  const offset = Math.abs(status?.['clock-offset'] ?? 0);
  if (offset >= CLOCK_SECONDS) {
    return {
      fault: `Clock off by ${span(offset)}.`,
      advice: 'Its recordings say times that are as wrong. Look whether it reaches its time server (NTP).',
    };
  }
  const hot = status?.temperature ?? 0;
  if (hot >= HOT) {
    return {
      fault: `Hot: ${Math.round(hot)} °C.`,
      advice: 'It slows itself down. Give it air or shade.',
    };
  }
  return null;
}

const said = (camera: Camera): Diagnosis | null =>
  camera.peer && camera.status?.message ? { fault: '', advice: camera.status.message } : null;
