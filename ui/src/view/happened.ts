import type { Happened } from '../core/events.ts';
import { fromMoments, fromNoticed, fromTimeline, ordered } from '../core/events.ts';
import type { Camera } from '../core/room.ts';
import { app } from './base.tsx';
import { upToDate } from './footage.tsx';

/** What happened to these cameras in the last 24 h, as far as this page knows, newest first. */
export function happened(cameras: Camera[], now: number, moments: boolean): Happened[] {
  const all: Happened[] = [];
  for (const camera of cameras) {
    const tape = app.tape(camera.jid, camera.storage);
    if (!tape) continue;
    const data = upToDate(tape, camera, now);
    all.push(...fromTimeline(camera, data));
    if (moments) all.push(...fromMoments(camera, data));
  }
  for (const one of app.room.noticed) {
    const camera = cameras.find(({ jid }) => jid === one.jid);
    if (camera) all.push(fromNoticed(one, camera));
  }
  return ordered(all);
}
