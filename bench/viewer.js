// Viewers in one page, the same for everybody: `watch(kind, how)` gives the milliseconds from the
// request to the first picture that is shown; the video stays. `leave()` ends them all.
(() => {
  const calls = [];

  function shown(pc, began) {
    return new Promise((done) => {
      pc.addEventListener('track', ({ track }) => {
        const video = document.createElement('video');
        video.muted = video.autoplay = video.playsInline = true;
        video.width = 160;
        video.srcObject = new MediaStream([track]);
        document.body.append(video);
        calls.push({ pc, video });
        video.requestVideoFrameCallback((now, frame) =>
          done(Math.max(now, frame.expectedDisplayTime) - began));
      });
    });
  }

  // ucam: the room's messages over its WebSocket, which is open before anybody clicks.
  let room;
  const wanted = new Map();
  function enter({ token }) {
    room ??= new Promise((done) => {
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/ws?auth=${token}`);
      socket.onmessage = async ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === 'Welcome') done({ socket, roster: message.roster });
        const call = wanted.get(message.call);
        if (message.type !== 'OfferMedia' || !call) return;
        const say = (part) => socket.send(JSON.stringify(
          { type: 'AnswerMedia', to: call.to, call: message.call, ...part }));
        if (message.sdp) {
          call.pc.onicecandidate = ({ candidate }) => candidate && say({ ice: candidate.toJSON() });
          await call.pc.setRemoteDescription({ type: 'offer', sdp: message.sdp });
          await call.pc.setLocalDescription();
          say({ sdp: call.pc.localDescription.sdp });
          for (const ice of call.early.splice(0)) await call.pc.addIceCandidate(ice);
        } else if (message.ice) {
          if (call.pc.remoteDescription) await call.pc.addIceCandidate(message.ice);
          else call.early.push(message.ice);
        }
      };
    });
    return room;
  }
  async function ucam({ device }, began, pc) {
    const { socket, roster } = await room;
    const to = roster.find(({ jid }) => jid.startsWith(device)).jid;
    const id = `bench-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
    wanted.set(id, { pc, to, early: [] });
    pc.endCall = () => socket.send(JSON.stringify(
      { type: 'EndMedia', to, call: id, reason: '' }));
    socket.send(JSON.stringify({ type: 'RequestMedia', to, call: id, kind: 'live' }));
  }

  // WHEP (MediaMTX, go2rtc): one HTTP request with the offer, its answer is the answer.
  async function whep({ url }, began, pc) {
    pc.addTransceiver('video', { direction: 'recvonly' });
    await pc.setLocalDescription();
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: pc.localDescription.sdp,
    });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  }

  // Janus: its JSON over HTTP; the session is made before anybody clicks.
  const sessions = [];
  async function post(url, body) {
    const answer = await fetch(url, {
      method: 'POST',
      body: JSON.stringify({ transaction: 'bench', ...body }),
    });
    return answer.json();
  }
  async function attach({ url }) {
    const session = (await post(url, { janus: 'create' })).data.id;
    const plugin = 'janus.plugin.streaming';
    const handle = (await post(`${url}/${session}`, { janus: 'attach', plugin })).data.id;
    sessions.push({ events: `${url}/${session}`, handle: `${url}/${session}/${handle}` });
  }
  async function janus({ stream }, began, pc) {
    const { events, handle } = sessions.pop();
    pc.onicecandidate = ({ candidate }) => post(handle, {
      janus: 'trickle', candidate: candidate?.toJSON() ?? { completed: true },
    });
    await post(handle, { janus: 'message', body: { request: 'watch', id: stream } });
    let event;
    do event = await (await fetch(events)).json(); while (!event.jsep);
    await pc.setRemoteDescription(event.jsep);
    await pc.setLocalDescription();
    const { type, sdp } = pc.localDescription;
    await post(handle, { janus: 'message', body: { request: 'start' }, jsep: { type, sdp } });
    pc.endCall = () => post(handle, { janus: 'detach' });
    // Who doesn't ask for events is gone for Janus after a minute.
    (async () => { while (pc.connectionState !== 'closed') await fetch(events); })().catch(() => {});
  }

  const kinds = { ucam, whep, janus };
  window.prepare = async (kind, how) => {
    if (kind === 'ucam') await enter(how);
    if (kind === 'janus') await attach(how);
  };
  window.watch = async (kind, how) => {
    const began = performance.now();
    const pc = new RTCPeerConnection();
    const first = shown(pc, began);
    await kinds[kind](how, began, pc);
    return first;
  };
  window.leave = async () => {
    for (const { pc, video } of calls.splice(0)) {
      await pc.endCall?.();
      pc.close();
      video.remove();
    }
  };
})();
