import { useState } from 'preact/hooks';
import type { Camera } from '../core/room.ts';
import { app, Icon } from './base.tsx';

/** A camera that is asked to show itself blinks this long. */
const BLINK_SECONDS = 30;

/** When each camera was asked to blink: kept while the page is open, wherever it was pressed. */
const asked = new Map<string, number>();

/** Seconds for which it still blinks. */
export function blinking(jid: string, now: number): number {
  const since = asked.get(jid);
  return since === undefined ? 0 : Math.max(0, Math.ceil(since + BLINK_SECONDS - now));
}

/** Lets a camera's LED blink. `small`: the bulb alone. */
export function Locate({ camera, now, small }: { camera: Camera; now: number; small?: boolean }) {
  const [failed, setFailed] = useState(false);
  const { peer } = camera;
  if (!peer) return small ? null : <span class="s m3">Cannot blink</span>;
  const left = blinking(camera.jid, now);
  const press = (): void => {
    const sent = app.locate(peer.jid);
    setFailed(!sent);
    if (sent) asked.set(camera.jid, app.now());
    app.store.changed();
  };
  const words = failed ? 'Not sent' : left > 0 ? `${left} s` : 'Locate';
  return (
    <button
      class={small ? 'tool' : 'btn locate'}
      disabled={left > 0}
      title="The camera's LED blinks, so that you know which one it is"
      aria-label={`Locate ${camera.name}`}
      onClick={press}
    >
      <Icon name={left > 0 ? 'bulbFill' : 'bulb'} />
      {!small && words}
    </button>
  );
}
