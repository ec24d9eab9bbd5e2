// The room's messages. Field names are those of the wire.

export type Role = 'user' | 'device' | 'storage' | 'player';
export type Recording = 'stored' | 'spooled' | 'nothing';

export interface IceServer {
  urls: string[];
  username?: string;
  credential?: string;
}

export interface IceCandidate {
  candidate: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
}

export interface Spool {
  bytes: number;
  seconds: number;
}

export interface StorageAddress {
  url: string;
  fingerprint: string;
}

export interface Durable {
  'durable-until': string | null;
}

/** What a device says about itself: a camera's and a storage's fields; each sends its own. */
export interface StatusFields {
  recording?: Recording | Record<string, Durable> | null;
  'durable-until'?: string | null;
  storage?: 'connected' | 'away' | StorageAddress | null;
  spool?: Spool | null;
  viewers?: string[];
  'clock-offset'?: number | null;
  encoder?: string | null;
  source?: string | null;
  message?: string | null;
  bytes?: number | null;
  maxspace?: number | null;
  [key: string]: unknown;
}

export interface Peer {
  jid: string;
  name: string;
  role: Role;
  location: string | null;
  capabilities: string[];
  ready: boolean;
  status: StatusFields | null;
}

export interface LocationDevice {
  jid: string;
  name: string;
  'last-seen': string | null;
}

export interface Location {
  name: string;
  title: string;
  timezone: string | null;
  storage: string | null;
  devices: LocationDevice[];
}

export interface Welcome {
  type: 'Welcome';
  jid: string;
  roster: Peer[];
  'ice-servers': IceServer[];
  'server-time': string;
  locations: Location[];
}

export interface Connect {
  type: 'Connect';
  jid: string;
  name: string;
  role: Role;
  location: string | null;
  capabilities: string[];
}

export interface Disconnect {
  type: 'Disconnect';
  jid: string;
  name: string;
  role: Role;
  location: string | null;
  capabilities: string[];
}

export interface RequestMedia {
  type: 'RequestMedia';
  to: string;
  call: string;
  kind: 'live' | 'recordings';
}

export interface OfferMedia {
  type: 'OfferMedia';
  from: string;
  to?: string | null;
  call?: string | null;
  sdp?: string | null;
  ice?: IceCandidate | null;
}

export interface AnswerMedia {
  type: 'AnswerMedia';
  to: string;
  call: string;
  sdp?: string;
  ice?: IceCandidate;
}

export interface EndMedia {
  type: 'EndMedia';
  from?: string;
  to: string;
  call: string;
  reason: string;
}

export interface Chat {
  type: 'Chat';
  from?: string;
  time?: string;
  text: string;
  to?: string | null;
}

export interface Status extends StatusFields {
  type: 'Status';
  from: string;
}

export interface RoomError {
  type: 'Error';
  code: string;
  text: string;
  about?: string | null;
}

export type MessageFromServer =
  | Welcome
  | Connect
  | Disconnect
  | OfferMedia
  | EndMedia
  | Chat
  | Status
  | RoomError;

export type MessageToServer = RequestMedia | AnswerMedia | EndMedia | Chat;
