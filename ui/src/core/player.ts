import { ChannelError } from './answers.ts';
import { pause } from './backoff.ts';
import type { Run } from './chunks.ts';
import { hasAudio, hasVideo } from './keyframes.ts';
import { Library } from './library.ts';
import type { Media } from './media-buffer.ts';
import { MediaBuffer, STALL_EDGE } from './media-buffer.ts';
import { pictureAfter } from './pictures.ts';
import type { RecordingsChannel } from './recordings.ts';
import { StorageAway } from './recordings.ts';

export type PlayerState = 'loading' | 'playing' | 'paused' | 'ended';

export interface PlayerEvents {
  state(state: PlayerState): void;
  /** The moment of the picture on the screen, UTC seconds. */
  moment(utc: number): void;
  /** A sentence when something is wrong, null when it no longer is. */
  trouble(text: string | null): void;
  /** Playing has come to the newest recording: there is nothing to hurry to any more. */
  edge?(): void;
  /** Whether what is shown was recorded with sound. */
  audio?(has: boolean): void;
}

export interface PlayerOptions {
  /** Whether playing goes on after a gap by itself; otherwise it stands before it. */
  overGaps?: boolean;
}

export interface PlayerClock {
  /** The server's now, UTC seconds. */
  now(): number;
  /** The first moment of the day that holds this one, where the camera is. */
  dayStart(moment: number): number;
}

/** Fetched ahead of the picture, at most. */
const AHEAD_BYTES = 16_000_000;
const AHEAD_SECONDS = 20;
const LOOK_MS = 250;
/** Of a picture that isn't known: less than one of 50 a second. */
const ABOUT_A_PICTURE = 0.015;
/** Behind where a picture begins, so that rounding doesn't lead to the one before. */
const INSIDE = 0.001;
/** Nothing new for this long at the end of the recordings: they have ended for now. */
const ENDED_MS = 15_000;
/** Said when a picture is waited for longer than this. */
const SLOW_MS = 4_000;
const WAITING = 'Waiting for the recording.';
/** Closer to now than this there is nothing to hurry to. */
const NOW_SECONDS = 10;
/** Above this speed only keyframes are shown: nobody sees more, and no network carries more. */
const ALL_PICTURES = 2;
/** After running dry, playing goes on with this much in hand: one pause instead of many. */
const RESUME_SECONDS = 1.5;
/** … or with whatever is there, when no more comes. */
const RESUME_MS = 3_000;

/**
 * Plays one camera's recordings from a recordings channel by Media Source Extensions: any moment,
 * across chunks without a stall, over gaps, and on towards now.
 */
export class Player {
  readonly #video: HTMLVideoElement;
  readonly #library: Library;
  readonly #buffer: MediaBuffer;
  readonly #clock: PlayerClock;
  readonly #events: PlayerEvents;
  readonly #listening = new AbortController();
  readonly #tick: ReturnType<typeof setInterval>;
  #work = new AbortController();
  #cursor = 0;
  /** What was asked for last; until its picture is there, it is where the player stands. */
  #target: number | null = null;
  #wantPlay = false;
  #state: PlayerState | null = null;
  /** Since when it is in this state (ms). */
  #since = 0;
  #trouble: string | null = null;
  #lastFrame = 0;
  /** The moment of the picture that the last step led to; it may not be on the screen yet. */
  #stepped: number | null = null;
  #grewAt = 0;
  /** Paused by the player itself, because the picture ran dry. */
  #dry = false;
  #rate = 1;
  #audio = false;
  readonly #overGaps: boolean;

  constructor(
    video: HTMLVideoElement,
    channel: RecordingsChannel,
    jid: string,
    clock: PlayerClock,
    events: PlayerEvents,
    { overGaps = true }: PlayerOptions = {},
  ) {
    this.#overGaps = overGaps;
    this.#video = video;
    this.#library = new Library(channel, jid, () => clock.now());
    this.#buffer = new MediaBuffer(video);
    this.#clock = clock;
    this.#events = events;
    this.#listen();
    this.#tick = setInterval(() => this.#look(), LOOK_MS);
  }

  /** The moment of the picture, or of the one that was asked for and is on its way. */
  get moment(): number {
    return this.#target ?? this.#buffer.moment;
  }

  get playing(): boolean {
    return this.#wantPlay;
  }

  /** Whether the picture that was asked for is still on its way. */
  get seeking(): boolean {
    return this.#target !== null || this.#video.seeking;
  }

  get state(): PlayerState | null {
    return this.#state;
  }

  play(): void {
    this.#wantPlay = true;
    this.#stepped = null;
    this.#dry = false;
    // Refused without a source, or overtaken by a seek: the state tells what came of it.
    if (this.#buffer.ready) void this.#video.play().catch(() => undefined);
  }

  pause(): void {
    this.#wantPlay = false;
    this.#dry = false;
    this.#video.pause();
    this.#set('paused');
  }

  /** Above 2× other bytes are played: what is there is dropped when that line is crossed. */
  setRate(rate: number): void {
    const before = this.#fast;
    this.#rate = rate;
    this.#video.playbackRate = rate;
    if (this.#fast !== before && this.#buffer.ready) this.#seek(this.moment, true);
  }

  /** A correction of a few per cent, to keep step with other players. */
  trim(factor: number): void {
    const rate = this.#rate * factor;
    if (Math.abs(this.#video.playbackRate - rate) > 0.001) this.#video.playbackRate = rate;
  }

  get #fast(): boolean {
    return this.#rate > ALL_PICTURES;
  }

  /** One picture forward or back. */
  step(frames: number): void {
    const shown = this.#target ?? this.#stepped ?? this.#buffer.base + this.#lastFrame;
    const wanted = pictureAfter(this.#buffer.pictures, shown, frames);
    this.pause();
    this.seek(wanted ?? this.#outside(shown, frames));
    this.#stepped = wanted;
  }

  /** Where a picture must be that isn't there yet: behind all that is, or just before it. */
  #outside(shown: number, frames: number): number {
    const { end } = this.#buffer;
    if (frames > 0 && end !== null && end > shown) return end + INSIDE;
    return shown + Math.sign(frames) * ABOUT_A_PICTURE;
  }

  /** Shows this moment (UTC seconds), or the next recorded one when nothing was recorded then. */
  seek(moment: number): void {
    this.#seek(moment, false);
  }

  #seek(moment: number, anew: boolean): void {
    this.#stepped = null;
    this.#work.abort();
    this.#work = new AbortController();
    this.#grewAt = Date.now();
    void this.#run(moment, anew, this.#work.signal);
  }

  close(): void {
    this.#work.abort();
    this.#listening.abort();
    clearInterval(this.#tick);
    this.#buffer.close();
  }

  async #run(moment: number, anew: boolean, signal: AbortSignal): Promise<void> {
    try {
      if (!anew && this.#buffer.jump(moment)) {
        this.#target = null;
        // What is being appended still counts: the cursor moves with it.
        await this.#buffer.settled();
      } else {
        await this.#restart(moment, signal);
      }
      await this.#pump(signal);
    } catch (error) {
      if (signal.aborted) return;
      console.error('player', error);
      this.#set('ended');
      this.#tell('This browser cannot play this recording.');
    }
  }

  /** Starts anew at a moment that is not in the buffer. */
  async #restart(moment: number, signal: AbortSignal): Promise<void> {
    this.#target = moment;
    this.#set('loading');
    for (;;) {
      const found = await this.#try(() => this.#library.locate(moment, signal), signal);
      const media = found && (await this.#try(() => this.#fetch(found.run, signal), signal));
      if (!found || !media) {
        if (found === null && !this.#trouble) this.#tell('Nothing is recorded here yet.');
        await pause(1_000, signal);
        continue;
      }
      this.#hear(this.#library.codecs);
      await this.#buffer.prepare(found.at, this.#clock.dayStart(found.at), media, signal);
      this.#target = null;
      this.#cursor = found.run.end;
      await this.#buffer.append(media, signal);
      this.#tell(null);
      if (this.#wantPlay) this.play();
      return;
    }
  }

  #fetch(run: Run, signal: AbortSignal): Promise<Media> {
    return this.#fast && hasVideo(run.chunk.codecs)
      ? this.#library.fetchKeyframes(run, this.#rate, signal)
      : this.#library.fetch(run, signal);
  }

  #next(count: number, signal: AbortSignal): Promise<Run | null> {
    return this.#library.next(this.#cursor, count, signal, this.#fast);
  }

  #hear(codecs: string): void {
    const audio = hasAudio(codecs);
    if (audio === this.#audio) return;
    this.#audio = audio;
    this.#events.audio?.(audio);
  }

  /** Appends what comes next, as far ahead as the bounds allow, until told to stop. */
  async #pump(signal: AbortSignal): Promise<void> {
    // Keyframes alone are small, and fast play needs many at once.
    let count = this.#fast ? 16 : 2;
    for (;;) {
      const ahead = this.#buffer.ahead();
      const rate = Math.max(1, this.#rate);
      if (ahead.bytes > AHEAD_BYTES || ahead.seconds > AHEAD_SECONDS * rate) {
        await pause(LOOK_MS, signal);
        continue;
      }
      const run = await this.#try(() => this.#next(count, signal), signal);
      if (!run) {
        await pause(LOOK_MS, signal);
        continue;
      }
      const media = await this.#try(() => this.#fetch(run, signal), signal);
      if (!media) continue;
      if (!this.#buffer.takes(media)) {
        // Sound begins or ends here: what is there is played out before the source is made anew.
        while (this.#buffer.ahead().seconds > STALL_EDGE) await pause(LOOK_MS / 5, signal);
        await this.#restart(run.start, signal);
        continue;
      }
      this.#hear(this.#library.codecs);
      if (!(await this.#buffer.append(media, signal))) continue;
      this.#cursor = run.end;
      this.#grewAt = Date.now();
      count = Math.min(count * 2, this.#fast ? 32 : 4);
    }
  }

  /** Null when the storage is away or its channel died; says so, and waits a little. */
  async #try<T>(work: () => Promise<T | null>, signal: AbortSignal): Promise<T | null> {
    try {
      const result = await work();
      signal.throwIfAborted();
      if (result !== null) this.#tell(null);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ChannelError)) throw error;
      const away = error instanceof StorageAway;
      this.#tell(
        away
          ? 'The storage is not connected. What it holds is safe, and plays when it is back.'
          : 'The recording does not arrive. Trying again.',
      );
      await pause(1_000, signal);
      return null;
    }
  }

  /** Steps over gaps, keeps memory bounded, and notices the end of the recordings. */
  #look(): void {
    const slow = this.#state === 'loading' && Date.now() - this.#since > SLOW_MS;
    if (slow && !this.#trouble) this.#tell(WAITING);
    if (!this.#buffer.ready || this.#target !== null) return;
    this.#buffer.tidy();
    if (this.#overGaps || this.#rate > ALL_PICTURES) this.#buffer.overGap();
    if (!this.#wantPlay) return;
    const { seconds } = this.#buffer.ahead();
    const still = Date.now() - this.#grewAt;
    if (this.#dry && (seconds >= RESUME_SECONDS * Math.max(1, this.#rate) || (seconds > STALL_EDGE && still > RESUME_MS))) {
      this.play();
    } else if (seconds <= STALL_EDGE && this.#buffer.stalled) {
      this.#ranDry(still);
    }
    if (this.#rate <= 1 || seconds > RESUME_SECONDS * this.#rate) return;
    if (this.#clock.now() - this.moment > NOW_SECONDS) return;
    this.setRate(1);
    this.#events.edge?.();
  }

  #ranDry(stillMs: number): void {
    if (!this.#dry) {
      this.#dry = true;
      this.#video.pause();
    }
    this.#set(stillMs > ENDED_MS ? 'ended' : 'loading');
  }

  #listen(): void {
    const video = this.#video;
    const on = (type: string, listener: () => void): void =>
      video.addEventListener(type, listener, { signal: this.#listening.signal });
    on('playing', () => this.#set('playing'));
    on('waiting', () => {
      if (this.#wantPlay) this.#set('loading');
      this.#look();
    });
    on('seeked', () => {
      this.#events.moment(this.#buffer.moment);
      if (!this.#wantPlay) this.#set('paused');
      else if (!this.#dry && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) {
        this.#set('playing');
      }
    });
    if ('requestVideoFrameCallback' in video) this.#frames();
    else on('timeupdate', () => this.#events.moment(this.#buffer.moment));
  }

  #frames(): void {
    this.#video.requestVideoFrameCallback((_, { mediaTime }) => {
      if (this.#listening.signal.aborted) return;
      this.#lastFrame = mediaTime;
      if (this.#buffer.ready) this.#events.moment(this.#buffer.base + mediaTime);
      this.#frames();
    });
  }

  #set(state: PlayerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = Date.now();
    if (this.#trouble === WAITING) this.#tell(null);
    this.#events.state(state);
  }

  #tell(text: string | null): void {
    if (text === this.#trouble) return;
    this.#trouble = text;
    this.#events.trouble(text);
  }
}
