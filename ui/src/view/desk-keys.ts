import type { Desk } from './desk.ts';
import { SPEEDS } from './desk.ts';

const CLOSEST_ZOOM = 3;

/** The camera page's keys; true when the key was one of them. `at` is the moment on the screen. */
export function pressed(event: KeyboardEvent, desk: Desk, at: number): boolean {
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
