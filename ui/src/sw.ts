// The service worker: an offline page, downloads that the page makes itself, and notices.
// It keeps nothing else: the page is small, and old scripts in a cache are worse than none.

interface Worker {
  addEventListener(type: string, listener: (event: never) => void): void;
  skipWaiting(): Promise<void>;
  clients: {
    claim(): Promise<void>;
    matchAll(options: object): Promise<{ url: string; focus(): Promise<unknown> }[]>;
    openWindow(url: string): Promise<unknown>;
  };
}

interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}

interface Wanted {
  type: string;
  id: string;
  name: string;
  mime: string;
  size: number;
}

const worker = globalThis as unknown as Worker;
const CACHE = 'offline-1';
const OFFLINE = ['/offline.html', '/assets/offline.css', '/assets/icon.svg'];
const PREFIX = '/download/';
/** Announced and not yet fetched: one at a time is usual. */
const MOST_WAITING = 8;
const downloads = new Map<string, { wanted: Wanted; port: MessagePort }>();

worker.addEventListener('install', (event: Extendable) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(OFFLINE))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener('activate', (event: Extendable) => {
  const others = caches
    .keys()
    .then((keys) => Promise.all(keys.filter((key) => key !== CACHE).map((key) => caches.delete(key))));
  event.waitUntil(others.then(() => worker.clients.claim()));
});

worker.addEventListener('message', (event: MessageEvent<Wanted>) => {
  const [port] = event.ports;
  if (event.data.type !== 'download' || !port) return;
  if (downloads.size >= MOST_WAITING) downloads.delete([...downloads.keys()][0] ?? '');
  downloads.set(event.data.id, { wanted: event.data, port });
  port.postMessage('ready');
});

worker.addEventListener(
  'fetch',
  (event: { request: Request; respondWith(answer: Promise<Response> | Response): void }) => {
    const { request } = event;
    const { pathname, origin } = new URL(request.url);
    if (origin !== location.origin) return;
    if (pathname.startsWith(PREFIX)) event.respondWith(download(pathname.slice(PREFIX.length)));
    else if (request.mode === 'navigate' || OFFLINE.includes(pathname)) {
      event.respondWith(orOffline(request));
    }
  },
);

worker.addEventListener(
  'notificationclick',
  (event: Extendable & { notification: Notification }) => {
    event.notification.close();
    event.waitUntil(show());
  },
);

async function orOffline(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const path = request.mode === 'navigate' ? '/offline.html' : new URL(request.url).pathname;
    const kept = await caches.match(path);
    if (kept) return kept;
    throw error;
  }
}

function download(id: string): Response {
  const found = downloads.get(id);
  if (!found) return new Response('This download is over.', { status: 404 });
  downloads.delete(id);
  const { wanted, port } = found;
  let more: () => void = () => undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        port.onmessage = ({ data }: MessageEvent<Uint8Array | string>) => {
          if (data === 'end') controller.close();
          else if (data === 'abort') controller.error(new Error('cancelled'));
          else if (typeof data !== 'string') controller.enqueue(data);
          more();
        };
      },
      pull() {
        port.postMessage('pull');
        return new Promise<void>((resolve) => {
          more = resolve;
        });
      },
      cancel() {
        port.postMessage('cancel');
      },
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: {
      'content-type': wanted.mime,
      'content-length': String(wanted.size),
      'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(wanted.name)}`,
      'x-content-type-options': 'nosniff',
    },
  });
}

async function show(): Promise<unknown> {
  const [open] = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  return open ? open.focus() : worker.clients.openWindow('/health');
}
