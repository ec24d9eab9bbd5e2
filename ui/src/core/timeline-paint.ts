import type { Span, TimelineData } from './library.ts';
import type { Piece, Window, Zoom } from './scale.ts';
import { bars, labels, marks, pieces, toX, ZOOMS } from './scale.ts';
import { hhmmss } from './time.ts';

// How the timeline looks, from top to bottom: pill lane, ruler, activity, tape, ticks and, zoomed
// in, the whole day with a ring around the window.

const PILL = 30;
const RULER = 18;
const SPACE = 3;
const TAPE = 28;
const TICKS = 6;
const OVER_SPACE = 6;
const OVER_TAPE = 4;
const OVER_RING = 4;
/** Of one camera among several; its tape is higher when it is chosen. */
const ROW = 36;
const ROW_CHOSEN = 18;
const ROW_OTHER = 8;
const ROW_FOOT = 8;
const HANDLE = 14;
const PILLS_WIDTH = 500;
/** Top, height and size of type of a selection's pills; size of type of the playhead's. */
const SMALL_PILL = [4, 22, 12] as const;
const HEAD_PX = 13;

const COLOURS = ['bg', 'line', 'ink', 'ink3', 'edge', 'tape', 'tapeL', 'care', 'lost', 'veil'] as const;
export type Palette = Record<(typeof COLOURS)[number], string>;

/** What there is to draw. */
export interface Scene {
  zoom: number;
  zone: string | null;
  window: Window;
  day: Window;
  /** The window's data, and the whole day's. */
  data: TimelineData | null;
  dayData: TimelineData | null;
  playhead: number | null;
  now: number;
  /** Height of the activity, CSS pixels. */
  sky: number;
  /** Several cameras under one ruler, in place of activity and tape. */
  rows: Row[] | null;
  /** What is to be exported. */
  selection: Span | null;
}

export interface Row {
  data: TimelineData | null;
  chosen: boolean;
}

/** The height that a scene needs, CSS pixels. */
export function sceneHeight({ zoom, sky, rows }: Pick<Scene, 'zoom' | 'sky' | 'rows'>): number {
  if (rows) return PILL + RULER + rows.length * ROW + ROW_FOOT;
  const below = zoom === 0 ? 0 : OVER_SPACE + OVER_TAPE + OVER_RING;
  return PILL + RULER + sky + SPACE + TAPE + TICKS + below;
}

/** The theme's colours as they are now. */
export function readPalette(canvas: HTMLCanvasElement): Palette {
  const before = canvas.style.color;
  const colours = COLOURS.map((name) => {
    // A variable holds light-dark(…); only a colour property is computed to what it means now.
    canvas.style.color = `var(--${name})`;
    return [name, getComputedStyle(canvas).color] as const;
  });
  canvas.style.color = before;
  return Object.fromEntries(colours) as Palette;
}

/** Draws a scene on a canvas of one palette; it is made anew when the theme changes. */
export class TimelinePainter {
  readonly #c: CanvasRenderingContext2D;
  readonly #palette: Palette;
  readonly #hatch: CanvasPattern | null;
  #width = 0;

  constructor(context: CanvasRenderingContext2D, palette: Palette) {
    this.#c = context;
    this.#palette = palette;
    this.#hatch = hatch(context, palette.care);
  }

  paint(scene: Scene): void {
    const c = this.#c;
    const { canvas } = c;
    const { sky, zoom, window, rows } = scene;
    const height = sceneHeight(scene);
    this.#width = canvas.clientWidth;
    this.#resize(canvas, height);
    const scale = canvas.width / this.#width;
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, this.#width, height);
    this.#ruler(scene, PILL + RULER - 5);
    if (rows) {
      this.#rows(rows, window);
      const chosen = rows.filter((row) => row.chosen).length;
      this.#select(scene, PILL + RULER + 4, Math.max(1, chosen) * ROW - 8);
      this.#head(scene, height - 1);
      return;
    }
    const tape = PILL + RULER + sky + SPACE;
    this.#sky(scene, PILL + RULER + sky);
    this.#tape(scene.data, window, tape, TAPE);
    this.#ticks(scene, tape + TAPE);
    if (zoom > 0) this.#day(scene, tape + TAPE + TICKS + OVER_SPACE);
    this.#now(scene, tape + TAPE / 2);
    this.#select(scene, tape, TAPE);
    this.#head(scene, tape + TAPE + TICKS);
  }

  #resize(canvas: HTMLCanvasElement, height: number): void {
    const ratio = devicePixelRatio || 1;
    const width = Math.round(this.#width * ratio);
    const rows = Math.round(height * ratio);
    if (canvas.width === width && canvas.height === rows) return;
    canvas.width = width;
    canvas.height = rows;
    canvas.style.height = `${height}px`;
  }

  #ruler({ window, zoom, zone }: Scene, y: number): void {
    const c = this.#c;
    const width = this.#width;
    c.font = '12px Figtree, system-ui, sans-serif';
    c.fillStyle = this.#palette.ink3;
    for (const { at, text } of labels(window, level(zoom), width, zone)) {
      const x = toX(at, window, width);
      const half = c.measureText(text).width / 2;
      if (zoom === 0) {
        c.fillText(text, Math.min(width - 2 * half, Math.max(0, x - half)), y);
      } else if (x >= half && x <= width - half) {
        c.fillText(text, x - half, y);
      }
    }
  }

  #sky({ data, window, sky }: Scene, y: number): void {
    if (!data) return;
    this.#c.fillStyle = this.#palette.ink3;
    for (const { x, height } of bars(data, window, this.#width)) {
      this.#c.fillRect(x, y - height * sky, 3, height * sky);
    }
  }

  #tape(data: TimelineData | null, window: Window, y: number, height: number): void {
    if (!data) return;
    for (const one of pieces(data, window, this.#width)) {
      if (one.kind === 'gap') this.#gap(one, y, height);
      else if (one.kind === 'device') this.#device(one, y, height);
      else if (one.kind === 'later') this.#later(one, y, height);
      else {
        this.#c.fillStyle = this.#palette.tape;
        this.#c.fillRect(one.x, y, one.width, height);
      }
    }
  }

  #rows(rows: Row[], window: Window): void {
    rows.forEach(({ data, chosen }, index) => {
      const height = chosen ? ROW_CHOSEN : ROW_OTHER;
      this.#tape(data, window, PILL + RULER + index * ROW + (ROW - height) / 2, height);
    });
  }

  /** An ink frame with a handle at each end, and the ends' times outside. */
  #select(scene: Scene, y: number, height: number): void {
    const { selection, window, zone } = scene;
    if (!selection) return;
    const c = this.#c;
    const left = toX(selection.from, window, this.#width);
    const right = toX(selection.to, window, this.#width);
    c.fillStyle = this.#palette.veil;
    c.fillRect(left, y - 2, right - left, height + 4);
    c.fillStyle = this.#palette.ink;
    c.fillRect(left, y - 4, right - left, 2);
    c.fillRect(left, y + height + 2, right - left, 2);
    this.#handle(left - HANDLE, y - 4, height + 8, [4, 0, 0, 4]);
    this.#handle(right, y - 4, height + 8, [0, 4, 4, 0]);
    // On a phone they would lie on each other; the sheet tells the times.
    if (this.#width < PILLS_WIDTH) return;
    const head = this.#headPill(scene);
    const clear = (at: number, width: number, aside: number): number =>
      head && at < head.right && at + width > head.left ? aside : at;
    const before = this.#pill(
      hhmmss(selection.from, zone),
      (width) => clear(left - width, width, (head?.left ?? 0) - 4 - width),
      ...SMALL_PILL,
    );
    this.#pill(
      hhmmss(selection.to, zone),
      (width) => clear(Math.max(right, before + 4), width, (head?.right ?? 0) + 4),
      ...SMALL_PILL,
    );
  }

  /** Where the playhead's time stands, when it is in view. */
  #headPill({ playhead, window, zone }: Scene): { left: number; right: number } | null {
    if (playhead === null || playhead < window.from || playhead > window.to) return null;
    const width = this.#pillWidth(hhmmss(playhead, zone), HEAD_PX);
    const left = toX(playhead, window, this.#width) - width / 2;
    const shown = Math.min(this.#width - width, Math.max(0, left));
    return { left: shown, right: shown + width };
  }

  #pillWidth(text: string, px: number): number {
    this.#c.font = `650 ${px}px Figtree, system-ui, sans-serif`;
    return this.#c.measureText(text).width + 20;
  }

  #handle(x: number, y: number, height: number, corners: number[]): void {
    const c = this.#c;
    c.fillStyle = this.#palette.ink;
    c.beginPath();
    c.roundRect(x, y, HANDLE, height, corners);
    c.fill();
    c.fillStyle = this.#palette.bg;
    c.fillRect(x + HANDLE / 2 - 1, y + height / 2 - 6, 2, 12);
  }

  /** Words on ink, kept inside the canvas; returns its right end. */
  #pill(text: string, at: (width: number) => number, y: number, height: number, px: number): number {
    const c = this.#c;
    const width = this.#pillWidth(text, px);
    const left = Math.min(this.#width - width, Math.max(0, at(width)));
    c.fillStyle = this.#palette.ink;
    c.beginPath();
    c.roundRect(left, y, width, height, height / 2);
    c.fill();
    c.fillStyle = this.#palette.bg;
    c.fillText(text, left + 10, y + height / 2 + px / 2 - 2);
    return left + width;
  }

  /** Two tones, split where there is room for it. */
  #later({ x, width }: Piece, y: number, height: number): void {
    const c = this.#c;
    const split = height >= 10 ? 2 : 0;
    const half = Math.round(height / 2);
    c.fillStyle = this.#palette.bg;
    c.fillRect(x, y, width, height);
    c.fillStyle = this.#palette.tapeL;
    c.fillRect(x, y, width, half - split / 2);
    c.fillStyle = this.#palette.tape;
    c.fillRect(x, y + half + split / 2, width, height - half - split / 2);
  }

  /** Blank, 1 px walls, dotted floor; a bare blank where the tape is thin. */
  #gap({ x, width }: Piece, y: number, height: number): void {
    const c = this.#c;
    c.fillStyle = this.#palette.bg;
    c.fillRect(x, y, width, height);
    if (height < ROW_OTHER) return;
    c.fillStyle = this.#palette.lost;
    c.fillRect(x, y, 1, height);
    c.fillRect(x + width - 1, y, 1, height);
    for (let at = x + 2; at + 2 <= x + width - 1; at += 4) c.fillRect(at, y + height - 2, 2, 2);
  }

  #device({ x, width }: Piece, y: number, height: number): void {
    const c = this.#c;
    c.fillStyle = this.#palette.bg;
    c.fillRect(x, y, width, height);
    if (this.#hatch) {
      c.fillStyle = this.#hatch;
      c.fillRect(x, y, width, height);
    }
    c.strokeStyle = this.#palette.care;
    c.lineWidth = 1;
    c.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
  }

  #ticks({ window, zoom, zone }: Scene, y: number): void {
    this.#c.fillStyle = this.#palette.edge;
    for (const at of marks(window, level(zoom).tick, zone)) {
      const x = Math.min(this.#width - 1, Math.round(toX(at, window, this.#width)));
      this.#c.fillRect(x, y, 1, TICKS);
    }
  }

  #day({ day, dayData, window }: Scene, y: number): void {
    const c = this.#c;
    const width = this.#width;
    // Of a day with little in it the ring alone would be a riddle.
    c.fillStyle = this.#palette.line;
    c.fillRect(0, y + OVER_TAPE / 2 - 0.5, width, 1);
    this.#tape(dayData, day, y, OVER_TAPE);
    const left = Math.min(width - 9, Math.max(1, toX(window.from, day, width)));
    const right = Math.min(width - 1, toX(window.to, day, width));
    c.strokeStyle = this.#palette.ink;
    c.lineWidth = 2;
    c.beginPath();
    c.roundRect(left, y - 3, Math.max(8, right - left), OVER_TAPE + 6, 4);
    c.stroke();
  }

  #now({ now, window }: Scene, y: number): void {
    const x = toX(now, window, this.#width);
    if (x < 0 || x > this.#width) return;
    disc(this.#c, this.#palette.bg, x, y, 6);
    disc(this.#c, this.#palette.tape, x, y, 4);
  }

  #head({ playhead, window, zone }: Scene, foot: number): void {
    if (playhead === null) return;
    const c = this.#c;
    const width = this.#width;
    const x = toX(playhead, window, width);
    if (x < -1 || x > width + 1) return;
    const at = Math.min(width - 1, Math.max(1, x));
    c.fillStyle = this.#palette.ink;
    c.fillRect(at - 1, 4, 2, foot - 4);
    c.beginPath();
    c.moveTo(at - 6, foot + 0.5);
    c.lineTo(at + 6, foot + 0.5);
    c.lineTo(at, foot - 6);
    c.fill();
    this.#pill(hhmmss(playhead, zone), (pill) => at - pill / 2, 2, 26, HEAD_PX);
  }
}

function level(zoom: number): Zoom {
  return ZOOMS[zoom] as Zoom;
}

function disc(c: CanvasRenderingContext2D, colour: string, x: number, y: number, r: number): void {
  c.fillStyle = colour;
  c.beginPath();
  c.arc(x, y, r, 0, 2 * Math.PI);
  c.fill();
}

/** 135° lines, 2 px on, 4 px off. */
function hatch(context: CanvasRenderingContext2D, colour: string): CanvasPattern | null {
  const side = Math.round(6 * Math.SQRT2 * 4);
  const tile = document.createElement('canvas');
  tile.width = tile.height = side;
  const c = tile.getContext('2d');
  if (!c) return null;
  c.strokeStyle = colour;
  c.lineWidth = 8;
  for (let at = -side; at <= 2 * side; at += side) {
    c.beginPath();
    c.moveTo(at, side);
    c.lineTo(at + side, 0);
    c.stroke();
  }
  const pattern = context.createPattern(tile, 'repeat');
  // Drawn four times as large, so that the lines stay sharp on dense screens.
  pattern?.setTransform(new DOMMatrix([0.25, 0, 0, 0.25, 0, 0]));
  return pattern;
}
