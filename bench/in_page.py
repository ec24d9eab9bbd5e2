"""What the page's benches run in the page; times are the page's own."""

# When the click came, and when the camera's page showed a live picture.
CLICK = """
window.live = new Promise((resolve) => {
  addEventListener('click', () => {
    const began = performance.now();
    const look = () => {
      const video = document.querySelector('.video[data-state=live] video');
      if (video?.videoWidth) resolve(performance.now() - began);
      else requestAnimationFrame(look);
    };
    look();
  }, { capture: true, once: true });
});
"""
SEEK = """(at) => new Promise((resolve) => {
  const slider = document.querySelector('input[aria-label="Time of day"]');
  const frame = document.querySelector('.video');
  slider.step = 'any';
  slider.value = at;
  const began = performance.now();
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  const look = () => {
    const shown = Date.parse(frame.dataset.utc ?? '') / 1000;
    if (Math.abs(shown - at) < 0.15) resolve(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})"""
WATCH = """() => {
  const video = document.querySelector('.video > video[aria-label$=recorded]');
  window.watched = { stalls: 0, frames: 0, longest: 0 };
  let last = performance.now();
  video.addEventListener('waiting', () => { window.watched.stalls += 1; });
  const next = () => {
    const now = performance.now();
    window.watched.longest = Math.max(window.watched.longest, now - last);
    window.watched.frames += 1;
    last = now;
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(() => {
    last = performance.now();
    video.requestVideoFrameCallback(next);
  });
}"""
UTC = "() => Date.parse(document.querySelector('.video').dataset.utc ?? '') / 1000"
PAINTS = """() => Object.fromEntries(
  performance.getEntriesByType('paint').map((one) => [one.name, one.startTime]))"""
LIVE_TILES = "() => document.querySelectorAll('[data-jid][data-state=live]').length"
FRAMES = """() => {
  window.times = [];
  let last = performance.now();
  const next = (now) => {
    window.times.push(now - last);
    last = now;
    window.frames = requestAnimationFrame(next);
  };
  window.frames = requestAnimationFrame(next);
}"""
# A month of chunks as a storage would list it, had it merged nothing: the worst to draw.
MONTH = """
const real = RTCDataChannel.prototype.send;
RTCDataChannel.prototype.send = function (text) {
  const { id, path = '' } = JSON.parse(text);
  if (!path.includes('/timeline')) return real.call(this, text);
  const query = new URLSearchParams(path.split('?')[1]);
  const to = Date.parse(query.get('to'));
  const from = Math.max(Date.parse(query.get('from')), Date.now() - DAYS * 86400e3);
  const spans = [];
  const iso = (ms) => new Date(ms).toISOString();
  for (let at = Math.ceil(from / 60e3) * 60e3; at < to; at += 60e3)
    spans.push({ from: iso(at), to: iso(at + 55e3) });
  const answer = { from: iso(from), to: iso(to), spans, gaps: [], 'on-device': [], activity: null };
  const body = new TextEncoder().encode(JSON.stringify(answer));
  const piece = new Uint8Array(4 + body.length);
  new DataView(piece.buffer).setUint32(0, id);
  piece.set(body, 4);
  setTimeout(() => {
    this.onmessage({ data: JSON.stringify({ id, status: 200, headers: {}, length: body.length }) });
    this.onmessage({ data: piece.buffer });
  });
};
"""
