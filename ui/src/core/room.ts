import type {
  Chat,
  IceServer,
  Location,
  MessageFromServer,
  Peer,
  Recording,
  StatusFields,
} from '../protocol.gen.ts';
import type { Noticed } from './events.ts';
import { bare, local } from './jid.ts';
import { parseTime } from './time.ts';

/** The newest stored second may be this old before it is called late. */
export const LATE_SECONDS = 10;
/** Chat messages kept: the room's own history is short, and a tab may stay open for weeks. */
const CHAT_LIMIT = 500;
/** A spool of this many seconds is behind, not only on its way. */
const WAITS_SECONDS = 15;
const WAITED_LIMIT = 50;
const NOTICED_LIMIT = 200;

/** stored: confirmed in storage; late: storage falls behind; spooled: on the device; nothing: nowhere. */
export type CameraState = 'checking' | 'stored' | 'late' | 'spooled' | 'nothing' | 'offline';

export interface Camera {
  jid: string;
  name: string;
  location: string;
  zone: string | null;
  storage: string | null;
  peer: Peer | null;
  lastSeen: number | null;
  /** Capture time of the newest stored access unit, UTC seconds. */
  durableUntil: number | null;
  recording: Recording | null;
  status: CameraStatus | null;
  /** Stretches that waited on the device, as its Status told this page. */
  waited: Stretch[];
}

/** What newer cameras tell of their machine; older ones don't. */
export type CameraStatus = StatusFields & {
  temperature?: number;
  'under-voltage'?: number;
  version?: string;
};

export interface Stretch {
  from: number;
  to: number;
}

export interface Section {
  name: string;
  title: string;
  zone: string | null;
  storage: string | null;
  cameras: Camera[];
}

/** What the page knows of the room. Plain state: messages in, cameras and people out. */
export class Room {
  jid = '';
  iceServers: IceServer[] = [];
  locations: Location[] = [];
  chats: Chat[] = [];
  /** Server's clock minus this browser's, seconds. */
  clockOffset = 0;
  welcomed = false;
  connected = false;
  readonly peers = new Map<string, Peer>();
  /** When a device left, seen by this page (server time); newer than what Welcome said. */
  readonly #left = new Map<string, number>();
  /** The last Status of devices that left: what they recorded when last heard. */
  readonly #lastStatus = new Map<string, StatusFields>();
  readonly #names = new Map<string, string>();
  readonly #waited = new Map<string, Stretch[]>();
  /** What devices did while this page looked on, oldest first. */
  noticed: Noticed[] = [];

  apply(message: MessageFromServer, localNow: number): void {
    switch (message.type) {
      case 'Welcome':
        this.jid = message.jid;
        this.iceServers = message['ice-servers'];
        this.locations = message.locations;
        this.clockOffset = parseTime(message['server-time']) - localNow;
        this.peers.clear();
        for (const peer of message.roster) this.#join(peer);
        this.chats = merged(this.chats, message.chat);
        this.welcomed = true;
        break;
      case 'Connect':
        this.#notice(message, 'came', localNow);
        this.#join({ ...message, ready: false, status: null });
        break;
      case 'Disconnect':
        this.#notice(message, 'left', localNow);
        this.#leave(message.jid, localNow + this.clockOffset);
        break;
      case 'OfferMedia':
        if (!message.to) this.#patch(message.from, { ready: true });
        break;
      case 'Status': {
        const { type: _type, from, ...status } = message;
        this.#noticeRecording(from, status.recording, localNow);
        this.#patch(from, { status });
        this.#wait(bare(from), status, localNow + this.clockOffset);
        break;
      }
      case 'Chat':
        this.chats = [...this.chats.slice(1 - CHAT_LIMIT), message];
        break;
      default:
        break;
    }
  }

  #join(peer: Peer): void {
    this.peers.set(peer.jid, peer);
    this.#names.set(bare(peer.jid), peer.name);
    if (peer.status) this.#lastStatus.set(bare(peer.jid), peer.status);
  }

  #leave(jid: string, at: number): void {
    this.peers.delete(jid);
    this.#left.set(bare(jid), at);
  }

  #patch(jid: string, change: Partial<Peer>): void {
    const peer = this.peers.get(jid);
    if (!peer) return;
    this.peers.set(jid, { ...peer, ...change });
    if (change.status) this.#lastStatus.set(bare(jid), change.status);
  }

  #notice({ jid, role }: Pick<Peer, 'jid' | 'role'>, what: Noticed['what'], localNow: number) {
    if (role !== 'device') return;
    const one = { at: localNow + this.clockOffset, jid: bare(jid), what };
    this.noticed = [...this.noticed.slice(1 - NOTICED_LIMIT), one];
  }

  #noticeRecording(jid: string, now: StatusFields['recording'], localNow: number): void {
    const peer = this.peers.get(jid);
    const before = peer?.status?.recording;
    if (!peer || typeof now !== 'string' || typeof before !== 'string' || now === before) return;
    this.#notice(peer, now, localNow);
  }

  /** A spool that holds more than what is just on its way: its pictures arrive later. */
  #wait(jid: string, { spool, recording }: StatusFields, now: number): void {
    if (!spool || spool.seconds < WAITS_SECONDS || typeof recording !== 'string') return;
    const from = now - spool.seconds;
    const all = this.#waited.get(jid) ?? [];
    const last = all.at(-1);
    if (last && from <= last.to + WAITS_SECONDS) last.to = Math.max(last.to, now);
    else all.push({ from, to: now });
    this.#waited.set(jid, all.slice(-WAITED_LIMIT));
  }

  /** The connection of this device that is in the room now; a storage stands in it likewise. */
  online(jid: string): Peer | null {
    for (const peer of this.peers.values()) if (bare(peer.jid) === jid) return peer;
    return null;
  }

  people(): Peer[] {
    return [...this.peers.values()].filter((peer) => peer.role === 'user');
  }

  /** Locations in their configured order, each with its cameras. */
  sections(): Section[] {
    return this.locations.map((location) => ({
      name: location.name,
      title: location.title || location.name,
      zone: location.timezone ?? null,
      storage: location.storage ?? null,
      cameras: this.#devices(location).map((jid) => this.#camera(jid, location)),
    }));
  }

  #devices(location: Location): string[] {
    const jids = location.devices
      .map((device) => bare(device.jid))
      .filter((jid) => jid !== location.storage);
    for (const peer of this.peers.values()) {
      const jid = bare(peer.jid);
      const here = peer.role === 'device' && peer.location === location.name;
      if (here && !jids.includes(jid)) jids.push(jid);
    }
    return jids;
  }

  #camera(jid: string, location: Location): Camera {
    const configured = location.devices.find((device) => bare(device.jid) === jid);
    const peer = this.online(jid);
    const status = peer ? peer.status : (this.#lastStatus.get(jid) ?? null);
    const seen = configured?.['last-seen'] ? parseTime(configured['last-seen']) : null;
    const recording = status?.recording;
    return {
      jid,
      name: peer?.name || this.#names.get(jid) || configured?.name || local(jid),
      location: location.name,
      zone: location.timezone ?? null,
      storage: location.storage ?? null,
      peer,
      lastSeen: this.#left.get(jid) ?? seen,
      durableUntil: newest(status?.['durable-until'], this.#storageSays(location.storage, jid)),
      recording: typeof recording === 'string' ? recording : null,
      status,
      waited: this.#waited.get(jid) ?? [],
    };
  }

  /** The storage knows what it has stored even when the camera cannot reach the room. */
  #storageSays(storage: string | null, jid: string): string | null | undefined {
    const recording = storage ? this.online(storage)?.status?.recording : null;
    if (!recording || typeof recording === 'string') return null;
    return recording[jid]?.['durable-until'];
  }
}

/** Both lists in the order in which things were said; what stands in both stands once. */
function merged(known: Chat[], told: Chat[]): Chat[] {
  const all = new Map([...known, ...told].map((chat) => [JSON.stringify(chat), chat]));
  const time = (chat: Chat): string => chat.time ?? '';
  return [...all.values()]
    .sort((a, b) => (time(a) < time(b) ? -1 : Number(time(a) > time(b))))
    .slice(-CHAT_LIMIT);
}

function newest(...times: (string | null | undefined)[]): number | null {
  const known = times.filter((time) => typeof time === 'string').map(parseTime);
  return known.length ? Math.max(...known) : null;
}

/** Seconds since the newest stored second; null when storage has confirmed none. */
export function storedAge(camera: Camera, now: number): number | null {
  return camera.durableUntil === null ? null : Math.max(0, now - camera.durableUntil);
}

/** What this camera's footage is doing now. The live link plays no part in it. */
export function cameraState(camera: Camera, now: number): CameraState {
  const age = storedAge(camera, now);
  if (age !== null && age <= LATE_SECONDS && camera.recording !== 'nothing') return 'stored';
  if (!camera.peer) return 'offline';
  if (camera.recording === null) return 'checking';
  if (camera.recording === 'stored') return age === null ? 'checking' : 'late';
  return camera.recording;
}
