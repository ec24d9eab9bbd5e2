import type { Camera, Section } from './room.ts';
import { cameraState, storedAge } from './room.ts';
import { dateWords, dayOf, hhmm, span } from './time.ts';

export interface Summary {
  total: number;
  recording: number;
  tone: 'quiet' | 'checking' | 'care' | 'lost';
  /** The number in words: "All 10 recording", "9 of 10 recording". */
  number: string;
  /** One line of reason; empty when all is well. */
  why: string;
}

/** The one number: cameras whose newest second is confirmed in storage. */
export function summary(cameras: Camera[], now: number): Summary {
  const total = cameras.length;
  const states = cameras.map((camera) => cameraState(camera, now));
  const recording = states.filter((state) => state === 'stored').length;
  const plain = { total, recording, why: '' };
  if (recording === total) {
    const number = total === 1 ? '1 camera recording' : `All ${total} recording`;
    return { ...plain, tone: 'quiet', number };
  }
  const troubled = cameras.filter((_, i) => states[i] !== 'stored' && states[i] !== 'checking');
  if (!troubled.length) {
    const number = total === 1 ? 'Checking 1 camera' : `Checking ${total} cameras`;
    return { ...plain, tone: 'checking', number };
  }
  // A camera that has never been here keeps nothing on its device either.
  const absent = troubled.some((camera) => !camera.peer && camera.lastSeen === null);
  const tone = states.includes('nothing') || absent ? 'lost' : 'care';
  const number = `${recording} of ${total} recording`;
  return { total, recording, tone, number, why: reason(troubled, now) };
}

function reason(troubled: Camera[], now: number): string {
  const nothing = troubled.filter((camera) => cameraState(camera, now) === 'nothing');
  const worst = nothing.length ? nothing : troubled;
  const [only] = worst;
  if (worst.length === 1 && only) return trouble(only, now);
  if (nothing.length) return `${nothing.length} record nothing.`;
  const states = new Set(worst.map((camera) => cameraState(camera, now)));
  if (states.size === 1 && states.has('offline')) return `${worst.length} are offline.`;
  if (states.size === 1 && states.has('spooled')) return `${worst.length} record on the device.`;
  return `${worst.map((camera) => camera.name).join(', ')}: not stored now.`;
}

/** What is wrong with one camera, what is safe. Empty when nothing is wrong. */
export function trouble(camera: Camera, now: number): string {
  switch (cameraState(camera, now)) {
    case 'offline':
      return `${camera.name} is ${offlineSince(camera, now)}. ${offlineKeeps(camera)}`;
    case 'spooled':
      return `${camera.name} records on the device.`;
    case 'nothing':
      return `${camera.name} records nothing.`;
    case 'late':
      return `${camera.name} was last stored ${span(storedAge(camera, now) ?? 0)} ago.`;
    default:
      return '';
  }
}

/** "offline since 14:02", with the date when it was not today; "offline" when nobody saw it. */
export function offlineSince(camera: Camera, now: number): string {
  if (camera.lastSeen === null) return 'offline';
  return `offline since ${moment(camera.lastSeen, camera.zone, now)}`;
}

/** A camera that nobody hears cannot be asked; this is what it does unless it lost power. */
export function offlineKeeps(camera: Camera): string {
  return camera.lastSeen === null
    ? 'It has not been here yet.'
    : 'It keeps recording on the device while it has power.';
}

/** 14:02 when today, otherwise 16 September 14:02. */
export function moment(at: number, zone: string | null, now: number): string {
  const today = dayOf(now, zone);
  const time = hhmm(at, zone);
  if (at >= today.start && at < today.end) return time;
  return `${dateWords(at, zone, now)} ${time}`;
}

/** As a sentence of its own: "the camera was not connected" becomes one. */
export function asSentence(text: string): string {
  if (!text) return '';
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/** "4 of 4 recording" behind a location's title. */
export function sectionNumber(section: Section, now: number): string {
  const { total, recording } = summary(section.cameras, now);
  return `${recording} of ${total} recording`;
}

/** Why a camera takes no call, as it told it. */
export function refusalInWords(reason: string): string {
  const full = /^max-viewers: (\d+) /.exec(reason);
  if (full) return `${full[1]} watch this camera already, and it serves no more (capture.toml → live.max-viewers).`;
  return asSentence(reason);
}
