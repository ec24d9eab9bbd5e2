// Boxes of MP4 files (ISO/IEC 14496-12 §4.2). No I/O.

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Box {
  type: string;
  /** Of the whole box, and of its content. */
  start: number;
  body: number;
  end: number;
}

/** The boxes that begin between two places; the last may go on after `to`. */
export function boxes(data: Bytes, from: number, to: number): Box[] {
  const found: Box[] = [];
  let at = from;
  while (at + 8 <= to) {
    const size = u32(data, at);
    if (size < 8) throw new Error('a box of a strange size');
    found.push({ type: name(data, at + 4), start: at, body: at + 8, end: at + size });
    at += size;
  }
  return found;
}

export function box(data: Bytes, from: number, to: number, type: string): Box {
  const found = boxes(data, from, to).find((one) => one.type === type);
  if (!found) throw new Error(`no ${type} in this recording`);
  return found;
}

export const u32 = (data: Bytes, at: number): number =>
  new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(at);

export const name = (data: Bytes, at: number): string => String.fromCharCode(...data.subarray(at, at + 4));
