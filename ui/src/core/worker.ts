import type { OpenSink, Sink } from './export.ts';

// The page's side of the service worker (sw.ts): downloads that are made here, and notices.

const PING_MS = 10_000;

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): {
    createScriptURL(url: string): string;
  };
}

/** Registers it; null where there is none (plain http but for localhost, private windows). */
export async function startWorker(): Promise<ServiceWorkerRegistration | null> {
  if (!('serviceWorker' in navigator)) return null;
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  const policy = types?.createPolicy('ucam-worker', { createScriptURL: () => '/sw.js' });
  try {
    return await navigator.serviceWorker.register(policy?.createScriptURL('') ?? '/sw.js');
  } catch {
    return null;
  }
}

/** Files that flow through the worker into the browser's downloads, at the disk's pace. */
export function workerSink(worker: ServiceWorker): OpenSink {
  return async (name, mime, size) => {
    const id = crypto.randomUUID();
    const { port1: port, port2 } = new MessageChannel();
    const ready = new Promise<void>((resolve) => {
      port.onmessage = () => resolve();
    });
    worker.postMessage({ type: 'download', id, name, mime, size }, [port2]);
    await ready;
    const sink = portSink(port, worker);
    // An answer that is a download leaves this page where it is.
    location.href = `/download/${id}`;
    return sink;
  };
}

function portSink(port: MessagePort, worker: ServiceWorker): Sink {
  let credit = 0;
  let cancelled = false;
  let wake: () => void = () => undefined;
  port.onmessage = ({ data }: MessageEvent<string>) => {
    if (data === 'pull') credit += 1;
    if (data === 'cancel') cancelled = true;
    wake();
  };
  // A worker without events is stopped by the browser, whatever it streams.
  const ping = setInterval(() => worker.postMessage({ type: 'ping' }), PING_MS);
  const end = async (word: string): Promise<void> => {
    clearInterval(ping);
    port.postMessage(word);
  };
  return {
    write: async (bytes) => {
      while (credit === 0 && !cancelled) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (cancelled) throw new DOMException('the download was cancelled', 'AbortError');
      credit -= 1;
      port.postMessage(bytes, [bytes.buffer]);
    },
    close: () => end('end'),
    abort: () => end('abort'),
  };
}
