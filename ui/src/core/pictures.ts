import type { Box, Bytes } from './boxes.ts';
import { box, boxes, u32 } from './boxes.ts';
import type { VideoInit } from './keyframes.ts';

// When each picture of a fragment is shown, for going from one to the next. No I/O.

/** The times of the pictures in these fragments, in the order in which they are shown, s. */
export function pictureTimes(data: Bytes, { track, timescale }: VideoInit): number[] {
  const moofs = boxes(data, 0, data.length).filter(({ type }) => type === 'moof');
  const times = moofs.flatMap((moof) => {
    const traf = boxes(data, moof.body, moof.end)
      .filter(({ type }) => type === 'traf')
      .find((one) => u32(data, box(data, one.body, one.end, 'tfhd').body + 4) === track);
    return traf ? ticks(data, traf) : [];
  });
  // B-frames are stored in another order than they are shown.
  return times.map((tick) => tick / timescale).sort((a, b) => a - b);
}

function ticks(data: Bytes, traf: Box): number[] {
  const tfdt = box(data, traf.body, traf.end, 'tfdt');
  const high = data[tfdt.body] === 1 ? u32(data, tfdt.body + 4) : 0;
  let decode = high * 2 ** 32 + u32(data, tfdt.body + (data[tfdt.body] === 1 ? 8 : 4));
  const trun = box(data, traf.body, traf.end, 'trun');
  const flags = u32(data, trun.body);
  let at = trun.body + 4;
  const next = (): number => {
    at += 4;
    return u32(data, at - 4);
  };
  const count = next();
  if (flags & 0x1) next();
  if (flags & 0x4) next();
  const usual = flags & 0x100 ? 0 : defaultDuration(data, box(data, traf.body, traf.end, 'tfhd'));
  const found: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const duration = flags & 0x100 ? next() : usual;
    if (flags & 0x200) next();
    if (flags & 0x400) next();
    found.push(decode + (flags & 0x800 ? next() | 0 : 0));
    decode += duration;
  }
  return found;
}

function defaultDuration(data: Bytes, tfhd: Box): number {
  const flags = u32(data, tfhd.body);
  if (!(flags & 0x8)) return 0;
  return u32(data, tfhd.body + 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0));
}

/** Close enough to a picture's time to be that picture, s: rounding of container and browser. */
const SAME = 0.001;

/** The moment to show so many pictures on (or back) from the one that is shown; null: not known. */
export function pictureAfter(times: number[], shown: number, count: number): number | null {
  const here = times.findLastIndex((time) => time <= shown + SAME);
  const wanted = here < 0 ? undefined : times[here + count];
  // A little inside, so that rounding doesn't lead to the one before.
  return wanted === undefined ? null : wanted + SAME;
}
