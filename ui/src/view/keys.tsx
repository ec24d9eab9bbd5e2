import { useEffect, useRef } from 'preact/hooks';
import { app, cameraPath, go } from './base.tsx';

/** What a page does with keys of its own; true when it took the key. */
export type KeyHandler = (event: KeyboardEvent) => boolean;

const handlers: KeyHandler[] = [];
/** G waits this long for its second letter. */
const GO_MS = 1_500;

const PLACES: Record<string, string> = {
  l: '/',
  r: '/recordings',
  h: '/health',
  m: '/room',
  s: '/settings',
};

export function useKeys(handler: KeyHandler): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const own: KeyHandler = (event) => latest.current(event);
    handlers.push(own);
    return () => void handlers.splice(handlers.indexOf(own), 1);
  }, []);
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const text = target instanceof HTMLInputElement && target.type !== 'range';
  return text || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** The keys that work on every page, and the list of all keys. */
export function Keys() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    let goUntil = 0;
    const press = (event: KeyboardEvent): void => {
      // Some keyboards have the brackets behind AltGr, which says Ctrl and Alt.
      const plain = '[]'.includes(event.key) || !(event.ctrlKey || event.metaKey || event.altKey);
      if (!plain || typing(event.target)) return;
      const key = event.key.toLowerCase();
      if (event.key === '?') dialog.current?.showModal();
      else if (dialog.current?.open) return;
      else if (Date.now() < goUntil && PLACES[key]) go(PLACES[key]);
      else if (key === 'g') {
        goUntil = Date.now() + GO_MS;
        return;
      } else if (/^[1-9]$/.test(key)) openCamera(Number(key));
      else if (!handlers.some((handler) => handler(event))) return;
      goUntil = 0;
      event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
  return (
    <dialog class="sheet" ref={dialog} aria-labelledby="keys-title">
      <h2 class="h2" id="keys-title">
        Keys
      </h2>
      <dl class="keys">
        {LIST.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <button class="btn" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}

function openCamera(number: number): void {
  const all = app.room.sections().flatMap((section) => section.cameras);
  const camera = all[number - 1];
  if (camera) go(cameraPath(camera.jid));
}

const LIST: [string, string][] = [
  ['Space', 'Play, pause'],
  ['← →', '10 s back, forward'],
  ['Shift ← →', 'Previous, next moment'],
  [', .', 'One picture back, forward'],
  ['↑ ↓', 'Zoom the timeline in, out'],
  ['J K L', 'Slower, pause, faster'],
  ['1 to 9', 'Open a camera'],
  ['[ ]', 'Begin, end of the export'],
  ['S', 'Snapshot'],
  ['E', 'Export'],
  ['M', 'Sound'],
  ['F', 'Full screen'],
  ['N', 'Go to live'],
  ['G then L R H M S', 'Live, Recordings, Health, Room, Settings'],
  ['?', 'This list'],
];
