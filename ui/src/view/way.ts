import { useEffect, useState } from 'preact/hooks';
import type { Way } from '../core/recordings.ts';
import { app } from './base.tsx';

const LOOK_MS = 2_000;

/** How a storage's recordings come to this browser, while somebody wants to know. */
export function useWay(storage: string | null, wanted = true): Way | null {
  const [way, set] = useState<Way | null>(null);
  useEffect(() => {
    if (!wanted) return;
    let alive = true;
    const look = async (): Promise<void> => {
      const found = (await app.channel(storage)?.way()) ?? null;
      if (alive) set(found);
    };
    void look();
    const timer = setInterval(() => void look(), LOOK_MS);
    return () => {
      alive = false;
      clearInterval(timer);
    };
  }, [storage, wanted]);
  return wanted ? way : null;
}
