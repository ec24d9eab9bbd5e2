import { pause } from './backoff.ts';
import type { RecordingsChannel } from './recordings.ts';
import { segment } from './recordings.ts';
import { formatTime, parseTime } from './time.ts';

// Small pictures of one camera, sixty to a sheet, asked for as they are looked at. Sheets lie on a
// grid of time: whoever looks at much the same asks for the same ones.

/** Seconds between two pictures of a sheet that the storage makes. */
const INTERVALS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];
/** Decoded sheets that are kept: 3.5 MB each. */
const KEPT = 8;
/** What waits to be asked for; newer wishes come first, older ones are forgotten. */
const WISHES = 4;
const AGAIN_MS = 5_000;
/** A sheet that reaches into the present is asked for anew when it is this old. */
const FRESH_MS = 20_000;

/** A picture and where in its sheet it is. */
export interface Thumbnail {
  sheet: CanvasImageSource;
  x: number;
  y: number;
  width: number;
  height: number;
  /** When it was taken, UTC seconds. */
  at: number;
}

interface Wire {
  interval: number;
  width: number;
  height: number;
  columns: number;
  rows: number;
  sheets: { from: string; sheet: string; times: (string | null)[] }[];
}

interface Sheet {
  from: number;
  interval: number;
  columns: number;
  width: number;
  height: number;
  times: (number | null)[];
  picture: ImageBitmap | null;
  /** When to ask again (ms); never when it is complete. */
  staleAt: number;
  usedAt: number;
}

/** The storage's interval that is at least this long. */
export const intervalFor = (seconds: number): number =>
  INTERVALS.find((one) => one >= seconds) ?? 3600;

type Decode = (bytes: Uint8Array<ArrayBuffer>) => Promise<ImageBitmap>;

const decodeWebp: Decode = (bytes) => createImageBitmap(new Blob([bytes], { type: 'image/webp' }));

export class Thumbnails {
  readonly #channel: RecordingsChannel;
  readonly #jid: string;
  readonly #now: () => number;
  readonly #changed: () => void;
  readonly #decode: Decode;
  readonly #stop = new AbortController();
  readonly #sheets = new Map<string, Sheet>();
  #wishes: { from: number; interval: number }[] = [];
  #working = false;

  /** `now`: the server's, UTC seconds; `changed` is called when there are new pictures. */
  constructor(
    channel: RecordingsChannel,
    jid: string,
    now: () => number,
    changed: () => void,
    decode: Decode = decodeWebp,
  ) {
    this.#channel = channel;
    this.#jid = jid;
    this.#now = now;
    this.#changed = changed;
    this.#decode = decode;
  }

  /** The picture that is there and was taken next to this moment, at most `within` s away. */
  near(moment: number, within: number): Thumbnail | null {
    let best: { sheet: Sheet; cell: number; at: number } | null = null;
    for (const sheet of this.#sheets.values()) {
      const middle = Math.floor((moment - sheet.from) / sheet.interval);
      for (let cell = middle - 1; cell <= middle + 1; cell += 1) {
        const at = sheet.times[cell];
        if (at === null || at === undefined || !sheet.picture) continue;
        if (Math.abs(at - moment) > Math.min(within, 1.5 * sheet.interval)) continue;
        if (best && Math.abs(best.at - moment) <= Math.abs(at - moment)) continue;
        best = { sheet, cell, at };
      }
    }
    if (!best?.sheet.picture) return null;
    const { sheet, cell, at } = best;
    sheet.usedAt = Date.now();
    const { width, height, columns } = sheet;
    return {
      sheet: best.sheet.picture,
      x: (cell % columns) * width,
      y: Math.floor(cell / columns) * height,
      width,
      height,
      at,
    };
  }

  /** Asks for the sheet that holds this moment; the latest wish comes first. */
  want(moment: number, interval: number): void {
    const length = 60 * interval;
    const from = Math.floor(moment / length) * length;
    const known = this.#sheets.get(`${from} ${interval}`);
    if ((known && Date.now() < known.staleAt) || from > this.#now()) return;
    this.#wishes = this.#wishes.filter((one) => one.from !== from || one.interval !== interval);
    this.#wishes.unshift({ from, interval });
    this.#wishes.length = Math.min(this.#wishes.length, WISHES);
    if (!this.#working) void this.#work();
  }

  close(): void {
    this.#stop.abort();
    for (const { picture } of this.#sheets.values()) picture?.close();
    this.#sheets.clear();
  }

  /** One sheet after the other: making one takes the storage a second. */
  async #work(): Promise<void> {
    this.#working = true;
    try {
      // A pointer that runs over the timeline leaves only its last wishes.
      await pause(40, this.#stop.signal);
      for (let wish = this.#wishes.shift(); wish; wish = this.#wishes.shift()) {
        await this.#fetch(wish.from, wish.interval);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    } finally {
      this.#working = false;
    }
  }

  async #fetch(from: number, interval: number): Promise<void> {
    const { signal } = this.#stop;
    const base = `/cameras/${segment(this.#jid)}`;
    const to = from + 60 * interval;
    const sheet: Sheet = {
      from,
      interval,
      columns: 1,
      width: 0,
      height: 0,
      times: [],
      picture: null,
      staleAt: Date.now() + AGAIN_MS,
      usedAt: Date.now(),
    };
    try {
      const query = `from=${formatTime(from)}&to=${formatTime(to)}&interval=${interval}`;
      const wire = await this.#channel.json<Wire>(`${base}/thumbnails?${query}`, signal);
      const [told] = wire.sheets;
      if (told) {
        const { status, body } = await this.#channel.request(`${base}/${told.sheet}`, { signal });
        if (status === 200) {
          sheet.picture = await this.#decode(body as Uint8Array<ArrayBuffer>);
          sheet.times = told.times.map((time) => (time === null ? null : parseTime(time)));
          sheet.columns = wire.columns;
          sheet.width = wire.width;
          sheet.height = wire.height;
        }
      }
      const complete = to < this.#now() - 60;
      if (sheet.picture || !told) {
        sheet.staleAt = complete ? Number.POSITIVE_INFINITY : Date.now() + FRESH_MS;
      }
    } catch (error) {
      // Busy, away or damaged: asked for again when somebody looks again.
      signal.throwIfAborted();
      if (!(error instanceof Error)) throw error;
    }
    if (signal.aborted) {
      sheet.picture?.close();
      signal.throwIfAborted();
    }
    this.#keep(sheet);
    this.#changed();
  }

  #keep(sheet: Sheet): void {
    const key = `${sheet.from} ${sheet.interval}`;
    const before = this.#sheets.get(key);
    if (before?.picture && !sheet.picture) {
      before.staleAt = sheet.staleAt;
      return;
    }
    before?.picture?.close();
    this.#sheets.set(key, sheet);
    while (this.#sheets.size > KEPT) {
      const [[oldest, gone]] = [...this.#sheets].toSorted(([, a], [, b]) => a.usedAt - b.usedAt) as [
        [string, Sheet],
      ];
      gone.picture?.close();
      this.#sheets.delete(oldest);
    }
  }
}
