import type { FunctionComponent } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useNow } from './base.tsx';
import type { Page } from './shell.tsx';
import { Shell, TitleHeader } from './shell.tsx';

/** After the first pictures are there, the rest of the page is fetched for when it is needed. */
const AHEAD_MS = 3_000;
const RELOADED = 'ucam.reloaded';

/** A page whose script is loaded when it is first shown, or soon after the first page is. */
export function later(
  page: Page,
  title: string,
  load: () => Promise<FunctionComponent>,
): FunctionComponent {
  let loaded: FunctionComponent | null = null;
  let loading: Promise<void> | null = null;
  const fetch = (): Promise<void> => {
    loading ??= load().then(
      (found) => {
        loaded = found;
        sessionStorage.removeItem(RELOADED);
      },
      () => {
        loading = null;
      },
    );
    return loading;
  };
  setTimeout(() => void fetch(), AHEAD_MS);
  return function Later() {
    const [, again] = useState(0);
    const [failed, setFailed] = useState(false);
    const focused = useRef(false);
    useEffect(() => {
      if (loaded) return;
      void fetch().then(() => {
        focused.current = document.activeElement?.id === 'main';
        if (loaded) again((n) => n + 1);
        else if (!reloadOnce()) setFailed(true);
      });
    }, []);
    // The page's main part takes the place of the placeholder's, and the keyboard goes on in it.
    useEffect(() => {
      if (focused.current) document.getElementById('main')?.focus();
      focused.current = false;
    });
    const Loaded = loaded;
    return Loaded ? <Loaded /> : <Placeholder page={page} title={title} failed={failed} />;
  };
}

/** The server has a newer page than this tab: its scripts have other names now. */
function reloadOnce(): boolean {
  if (sessionStorage.getItem(RELOADED)) return false;
  sessionStorage.setItem(RELOADED, 'yes');
  location.reload();
  return true;
}

function Placeholder({ page, title, failed }: { page: Page; title: string; failed: boolean }) {
  return (
    <Shell page={page} title={title} header={<TitleHeader title={title} now={useNow()} />}>
      <p class="m2" role="status">
        {failed ? 'This page could not be loaded. Try again in a moment.' : 'Loading'}
      </p>
    </Shell>
  );
}
