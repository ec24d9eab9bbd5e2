import type { Happened } from '../core/events.ts';
import type { Section } from '../core/room.ts';
import { dayOf, formatTime, hhmm, span } from '../core/time.ts';
import { app, cameraPath, Link, Mark } from './base.tsx';
import { happened } from './happened.ts';

const SHOWN = 5;

/** The newest events of today, in the cells of the grid that no camera needs. */
export function Today({ sections, now }: { sections: Section[]; now: number }) {
  const cameras = sections.flatMap((section) => section.cameras);
  const zone = cameras[0]?.zone ?? null;
  const today = dayOf(now, zone).start;
  const newest = happened(cameras, now, true)
    .filter(({ at }) => at >= today)
    .slice(0, SHOWN);
  if (!newest.length) return null;
  return (
    <section class="digest" aria-label="Today">
      <div class="row">
        <h2 class="b grow">Today</h2>
        <Link to="/health" class="s m2">
          All events
        </Link>
      </div>
      <ul>
        {newest.map((one) => (
          <Line key={`${one.at} ${one.jid} ${one.text}`} one={one} zone={zone} />
        ))}
      </ul>
    </section>
  );
}

function Line({ one, zone }: { one: Happened; zone: string | null }) {
  const camera = app.room.sections().flatMap(({ cameras }) => cameras).find(({ jid }) => jid === one.jid);
  const path = camera ? `${cameraPath(camera.jid)}?t=${formatTime(one.at)}` : '/health';
  return (
    <li>
      <time>{hhmm(one.at, camera?.zone ?? zone)}</time>
      <Link class="ell" to={path}>
        <b class="b">{one.name}</b> {one.text}
      </Link>
      {one.mark ? <Mark kind={one.mark} /> : one.seconds !== null && <span class="s m3">{span(one.seconds)}</span>}
    </li>
  );
}
