import type {
  EndMedia,
  IceCandidate,
  MessageToServer,
  OfferMedia,
} from '../protocol.gen.ts';

/** Candidates kept while the offer is on its way; a peer that sends more is not one of ours. */
const EARLY_LIMIT = 64;

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
  ended(reason: string): void;
}

/** One WebRTC session with a device: asks, answers its offer, trickles candidates both ways. */
export class Call {
  readonly #room: CallRoom;
  readonly #to: string;
  readonly #id = crypto.getRandomValues(new Uint32Array(3)).join('-');
  readonly #events: CallEvents;
  readonly #pc: RTCPeerConnection;
  readonly #leave: () => void;
  readonly #early: RTCIceCandidateInit[] = [];
  #answered = false;
  #over = false;

  constructor(room: CallRoom, to: string, kind: CallKind, events: CallEvents) {
    this.#room = room;
    this.#to = to;
    this.#events = events;
    this.#pc = new RTCPeerConnection({
      iceServers: room.iceServers(),
      bundlePolicy: 'max-bundle',
    });
    this.#listen();
    this.#leave = room.join(this.#id, {
      offer: (message) => this.#offer(message),
      end: (message) => {
        if (message.from === to) this.#end(message.reason || 'ended by the device', false);
      },
      error: (code) => this.#end(code, false),
    });
    const sent = room.send({ type: 'RequestMedia', to, call: this.#id, kind });
    if (!sent) queueMicrotask(() => this.#end('no room', false));
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

  #listen(): void {
    const pc = this.#pc;
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
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'connected') this.#events.connected?.();
      if (pc.connectionState === 'failed' || pc.connectionState === 'closed') {
        this.#end('connection lost', true);
      }
    };
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
    const pc = this.#pc;
    try {
      await pc.setRemoteDescription({ type: 'offer', sdp });
      this.#answered = true;
      for (const candidate of this.#early.splice(0)) this.#add(candidate);
      await pc.setLocalDescription();
    } catch (error) {
      this.#end(`offer refused: ${String(error)}`, true);
      return;
    }
    if (pc.localDescription) this.#answer({ sdp: pc.localDescription.sdp });
  }

  #takeCandidate(candidate: RTCIceCandidateInit): void {
    if (this.#answered) this.#add(candidate);
    else if (this.#early.length < EARLY_LIMIT) this.#early.push(candidate);
  }

  #add(candidate: RTCIceCandidateInit): void {
    // One that this browser cannot use does not harm the others.
    this.#pc.addIceCandidate(candidate).catch(() => undefined);
  }

  #end(reason: string, tell: boolean): void {
    if (this.#over) return;
    if (tell) this.stop(reason);
    else this.#close();
    this.#events.ended(reason);
  }

  #close(): void {
    this.#over = true;
    this.#leave();
    const pc = this.#pc;
    pc.ontrack = pc.ondatachannel = pc.onicecandidate = pc.onconnectionstatechange = null;
    pc.close();
  }
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
