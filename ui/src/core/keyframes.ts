// Fast play shows keyframes alone: these functions cut them out of what is stored. An init segment
// loses its sound, a fragment all but its first picture. Boxes: ISO/IEC 14496-12. No I/O.

import type { Box, Bytes } from './boxes.ts';
import { box, boxes, name, u32 } from './boxes.ts';

/** A picture is longer than any that a camera makes: the file is damaged. */
const MOST_PICTURE = 16 * 1024 * 1024;
const VIDEO = /^(avc|hev|hvc|vp|av01)/;
const SYNC_SAMPLE = 0x0200_0000;

export interface VideoInit {
  bytes: Bytes;
  track: number;
  timescale: number;
}

/** What is known of a fragment's first picture from the fragment's first bytes. */
export type FirstPicture =
  | { bytes: Bytes }
  /** It takes this many bytes from the fragment's begin. */
  | { need: number };

/** The init segment of the video alone. */
export function videoInit(init: Bytes): VideoInit {
  const moov = box(init, 0, init.length, 'moov');
  const video = boxes(init, moov.body, moov.end)
    .filter(({ type }) => type === 'trak')
    .find((trak) => handler(init, trak) === 'vide');
  if (!video) throw new Error('no video in this recording');
  const track = trackId(init, video);
  const kept = boxes(init, moov.body, moov.end).map((one) => {
    if (one.type === 'trak' && one.start !== video.start) return new Uint8Array();
    if (one.type === 'mvex') return extends_(init, one, track);
    return init.subarray(one.start, one.end);
  });
  return {
    bytes: joined([init.subarray(0, moov.start), made('moov', kept)]),
    track,
    timescale: timescale(init, video),
  };
}

/** The codec of the video in a list such as "avc1.64001f,mp4a.40.2". */
export function videoCodec(codecs: string): string {
  const all = codecs.split(',').map((one) => one.trim());
  return all.find((one) => VIDEO.test(one)) ?? codecs;
}

export const hasVideo = (codecs: string): boolean => VIDEO.test(videoCodec(codecs));

export const hasAudio = (codecs: string): boolean => /mp4a|opus/i.test(codecs);

/** A fragment of one picture that lasts `seconds`, from the begin of a stored fragment. */
export function firstPicture(head: Bytes, init: VideoInit, seconds: number): FirstPicture {
  const moof = boxes(head, 0, head.length).find(({ type }) => type === 'moof');
  if (!moof) return { need: Math.max(4096, head.length * 2) };
  if (moof.end > head.length) return { need: moof.end + 16 };
  const traf = boxes(head, moof.body, moof.end)
    .filter(({ type }) => type === 'traf')
    .find((one) => u32(head, box(head, one.body, one.end, 'tfhd').body + 4) === init.track);
  if (!traf) throw new Error('no video in this fragment');
  const run = firstSample(head, traf);
  const begin = moof.start + run.offset;
  const end = begin + run.size;
  if (run.size <= 0 || run.size > MOST_PICTURE) throw new Error('a picture of a strange size');
  if (end > head.length) return { need: end };
  const tfdt = box(head, traf.body, traf.end, 'tfdt');
  const parts = {
    mfhd: head.subarray(...whole(box(head, moof.body, moof.end, 'mfhd'))),
    tfdt: head.subarray(tfdt.start, tfdt.end),
    picture: head.subarray(begin, end),
  };
  const duration = Math.max(1, Math.round(seconds * init.timescale));
  return { bytes: fragment(parts, init.track, duration, run.composition) };
}

interface Parts {
  mfhd: Bytes;
  tfdt: Bytes;
  picture: Bytes;
}

function fragment(parts: Parts, track: number, duration: number, composition: number): Bytes {
  const { mfhd, tfdt, picture } = parts;
  const tfhd = made('tfhd', [words(0x0002_0000, track)]);
  // One sample: where its data are, its duration, size, flags and composition offset.
  const trun = (offset: number): Bytes =>
    made('trun', [words(0x0100_0f01, 1, offset, duration, picture.length, SYNC_SAMPLE, composition)]);
  const moof = (offset: number): Bytes =>
    made('moof', [mfhd, made('traf', [tfhd, tfdt, trun(offset)])]);
  const size = moof(0).length;
  return joined([moof(size + 8), made('mdat', [picture])]);
}

/** Where a track fragment's first sample lies, from the moof's begin. */
function firstSample(head: Bytes, traf: Box) {
  const tfhd = box(head, traf.body, traf.end, 'tfhd');
  const trun = box(head, traf.body, traf.end, 'trun');
  const flags = u32(head, trun.body) & 0xff_ffff;
  let at = trun.body + 8;
  const next = (): number => {
    at += 4;
    return u32(head, at - 4);
  };
  const offset = flags & 0x1 ? next() | 0 : 0;
  if (flags & 0x4) next();
  if (flags & 0x100) next();
  const size = flags & 0x200 ? next() : defaultSize(head, tfhd);
  if (flags & 0x400) next();
  const composition = flags & 0x800 ? next() : 0;
  return { offset, size, composition };
}

function defaultSize(head: Bytes, tfhd: Box): number {
  const flags = u32(head, tfhd.body) & 0xff_ffff;
  if (!(flags & 0x10)) return 0;
  const before = (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0) + (flags & 0x8 ? 4 : 0);
  return u32(head, tfhd.body + 8 + before);
}

function extends_(init: Bytes, mvex: Box, track: number): Bytes {
  const kept = boxes(init, mvex.body, mvex.end)
    .filter((one) => one.type !== 'trex' || u32(init, one.body + 4) === track)
    .map((one) => init.subarray(one.start, one.end));
  return made('mvex', kept);
}

function handler(init: Bytes, trak: Box): string {
  const mdia = box(init, trak.body, trak.end, 'mdia');
  const hdlr = box(init, mdia.body, mdia.end, 'hdlr');
  return name(init, hdlr.body + 8);
}

function trackId(init: Bytes, trak: Box): number {
  const tkhd = box(init, trak.body, trak.end, 'tkhd');
  return u32(init, tkhd.body + 4 + (init[tkhd.body] === 1 ? 16 : 8));
}

function timescale(init: Bytes, trak: Box): number {
  const mdia = box(init, trak.body, trak.end, 'mdia');
  const mdhd = box(init, mdia.body, mdia.end, 'mdhd');
  return u32(init, mdhd.body + 4 + (init[mdhd.body] === 1 ? 16 : 8));
}

const whole = ({ start, end }: Box): [number, number] => [start, end];

function words(...values: number[]): Bytes {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => view.setUint32(4 * index, value));
  return bytes;
}

function made(type: string, parts: Uint8Array[]): Bytes {
  const head = words(8 + parts.reduce((sum, part) => sum + part.length, 0), 0);
  head.set(new TextEncoder().encode(type), 4);
  return joined([head, ...parts]);
}

function joined(parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
