import type { Span } from '../core/library.ts';
import { hhmmss } from '../core/time.ts';

// The timeline for keyboards and screen readers: sliders that aren't seen, in place of the canvas.

interface TimeSliderProps {
  day: Span;
  moment: number;
  zone: string | null;
  /** What there is at that moment, in words. */
  state: string;
  seek(moment: number): void;
}

/** The playhead; it speaks time and state. */
export function TimeSlider({ day, moment, zone, state, seek }: TimeSliderProps) {
  return (
    <input
      class="sr"
      type="range"
      aria-label="Time of day"
      min={day.from}
      max={day.to}
      step={10}
      value={moment}
      aria-valuetext={`${hhmmss(moment, zone)}, ${state}`}
      onInput={(event) => seek(Number(event.currentTarget.value))}
      onKeyDown={(event) => {
        // The page's keys mean the same here: 10 s, and zoom.
        if (event.key.startsWith('Arrow')) event.preventDefault();
      }}
    />
  );
}

interface EndsProps {
  selection: Span;
  day: Span;
  zone: string | null;
  change(selection: Span): void;
}

/** The selection's handles for keyboards and screen readers. */
export function Ends({ selection, day, zone, change }: EndsProps) {
  const end = (which: 'from' | 'to', label: string) => (
    <input
      class="sr"
      type="range"
      aria-label={label}
      min={day.from}
      max={day.to}
      step={1}
      value={selection[which]}
      aria-valuetext={hhmmss(selection[which], zone)}
      onInput={(event) => {
        const at = Number(event.currentTarget.value);
        const next = { ...selection, [which]: at };
        if (next.to - next.from >= 1) change(next);
      }}
    />
  );
  return (
    <>
      {end('from', 'Export from')}
      {end('to', 'Export to')}
    </>
  );
}
