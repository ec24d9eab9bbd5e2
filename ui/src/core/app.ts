import type { MessageFromServer, MessageToServer } from '../protocol.gen.ts';
import { Api } from './api.ts';
import type { CallRoom, CallSink } from './call.ts';
import { network } from './call.ts';
import { Feed } from './feed.ts';
import { bare } from './jid.ts';
import type { CameraRecordings, TimelineData } from './library.ts';
import { cameras, timeline } from './library.ts';
import { mayReachLocal, Near } from './near.ts';
import { RecordingsChannel } from './recordings.ts';
import { Room } from './room.ts';
import { Session } from './session.ts';
import { Signaling, type Address } from './signaling.ts';
import { Store } from './store.ts';
import { startWorker } from './worker.ts';

const DAY = 86_400;
const TAPE_MS = 60_000;
/** The address of a storage that a person has asked to be reached directly. */
const NEAR = 'ucam.near';
/** The server's close codes: sign in again (or with a newer token), and no access any more. */
const SIGN_IN_AGAIN = 4401;
const NO_ACCESS = 4403;

/** To one storage: over the channel, and where it can be had without that. */
interface Way {
  channel: RecordingsChannel;
  near: Near;
  peer: string | null;
}

interface Tape {
  data: TimelineData | null;
  /** When it was asked for (ms); bounds how often that happens. */
  at: number;
}

/** Everything behind the page that lives as long as the page does. */
export class App {
  readonly session = new Session();
  readonly api = new Api(this.session);
  room = new Room();
  readonly store = new Store();
  /** Changes with every chat message; read by the Room's mark. */
  unread = 0;
  /** The service worker, once it is there. */
  worker: ServiceWorkerRegistration | null = null;
  reading = false;
  readonly #signaling: Signaling;
  readonly #calls = new Map<string, CallSink>();
  readonly #feeds = new Map<string, Feed>();
  readonly #channels = new Map<string, Way>();
  readonly #tapes = new Map<string, Tape>();
  readonly #resource = `page-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  readonly #callRoom: CallRoom;
  #token: string | null = null;

  constructor() {
    this.#signaling = new Signaling(() => this.#address(), {
      message: (message) => this.#message(message),
      connected: (connected) => this.#connected(connected),
      closed: (code) => this.#closed(code),
    });
    this.#callRoom = {
      send: (message) => this.#signaling.send(message),
      iceServers: () => this.room.iceServers,
      join: (call, sink) => {
        this.#calls.set(call, sink);
        return () => this.#calls.delete(call);
      },
    };
    this.session.subscribe(() => this.#signedIn());
    addEventListener('pagehide', () => this.#leave());
    for (const [target, type] of [[globalThis, 'online'], [network(), 'change']] as const) {
      target?.addEventListener(type, () => {
        for (const { near } of this.#channels.values()) near.networkChanged();
      });
    }
    addEventListener('pageshow', ({ persisted }) => {
      // Back by the browser's back button, with every picture still in its place.
      if (persisted) for (const feed of this.#feeds.values()) feed.kick();
    });
    this.#signedIn();
    void startWorker().then((worker) => {
      this.worker = worker;
    });
  }

  /** The server's clock, UTC seconds. */
  now(): number {
    return Date.now() / 1000 + this.room.clockOffset;
  }

  send(message: MessageToServer): boolean {
    return this.#signaling.send(message);
  }

  /** Lets a camera blink, so that somebody who stands in front of it knows it. */
  locate(peer: string): boolean {
    return this.send({ type: 'Locate', to: peer });
  }

  feed(jid: string): Feed {
    let feed = this.#feeds.get(jid);
    if (!feed) {
      feed = new Feed(jid, this.#callRoom, () => this.store.changed());
      this.#feeds.set(jid, feed);
      feed.setPeer(this.room.online(jid)?.jid ?? null);
    }
    return feed;
  }

  /** The storage's channel, or null when the location has no storage. */
  channel(storage: string | null): RecordingsChannel | null {
    if (storage === null) return null;
    let entry = this.#channels.get(storage);
    if (!entry) {
      const peer = () => this.room.online(storage)?.jid ?? null;
      const near = new Near({
        origin: () => this.room.online(storage)?.status?.https ?? null,
        token: () => this.api.playbackToken(storage),
        mayReach: async () =>
          (await mayReachLocal()) === 'granted' ||
          localStorage.getItem(NEAR) === this.room.online(storage)?.status?.https,
        changed: () => this.store.changed(),
      });
      entry = { channel: new RecordingsChannel(this.#callRoom, peer, near), near, peer: peer() };
      this.#channels.set(storage, entry);
    }
    return entry.channel;
  }

  /** A person wants a storage's recordings by the shortest way: the browser may ask about it. */
  async tryNear(storage: string): Promise<void> {
    this.channel(storage);
    const near = this.#channels.get(storage)?.near;
    await near?.probe(true);
    const https = this.room.online(storage)?.status?.https;
    // Not every browser remembers what it needn't have asked.
    if (near?.used && https) localStorage.setItem(NEAR, https);
  }

  /** The last 24 h of a camera, as far as known; asked for again when it is a minute old. */
  tape(jid: string, storage: string | null): TimelineData | null {
    const known = this.#tapes.get(jid);
    const fresh = known && Date.now() - known.at < TAPE_MS;
    if (!fresh && storage && this.room.online(storage) && document.visibilityState === 'visible') {
      void this.#fetchTape(jid, storage, known?.data ?? null);
    }
    return known?.data ?? null;
  }

  async recordings(storage: string): Promise<CameraRecordings[]> {
    const channel = this.channel(storage);
    return channel ? cameras(channel) : [];
  }

  async #fetchTape(jid: string, storage: string, before: TimelineData | null): Promise<void> {
    const tape: Tape = { data: before, at: Date.now() };
    this.#tapes.set(jid, tape);
    const channel = this.channel(storage);
    if (!channel) return;
    const to = this.now();
    try {
      tape.data = await timeline(channel, jid, to - DAY, to);
      this.store.changed();
    } catch {
      // The tape stays as it was, or blank; the next look is sooner.
      tape.at = Date.now() - TAPE_MS + 5_000;
    }
  }

  #signedIn(): void {
    const token = this.session.token;
    if (token === null) {
      this.#signaling.stop();
      for (const feed of this.#feeds.values()) feed.stop();
      for (const { channel } of this.#channels.values()) channel.close();
      this.#feeds.clear();
      this.#channels.clear();
      this.#tapes.clear();
      this.room = new Room();
    } else if (this.#token === null) {
      this.#signaling.start();
    }
    this.#token = token;
    this.store.changed();
  }

  #address(): Address | null {
    const token = this.session.token;
    if (token === null) return null;
    const url = new URL('/ws', location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    url.searchParams.set('resource', this.#resource);
    return { url: url.href, token };
  }

  #connected(connected: boolean): void {
    this.room.connected = connected;
    this.store.changed();
  }

  #closed(code: number): void {
    if (code === NO_ACCESS) this.session.end();
    else if (code === SIGN_IN_AGAIN) void this.session.recycle();
  }

  #message(message: MessageFromServer): void {
    this.room.apply(message, Date.now() / 1000);
    switch (message.type) {
      case 'Welcome':
        this.#sync();
        for (const feed of this.#feeds.values()) feed.kick();
        break;
      case 'Connect':
      case 'Disconnect':
        this.#sync();
        break;
      case 'OfferMedia':
        if (message.call) this.#calls.get(message.call)?.offer(message);
        else this.#feeds.get(bare(message.from))?.kick();
        break;
      case 'EndMedia':
        this.#calls.get(message.call)?.end(message);
        break;
      case 'Error':
        if (message.about) this.#calls.get(message.about)?.error(message.code);
        break;
      case 'Chat':
        if (!this.reading && bare(message.from ?? '') !== bare(this.room.jid)) this.unread += 1;
        break;
      default:
        break;
    }
    this.store.changed();
  }

  /** Feeds and channels follow who is in the room. */
  #sync(): void {
    for (const [jid, feed] of this.#feeds) feed.setPeer(this.room.online(jid)?.jid ?? null);
    for (const [jid, entry] of this.#channels) {
      const peer = this.room.online(jid)?.jid ?? null;
      if (peer !== null && entry.peer !== null && peer !== entry.peer) entry.channel.close();
      if (peer !== null) entry.peer = peer;
    }
    const devices = [...this.room.peers.values()].some((peer) => peer.role !== 'user');
    if (!devices) this.#signaling.expectSilence();
  }

  /** The devices learn at once that nobody looks any more. */
  #leave(): void {
    for (const feed of this.#feeds.values()) feed.stop();
    for (const { channel } of this.#channels.values()) channel.close();
  }
}
