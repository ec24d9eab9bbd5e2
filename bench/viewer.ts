// Viewers in one page, the same for everybody: `watch(server)` gives the milliseconds from the
// request to the first picture that is shown; the video stays. `leave()` ends them all.
import type { IceCandidate, MessageFromServer, MessageToServer, Peer } from '../ui/src/protocol.gen.ts';

/** Of whom the video comes; live.py and live_peers.py say it. */
type Server =
  | { kind: 'ucam'; device: string; token: string }
  | { kind: 'whep'; url: string }
  | { kind: 'janus'; url: string; stream: number };
type Of<Kind> = Extract<Server, { kind: Kind }>;

interface Viewer {
  pc: RTCPeerConnection;
  video: HTMLVideoElement;
  /** Tells the server. */
  end: () => unknown;
}
const viewers: Viewer[] = [];

function shown(viewer: Viewer, began: number): Promise<number> {
  return new Promise((done) => {
    viewer.pc.addEventListener('track', ({ track }) => {
      const { video } = viewer;
      video.muted = video.autoplay = video.playsInline = true;
      video.width = 160;
      video.srcObject = new MediaStream([track]);
      document.body.append(video);
      video.requestVideoFrameCallback((now, frame) =>
        done(Math.max(now, frame.expectedDisplayTime) - began));
    });
  });
}

function existing<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new Error(`no ${what}`);
  return value;
}

function localSdp(pc: RTCPeerConnection): string {
  return existing(pc.localDescription, 'local description').sdp;
}

// ucam: the room's messages over its WebSocket, which is open before anybody clicks.
interface Room {
  roster: Peer[];
  send(message: MessageToServer): void;
}
interface Call {
  pc: RTCPeerConnection;
  to: string;
  early: IceCandidate[];
}
let room: Promise<Room> | undefined;
const calls = new Map<string, Call>();

function enter({ token }: Of<'ucam'>): Promise<Room> {
  room ??= new Promise((done) => {
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws?auth=${token}`);
    const send = (message: MessageToServer) => socket.send(JSON.stringify(message));
    socket.onmessage = async ({ data }: MessageEvent<string>) => {
      const message = JSON.parse(data) as MessageFromServer;
      if (message.type === 'Welcome') done({ roster: message.roster, send });
      if (message.type !== 'OfferMedia' || message.call === undefined) return;
      const call = calls.get(message.call);
      if (!call) return;
      const { pc, to, early } = call;
      const answer = { type: 'AnswerMedia', to, call: message.call } as const;
      if (message.sdp) {
        pc.onicecandidate = ({ candidate }) => {
          if (!candidate) return;
          const { candidate: line, sdpMid, sdpMLineIndex } = candidate;
          send({ ...answer, ice: { candidate: line, sdpMid, sdpMLineIndex } });
        };
        await pc.setRemoteDescription({ type: 'offer', sdp: message.sdp });
        await pc.setLocalDescription();
        send({ ...answer, sdp: localSdp(pc) });
        for (const ice of early.splice(0)) await pc.addIceCandidate(ice);
      } else if (message.ice) {
        if (pc.remoteDescription) await pc.addIceCandidate(message.ice);
        else early.push(message.ice);
      }
    };
  });
  return room;
}

async function ucam(server: Of<'ucam'>, viewer: Viewer): Promise<void> {
  const { roster, send } = await enter(server);
  const { jid: to } = existing(roster.find(({ jid }) => jid.startsWith(server.device)), 'camera');
  const call = `bench-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  calls.set(call, { pc: viewer.pc, to, early: [] });
  viewer.end = () => send({ type: 'EndMedia', to, call, reason: '' });
  send({ type: 'RequestMedia', to, call, kind: 'live' });
}

// WHEP (MediaMTX, go2rtc): one HTTP request with the offer, its answer is the answer.
async function whep({ url }: Of<'whep'>, { pc }: Viewer): Promise<void> {
  pc.addTransceiver('video', { direction: 'recvonly' });
  await pc.setLocalDescription();
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/sdp' },
    body: localSdp(pc),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
}

// Janus: its JSON over HTTP; the session is made before anybody clicks.
interface Session {
  events: string;
  handle: string;
}
interface JanusAnswer {
  data?: { id: number };
  jsep?: RTCSessionDescriptionInit;
}
const sessions: Session[] = [];

async function post(url: string, body: Record<string, unknown>): Promise<JanusAnswer> {
  const answer = await fetch(url, {
    method: 'POST',
    body: JSON.stringify({ transaction: 'bench', ...body }),
  });
  return answer.json() as Promise<JanusAnswer>;
}

async function attach({ url }: Of<'janus'>): Promise<void> {
  const session = existing((await post(url, { janus: 'create' })).data, 'session').id;
  const events = `${url}/${session}`;
  const attached = await post(events, { janus: 'attach', plugin: 'janus.plugin.streaming' });
  sessions.push({ events, handle: `${events}/${existing(attached.data, 'handle').id}` });
}

async function janus({ stream }: Of<'janus'>, viewer: Viewer): Promise<void> {
  const { pc } = viewer;
  const { events, handle } = existing(sessions.pop(), 'session');
  pc.onicecandidate = ({ candidate }) => post(handle, {
    janus: 'trickle', candidate: candidate?.toJSON() ?? { completed: true },
  });
  await post(handle, { janus: 'message', body: { request: 'watch', id: stream } });
  let jsep: RTCSessionDescriptionInit | undefined;
  while (!jsep) ({ jsep } = (await (await fetch(events)).json()) as JanusAnswer);
  await pc.setRemoteDescription(jsep);
  await pc.setLocalDescription();
  const answer = { type: 'answer', sdp: localSdp(pc) };
  await post(handle, { janus: 'message', body: { request: 'start' }, jsep: answer });
  viewer.end = () => post(handle, { janus: 'detach' });
  void listen(pc, events);
}

/** Who doesn't ask for events is gone for Janus after a minute. */
async function listen(pc: RTCPeerConnection, events: string): Promise<void> {
  try {
    while (pc.connectionState !== 'closed') await fetch(events);
  } catch {
    // Janus has ended.
  }
}

async function prepare(server: Server): Promise<void> {
  if (server.kind === 'ucam') await enter(server);
  if (server.kind === 'janus') await attach(server);
}

async function watch(server: Server): Promise<number> {
  const began = performance.now();
  const video = document.createElement('video');
  const viewer: Viewer = { pc: new RTCPeerConnection(), video, end: () => undefined };
  const first = shown(viewer, began);
  viewers.push(viewer);
  if (server.kind === 'ucam') await ucam(server, viewer);
  else if (server.kind === 'whep') await whep(server, viewer);
  else await janus(server, viewer);
  return first;
}

async function leave(): Promise<void> {
  for (const { pc, video, end } of viewers.splice(0)) {
    await end();
    pc.close();
    video.remove();
  }
}

Object.assign(window, { prepare, watch, leave });
