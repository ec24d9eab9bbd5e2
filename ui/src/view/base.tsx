import type { AnchorHTMLAttributes, ComponentChildren } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { App } from '../core/app.ts';
import type { IconName } from './icons.ts';
import { icons } from './icons.ts';

export const app = new App();

/** Draws again whenever something changed behind the page. */
export function useStore(): void {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => app.store.subscribe(() => again(undefined)), []);
}

/** The server's now, once a second. */
export function useNow(): number {
  const [now, set] = useState(() => app.now());
  useEffect(() => {
    const timer = setInterval(() => set(app.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** Whether the window is as narrow as a phone's. */
export function usePhone(): boolean {
  const [query] = useState(() => matchMedia('(max-width: 700px)'));
  const [phone, set] = useState(query.matches);
  useEffect(() => {
    const change = (): void => set(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, []);
  return phone;
}

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="i" aria-hidden="true" viewBox="0 0 256 256">
      <path d={icons[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg width="28" height="28" viewBox="0 0 28 28" role="img" aria-label="ucam">
      <path
        d="M5 4.5v9.5a9 9 0 0 0 18 0V4.5"
        fill="none"
        stroke="currentColor"
        stroke-width="3.4"
        stroke-linecap="round"
      />
      <circle class="lens" cx="14" cy="11" r="4.2" />
    </svg>
  );
}

export type MarkKind = 'stored' | 'late' | 'dev' | 'none';

/** The mark for what a camera's footage does; its word stands beside it. */
export function Mark({ kind }: { kind: MarkKind }) {
  return <i class={kind === 'stored' ? 'mk' : `mk ${kind}`} aria-hidden="true" />;
}

/** A ring of dashes: nobody knows yet. */
export function Checking() {
  return (
    <svg class="checking" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
      <circle cx="6" cy="6" r="4.5" fill="none" stroke-width="2" stroke-dasharray="3 2" />
    </svg>
  );
}

// Routing: paths of the page, without reloads.

const routes = new Set<() => void>();
const told = (): void => {
  for (const listener of routes) listener();
};
addEventListener('popstate', told);

export function go(path: string, replace = false): void {
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  told();
}

export function usePath(): URL {
  const [url, set] = useState(() => new URL(location.href));
  useEffect(() => {
    const listener = (): void => set(new URL(location.href));
    routes.add(listener);
    return () => void routes.delete(listener);
  }, []);
  return url;
}

type LinkProps = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, 'role' | 'href'> & {
  to: string;
  children?: ComponentChildren;
};

const isPlain = ({ button, metaKey, ctrlKey, shiftKey }: MouseEvent): boolean =>
  button === 0 && !metaKey && !ctrlKey && !shiftKey;

/** A link inside the page; with a modifier key it is an ordinary one. */
export function Link({ to, ...rest }: LinkProps) {
  const click = (event: MouseEvent): void => {
    if (!isPlain(event)) return;
    event.preventDefault();
    go(to);
  };
  return <a href={to} onClick={click} {...rest} />;
}

/** Calls that begin before their pictures' place is there: about a window full. */
const WARM_MOST = 9;

/** Where a link leads to pictures: their calls begin. */
function warm(event: MouseEvent): void {
  const { target } = event;
  if (!isPlain(event)) return;
  const link = target instanceof Element ? target.closest('a') : null;
  if (!link || link.origin !== location.origin) return;
  const camera = /^\/camera\/([^/]+)$/.exec(link.pathname)?.[1];
  if (camera && !link.search) app.feed(decodeURIComponent(camera)).warm();
  if (link.pathname !== '/') return;
  const place = new URL(link.href).searchParams.get('location');
  app.room
    .sections()
    .filter((section) => place === null || section.name === place)
    .flatMap((section) => section.cameras)
    .slice(0, WARM_MOST)
    .forEach((one) => app.feed(one.jid).warm());
}

// A press takes a tenth of a second: the call is on its way when the finger is lifted.
addEventListener('pointerdown', (event) => {
  // A finger may only be scrolling.
  if (event.pointerType === 'mouse') warm(event);
});
// … and before the page that it leads to is drawn.
addEventListener('click', warm, { capture: true });

export const cameraPath = (jid: string): string =>
  `/camera/${encodeURIComponent(jid).replaceAll('%40', '@')}`;
