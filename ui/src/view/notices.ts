import { useEffect, useRef } from 'preact/hooks';
import { Notices } from '../core/notices.ts';
import { summary } from '../core/words.ts';
import { app } from './base.tsx';

const KEY = 'ucam.notices';
const LOOK_MS = 2_000;

export type Wish = 'on' | 'off' | 'refused' | 'none';

/** Whether this browser tells of trouble; 'none': it can't. */
export function noticeWish(): Wish {
  if (!('Notification' in globalThis) || !app.worker) return 'none';
  if (Notification.permission === 'denied') return 'refused';
  const wanted = localStorage.getItem(KEY) === 'on';
  return wanted && Notification.permission === 'granted' ? 'on' : 'off';
}

export async function wishNotices(on: boolean): Promise<void> {
  if (on && (await Notification.requestPermission()) !== 'granted') return;
  localStorage.setItem(KEY, on ? 'on' : 'off');
}

/** Watches as long as the page is open, seen or not. */
export function useNotices(): void {
  const notices = useRef(new Notices());
  useEffect(() => {
    const timer = setInterval(() => {
      const cameras = app.room.sections().flatMap((section) => section.cameras);
      const now = app.now();
      const known = app.room.connected && cameras.length > 0;
      const notice = notices.current.next(summary(cameras, now), known, now);
      // Whoever looks at the page sees the number.
      if (!notice || document.visibilityState === 'visible' || noticeWish() !== 'on') return;
      void app.worker?.showNotification(notice.title, {
        body: notice.body,
        icon: '/assets/icon-192.png',
        tag: 'ucam-state',
      });
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
}
