// Stand-ins for what a browser has and Node has not, as far as the tests look at them.

import type { CallRoom, CallSink } from '../src/core/call.ts';
import type { MessageToServer } from '../src/protocol.gen.ts';

export class FakeChannel {
  label = 'recordings';
  readyState = 'open';
  binaryType = '';
  sent: { id: number; path?: string; range?: string; abort?: boolean }[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onopen: (() => void) | null = null;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  /** Answers a request with a whole body. */
  answer(id: number, status: number, body: Uint8Array): void {
    const head = { id, status, headers: {}, length: body.length };
    this.onmessage?.({ data: JSON.stringify(head) });
    const piece = new Uint8Array(4 + body.length);
    new DataView(piece.buffer).setUint32(0, id);
    piece.set(body, 4);
    if (body.length) this.onmessage?.({ data: piece.buffer });
  }
}

export class FakePeerConnection {
  static all: FakePeerConnection[] = [];
  connectionState = 'new';
  log: string[] = [];
  localDescription: { sdp: string } | null = null;
  ontrack: unknown = null;
  ondatachannel: ((event: { channel: FakeChannel }) => void) | null = null;
  onicecandidate: ((event: { candidate: object | null }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;

  constructor() {
    FakePeerConnection.all.push(this);
  }

  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    if (sdp === 'bad') throw new Error('no session');
    this.log.push(`remote ${sdp}`);
  }

  async setLocalDescription(): Promise<void> {
    this.localDescription = { sdp: 'answer' };
  }

  async addIceCandidate({ candidate }: { candidate: string }): Promise<void> {
    this.log.push(`ice ${candidate}`);
  }

  close(): void {
    this.connectionState = 'closed';
  }

  turn(state: string): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

/** What the window hears: a network that comes back. */
export const fakeWindow = new EventTarget();
Object.assign(globalThis, {
  RTCPeerConnection: FakePeerConnection,
  addEventListener: fakeWindow.addEventListener.bind(fakeWindow),
  removeEventListener: fakeWindow.removeEventListener.bind(fakeWindow),
});

export class FakeRoom implements CallRoom {
  sent: MessageToServer[] = [];
  connected = true;
  calls = new Map<string, CallSink>();

  send(message: MessageToServer): boolean {
    this.sent.push(message);
    return this.connected;
  }

  iceServers(): RTCIceServer[] {
    return [];
  }

  join(call: string, sink: CallSink): () => void {
    this.calls.set(call, sink);
    return () => this.calls.delete(call);
  }

  /** The newest call that was asked for. */
  get call(): string {
    const asked = this.sent.findLast((message) => message.type === 'RequestMedia');
    return asked && 'call' in asked ? (asked.call as string) : '';
  }

  types(): string[] {
    return this.sent.map((message) => message.type);
  }
}

/** Lets everything that waits for nothing but promises run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
