import type { Span, TimelineData } from '../core/library.ts';
import type { Camera, CameraState } from '../core/room.ts';
import { cameraState, storedAge } from '../core/room.ts';
import { pieces } from '../core/scale.ts';
import { span } from '../core/time.ts';
import { app, Checking, Mark } from './base.tsx';

const DAY = 86_400;
/** Tapes are cut for this many pixels, about what a tile has. */
const TAPE_WIDTH = 480;

/** The mark alone, where its word stands elsewhere. */
export function StateMark({ state }: { state: CameraState }) {
  if (state === 'checking') return <Checking />;
  if (state === 'nothing') return <Mark kind="none" />;
  return <Mark kind={state === 'stored' || state === 'late' ? 'stored' : 'dev'} />;
}

/** REC with the age of the newest stored second, or what happens instead. */
export function Rec({ camera, now }: { camera: Camera; now: number }) {
  const state = cameraState(camera, now);
  const age = storedAge(camera, now) ?? 0;
  switch (state) {
    case 'stored':
      return (
        <span class="rec" title="The newest second in storage is this old">
          <Mark kind="stored" />
          <em>REC</em>
          {span(age)}
        </span>
      );
    case 'late':
      // Without the room nobody tells how far storage has come since.
      if (!app.room.connected) return <span class="xs m3">not known now</span>;
      return (
        <span class="rec care" title="Storage falls behind">
          <Mark kind="stored" />
          <em>REC</em>
          {span(age)} late
        </span>
      );
    case 'spooled':
      return (
        <span class="rec care">
          <Mark kind="dev" />
          On the device{spooled(camera)}
        </span>
      );
    case 'nothing':
      return (
        <span class="rec lost">
          <Mark kind="none" />
          Nothing recorded
        </span>
      );
    case 'offline':
      if (camera.lastSeen === null) {
        return (
          <span class="rec lost">
            <Mark kind="none" />
            Nothing stored
          </span>
        );
      }
      return (
        <span class="rec care">
          <Mark kind="dev" />
          {camera.durableUntil === null ? 'Not stored' : `Not stored · ${span(age)}`}
        </span>
      );
    case 'checking':
      return <span class="xs m3">checking</span>;
  }
}

function spooled(camera: Camera): string {
  const seconds = camera.status?.spool?.seconds;
  return typeof seconds === 'number' && seconds >= 1 ? ` · ${span(seconds)}` : '';
}

/** What the storage says, and what is known since: the confirmed seconds, the camera's own spool. */
export function upToDate(data: TimelineData, camera: Camera, now: number): TimelineData {
  const spans = [...data.spans];
  const last = spans.at(-1);
  const until = camera.durableUntil;
  if (last && until !== null && until > last.to && last.to >= data.to - 30) {
    spans[spans.length - 1] = { from: last.from, to: until };
  }
  const waits = [...data.onDevice, ...ownSpool(data, camera, now)];
  const later = [...data.later, ...cameLater(spans, camera)];
  return { ...data, spans, onDevice: waits, later };
}

/** What this page saw waiting on the device and is stored now. */
function cameLater(spans: Span[], camera: Camera): Span[] {
  const until = camera.durableUntil ?? 0;
  return camera.waited
    .map(({ from, to }) => ({ from, to: Math.min(to, until) }))
    .filter(({ from, to }) => spans.some((span) => span.from <= from + 1 && span.to >= to - 1 && to > from));
}

function ownSpool(data: TimelineData, camera: Camera, now: number) {
  const seconds = camera.status?.spool?.seconds;
  const waits = camera.peer && camera.recording === 'spooled' && typeof seconds === 'number';
  if (!waits || data.onDevice.length) return [];
  const from = Math.max(now - seconds, camera.durableUntil ?? 0);
  return from < now ? [{ from, to: now }] : [];
}

/** The last 24 h, right end now: 4 px under a tile, 10 px in a row. */
export function Tape({ camera, now, tall }: { camera: Camera; now: number; tall?: boolean }) {
  const known = app.tape(camera.jid, camera.storage);
  const name = `tape${tall ? ' t10' : ''}${known ? ' known' : ''}`;
  if (!known) return <div class={name} />;
  const window = { from: now - DAY, to: now };
  return (
    <div class={name} role="img" aria-label="The last 24 hours">
      {pieces(upToDate(known, camera, now), window, TAPE_WIDTH).map((piece, index) => (
        <i
          key={index}
          class={piece.kind[0]}
          style={{
            left: `${(100 * Math.max(0, piece.x)) / TAPE_WIDTH}%`,
            width: `${(100 * (piece.width + Math.min(0, piece.x))) / TAPE_WIDTH}%`,
          }}
        />
      ))}
    </div>
  );
}
