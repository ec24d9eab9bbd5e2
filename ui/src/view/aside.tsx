import { useEffect, useState } from 'preact/hooks';
import type { Day } from '../core/calendar.ts';
import { monthOf, sameTime, storedShare, weekTo } from '../core/calendar.ts';
import type { Span } from '../core/library.ts';
import type { Moment } from '../core/moments.ts';
import type { Camera } from '../core/room.ts';
import { intervalFor } from '../core/thumbnails.ts';
import { hhmm, monthWords, span, weekdayShort } from '../core/time.ts';
import { Icon, usePhone } from './base.tsx';
import type { Desk } from './desk.ts';
import { Thumb } from './thumb.tsx';
import { useFetched } from './use-timeline.ts';

interface Props {
  camera: Camera;
  desk: Desk;
  now: number;
}

/** A month's days change slowly. */
const DAYS_MS = 300_000;
const SHOWN = 5;
const SHOWN_SMALL = 4;
/** Pictures of moments are at most this far from them, s. */
const CLOSE = 10;

/** The days with recordings, and the moments of this one. */
export function Aside({ camera, desk, now }: Props) {
  return (
    <aside class="beside" aria-label="Days and moments">
      {!usePhone() && <CameraCalendar camera={camera} desk={desk} now={now} />}
      <Moments camera={camera} desk={desk} />
    </aside>
  );
}

function CameraCalendar({ camera, desk, now }: Props) {
  return (
    <Calendar
      zone={camera.zone}
      moment={desk.moment}
      now={now}
      spansOf={(window) => useFetched(camera, window, DAYS_MS)?.spans ?? []}
      choose={(day) => desk.seek(sameTime(desk.moment, day, camera.zone))}
    />
  );
}

interface CalendarProps {
  zone: string | null;
  moment: number;
  now: number;
  /** What is stored in a window; a hook. */
  spansOf(window: Span): Span[];
  choose(day: Day): void;
}

/** A month of days, each with a bar as long as the part of it that is stored. */
export function Calendar({ zone, moment, now, spansOf, choose }: CalendarProps) {
  const [plus, setPlus] = useState(0);
  const month = monthOf(moment, zone, plus);
  const next = monthOf(moment, zone, plus + 1);
  const spans = spansOf({ from: month.start, to: month.end });
  // Another day chosen, by whatever way: its month is the one to show.
  useEffect(() => setPlus(0), [monthOf(moment, zone).start]);
  return (
    <section class="calendar" aria-label="Days with recordings">
      <div class="row">
        <h2 class="b grow" aria-live="polite">
          {monthWords(month.start, zone)}
        </h2>
        <button class="tool" aria-label="Previous month" onClick={() => setPlus(plus - 1)}>
          <Icon name="back" />
        </button>
        <button
          class="tool"
          aria-label="Next month"
          disabled={next.start > now}
          onClick={() => setPlus(plus + 1)}
        >
          <Icon name="next" />
        </button>
      </div>
      <div class="cal">
        {['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su'].map((name) => (
          <b key={name} aria-hidden="true">
            {name}
          </b>
        ))}
        {Array.from({ length: month.blanks }, (_, n) => (
          <span key={`blank ${n}`} />
        ))}
        {month.days.map((day) => (
          <DayButton
            key={day.number}
            day={day}
            zone={zone}
            moment={moment}
            now={now}
            share={storedShare(spans, day, now)}
            choose={choose}
          />
        ))}
      </div>
    </section>
  );
}

interface DayProps {
  day: Day;
  zone: string | null;
  moment: number;
  now: number;
  share: number;
  choose(day: Day): void;
  weekday?: boolean;
}

function DayButton({ day, zone, moment, now, share, choose, weekday }: DayProps) {
  const here = moment >= day.start && moment < day.end;
  const words = share === 0 ? 'nothing stored' : share > 0.99 ? 'stored' : 'partly stored';
  return (
    <button
      class={share === 0 ? 'day x' : 'day'}
      aria-current={here ? 'date' : undefined}
      disabled={day.start > now}
      onClick={() => choose(day)}
    >
      {weekday && <span class="s m2">{weekdayShort(day.start, zone)} </span>}
      <span>{day.number}</span>
      <span class="sr">
        {' '}
        {monthWords(day.start, zone)}, {words}
      </span>
      <i style={{ transform: `scaleX(${share && Math.max(0.1, share)})` }} />
    </button>
  );
}

/** A phone's calendar. */
export function Week(props: Props) {
  return usePhone() ? <Days {...props} /> : null;
}

/** The week around the chosen day, or up to today. */
function Days({ camera, desk, now }: Props) {
  const { zone } = camera;
  const last = Math.min(now, desk.moment + 3 * 86_400);
  const days = weekTo(last, zone);
  const from = days[0]?.start ?? last;
  const spans = useFetched(camera, { from, to: days.at(-1)?.end ?? last }, DAYS_MS)?.spans ?? [];
  return (
    <div class="week">
      {days.map((day) => (
        <DayButton
          key={day.start}
          day={day}
          zone={zone}
          moment={desk.moment}
          now={now}
          share={storedShare(spans, day, now)}
          choose={() => desk.seek(sameTime(desk.moment, day, zone))}
          weekday
        />
      ))}
    </div>
  );
}

function Moments({ camera, desk }: { camera: Camera; desk: Desk }) {
  const newest = desk.moments.toReversed().slice(0, SHOWN);
  const { thumbs } = desk;
  const wanted = newest.map((one) => one.peak).join(' ');
  useEffect(() => {
    // The newest first: the last wish is.
    for (const one of newest.slice(0, SHOWN_SMALL).toReversed()) thumbs?.want(one.peak, CLOSE);
  }, [thumbs, wanted]);
  if (!desk.data) return null;
  const count = desk.moments.length;
  return (
    <section class="moments" aria-label="Moments">
      <div class="row">
        <h2 class="b grow">Moments</h2>
        <span class="s m3">{count === 0 ? 'none this day' : `${count} this day`}</span>
      </div>
      <ul class="mom">
        {newest.map((one) => (
          <MomentItem key={one.from} one={one} camera={camera} desk={desk} />
        ))}
      </ul>
    </section>
  );
}

function MomentItem({ one, camera, desk }: { one: Moment; camera: Camera; desk: Desk }) {
  return (
    <li>
      <button onClick={() => desk.seek(one.from)}>
        <Thumb picture={desk.thumbs?.near(one.peak, intervalFor(60)) ?? null} width={168} height={94} />
        <span>
          <b class="b">{hhmm(one.from, camera.zone)}</b> <span class="dot">·</span> Activity
          <br />
          <span class="m3">{span(one.to - one.from)}</span>
        </span>
      </button>
    </li>
  );
}
