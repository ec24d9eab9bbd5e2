import type { TimelineData } from './library.ts';
import type { Piece, Window, Zoom } from './scale.ts';
import { bars, inside, labels, marks, panned, pieces, toTime, toX, zoomed, ZOOMS } from './scale.ts';
import { hhmmss } from './time.ts';

export interface TimelineEvents {
  seek(moment: number): void;
  /** The window changed by wheel, pinch or drag: what it shows may have to be fetched. */
  window(window: Window, zoom: number): void;
  /** The pointer is at this x (null: not over the timeline). */
  hover(x: number | null): void;
}

const PILL = 30;
const RULER = 18;
const SPACE = 3;
const TAPE = 28;
const TICKS = 6;
/** Zoomed in, the whole day stands below: space, tape, and the ring around the window. */
const OVER_SPACE = 6;
const OVER_TAPE = 4;
const OVER_RING = 4;
/** A drag that begins this near the playhead moves it; elsewhere it moves the window. */
const GRAB = 14;
const ZOOM_MS = 160;

const COLOURS = ['bg', 'ink', 'ink3', 'edge', 'tape', 'care', 'lost', 'tapeGap'] as const;
type Palette = Record<(typeof COLOURS)[number], string>;

/** A day of one camera, drawn on one canvas: ruler, activity, tape, playhead; and its input. */
export class Timeline {
  /** Index into ZOOMS. */
  zoom = 0;
  window: Window;
  readonly #canvas: HTMLCanvasElement;
  readonly #events: TimelineEvents;
  readonly #stop = new AbortController();
  readonly #pointers = new Map<number, number>();
  #zone: string | null;
  #day: Window;
  #dayData: TimelineData | null = null;
  #data: TimelineData | null = null;
  #playhead: number | null = null;
  #now = 0;
  #palette: Palette | null = null;
  #drawing = 0;
  #from: { x: number; window: Window; scrub: boolean; moved: boolean } | null = null;
  #pinch = 0;
  #hatch: CanvasPattern | null = null;

  constructor(
    canvas: HTMLCanvasElement,
    day: Window,
    zone: string | null,
    events: TimelineEvents,
  ) {
    this.#canvas = canvas;
    this.#day = day;
    this.#zone = zone;
    this.window = { ...day };
    this.#events = events;
    this.#listen();
  }

  /** The whole height the canvas needs at this zoom, CSS pixels. */
  static height(zoom: number, sky: number): number {
    const below = zoom === 0 ? 0 : OVER_SPACE + OVER_TAPE + OVER_RING;
    return PILL + RULER + sky + SPACE + TAPE + TICKS + below;
  }

  setDay(day: Window, zone: string | null): void {
    if (day.from === this.#day.from && day.to === this.#day.to && zone === this.#zone) return;
    this.#day = day;
    this.#zone = zone;
    this.#dayData = this.#data = null;
    this.#show(inside(this.window, day));
  }

  /** The day's data, and finer data for the window when zoomed in. */
  setData(day: TimelineData | null, fine: TimelineData | null): void {
    this.#dayData = day;
    this.#data = fine ?? day;
    this.draw();
  }

  setMoment(playhead: number | null, now: number): void {
    this.#playhead = playhead;
    this.#now = now;
    this.draw();
  }

  /** Brings a moment into view after a jump, without moving the window otherwise. */
  reveal(moment: number): void {
    const { from, to } = this.window;
    if (moment >= from && moment <= to) return;
    const half = (to - from) / 2;
    this.#show(inside({ from: moment - half, to: moment + half }, this.#day));
  }

  setZoom(zoom: number, about?: number): void {
    const level = ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, zoom))] as Zoom;
    if (ZOOMS.indexOf(level) === this.zoom) return;
    this.zoom = ZOOMS.indexOf(level);
    const seconds = this.zoom === 0 ? this.#day.to - this.#day.from : level.seconds;
    const centre = about ?? this.#playhead ?? this.#now;
    this.#glide(inside(zoomed(this.window, seconds, centre), this.#day));
  }

  /** The theme changed: colours are read anew. */
  restyle(): void {
    this.#palette = null;
    this.draw();
  }

  draw(): void {
    if (!this.#drawing) this.#drawing = requestAnimationFrame(() => this.#paint());
  }

  close(): void {
    this.#stop.abort();
    cancelAnimationFrame(this.#drawing);
  }

  get #width(): number {
    return this.#canvas.clientWidth;
  }

  get #sky(): number {
    return matchMedia('(max-height: 500px)').matches ? 16 : 28;
  }

  #show(window: Window): void {
    this.window = window;
    this.#events.window(window, this.zoom);
    this.draw();
  }

  #glide(to: Window): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      this.#show(to);
      return;
    }
    const from = this.window;
    const begin = performance.now();
    const step = (time: number): void => {
      if (this.#stop.signal.aborted) return;
      const share = Math.min(1, Math.max(0, (time - begin) / ZOOM_MS));
      const eased = 1 - (1 - share) ** 3;
      this.window = {
        from: from.from + (to.from - from.from) * eased,
        to: from.to + (to.to - from.to) * eased,
      };
      if (share < 1) requestAnimationFrame(step);
      else this.#show(to);
      this.draw();
    };
    requestAnimationFrame(step);
  }

  #listen(): void {
    const options = { signal: this.#stop.signal };
    const on = <K extends keyof HTMLElementEventMap>(
      type: K,
      listener: (event: HTMLElementEventMap[K]) => void,
    ): void => this.#canvas.addEventListener(type, listener, { ...options, passive: false });
    on('pointerdown', (event) => this.#down(event));
    on('pointermove', (event) => this.#move(event));
    on('pointerup', (event) => this.#up(event));
    on('pointercancel', (event) => this.#cancel(event));
    on('pointerleave', () => this.#events.hover(null));
    on('wheel', (event) => this.#wheel(event));
    new ResizeObserver((_, observer) => {
      if (this.#stop.signal.aborted) observer.disconnect();
      else this.draw();
    }).observe(this.#canvas);
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event.offsetX);
    if (this.#pointers.size === 2) {
      this.#pinch = this.#spread();
      this.#from = null;
      return;
    }
    const head = this.#playhead === null ? null : toX(this.#playhead, this.window, this.#width);
    const near = head !== null && Math.abs(head - event.offsetX) <= GRAB;
    // With the whole day in view there is nothing to move the window to.
    const scrub = near || this.zoom === 0;
    this.#from = { x: event.offsetX, window: this.window, scrub, moved: false };
  }

  #move(event: PointerEvent): void {
    const x = event.offsetX;
    if (this.#pointers.has(event.pointerId)) this.#pointers.set(event.pointerId, x);
    if (this.#pointers.size === 2) {
      this.#pinched();
      return;
    }
    this.#events.hover(x);
    const from = this.#from;
    if (!from) return;
    if (Math.abs(x - from.x) > 4) from.moved = true;
    if (!from.moved) return;
    if (from.scrub) {
      this.#playhead = this.at(x);
      this.draw();
    } else {
      const perPixel = (from.window.to - from.window.from) / this.#width;
      this.#show(inside(panned(from.window, (from.x - x) * perPixel), this.#day));
    }
  }

  #up(event: PointerEvent): void {
    this.#pointers.delete(event.pointerId);
    const from = this.#from;
    this.#from = null;
    if (from && (!from.moved || from.scrub)) this.#events.seek(this.at(event.offsetX));
  }

  #cancel(event: PointerEvent): void {
    this.#pointers.delete(event.pointerId);
    this.#from = null;
    this.draw();
  }

  #spread(): number {
    const [a = 0, b = 0] = this.#pointers.values();
    return Math.abs(a - b);
  }

  #pinched(): void {
    const spread = this.#spread();
    if (spread > this.#pinch * 1.4 || spread < this.#pinch / 1.4) {
      const [a = 0, b = 0] = this.#pointers.values();
      this.setZoom(this.zoom + (spread > this.#pinch ? 1 : -1), this.at((a + b) / 2));
      this.#pinch = spread;
    }
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const perPixel = (this.window.to - this.window.from) / this.#width;
      this.#show(inside(panned(this.window, event.deltaX * perPixel), this.#day));
    } else if (event.deltaY !== 0) {
      this.setZoom(this.zoom + (event.deltaY < 0 ? 1 : -1), this.at(event.offsetX));
    }
  }

  /** The moment at this x. */
  at(x: number): number {
    return toTime(Math.min(this.#width, Math.max(0, x)), this.window, this.#width);
  }

  #paint(): void {
    this.#drawing = 0;
    const width = this.#width;
    const sky = this.#sky;
    const height = Timeline.height(this.zoom, sky);
    const context = this.#canvas.getContext('2d');
    if (!context || !width || this.#stop.signal.aborted) return;
    this.#resize(width, height);
    const palette = (this.#palette ??= this.#readPalette(context));
    const scale = this.#canvas.width / width;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const tape = PILL + RULER + sky + SPACE;
    this.#paintRuler(context, palette, width, PILL + RULER - 5);
    if (this.#data) this.#paintSky(context, palette, width, PILL + RULER + sky, sky);
    this.#paintTape(context, palette, this.#data, this.window, width, tape, TAPE);
    this.#paintTicks(context, palette, width, tape + TAPE);
    if (this.zoom > 0) this.#paintDay(context, palette, width, tape + TAPE + TICKS + OVER_SPACE);
    this.#paintNow(context, palette, width, tape + TAPE / 2);
    this.#paintHead(context, palette, width, tape + TAPE + TICKS);
  }

  #resize(width: number, height: number): void {
    const scale = devicePixelRatio || 1;
    const pixels = [Math.round(width * scale), Math.round(height * scale)] as const;
    if (this.#canvas.width === pixels[0] && this.#canvas.height === pixels[1]) return;
    this.#canvas.width = pixels[0];
    this.#canvas.height = pixels[1];
    this.#canvas.style.height = `${height}px`;
  }

  #readPalette(context: CanvasRenderingContext2D): Palette {
    const canvas = this.#canvas;
    const before = canvas.style.color;
    const colours = COLOURS.map((name) => {
      // A variable holds light-dark(…); only a colour property is computed to what it means now.
      canvas.style.color = `var(--${name}, var(--bg))`;
      return [name, getComputedStyle(canvas).color] as const;
    });
    canvas.style.color = before;
    const palette = Object.fromEntries(colours) as Palette;
    this.#hatch = hatch(context, palette.care);
    return palette;
  }

  #paintRuler(c: CanvasRenderingContext2D, palette: Palette, width: number, y: number): void {
    c.font = '12px Figtree, system-ui, sans-serif';
    c.fillStyle = palette.ink3;
    for (const { at, text } of labels(this.window, this.#level, width, this.#zone)) {
      const x = toX(at, this.window, width);
      const half = c.measureText(text).width / 2;
      if (this.zoom === 0) {
        c.fillText(text, Math.min(width - 2 * half, Math.max(0, x - half)), y);
      } else if (x >= half && x <= width - half) {
        c.fillText(text, x - half, y);
      }
    }
  }

  get #level(): Zoom {
    return ZOOMS[this.zoom] as Zoom;
  }

  #paintSky(
    c: CanvasRenderingContext2D,
    palette: Palette,
    width: number,
    y: number,
    sky: number,
  ): void {
    if (!this.#data) return;
    c.fillStyle = palette.ink3;
    for (const { x, height } of bars(this.#data, this.window, width)) {
      c.fillRect(x, y - height * sky, 3, height * sky);
    }
  }

  #paintTape(
    c: CanvasRenderingContext2D,
    palette: Palette,
    data: TimelineData | null,
    window: Window,
    width: number,
    y: number,
    height: number,
  ): void {
    if (!data) return;
    for (const one of pieces(data, window, width)) {
      if (one.kind === 'stored') {
        c.fillStyle = palette.tape;
        c.fillRect(one.x, y, one.width, height);
      } else if (one.kind === 'gap') {
        this.#paintGap(c, palette, one, y, height);
      } else {
        this.#paintDevice(c, palette, one, y, height);
      }
    }
  }

  #paintGap(
    c: CanvasRenderingContext2D,
    palette: Palette,
    { x, width }: Piece,
    y: number,
    height: number,
  ): void {
    c.fillStyle = palette.bg;
    c.fillRect(x, y, width, height);
    if (height < TAPE) return;
    c.fillStyle = palette.lost;
    c.fillRect(x, y, 1, height);
    c.fillRect(x + width - 1, y, 1, height);
    for (let at = x + 2; at + 2 <= x + width - 1; at += 4) c.fillRect(at, y + height - 2, 2, 2);
  }

  #paintDevice(
    c: CanvasRenderingContext2D,
    palette: Palette,
    { x, width }: Piece,
    y: number,
    height: number,
  ): void {
    c.fillStyle = palette.bg;
    c.fillRect(x, y, width, height);
    if (this.#hatch) {
      c.fillStyle = this.#hatch;
      c.fillRect(x, y, width, height);
    }
    c.strokeStyle = palette.care;
    c.lineWidth = 1;
    c.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
  }

  #paintTicks(c: CanvasRenderingContext2D, palette: Palette, width: number, y: number): void {
    c.fillStyle = palette.edge;
    for (const at of marks(this.window, this.#level.tick, this.#zone)) {
      const x = Math.min(width - 1, Math.round(toX(at, this.window, width)));
      c.fillRect(x, y, 1, TICKS);
    }
  }

  #paintDay(c: CanvasRenderingContext2D, palette: Palette, width: number, y: number): void {
    this.#paintTape(c, palette, this.#dayData, this.#day, width, y, OVER_TAPE);
    const x = toX(this.window.from, this.#day, width);
    const end = toX(this.window.to, this.#day, width);
    c.strokeStyle = palette.ink;
    c.lineWidth = 2;
    c.beginPath();
    const left = Math.min(width - 9, Math.max(1, x));
    c.roundRect(left, y - 3, Math.max(8, Math.min(width - 1, end) - left), OVER_TAPE + 6, 4);
    c.stroke();
  }

  #paintNow(c: CanvasRenderingContext2D, palette: Palette, width: number, y: number): void {
    const x = toX(this.#now, this.window, width);
    if (x < 0 || x > width) return;
    disc(c, palette.bg, x, y, 6);
    disc(c, palette.tape, x, y, 4);
  }

  #paintHead(c: CanvasRenderingContext2D, palette: Palette, width: number, foot: number): void {
    if (this.#playhead === null) return;
    const x = toX(this.#playhead, this.window, width);
    if (x < -1 || x > width + 1) return;
    const at = Math.min(width - 1, Math.max(1, x));
    c.fillStyle = palette.ink;
    c.fillRect(at - 1, 4, 2, foot - 4);
    c.beginPath();
    c.moveTo(at - 6, foot + 0.5);
    c.lineTo(at + 6, foot + 0.5);
    c.lineTo(at, foot - 6);
    c.fill();
    const text = hhmmss(this.#playhead, this.#zone);
    c.font = '650 13px Figtree, system-ui, sans-serif';
    const pill = c.measureText(text).width + 20;
    const left = Math.min(width - pill, Math.max(0, at - pill / 2));
    c.beginPath();
    c.roundRect(left, 2, pill, 26, 13);
    c.fill();
    c.fillStyle = palette.bg;
    c.fillText(text, left + 10, 19.5);
  }
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
