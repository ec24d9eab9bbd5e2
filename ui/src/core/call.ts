import type {
  EndMedia,
  IceCandidate,
  MessageToServer,
  OfferMedia,
} from '../protocol.gen.ts';

/** Candidates kept while the offer is on its way; a peer that sends more is not one of ours. */
const EARLY_LIMIT = 64;

/** A lost connection may come back by itself: so long it is waited for. */
const HEAL_MS = 1_000;
/** A restart without success is tried again after this time, ... */
const RETRY_MS = 3_000;
/** ... or, where the room is away, after this; */
const ROOM_MS = 300;
/** and this long after the connection was lost the call is given up. */
const GIVE_UP_MS = 10_000;

export type CallKind = 'live' | 'recordings';
export type Route = 'Direct' | 'Relayed';

/** What calls need of the room. */
export interface CallRoom {
  send(message: MessageToServer): boolean;
  iceServers(): RTCIceServer[];
  /** Registers a call to be told about its offers and its end; returns how to leave. */
  join(call: string, sink: CallSink): () => void;
}

export interface CallSink {
  offer(message: OfferMedia): void;
  end(message: EndMedia): void;
  error(code: string): void;
}

export interface CallEvents {
  track?(stream: MediaStream, receiver: RTCRtpReceiver): void;
  channel?(channel: RTCDataChannel): void;
  connected?(): void;
  /** Told once, when the call is over for whatever reason but stop(). */
  /** `refused`: the device said so itself, in a sentence for people. */
  ended(reason: string, refused: boolean): void;
}

/** Of Chromium alone: another network, such as Wi-Fi instead of a cable. */
export const network = (): EventTarget | undefined =>
  (navigator as Navigator & { connection?: EventTarget }).connection;

/**
 * One WebRTC session with a device: asks, answers its offer, trickles candidates both ways. A live
 * call whose connection is lost asks again by the same id; the device then offers anew, and the
 * call goes on where it was (an ICE restart).
 */
export class Call {
  readonly #room: CallRoom;
  readonly #to: string;
  readonly #kind: CallKind;
  readonly #id = crypto.getRandomValues(new Uint32Array(3)).join('-');
  readonly #events: CallEvents;
  #pc: RTCPeerConnection;
  readonly #leave: () => void;
  readonly #early: RTCIceCandidateInit[] = [];
  #offered = false;
  #answered = false;
  #over = false;
  #connected = false;
  /** When the connection was lost (this browser's clock, ms); null while it holds. */
  #lostAt: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(room: CallRoom, to: string, kind: CallKind, events: CallEvents) {
    this.#room = room;
    this.#to = to;
    this.#kind = kind;
    this.#events = events;
    this.#pc = this.#connect();
    if (kind === 'live') {
      addEventListener('online', this.#moved);
      network()?.addEventListener('change', this.#moved);
    }
    this.#leave = room.join(this.#id, {
      offer: (message) => this.#offer(message),
      end: (message) => {
        if (message.from === to) {
          this.#end(message.reason || 'ended by the device', false, Boolean(message.reason));
        }
      },
      error: (code) => this.#end(code, false),
    });
    if (!this.#request()) queueMicrotask(() => this.#end('no room', false));
  }

  /** Ends the call and tells the device; no event follows. */
  stop(reason = 'viewer left'): void {
    if (this.#over) return;
    this.#close();
    this.#room.send({ type: 'EndMedia', to: this.#to, call: this.#id, reason });
  }

  get state(): RTCPeerConnectionState {
    return this.#pc.connectionState;
  }

  stats(): Promise<RTCStatsReport> {
    return this.#pc.getStats();
  }

  #connect(): RTCPeerConnection {
    const pc = new RTCPeerConnection({
      iceServers: this.#room.iceServers(),
      bundlePolicy: 'max-bundle',
    });
    pc.ontrack = (event) => {
      const stream = event.streams[0] ?? new MediaStream([event.track]);
      this.#events.track?.(stream, event.receiver);
    };
    pc.ondatachannel = (event) => this.#events.channel?.(event.channel);
    pc.onicecandidate = (event) => {
      // An empty candidate says that there are no more; null says so only to this page.
      if (!event.candidate) return;
      const { candidate, sdpMid, sdpMLineIndex } = event.candidate;
      this.#answer({ ice: { candidate, sdpMid, sdpMLineIndex } });
    };
    pc.onconnectionstatechange = () => this.#turn(pc.connectionState);
    return pc;
  }

  #turn(state: RTCPeerConnectionState): void {
    if (state === 'connected') {
      clearTimeout(this.#timer);
      this.#lostAt = null;
      this.#connected = true;
      this.#events.connected?.();
    } else if (state === 'disconnected' && this.#connected && this.#kind === 'live') {
      this.#lose(HEAL_MS);
    } else if (state === 'failed' && this.#lostAt !== null) {
      this.#lose(0);
    } else if (state === 'failed' || state === 'closed') {
      this.#end('connection lost', true);
    }
  }

  /** The viewer's network is another one: the old way is dead, whatever it looks like. */
  readonly #moved = (): void => {
    if (this.#connected && this.#lostAt === null) this.#lose(0);
  };

  #lose(healMs: number): void {
    this.#lostAt ??= Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#restart(), healMs);
  }

  #restart(): void {
    if (this.#over || this.#lostAt === null) return;
    if (Date.now() - this.#lostAt > GIVE_UP_MS) {
      this.#end('connection lost', true);
      return;
    }
    const sent = this.#request();
    this.#timer = setTimeout(() => this.#restart(), sent ? RETRY_MS : ROOM_MS);
  }

  #request(): boolean {
    const kind = this.#kind;
    return this.#room.send({ type: 'RequestMedia', to: this.#to, call: this.#id, kind });
  }

  #answer(part: { sdp: string } | { ice: IceCandidate }): void {
    if (this.#over) return;
    this.#room.send({ type: 'AnswerMedia', to: this.#to, call: this.#id, ...part });
  }

  #offer(message: OfferMedia): void {
    if (this.#over || message.from !== this.#to) return;
    if (message.sdp) void this.#takeOffer(message.sdp);
    if (message.ice) this.#takeCandidate(message.ice);
  }

  async #takeOffer(sdp: string): Promise<void> {
    if (this.#offered) {
      // Another session of the device's, with keys of its own.
      disconnect(this.#pc);
      this.#pc = this.#connect();
      this.#answered = false;
      this.#early.length = 0;
    }
    this.#offered = true;
    const pc = this.#pc;
    try {
      await pc.setRemoteDescription({ type: 'offer', sdp });
      if (pc !== this.#pc) return;
      this.#answered = true;
      for (const candidate of this.#early.splice(0)) this.#add(candidate);
      await pc.setLocalDescription();
    } catch (error) {
      if (pc === this.#pc) this.#end(`offer refused: ${String(error)}`, true);
      return;
    }
    if (pc === this.#pc && pc.localDescription) this.#answer({ sdp: pc.localDescription.sdp });
  }

  #takeCandidate(candidate: RTCIceCandidateInit): void {
    if (this.#answered) this.#add(candidate);
    else if (this.#early.length < EARLY_LIMIT) this.#early.push(candidate);
  }

  #add(candidate: RTCIceCandidateInit): void {
    // One that this browser cannot use does not harm the others.
    this.#pc.addIceCandidate(candidate).catch(() => undefined);
  }

  #end(reason: string, tell: boolean, refused = false): void {
    if (this.#over) return;
    if (tell) this.stop(reason);
    else this.#close();
    this.#events.ended(reason, refused);
  }

  #close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    removeEventListener('online', this.#moved);
    network()?.removeEventListener('change', this.#moved);
    this.#leave();
    disconnect(this.#pc);
  }
}

function disconnect(pc: RTCPeerConnection): void {
  pc.ontrack = pc.ondatachannel = pc.onicecandidate = pc.onconnectionstatechange = null;
  pc.close();
}

/** How the media travels, from the candidate pair in use; null while there is none. */
export function route(stats: RTCStatsReport): Route | null {
  let pairId: string | undefined;
  for (const entry of stats.values()) {
    if (entry.type === 'transport') pairId = entry.selectedCandidatePairId as string | undefined;
  }
  const pair = pairId ? stats.get(pairId) : undefined;
  if (!pair) return null;
  const ends = [stats.get(pair.localCandidateId), stats.get(pair.remoteCandidateId)];
  return ends.some((end) => end?.candidateType === 'relay') ? 'Relayed' : 'Direct';
}
