import { Backoff } from './backoff.ts';
import type { CallRoom, Route } from './call.ts';
import { Call, route } from './call.ts';

/** Nobody looks at the picture for this long: the call ends. */
const UNSEEN_MS = 10_000;
/** A call that shows no picture by then starts over. */
const CONNECT_MS = 8_000;
const STATS_MS = 1_000;
/** Looks at the statistics without a new picture before the picture is no longer called live. */
const STILL_LOOKS = 4;
/** Every so many looks the picture is copied, so that there is a last one when it stops. */
const KEEP_LOOKS = 2;
/** Ends that say nothing about the way between this browser and the camera. */
const NOT_THE_WAY = ['no room', 'no-such-peer'];
/** The last picture is kept at most this wide: enough for a tile, small in memory. */
const KEPT_WIDTH = 960;

export type FeedState = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'offline';

/**
 * One camera's live picture, shared by every place that shows it: calls while somebody looks,
 * starts over by itself, and keeps the last picture.
 */
export class Feed {
  readonly jid: string;
  state: FeedState = 'idle';
  stream: MediaStream | null = null;
  route: Route | null = null;
  /** When the last picture came (this browser's clock, ms); null when none has yet. */
  pictureAt: number | null = null;
  /** Calls don't get through: another way is needed, while this one is tried again and again. */
  blocked = false;
  /** What the camera said when it refused the last call; null when it didn't. */
  refusal: string | null = null;
  /** Whether the storage's pictures are shown in place of the camera's. */
  substituted = false;
  /** The last picture, kept for when there is no new one; null when none has come yet. */
  picture: HTMLCanvasElement | null = null;

  readonly #room: CallRoom;
  readonly #changed: () => void;
  readonly #backoff = new Backoff(300, 8_000);
  readonly #videos = new Set<HTMLVideoElement>();
  #peer: string | null = null;
  #call: Call | null = null;
  #looks: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #unseen: ReturnType<typeof setTimeout> | undefined;
  #decoded = 0;
  #still = 0;
  #looked = 0;

  constructor(jid: string, room: CallRoom, changed: () => void) {
    this.jid = jid;
    this.#room = room;
    this.#changed = changed;
  }

  /** The camera's connection in the room that takes calls now, or null. */
  setPeer(peer: string | null): void {
    if (peer === this.#peer) return;
    const had = this.#peer;
    this.#peer = peer;
    if (peer === null) {
      // The picture needs the device, not the room: it may go on. A dead call ends by itself.
      if (!this.#call) this.#set(this.#watched ? 'offline' : 'idle');
      return;
    }
    // A new connection of the device knows nothing of the calls of its old one.
    if (had !== null || this.state === 'reconnecting') this.#drop();
    this.blocked = false;
    this.#backoff.reset();
    if (this.#watched) this.#start();
  }

  /**
   * The room is back or the device has become ready: no reason to wait for the next attempt. Who
   * was refused waits all the same: a camera that begins anew each second would be asked each time,
   * until it says no more than that this is too often.
   */
  kick(): void {
    if (this.refusal !== null) return;
    this.#backoff.reset();
    if (this.#watched && !this.#call) this.#start();
  }

  /** A place shows this picture now. Returns how to say that it no longer does. */
  watch(video: HTMLVideoElement): () => void {
    this.#videos.add(video);
    clearTimeout(this.#unseen);
    video.srcObject = this.stream;
    this.#observe(video);
    if (!this.#call) this.#start();
    return () => {
      this.#keep(video);
      this.#videos.delete(video);
      // An element that still has the stream plays on, and stays in memory, wherever it went.
      video.srcObject = null;
      if (!this.#watched) this.#unseen = setTimeout(() => this.#rest(), UNSEEN_MS);
    };
  }

  /** Somebody is about to look: the call begins a little before they do. */
  warm(): void {
    if (this.#call || this.#watched || this.#peer === null) return;
    this.#start();
    this.#unseen = setTimeout(() => this.#rest(), UNSEEN_MS);
  }

  stop(): void {
    clearTimeout(this.#unseen);
    this.#rest();
  }

  get #watched(): boolean {
    return this.#videos.size > 0;
  }

  #rest(): void {
    this.#drop();
    // Of a time in which somebody looked; who looks again asks at once.
    this.refusal = null;
    this.#set('idle');
  }

  #start(): void {
    clearTimeout(this.#retry);
    if (this.#call) return;
    if (this.#peer === null) {
      this.#set('offline');
      return;
    }
    this.#set(this.pictureAt === null ? 'connecting' : 'reconnecting');
    this.#still = this.#decoded = 0;
    this.#call = new Call(this.#room, this.#peer, 'live', {
      track: (stream, receiver) => this.#show(stream, receiver),
      ended: (reason, refused) => this.#missed(reason, refused),
    });
    this.#looks = setInterval(() => void this.#look(), STATS_MS);
    this.#deadline = setTimeout(() => {
      if (this.state !== 'live') this.#missed('no picture in time');
    }, CONNECT_MS);
  }

  #drop(): void {
    for (const video of this.#videos) this.#keep(video);
    clearInterval(this.#looks);
    clearTimeout(this.#deadline);
    clearTimeout(this.#retry);
    this.#call?.stop();
    this.#call = null;
    this.stream = null;
    this.route = null;
  }

  /** The call ended, or its time is over: without ever a picture there may be no way. */
  #missed(reason: string, refused = false): void {
    this.refusal = refused && this.state !== 'live' ? reason : null;
    if (this.state !== 'live' && !NOT_THE_WAY.includes(reason)) this.blocked = true;
    this.#restart();
  }

  #restart(): void {
    this.#drop();
    if (!this.#watched) {
      this.#set('idle');
      return;
    }
    if (this.#peer === null) {
      this.#set('offline');
      return;
    }
    this.#set(this.pictureAt === null ? 'connecting' : 'reconnecting');
    this.#retry = setTimeout(() => this.#start(), this.#backoff.next());
  }

  #show(stream: MediaStream, receiver: RTCRtpReceiver): void {
    // Live means now: no waiting for smoothness.
    const tuned = receiver as RTCRtpReceiver & { playoutDelayHint?: number };
    if ('jitterBufferTarget' in tuned) tuned.jitterBufferTarget = 0;
    if ('playoutDelayHint' in tuned) tuned.playoutDelayHint = 0;
    this.stream = stream;
    // A call that was made anew counts from nought.
    this.#decoded = this.#still = 0;
    for (const video of this.#videos) {
      video.srcObject = stream;
      this.#observe(video);
    }
    this.#changed();
  }

  /** Notes when pictures come: the first makes the feed live. */
  #observe(video: HTMLVideoElement): void {
    const stream = this.stream;
    if (!stream) return;
    void video.play().catch(() => undefined);
    if (!('requestVideoFrameCallback' in video)) {
      (video as HTMLVideoElement).onplaying = () => this.#seen(stream);
      return;
    }
    const next = (): void => {
      if (this.stream !== stream || !this.#videos.has(video)) return;
      this.#seen(stream);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
  }

  #seen(stream: MediaStream): void {
    if (this.stream !== stream) return;
    this.pictureAt = Date.now();
    if (this.state === 'live') return;
    this.#backoff.reset();
    this.blocked = false;
    this.refusal = null;
    this.#set('live');
    void this.#look();
  }

  async #look(): Promise<void> {
    const call = this.#call;
    if (!call) return;
    const stats = await call.stats();
    if (call !== this.#call) return;
    const now = route(stats);
    if (now !== this.route) {
      this.route = now;
      this.#changed();
    }
    this.#judge(framesDecoded(stats));
    const [video] = this.#videos;
    this.#looked += 1;
    if (video && this.state === 'live' && this.#looked % KEEP_LOOKS === 0) this.#keep(video);
  }

  /** A connection that is up but brings no new picture is as good as down. */
  #judge(decoded: number): void {
    if (decoded > this.#decoded) {
      this.#decoded = decoded;
      this.#still = 0;
      return;
    }
    // A hidden tab may stop decoding; that says nothing about the camera.
    if (document.visibilityState === 'hidden' || this.state !== 'live') return;
    this.#still += 1;
    // Gone from the room and no picture: no need to wait for more proof.
    if (this.#still >= STILL_LOOKS || this.#peer === null) this.#restart();
  }

  #keep(video: HTMLVideoElement): void {
    if (!video.videoWidth || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    const scale = Math.min(1, KEPT_WIDTH / video.videoWidth);
    this.picture ??= document.createElement('canvas');
    this.picture.width = Math.round(video.videoWidth * scale);
    this.picture.height = Math.round(video.videoHeight * scale);
    this.picture
      .getContext('2d')
      ?.drawImage(video, 0, 0, this.picture.width, this.picture.height);
  }

  #set(state: FeedState): void {
    if (this.state === state) return;
    this.state = state;
    this.#changed();
  }
}

function framesDecoded(stats: RTCStatsReport): number {
  let frames = 0;
  for (const entry of stats.values()) {
    if (entry.type === 'inbound-rtp') frames += (entry.framesDecoded as number | undefined) ?? 0;
  }
  return frames;
}
