import { useEffect, useRef, useState } from 'preact/hooks';
import type { Camera } from '../core/room.ts';
import { gapAt, stateAt } from '../core/scale.ts';
import { hhmm, hhmmss } from '../core/time.ts';
import { Timeline } from '../core/timeline.ts';
import type { Desk } from './desk.ts';

interface Props {
  camera: Camera;
  desk: Desk;
  moment: number;
  now: number;
}

/** Half the bubble's width: it stays inside the timeline. */
const HALF = 104;

export function TimelineView({ camera, desk, moment, now }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const line = useRef<Timeline | null>(null);
  const latest = useRef(desk);
  latest.current = desk;
  const [hover, setHover] = useState<number | null>(null);
  const day = { from: desk.day.start, to: desk.day.end };

  useEffect(() => {
    if (!canvas.current) return undefined;
    const made = new Timeline(canvas.current, day, camera.zone, {
      seek: (at) => latest.current.seek(at),
      window: (window, zoom) => {
        latest.current.look(window, zoom);
        if (zoom !== latest.current.zoom) latest.current.setZoom(zoom);
      },
      hover: setHover,
    });
    line.current = made;
    const theme = matchMedia('(prefers-color-scheme: dark)');
    const restyle = (): void => made.restyle();
    theme.addEventListener('change', restyle);
    void document.fonts.ready.then(restyle);
    return () => {
      theme.removeEventListener('change', restyle);
      made.close();
    };
  }, []);

  useEffect(() => line.current?.setDay(day, camera.zone), [day.from, day.to, camera.zone]);
  useEffect(() => line.current?.setZoom(desk.zoom), [desk.zoom]);
  useEffect(() => {
    line.current?.setMoment(moment, now);
  }, [moment, now]);
  useEffect(() => line.current?.setData(desk.data, desk.fine));
  // A jump may leave the window; playing on moves it along.
  useEffect(() => line.current?.reveal(moment), [Math.floor(moment)]);

  const state = stateAt(desk.data, moment, now);
  return (
    <div class="tl">
      <canvas ref={canvas} aria-hidden="true" />
      <input
        class="sr"
        type="range"
        aria-label="Time of day"
        min={day.from}
        max={day.to}
        step={10}
        value={moment}
        aria-valuetext={`${hhmmss(moment, camera.zone)}, ${state}`}
        onInput={(event) => desk.seek(Number(event.currentTarget.value))}
        onKeyDown={(event) => {
          // The page's keys mean the same here: 10 s, and zoom.
          if (event.key.startsWith('Arrow')) event.preventDefault();
        }}
      />
      {hover !== null && line.current && (
        <Bubble
          at={line.current.at(hover)}
          x={hover}
          camera={camera}
          desk={desk}
          now={now}
          width={canvas}
        />
      )}
    </div>
  );
}

interface BubbleProps {
  at: number;
  x: number;
  camera: Camera;
  desk: Desk;
  now: number;
  width: { current: HTMLCanvasElement | null };
}

/** What there is under the pointer: over a gap the reason, otherwise time and state. */
function Bubble({ at, x, camera, desk, now, width }: BubbleProps) {
  const { zone } = camera;
  const whole = width.current?.clientWidth ?? 0;
  const left = Math.min(Math.max(x, HALF), Math.max(HALF, whole - HALF));
  const gap = gapAt(desk.fine ?? desk.data, at);
  const state = stateAt(desk.data, at, now);
  return (
    <>
      <div class="ptr" style={{ left: `${x}px` }} />
      <div class="bubble" style={{ left: `${left}px` }}>
        {gap ? (
          <>
            <b class="b">
              Nothing from {hhmm(gap.from, zone)} to {hhmm(gap.to, zone)}
            </b>
            <p class="s m2">{gap.reason}</p>
          </>
        ) : (
          <p class="both">
            <span>{desk.zoom === 0 ? hhmm(at, zone) : hhmmss(at, zone)}</span>
            <span class="m2">{state.slice(0, 1).toUpperCase() + state.slice(1)}</span>
          </p>
        )}
      </div>
    </>
  );
}
