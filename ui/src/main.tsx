import './ucam.css';
import { options, render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { app, go, Link, useNow, usePath } from './view/base.tsx';
import { CameraPage } from './view/camera.tsx';
import { Keys } from './view/keys.tsx';
import { later } from './view/later.tsx';
import { Live } from './view/live.tsx';
import { useNotices } from './view/notices.ts';
import { Login, takeLinkToken } from './view/login.tsx';
import { Shell, TitleHeader } from './view/shell.tsx';

// What isn't needed for the first pictures comes after them.
const Recordings = later('recordings', 'Recordings', async () => {
  return (await import('./view/recordings.tsx')).Recordings;
});
const Health = later('health', 'Health', async () => (await import('./view/health.tsx')).Health);
const RoomPage = later('room', 'Room', async () => (await import('./view/room.tsx')).RoomPage);
const Settings = later('settings', 'Settings', async () => {
  return (await import('./view/settings.tsx')).Settings;
});

/** Microtasks from a press to the question that a seek asks of the storage: ten, and some to spare. */
const HOPS = 30;
// Drawing takes 20 ms: what was pressed asks its questions first. It's still drawn before the next
// press, which builds on what the page shows.
options.debounceRendering = (draw) => {
  let hops = HOPS;
  const wait = (): void => {
    hops -= 1;
    if (hops > 0) queueMicrotask(wait);
    else draw();
  };
  wait();
};

const linkToken = takeLinkToken();
// A link opened in a tab that already shows the login changes only the fragment.
addEventListener('hashchange', () => {
  if (location.pathname === '/login' && location.hash) location.reload();
});

function Page() {
  const { pathname } = usePath();
  const first = useRef(pathname);
  // The keyboard and screen readers go on where the new page begins.
  useEffect(() => {
    if (pathname !== first.current) document.getElementById('main')?.focus();
    first.current = '';
  }, [pathname]);
  switch (pathname) {
    case '/':
      return <Live />;
    case '/recordings':
      return <Recordings />;
    case '/health':
      return <Health />;
    case '/room':
      return <RoomPage />;
    case '/settings':
      return <Settings />;
    default:
      break;
  }
  const camera = /^\/camera\/([^/]+)$/.exec(pathname)?.[1];
  if (camera) return <CameraPage key={camera} jid={decoded(camera)} />;
  return <Unknown />;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function Unknown() {
  return (
    <Shell page="live" title="Not found" header={<TitleHeader title="Not found" now={useNow()} />}>
      <div class="empty">
        <p class="say">There is no such page.</p>
        <p>
          <Link to="/">See your cameras</Link>
        </p>
      </div>
    </Shell>
  );
}

function Root() {
  const [signedIn, set] = useState(app.session.token !== null);
  const { pathname } = usePath();
  const login = !signedIn || (pathname === '/login' && linkToken !== null);
  useEffect(() => app.session.subscribe(() => set(app.session.token !== null)), []);
  useEffect(() => {
    if (!login && pathname === '/login') go('/', true);
  }, [login, pathname]);
  useNotices();
  if (login) return <Login linkToken={pathname === '/login' ? linkToken : null} />;
  return (
    <>
      <Page />
      <Keys />
    </>
  );
}

const root = document.getElementById('app');
if (root) render(<Root />, root);
