import type { Span } from '../core/library.ts';
import { SPEEDS } from '../core/speeds.ts';

const CLOSEST_ZOOM = 3;

/** What keys do to pictures: the camera page's one, or several in step. */
export interface Deck {
  live: boolean;
  state: string;
  rate: number;
  zoom: number;
  /** Whether there is sound, and whether it is heard. */
  audio: boolean;
  sound: boolean;
  /** What is to be exported; null while nobody exports. */
  selection: Span | null;
  setZoom(zoom: number): void;
  /** To a moment; the live end is live. */
  seek(moment: number): void;
  toggle(): void;
  step(frames: number): void;
  skip(by: 1 | -1): void;
  setRate(rate: number): void;
  setSound(on: boolean): void;
  select(selection: Span | null): void;
  /** Begins an export around the moment on the screen, or gives it up. */
  toggleExport(): void;
  /** Sets one end of the selection to the moment on the screen. */
  mark(end: 'from' | 'to'): void;
  toLive(): void;
  snapshot(): void;
  fullScreen(): void;
}

/** True when the key was one of them. `at` is the moment on the screen. */
export function pressed(event: KeyboardEvent, desk: Deck, at: number): boolean {
  const speed = SPEEDS.indexOf(desk.rate);
  const faster = (by: number): void => {
    const next = SPEEDS[speed + by];
    if (next && !desk.live) desk.setRate(next);
  };
  const actions: Record<string, () => void> = {
    ' ': desk.toggle,
    ArrowLeft: () => desk.seek(at - 10),
    ArrowRight: () => !desk.live && desk.seek(at + 10),
    'Shift ArrowLeft': () => desk.skip(-1),
    'Shift ArrowRight': () => desk.skip(1),
    ArrowUp: () => desk.setZoom(Math.min(CLOSEST_ZOOM, desk.zoom + 1)),
    ArrowDown: () => desk.setZoom(Math.max(0, desk.zoom - 1)),
    ',': () => desk.step(-1),
    '.': () => desk.step(1),
    '[': () => desk.mark('from'),
    ']': () => desk.mark('to'),
    j: () => faster(-1),
    k: () => !desk.live && desk.state === 'playing' && desk.toggle(),
    l: () => faster(1),
    m: () => desk.audio && desk.setSound(!desk.sound),
    s: desk.snapshot,
    e: desk.toggleExport,
    f: desk.fullScreen,
    n: desk.toLive,
  };
  if (desk.selection) actions['Escape'] = () => desk.select(null);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // A focused button takes the space bar itself.
  if (key === ' ' && event.target instanceof HTMLButtonElement) return false;
  // Brackets need Shift or AltGr on some keyboards.
  const shift = event.shiftKey && key.length > 1 ? 'Shift ' : '';
  const action = actions[`${shift}${key}`];
  if (!action) return false;
  action();
  return true;
}
