import { useEffect, useRef, useState } from 'preact/hooks';
import type { Span } from '../core/library.ts';
import type { Camera } from '../core/room.ts';
import { gapAt, spanAt, stateAt, ZOOMS } from '../core/scale.ts';
import type { Thumbnails } from '../core/thumbnails.ts';
import { intervalFor } from '../core/thumbnails.ts';
import { fromTo, hhmm, hhmmss } from '../core/time.ts';
import type { TimelineEvents } from '../core/timeline.ts';
import { Timeline } from '../core/timeline.ts';
import { asSentence } from '../core/words.ts';
import { Mark } from './base.tsx';
import type { Desk } from './desk.ts';
import { Thumb } from './thumb.tsx';
import { Ends, TimeSlider } from './time-slider.tsx';

interface Props {
  camera: Camera;
  desk: Desk;
  moment: number;
  now: number;
}

/** Half the bubble's width: it stays inside the timeline. */
const HALF = 104;
/** A pointer that rests this long gets a picture of exactly there. */
const REST_MS = 150;

export function TimelineView({ camera, desk, moment, now }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<number | null>(null);
  const day = { from: desk.day.start, to: desk.day.end };
  const line = useTimelineOn(canvas, day, camera.zone, {
    seek: desk.seek,
    scrub: desk.drag,
    select: desk.select,
    window: (window, zoom) => {
      desk.look(window, zoom);
      if (zoom !== desk.zoom) desk.setZoom(zoom);
    },
    hover: setHover,
  });

  useEffect(() => line.current?.setDay(day, camera.zone), [day.from, day.to, camera.zone]);
  useEffect(() => line.current?.setZoom(desk.zoom), [desk.zoom]);
  useEffect(() => line.current?.setSelection(desk.selection), [desk.selection]);
  useEffect(() => {
    line.current?.setMoment(moment, now);
  }, [moment, now]);
  useEffect(() => line.current?.setData(desk.data, desk.fine));

  const at = hover !== null && line.current ? line.current.at(hover) : null;
  const seconds = desk.zoom === 0 ? day.to - day.from : (ZOOMS[desk.zoom]?.seconds ?? 600);
  usePictures(desk.thumbs, day, desk.data !== null, at ?? desk.scrub.at, seconds, now);
  const state = stateAt(desk.data, moment, now);
  return (
    <div class="tl">
      <canvas ref={canvas} aria-hidden="true" />
      <TimeSlider day={day} moment={moment} zone={camera.zone} state={state} seek={desk.seek} />
      {desk.selection && (
        <Ends
          selection={desk.selection}
          day={day}
          zone={camera.zone}
          change={(selection) => desk.select(selection)}
        />
      )}
      {at !== null && hover !== null && desk.scrub.at === null && (
        <Bubble
          at={at}
          x={hover}
          camera={camera}
          desk={desk}
          now={now}
          within={seconds}
          whole={canvas.current?.clientWidth ?? 0}
        />
      )}
    </div>
  );
}

/** A timeline on a canvas as long as that is shown; it always calls the newest of `events`. */
export function useTimelineOn(
  canvas: { current: HTMLCanvasElement | null },
  day: Span,
  zone: string | null,
  events: TimelineEvents,
) {
  const line = useRef<Timeline | null>(null);
  const latest = useRef(events);
  latest.current = events;
  useEffect(() => {
    if (!canvas.current) return undefined;
    const made = new Timeline(canvas.current, day, zone, {
      seek: (at) => latest.current.seek(at),
      window: (window, zoom) => latest.current.window(window, zoom),
      hover: (x, y) => latest.current.hover(x, y),
      scrub: (at) => latest.current.scrub(at),
      select: (selection) => latest.current.select(selection),
    });
    line.current = made;
    const theme = matchMedia('(prefers-color-scheme: dark)');
    const restyle = (): void => made.restyle();
    theme.addEventListener('change', restyle);
    void document.fonts.ready.then(restyle);
    return () => {
      theme.removeEventListener('change', restyle);
      made.close();
      line.current = null;
    };
  }, []);
  return line;
}

/** Asks for pictures: some of the whole day at first, then ever closer ones where the pointer is. */
function usePictures(
  thumbs: Thumbnails | null,
  day: Span,
  known: boolean,
  at: number | null,
  seconds: number,
  now: number,
): void {
  useEffect(() => {
    if (!thumbs || !known) return;
    const coarse = intervalFor((day.to - day.from) / 50);
    thumbs.want(day.from, coarse);
    thumbs.want(Math.min(day.to, now) - 1, coarse);
  }, [thumbs, known, day.from]);
  useEffect(() => {
    if (!thumbs || at === null) return undefined;
    thumbs.want(at, intervalFor(seconds / 240));
    const timer = setTimeout(() => thumbs.want(at, intervalFor(seconds / 1440)), REST_MS);
    return () => clearTimeout(timer);
  }, [thumbs, at, seconds]);
}

interface BubbleProps {
  at: number;
  x: number;
  camera: Camera;
  desk: Desk;
  now: number;
  /** A picture this far away is better than none, s. */
  within: number;
  whole: number;
}

/** What there is under the pointer: a picture with time and state; over a gap the reason. */
function Bubble({ at, x, camera, desk, now, within, whole }: BubbleProps) {
  const { zone } = camera;
  const left = Math.min(Math.max(x, HALF), Math.max(HALF, whole - HALF));
  const data = desk.fine ?? desk.data;
  const gap = gapAt(data, at);
  const device = spanAt(data?.onDevice ?? [], at);
  const state = stateAt(data, at, now);
  const span = (one: Span): string => fromTo(one.from, one.to, zone);
  return (
    <>
      <div class="ptr" style={{ left: `${x}px` }} />
      <div class={gap || device ? 'bubble words' : 'bubble'} style={{ left: `${left}px` }}>
        {gap && (
          <>
            <b class="b row">
              <Mark kind="none" />
              Nothing from {span(gap)}
            </b>
            <p class="s m2">{asSentence(gap.reason)}</p>
          </>
        )}
        {!gap && device && (
          <>
            <b class="b row">
              <Mark kind="dev" />
              {span(device)}, on the device
            </b>
            <p class="s m2">It arrives when the device reaches the storage.</p>
          </>
        )}
        {!gap && !device && (
          <>
            {state !== 'not yet' && (
              <Thumb
                picture={desk.thumbs?.near(at, within) ?? null}
                width={198}
                height={111}
              />
            )}
            <p class="both">
              <span>{desk.zoom === 0 ? hhmm(at, zone) : hhmmss(at, zone)}</span>
              <span class="m2">{state.slice(0, 1).toUpperCase() + state.slice(1)}</span>
            </p>
          </>
        )}
      </div>
    </>
  );
}
