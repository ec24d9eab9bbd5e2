import type { Span, TimelineData } from './library.ts';
import type { Window, Zoom } from './scale.ts';
import { fitted, inside, panned, toTime, toX, zoomed, ZOOMS } from './scale.ts';
import type { Row } from './timeline-paint.ts';
import { readPalette, TimelinePainter } from './timeline-paint.ts';

export interface TimelineEvents {
  seek(moment: number): void;
  /** The window changed by wheel, pinch or drag: what it shows may have to be fetched. */
  window(window: Window, zoom: number): void;
  /** The pointer is at this x (null: not over the timeline), y px below the top. */
  hover(x: number | null, y: number): void;
  /** The playhead is being dragged over this moment; null when that was broken off. */
  scrub(moment: number | null): void;
  /** A handle of the selection was moved. */
  select(selection: Span): void;
}

/** Height of the activity: on a phone held sideways it is lower. */
const SKY = 28;
const LOW_SKY = 16;
/** A drag that begins this near the playhead moves it; elsewhere it moves the window. */
const GRAB = 14;
/** A playhead that moves this far at once was sent there. */
const JUMP_SECONDS = 20;
const ZOOM_MS = 160;
/** Pixels of wheel for one step of zoom; a pinch on a trackpad comes in smaller ones. */
const WHEEL_STEP = 50;
const PINCH_STEP = 12;
/** Half of what a handle of the selection is hit by, beyond the handle itself. */
const HANDLE_HIT = 22;
const SHORTEST_SELECTION = 1;

interface Drag {
  what: 'window' | 'playhead' | 'from' | 'to';
  x: number;
  window: Window;
  moved: boolean;
}

/**
 * A day of one camera, or many days of several, drawn on one canvas: ruler, activity and tape or
 * rows of tapes, playhead, selection; and its input.
 */
export class Timeline {
  /** Index into ZOOMS. */
  zoom = 0;
  window: Window;
  readonly #canvas: HTMLCanvasElement;
  readonly #events: TimelineEvents;
  readonly #stop = new AbortController();
  readonly #pointers = new Map<number, number>();
  readonly #resized: ResizeObserver;
  /** Until somebody zooms or pans, the window is the closest that holds all recordings. */
  #fits = true;
  #zone: string | null;
  #day: Window;
  #dayData: TimelineData | null = null;
  #data: TimelineData | null = null;
  #playhead: number | null = null;
  #now = 0;
  #painter: TimelinePainter | null = null;
  #drawing = 0;
  #drag: Drag | null = null;
  #rows: Row[] | null = null;
  #selection: Span | null = null;
  #wheeled = 0;
  #wheeledAt = 0;
  #pinch = 0;
  /** Counts the window's moves: a newer one ends a glide. */
  #moves = 0;

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
    this.#resized = new ResizeObserver(() => this.draw());
    this.#listen();
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
    this.#fit();
    this.draw();
  }

  /** Several cameras; what `setDay` was told are then the bounds of all their recordings. */
  setRows(rows: Row[]): void {
    this.#rows = rows;
    this.#fits = false;
    this.draw();
  }

  setSelection(selection: Span | null): void {
    if (this.#drag?.what === 'from' || this.#drag?.what === 'to') return;
    this.#selection = selection;
    this.draw();
  }

  setMoment(playhead: number | null, now: number): void {
    this.#now = now;
    // A playhead that is being dragged stays with the finger.
    if (!(this.#drag?.what === 'playhead' && this.#drag.moved)) this.#follow(playhead);
    this.draw();
  }

  /** The window goes along with a playhead that leaves it, unless somebody has looked elsewhere. */
  #follow(playhead: number | null): void {
    const before = this.#playhead;
    this.#playhead = playhead;
    if (playhead === null || this.#pointers.size) return;
    const { from, to } = this.window;
    const was = before === null || (before >= from && before <= to);
    if (was || Math.abs(playhead - before) > JUMP_SECONDS) this.#reveal(playhead);
  }

  /** Shows this much, around a moment. */
  setWindow(centre: number, zoom: number): void {
    this.#fits = false;
    this.zoom = zoom;
    const half = (ZOOMS[zoom] as Zoom).seconds / 2;
    this.#show(inside({ from: centre - half, to: centre + half }, this.#day));
  }

  /** Brings a moment into view, without moving the window otherwise. */
  #reveal(moment: number): void {
    const { from, to } = this.window;
    if (moment >= from && moment <= to) return;
    const half = (to - from) / 2;
    this.#show(inside({ from: moment - half, to: moment + half }, this.#day));
  }

  setZoom(zoom: number, about?: number): void {
    const level = ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, zoom))] as Zoom;
    if (ZOOMS.indexOf(level) === this.zoom) return;
    this.#fits = false;
    this.zoom = ZOOMS.indexOf(level);
    const day = this.#day.to - this.#day.from;
    const seconds = this.zoom === 0 && !this.#rows ? day : level.seconds;
    const centre = about ?? this.#playhead ?? this.#now;
    this.#glide(inside(zoomed(this.window, seconds, centre), this.#day));
  }

  /** The theme changed: colours are read anew. */
  restyle(): void {
    this.#painter = null;
    this.draw();
  }

  draw(): void {
    if (!this.#drawing) this.#drawing = requestAnimationFrame(() => this.#paint());
  }

  close(): void {
    this.#stop.abort();
    this.#resized.disconnect();
    cancelAnimationFrame(this.#drawing);
  }

  get #width(): number {
    return this.#canvas.clientWidth;
  }

  /** While nobody has chosen: zooms out as the recordings grow, and stays when all is in view. */
  #fit(): void {
    if (!this.#fits || !this.#dayData || this.#pointers.size) return;
    const found = fitted(this.#dayData, this.#playhead, this.#day);
    if (!found) return;
    const { zoom, window, holds } = found;
    if (zoom === this.zoom && holds.from >= this.window.from && holds.to <= this.window.to) return;
    this.zoom = zoom;
    this.#glide(window);
  }

  #pan(from: Window, pixels: number): void {
    this.#fits = false;
    const perPixel = (from.to - from.from) / this.#width;
    this.#show(inside(panned(from, pixels * perPixel), this.#day));
  }

  #show(window: Window): void {
    this.#moves += 1;
    this.window = window;
    this.#events.window(window, this.zoom);
    this.draw();
  }

  #glide(to: Window): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
      this.#show(to);
      return;
    }
    this.#moves += 1;
    const move = this.#moves;
    const from = this.window;
    const begin = performance.now();
    const step = (time: number): void => {
      if (this.#stop.signal.aborted || move !== this.#moves) return;
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
    on('pointerleave', () => this.#events.hover(null, 0));
    on('wheel', (event) => this.#wheel(event));
    this.#resized.observe(this.#canvas);
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event.offsetX);
    if (this.#pointers.size === 2) {
      this.#pinch = this.#spread();
      this.#drag = null;
      return;
    }
    this.#drag = { what: this.#hit(event), x: event.offsetX, window: this.window, moved: false };
  }

  #hit({ offsetX: x, offsetY: y }: PointerEvent): Drag['what'] {
    const at = (moment: number): number => toX(moment, this.window, this.#width);
    if (this.#selection && y > GRAB * 2) {
      const left = x - at(this.#selection.from);
      const right = x - at(this.#selection.to);
      const nearLeft = left > -HANDLE_HIT - GRAB && left < HANDLE_HIT / 2;
      const nearRight = right > -HANDLE_HIT / 2 && right < HANDLE_HIT + GRAB;
      if (nearLeft && (!nearRight || Math.abs(left) < Math.abs(right))) return 'from';
      if (nearRight) return 'to';
    }
    const near = this.#playhead !== null && Math.abs(at(this.#playhead) - x) <= GRAB;
    // With all of it in view there is nothing to move the window to.
    const { from, to } = this.window;
    const all = from <= this.#day.from && to >= this.#day.to;
    return near || all ? 'playhead' : 'window';
  }

  #move(event: PointerEvent): void {
    const x = event.offsetX;
    if (this.#pointers.has(event.pointerId)) this.#pointers.set(event.pointerId, x);
    if (this.#pointers.size === 2) {
      this.#pinched();
      return;
    }
    this.#events.hover(x, event.offsetY);
    const drag = this.#drag;
    if (!drag) return;
    if (Math.abs(x - drag.x) > 4) drag.moved = true;
    if (drag.moved) this.#dragged(drag, x);
  }

  #dragged(drag: Drag, x: number): void {
    if (drag.what === 'window') {
      this.#pan(drag.window, drag.x - x);
    } else if (drag.what === 'playhead') {
      this.#playhead = this.at(x);
      this.#events.scrub(this.#playhead);
      this.draw();
    } else if (this.#selection) {
      const at = this.at(x);
      const { from, to } = this.#selection;
      this.#selection =
        drag.what === 'from'
          ? { from: Math.min(at, to - SHORTEST_SELECTION), to }
          : { from, to: Math.max(at, from + SHORTEST_SELECTION) };
      this.#events.select(this.#selection);
      this.draw();
    }
  }

  #up(event: PointerEvent): void {
    this.#pointers.delete(event.pointerId);
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    const click = !drag.moved && drag.what === 'window';
    if (click || drag.what === 'playhead') this.#events.seek(this.at(event.offsetX));
  }

  #cancel(event: PointerEvent): void {
    this.#pointers.delete(event.pointerId);
    if (this.#drag?.what === 'playhead' && this.#drag.moved) this.#events.scrub(null);
    this.#drag = null;
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
      this.#pan(this.window, event.deltaX);
    } else if (event.deltaY !== 0) {
      this.#wheelZoom(event);
    }
  }

  /** One step at a time: a trackpad sends dozens of small turns for one gesture. */
  #wheelZoom(event: WheelEvent): void {
    const gliding = event.timeStamp - this.#wheeledAt < ZOOM_MS;
    if (gliding) return;
    if (Math.sign(this.#wheeled) !== Math.sign(event.deltaY)) this.#wheeled = 0;
    // A line of a wheel that counts in lines is some 17 px.
    this.#wheeled += event.deltaMode === 1 ? event.deltaY * 17 : event.deltaY;
    if (Math.abs(this.#wheeled) < (event.ctrlKey ? PINCH_STEP : WHEEL_STEP)) return;
    this.#wheeledAt = event.timeStamp;
    this.#wheeled = 0;
    this.setZoom(this.zoom + (event.deltaY < 0 ? 1 : -1), this.at(event.offsetX));
  }

  /** The moment at this x. */
  at(x: number): number {
    return toTime(Math.min(this.#width, Math.max(0, x)), this.window, this.#width);
  }

  #paint(): void {
    this.#drawing = 0;
    const context = this.#canvas.getContext('2d');
    if (!context || !this.#width || this.#stop.signal.aborted) return;
    this.#painter ??= new TimelinePainter(context, readPalette(this.#canvas));
    this.#painter.paint({
      zoom: this.zoom,
      zone: this.#zone,
      window: this.window,
      day: this.#day,
      data: this.#data,
      dayData: this.#dayData,
      playhead: this.#playhead,
      now: this.#now,
      rows: this.#rows,
      selection: this.#selection,
      sky: matchMedia('(max-height: 500px)').matches ? LOW_SKY : SKY,
    });
  }
}
