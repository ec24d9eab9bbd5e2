// Made by `make types` from src/ucam/protocol; not edited by hand.
// The room's messages. Field names are those of the wire.

export type Role = 'device' | 'player' | 'storage' | 'user';

export type Recording = 'nothing' | 'spooled' | 'stored';

/** Viewer to device: an answer or an ICE candidate. */
export interface AnswerMedia {
  type: 'AnswerMedia';
  to: string;
  call: string;
  sdp?: string;
  ice?: IceCandidate;
  from?: string;
}

/** Anyone to the room, or to one person; the server adds `from` and `time`. */
export interface Chat {
  type: 'Chat';
  text: string;
  to?: string;
  from?: string;
  time?: string;
}

/** Server to everyone who may see that peer: it has come. */
export interface Connect {
  type: 'Connect';
  jid: string;
  name: string;
  role: Role;
  location: string | null;
  capabilities: string[];
}

/** A device that the configuration names, connected or not. */
export interface LocationDevice {
  jid: string;
  name: string;
  'last-seen': string | null;
}

/** Server to everyone who may see that peer: it has gone. */
export interface Disconnect {
  type: 'Disconnect';
  jid: string;
  name: string;
  role: Role;
  location: string | null;
  capabilities: string[];
}

/** Up to when a camera's recording would survive a power cut. */
export interface Durable {
  'durable-until': string | null;
}

/** Either way: the call is over. */
export interface EndMedia {
  type: 'EndMedia';
  to: string;
  call: string;
  reason?: string;
  from?: string;
}

/** Server to sender. `about` is the call, or the type, of the message that was refused. */
export interface RoomError {
  type: 'Error';
  code: string;
  text: string;
  about?: string;
}

/** An `RTCIceCandidateInit` of the browser's API; an empty candidate ends them. */
export interface IceCandidate {
  candidate: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
}

/** An `RTCIceServer` of the browser's API. */
export interface IceServer {
  urls: string[];
  username?: string;
  credential?: string;
}

/** Viewer to camera: blink, so that somebody who stands in front of you knows you. */
export interface Locate {
  type: 'Locate';
  to: string;
  from?: string;
}

/** A location that the receiver may see. */
export interface Location {
  name: string;
  title: string;
  timezone: string | null;
  storage: string | null;
  devices: LocationDevice[];
}

/** Device to a viewer: an offer or an ICE candidate. Without `to`: "I am ready". */
export interface OfferMedia {
  type: 'OfferMedia';
  to?: string;
  call?: string;
  sdp?: string;
  ice?: IceCandidate;
  from: string;
}

/** Who is in the room, as one who may see it sees it. */
export interface Peer {
  jid: string;
  name: string;
  role: Role;
  location: string | null;
  capabilities: string[];
  ready: boolean;
  status: StatusFields | null;
}

/** Viewer to device: open a call. The server adds `from` and the sender's `locations`. */
export interface RequestMedia {
  type: 'RequestMedia';
  to: string;
  call: string;
  kind: 'live' | 'recordings';
  from?: string;
  locations?: string[];
}

/** What a camera keeps because storage hasn't confirmed it. */
export interface Spool {
  bytes: number;
  seconds: number;
}

/** A camera's and a storage's fields; each sends its own. */
export interface StatusFields {
  recording?: Recording | Record<string, Durable>;
  'durable-until'?: string;
  sealed?: Record<string, string>;
  storage?: 'away' | 'connected' | StorageAddress;
  spool?: Spool;
  viewers?: string[];
  'clock-offset'?: number;
  encoder?: string;
  source?: string;
  chosen?: string;
  audio?: 'failed' | 'recorded';
  temperature?: number;
  'under-voltage'?: number;
  led?: string;
  version?: string;
  message?: string;
  bytes?: number;
  maxspace?: number;
  https?: string;
}

/** Where cameras push to: `rtsps://HOST:PORT`, and the certificate's `sha256:HEX`. */
export interface StorageAddress {
  url: string;
  fingerprint: string;
}

/** Server to who just connected, and again when what it told has changed: it replaces all. */
export interface Welcome {
  type: 'Welcome';
  jid: string;
  roster: Peer[];
  'ice-servers': IceServer[];
  'server-time': string;
  locations: Location[];
  chat: Chat[];
}

export interface Status extends StatusFields {
  type: 'Status';
  from: string;
}

export type MessageFromServer =
  | Welcome
  | Connect
  | Disconnect
  | OfferMedia
  | EndMedia
  | Chat
  | RoomError
  | Status;

export type MessageToServer =
  | RequestMedia
  | AnswerMedia
  | EndMedia
  | Locate
  | Chat;
