import type { MessageFromServer, MessageToServer } from '../protocol.gen.ts';
import { Backoff } from './backoff.ts';

/**
 * Cameras speak every 2 s: with one in the room, this much silence means a dead connection. Less
 * than LATE_SECONDS, so that no camera is called late only because nothing is heard of it.
 */
const SILENCE_MS = 9_000;
/** A socket that opened but brought no Welcome in this time is given up. */
const WELCOME_MS = 8_000;

export interface Address {
  url: string;
  token: string;
}

export interface SignalingEvents {
  message(message: MessageFromServer): void;
  /** True after Welcome, false when the connection is gone. */
  connected(connected: boolean): void;
  /** The socket closed; the server's code tells when the token is no longer good. */
  closed(code: number): void;
}

/** The page's connection to the room: reconnects by itself until it is stopped. */
export class Signaling {
  readonly #address: () => Address | null;
  readonly #events: SignalingEvents;
  readonly #backoff = new Backoff(400, 10_000);
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #welcomed = false;
  #running = false;

  /** address gives it with a token that is good now, or null when nobody is signed in. */
  constructor(address: () => Address | null, events: SignalingEvents) {
    this.#address = address;
    this.#events = events;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    addEventListener('online', this.#now);
    addEventListener('offline', this.#drop);
    document.addEventListener('visibilitychange', this.#now);
    this.#open();
  }

  stop(): void {
    this.#running = false;
    removeEventListener('online', this.#now);
    removeEventListener('offline', this.#drop);
    document.removeEventListener('visibilitychange', this.#now);
    clearTimeout(this.#timer);
    this.#drop();
  }

  /** Sends if the room is there. A message that cannot go is not kept: calls start over anyway. */
  send(message: MessageToServer): boolean {
    if (!this.#welcomed || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Waiting is pointless when the network or the person has just come back. */
  readonly #now = (): void => {
    if (!this.#running || this.#socket || document.visibilityState === 'hidden') return;
    clearTimeout(this.#timer);
    this.#open();
  };

  readonly #drop = (): void => {
    const socket = this.#socket;
    if (!socket) return;
    socket.close();
    this.#closed(socket, 1006);
  };

  #open(): void {
    const address = this.#address();
    if (address === null) return;
    // Not in the URL: the browser's console shows that when a connection fails.
    const socket = new WebSocket(address.url, ['ucam', `bearer.${address.token}`]);
    this.#socket = socket;
    this.#expect(WELCOME_MS);
    socket.onmessage = (event) => {
      if (this.#socket === socket) this.#receive(event.data);
    };
    socket.onclose = (event) => this.#closed(socket, event.code);
  }

  #receive(data: unknown): void {
    if (typeof data !== 'string') return;
    let message: MessageFromServer;
    try {
      message = JSON.parse(data) as MessageFromServer;
    } catch {
      return;
    }
    if (message.type === 'Welcome') {
      this.#welcomed = true;
      this.#backoff.reset();
      clearTimeout(this.#watch);
      this.#events.connected(true);
    }
    if (message.type === 'Status') this.#expect(SILENCE_MS);
    this.#events.message(message);
  }

  /** Drops the connection unless something is heard in time; Disconnect of all cameras ends it. */
  #expect(ms: number): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(this.#drop, ms);
  }

  /** No camera is left to be heard of: silence is fine. */
  expectSilence(): void {
    if (this.#welcomed) clearTimeout(this.#watch);
  }

  #closed(socket: WebSocket, code: number): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    clearTimeout(this.#watch);
    const welcomed = this.#welcomed;
    this.#welcomed = false;
    if (welcomed) this.#events.connected(false);
    if (!this.#running) return;
    this.#events.closed(code);
    if (!this.#running) return;
    this.#timer = setTimeout(() => this.#open(), this.#backoff.next());
  }
}
