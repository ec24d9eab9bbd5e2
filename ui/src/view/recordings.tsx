import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { sameTime } from '../core/calendar.ts';
import type { Span } from '../core/library.ts';
import type { Camera } from '../core/room.ts';
import { stateAt } from '../core/scale.ts';
import { dayOf, dayWords, hhmmss, parseTime } from '../core/time.ts';
import { app, go, Icon, Link, useNow, usePath, usePhone, useStore } from './base.tsx';
import { Calendar } from './aside.tsx';
import { Speed, Transport, ZoomChoice } from './controls.tsx';
import { ExportBar } from './export-bar.tsx';
import { upToDate } from './footage.tsx';
import type { Reel } from './reel.ts';
import { useReel } from './reel.ts';
import { ReelPicture } from './reel-picture.tsx';
import { Me, Shell, Tabs } from './shell.tsx';
import { Ends, TimeSlider } from './time-slider.tsx';
import { useTimelineOn } from './timeline-view.tsx';
import { useFetched } from './use-timeline.ts';

/** Pictures in step, and cameras in one export. */
const MOST = 4;
const AT_FIRST = 3;
/** How far back the rows go when nobody knows better, s. */
const YEAR = 366 * 86_400;

export function Recordings() {
  useStore();
  const sections = app.room.sections();
  if (app.room.welcomed && sections.some((section) => section.cameras.length)) return <Rows />;
  return (
    <Shell
      page="recordings"
      title="Recordings"
      header={
        <>
          <h1 class="h2">Recordings</h1>
          <span class="grow" />
          <Me />
        </>
      }
    >
      {app.room.welcomed ? (
        <div class="empty">
          <p class="say">No camera yet, and nothing recorded.</p>
          <p>
            <Link to="/">How to add one</Link>
          </p>
        </div>
      ) : (
        <p class="m2" role="status">
          Connecting
        </p>
      )}
    </Shell>
  );
}

/** Which cameras the address names; the first few where it names none. */
function chosenOf(cameras: Camera[], url: URL): Camera[] {
  const named = url.searchParams.getAll('camera');
  const found = cameras.filter((camera) => named.includes(camera.jid));
  return (found.length ? found : cameras.slice(0, AT_FIRST)).slice(0, MOST);
}

function Rows() {
  const now = useNow();
  const url = usePath();
  const place = url.searchParams.get('location');
  const sections = app.room.sections();
  const shown = sections.filter((section) => place === null || section.name === place);
  const cameras = shown.flatMap((section) => section.cameras);
  const chosen = chosenOf(cameras, url);
  const asked = parseTime(url.searchParams.get('t') ?? '');
  const reel = useReel(cameras, chosen, Number.isNaN(asked) ? null : asked);
  const zone = chosen[0]?.zone ?? null;
  const phone = usePhone();
  const [more, setMore] = useState(false);
  const others = cameras.filter((camera) => !chosen.includes(camera));
  const ordered = phone && !more ? chosen : [...chosen, ...others];
  const titleOf = (camera: Camera): string =>
    sections.find((section) => section.name === camera.location)?.title ?? '';
  return (
    <Shell
      page="recordings"
      title="Recordings"
      class="rechead"
      header={
        <>
          <h1 class="h2">Recordings</h1>
          <Tabs sections={sections} chosen={place} path="/recordings" now={now} />
          <span class="grow" />
          <DayChoice cameras={chosen} reel={reel} zone={zone} now={now} />
          <ZoomChoice zoom={reel.zoom} set={reel.setZoom} />
          <Me />
        </>
      }
    >
      <div class={`strip n${chosen.length}`} ref={reel.strip}>
        {chosen.map((camera) => (
          <ReelPicture key={camera.jid} camera={camera} title={titleOf(camera)} reel={reel} />
        ))}
      </div>
      <div class="ctl">
        <Transport
          playing={reel.state === 'playing'}
          live={false}
          back={() => reel.seek(reel.moment - 10)}
          forward={() => reel.seek(reel.moment + 10)}
          toggle={reel.toggle}
          skip={reel.skip}
        />
        <span class="clock">
          {hhmmss(reel.moment, zone)}
          <small>{dayWords(reel.moment, zone)}</small>
        </span>
        <span class="grow" />
        <Speed rate={reel.rate} disabled={false} set={reel.setRate} />
        <span class="cg" />
        <button class="tool wide" title="Snapshot (S)" onClick={reel.snapshot}>
          <Icon name="snapshot" />
          <span class="s b hide-m">Snapshot</span>
        </button>
        <button
          class="tool wide"
          title="Export (E)"
          aria-pressed={reel.selection !== null}
          onClick={reel.toggleExport}
        >
          <Icon name="export" />
          <span class="s b hide-m">Export</span>
        </button>
      </div>
      <RowLines cameras={ordered} chosen={chosen} reel={reel} zone={zone} now={now} />
      {phone && others.length > 0 && (
        <button class="more" aria-expanded={more} onClick={() => setMore(!more)}>
          {more ? 'Fewer cameras' : `${others.length} more at this time`}
        </button>
      )}
      {reel.selection && (
        <ExportBar
          cameras={chosen}
          selection={reel.selection}
          zone={zone}
          close={() => reel.select(null)}
        />
      )}
    </Shell>
  );
}

interface LinesProps {
  cameras: Camera[];
  chosen: Camera[];
  reel: Reel;
  zone: string | null;
  now: number;
}

/** A name with a box, and a tape, for each camera; one playhead through all of them. */
function RowLines({ cameras, chosen, reel, zone, now }: LinesProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [first] = useState(() => dayOf(app.now() - YEAR, zone).start);
  const bounds = { from: first, to: dayOf(now, zone).end };
  const line = useTimelineOn(canvas, bounds, zone, {
    seek: reel.seek,
    scrub: reel.drag,
    select: reel.select,
    window: (window, zoom) => {
      reel.look(window, zoom);
      if (zoom !== reel.zoom) reel.setZoom(zoom);
    },
    hover: () => undefined,
  });
  useEffect(() => line.current?.setWindow(reel.moment, reel.zoom), []);
  useEffect(() => line.current?.setDay(bounds, zone), [bounds.to, zone]);
  useEffect(() => line.current?.setZoom(reel.zoom), [reel.zoom]);
  useEffect(() => line.current?.setSelection(reel.selection), [reel.selection]);
  useEffect(() => {
    line.current?.setMoment(reel.moment, now);
  }, [reel.moment, now]);
  useEffect(() => {
    const rows = cameras.map((camera) => {
      const known = reel.data.get(camera.jid);
      return { data: known ? upToDate(known, camera, now) : null, chosen: chosen.includes(camera) };
    });
    line.current?.setRows(rows);
  });
  const day = dayOf(reel.moment, zone);
  const whole = { from: day.start, to: day.end };
  const data = chosen[0] ? (reel.data.get(chosen[0].jid) ?? null) : null;
  const pick = (camera: Camera): void => {
    const next = chosen.includes(camera)
      ? chosen.filter((one) => one !== camera)
      : [...chosen, camera].slice(-MOST);
    const url = new URL(location.href);
    url.searchParams.delete('camera');
    for (const { jid } of next) url.searchParams.append('camera', jid);
    go(url.pathname + url.search, true);
  };
  return (
    <div class="lines">
      <ul>
        {cameras.map((camera) => (
          <li key={camera.jid}>
            <label>
              <input
                type="checkbox"
                checked={chosen.includes(camera)}
                disabled={chosen.length === 1 && chosen[0] === camera}
                onChange={() => pick(camera)}
              />
              <Icon name={chosen.includes(camera) ? 'checked' : 'unchecked'} />
              <span class="ell">{camera.name}</span>
            </label>
          </li>
        ))}
      </ul>
      <div class="tl">
        <canvas ref={canvas} aria-hidden="true" />
        <TimeSlider
          day={whole}
          moment={reel.moment}
          zone={zone}
          state={stateAt(data, reel.moment, now)}
          seek={reel.seek}
        />
        {reel.selection && (
          <Ends
            selection={reel.selection}
            day={whole}
            zone={zone}
            change={reel.select}
          />
        )}
      </div>
    </div>
  );
}

interface DayChoiceProps {
  cameras: Camera[];
  reel: Reel;
  zone: string | null;
  now: number;
}

/** The day in words; pressed, a calendar of the first camera's days. */
function DayChoice({ cameras, reel, zone, now }: DayChoiceProps) {
  const id = useId();
  const [camera] = cameras;
  return (
    <>
      <button class="tool wide" popovertarget={id} title="Choose a day">
        <Icon name="calendar" />
        <span class="s hide-m">{dayWords(reel.moment, zone)}</span>
        <span class="sr">Choose a day</span>
      </button>
      <div class="menu days" id={id} popover="auto">
        {camera && (
          <CalendarOf
            key={camera.jid}
            camera={camera}
            moment={reel.moment}
            now={now}
            choose={(to) => {
              document.getElementById(id)?.hidePopover();
              reel.seek(to);
            }}
          />
        )}
      </div>
    </>
  );
}

interface CalendarOfProps {
  camera: Camera;
  moment: number;
  now: number;
  choose(moment: number): void;
}

function CalendarOf({ camera, moment, now, choose }: CalendarOfProps) {
  const spansOf = (window: Span): Span[] => useFetched(camera, window, 300_000)?.spans ?? [];
  return (
    <Calendar
      zone={camera.zone}
      moment={moment}
      now={now}
      spansOf={spansOf}
      choose={(day) => choose(sameTime(moment, day, camera.zone))}
    />
  );
}
