"""Draw the pictures of docs/images that show how the parts hang together, and the LED's patterns.

`python tools/drawings.py` writes them; with `--check` it writes nothing and ends with status 1 when
one isn't what would be written.
"""

import sys
from dataclasses import dataclass, field
from html import escape
from itertools import cycle
from pathlib import Path

from ucam.capture.led import DOUBLE_BLINK, FRANTIC, LOCATE, SLOW_BLINK, STEADY, Pattern

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDTH = 760
STYLE = """
    .box { fill: #f8f8f5; stroke: #7f837a; }
    .far { fill: #ecede9; stroke: #7f837a; stroke-dasharray: 4 4; }
    .here { fill: none; stroke: #b9bcb2; stroke-dasharray: 4 4; }
    .t { fill: #171916; font-weight: 600; }
    .s { fill: #474b44; font-size: 12px; }
    .k { fill: #0b7457; font-size: 12px; }
    .v { stroke: #2c8f74; stroke-width: 3; fill: none; }
    .c { stroke: #7f837a; stroke-width: 1.5; fill: none; }
    .lamp { fill: #2fae5f; }
    .off { fill: #d5d7cf; }"""
MARKERS = """
  <defs>
    <marker id="v" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="4" markerHeight="4"
      orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#2c8f74"/></marker>
    <marker id="c" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"
      orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#7f837a"/></marker>
  </defs>"""
# Characters are about so wide, in px: a text that is wider than its box is a mistake.
TITLE_PX, TEXT_PX = 7.6, 6.6


@dataclass
class Drawing:
    """A picture of boxes and ways between them; everything in px from the upper left corner."""

    height: int
    label: str
    parts: list[str] = field(default_factory=list)

    def box(
        self, x: int, y: int, w: int, title: str, *lines: str, far: bool = False, h: int = 0
    ) -> None:
        """A part with its name and what it does; `far`: not of this program."""
        h = h or 30 + 17 * len(lines)
        for text, px in ((title, TITLE_PX), *((line, TEXT_PX) for line in lines)):
            assert len(text) * px <= w - 14, f"{text!r} is too long for its box"
        kind = "far" if far else "box"
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>')
        self._text("t", x + 12, y + 20, title)
        for number, line in enumerate(lines):
            self._text("s", x + 12, y + 38 + 17 * number, line)

    def frame(self, x: int, y: int, w: int, h: int, title: str) -> None:
        """What belongs together."""
        self.parts.append(f'<rect class="here" x="{x}" y="{y}" width="{w}" height="{h}" rx="14"/>')
        self._text("s", x + 14, y + 18, title)

    def way(self, path: str, *, video: bool = False, both: bool = False) -> None:
        """A way that pictures (`video`) or words take, as an SVG path."""
        kind = "v" if video else "c"
        start = f' marker-start="url(#{kind})"' if both else ""
        self.parts.append(f'<path class="{kind}" d="{path}"{start} marker-end="url(#{kind})"/>')

    def note(self, x: int, y: int, *lines: str, video: bool = False) -> None:
        """Words beside a way."""
        for number, line in enumerate(lines):
            self._text("k" if video else "s", x, y + 16 * number, line)

    def _text(self, kind: str, x: int, y: int, text: str) -> None:
        self.parts.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>')

    def svg(self) -> str:
        """The whole file."""
        body = "\n  ".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
            f'font-family="Figtree, system-ui, sans-serif" font-size="13" role="img" '
            f'aria-label="{escape(self.label)}">\n'
            f"  <!-- Made by tools/drawings.py; not edited by hand. -->\n"
            f"  <style>{STYLE}\n  </style>{MARKERS}\n"
            f'  <rect width="{WIDTH}" height="{self.height}" fill="#ecede9"/>\n  {body}\n</svg>\n'
        )


def way_of_the_data() -> Drawing:
    """The whole: who sends what to whom."""
    d = Drawing(
        310,
        "The way of the data: cameras record to the storage in their location; browsers get live "
        "video from the camera and recordings from the storage, peer to peer; the web application "
        "carries signaling only.",
    )
    d.frame(14, 14, 450, 282, "a location's local network")
    d.note(560, 32, "the Internet")
    d.box(34, 66, 166, "ucam capture", "camera, encoder, LED", h=64)
    d.box(290, 66, 160, "ucam storage", "chunks, rotation", h=64)
    d.box(548, 66, 196, "ucam web", "login, room: no video", h=64)
    d.box(290, 220, 160, "browser", "there or anywhere", h=60)
    d.way("M200 98H286", video=True)
    d.note(210, 88, "RTSPS,", video=True)
    d.note(210, 116, "always", video=True)
    d.way("M110 130V250H286", video=True)
    d.note(120, 204, "live: WebRTC,", "while somebody", "watches", video=True)
    d.way("M370 130V216", video=True)
    d.note(378, 160, "recordings:", "WebRTC", "data channel", video=True)
    d.way("M450 98H544", both=True)
    d.note(472, 90, "signaling")
    d.way("M110 62V46H646V62", both=True)
    d.way("M454 250H646V134", both=True)
    d.note(540, 242, "https, wss")
    return d


def capture() -> Drawing:
    """One camera: from the lens to storage and to who watches."""
    d = Drawing(
        430,
        "The way of a picture through ucam capture: pipeline, camera, spool, sender, storage; and "
        "from the camera to a process for each viewer.",
    )
    d.frame(14, 14, 600, 402, "ucam capture")
    d.box(36, 46, 150, "pipeline", "source ! encoder", "GStreamer's threads")
    d.box(36, 146, 150, "feed", "a new pipeline", "after each fault")
    d.box(236, 46, 150, "camera", "runs, numbers,", "capture times")
    d.box(
        236, 146, 150, "spool", "what storage hasn’t", "confirmed: memory,", "disk while it’s away"
    )
    d.box(456, 146, 150, "sender", "RTP in RTSPS,", "resumes by number")
    d.box(236, 270, 150, "calls", "who watches;", "one pipe for each")
    d.box(456, 270, 150, "ucam-call", "a process a viewer:", "webrtcbin")
    d.box(36, 270, 150, "presence", "readiness, Status,", "calls: the room")
    d.box(36, 348, 150, "signals", "LED, watchdog")
    d.box(644, 146, 104, "storage", "ucam storage", far=True, h=64)
    d.box(644, 270, 104, "browser", "a viewer's", far=True, h=64)
    d.box(644, 348, 104, "ucam web", "the room", far=True)
    d.way("M186 78H232", video=True)
    d.way("M111 146V114")
    d.way("M311 110V142", video=True)
    d.way("M386 168H452", video=True)
    d.way("M456 190H390")
    d.note(392, 208, "confirmed")
    d.way("M606 168H640", video=True)
    d.way("M644 190H610")
    d.note(520, 138, "RTSPS, always", video=True)
    d.way("M236 96H212V288H232", video=True)
    d.note(40, 244, "each picture,", "bytes shared", video=True)
    d.way("M386 302H452", video=True)
    d.way("M606 302H640", video=True)
    d.note(462, 262, "WebRTC, while watched", video=True)
    d.way("M186 312H232")
    d.way("M186 326H204V400H626V371H640")
    d.note(400, 392, "JSON over a WebSocket")
    return d


def storage() -> Drawing:
    """One storage: from the socket to the disk and back to a viewer."""
    d = Drawing(
        470,
        "The way of a recording through ucam storage: link, connection, stream, recorder, cutter, "
        "writer, files and index; and from there by playback to a browser.",
    )
    d.box(20, 30, 130, "camera", "or ffmpeg, or", "GStreamer", far=True)
    d.frame(176, 14, 570, 440, "ucam storage")
    d.box(200, 46, 150, "link, connection", "TLS, RTSP states,", "who may record")
    d.box(386, 46, 150, "stream", "packets to access", "units, with times")
    d.box(572, 46, 156, "recorder", "a bounded queue and", "a thread a device")
    d.box(572, 156, 156, "cutter", "where a chunk ends;", "numbers, gaps")
    d.box(572, 266, 156, "writer", "one write a fragment,", "synced, hashed")
    d.box(386, 266, 150, "space", "nothing is written", "without room kept;", "the oldest goes")
    d.box(386, 380, 150, "index", "SQLite: chunks, gaps", h=54)
    d.box(572, 380, 156, "files", "fragmented MP4", h=54)
    d.box(200, 266, 150, "playback", "chunks, thumbnails,", "exports, HLS")
    d.box(200, 380, 150, "live", "RTSPS PLAY: what", "is sent now", h=64)
    d.box(20, 266, 130, "browser", "recordings", far=True, h=64)
    d.box(20, 380, 130, "players", "ffmpeg, VLC …", far=True, h=64)
    d.way("M150 72H196", video=True)
    d.note(30, 116, "RTSPS", video=True)
    d.way("M350 78H382", video=True)
    d.way("M536 78H568", video=True)
    d.way("M650 110V152", video=True)
    d.way("M650 220V262", video=True)
    d.way("M650 330V376", video=True)
    d.way("M572 298H540")
    d.way("M600 330V356H500V376")
    d.way("M461 347V376")
    d.way("M386 407H368V316H354")
    d.way("M461 110V138H110V101")
    d.note(200, 156, "what is durable, when a camera asks")
    d.way("M572 424H556V446H364V306H354", video=True)
    d.way("M200 298H154", video=True)
    d.note(30, 346, "data channel, HTTPS", video=True)
    d.way("M436 110V236H184V412H196", video=True)
    d.way("M200 424H154", video=True)
    return d


def web() -> Drawing:
    """The web application: who gets in, who sees whom, what it keeps."""
    d = Drawing(
        400,
        "The way of words through ucam web: requests and sockets come in, login and sessions "
        "decide who, the room decides what goes to whom, the state keeps sessions and tokens.",
    )
    d.box(20, 46, 120, "people", "the page", far=True, h=52)
    d.box(20, 176, 120, "devices", "cameras,", "storages", far=True)
    d.box(20, 306, 120, "mail server", "or an outbox", far=True, h=52)
    d.frame(166, 14, 430, 372, "ucam web: signaling, no video")
    d.box(190, 46, 170, "app", "routes, headers, limits")
    d.box(190, 126, 170, "sockets", "texts in and out,", "bounded queues")
    d.box(400, 126, 176, "room (no I/O)", "who is in it,", "who hears what")
    d.box(400, 220, 176, "access", "who may see whom:", "the one that decides")
    d.box(400, 46, 176, "auth, login", "links, tokens, renewal")
    d.box(190, 220, 170, "alerts", "from what the room", "knows of devices")
    d.box(190, 306, 170, "mail", "links, alerts", h=52)
    d.box(400, 306, 176, "issuer, keys", "Ed25519, rotated", h=52)
    d.box(624, 46, 120, "state", "SQLite or Redis:", "sessions, codes", far=True)
    d.box(624, 306, 120, "data-dir", "keys, audit log", far=True, h=52)
    d.way("M140 70H186", both=True)
    d.way("M140 88H165V150H186", both=True)
    d.way("M140 200H165V166H186", both=True)
    d.way("M360 70H396")
    d.way("M360 158H396", both=True)
    d.way("M488 190V216", both=True)
    d.way("M400 172H380V250H364")
    d.way("M275 284V302")
    d.way("M190 332H144")
    d.way("M576 70H620", both=True)
    d.way("M576 84H608V332H580")
    d.way("M576 340H620", both=True)
    d.note(20, 122, "https, wss")
    return d


def page() -> Drawing:
    """The page: live and recorded pictures, side by side."""
    d = Drawing(
        420,
        "The way of pictures through the page: the room and calls bring live pictures to a feed, "
        "and a data channel brings recordings to a player.",
    )
    d.box(20, 46, 120, "ucam web", "the room", far=True)
    d.box(20, 156, 120, "camera", "WebRTC", far=True)
    d.box(20, 276, 120, "storage", "data channel", far=True)
    d.frame(166, 14, 580, 392, "the page (TypeScript; Preact only draws)")
    d.box(190, 46, 160, "Session, Signaling", "token, socket for ever")
    d.box(400, 46, 150, "Room", "cameras, people")
    d.box(190, 156, 160, "Call", "offer, answer, ICE")
    d.box(400, 156, 150, "Feed", "while somebody looks")
    d.box(190, 276, 160, "RecordingsChannel", "six questions at once")
    d.box(400, 240, 150, "Thumbnails", "sheets of pictures")
    d.box(400, 308, 150, "Library, Player", "which bytes come", "next; MediaBuffer")
    d.box(596, 46, 136, "views", "words.ts: what", "is said")
    d.box(596, 156, 136, "<video>", "live")
    d.box(596, 240, 136, "Timeline", "scale, paint")
    d.box(596, 308, 136, "<video>", "a media source,", "ExportJob: files")
    d.way("M140 70H186", both=True)
    d.way("M350 70H396")
    d.way("M550 70H592")
    d.way("M270 93V152")
    d.way("M140 180H186", video=True)
    d.way("M350 180H396", video=True)
    d.way("M550 180H592", video=True)
    d.way("M140 300H186", video=True)
    d.way("M350 292H376V264H396", video=True)
    d.way("M350 308H376V340H396", video=True)
    d.way("M550 264H592", video=True)
    d.way("M550 340H592", video=True)
    d.way("M270 203V272", both=True)
    return d


PATTERNS = [
    (STEADY, "steady", "All is well: storage confirms the newest seconds."),
    (DOUBLE_BLINK, "double blink", "All is well, and somebody is watching."),
    (SLOW_BLINK, "slow blink", "It records; the web application can't be reached."),
    (FRANTIC, "frantic", "Not recording, or storage can't be reached."),
    (LOCATE, "quick and even", "Somebody pressed “Locate” to find this camera."),
]
STRIP_S = 4.0


def led() -> Drawing:
    """What the LED shows, four seconds of each, and a lamp that does it."""
    d = Drawing(24 + 58 * len(PATTERNS), "The patterns of the LED and what each means.")
    for row, (pattern, name, words) in enumerate(PATTERNS):
        y = 20 + 58 * row
        d.parts.append(f'<circle class="off" cx="36" cy="{y + 20}" r="12"/>')
        d.parts.append(
            f'<circle class="lamp" cx="36" cy="{y + 20}" r="12">{_blink(pattern)}</circle>'
        )
        d.note(66, y + 16, name)
        d.parts.append(f'<rect class="off" x="66" y="{y + 22}" width="240" height="12" rx="2"/>')
        d.parts += [
            f'<rect class="lamp" x="{66 + 60 * begin:.1f}" y="{y + 22}" '
            f'width="{60 * length:.1f}" height="12"/>'
            for begin, length in _lit(pattern)
        ]
        d.note(326, y + 32, words)
    return d


def _lit(pattern: Pattern) -> list[tuple[float, float]]:
    """When it is on in the first seconds: begin and length in s."""
    if len(pattern.durations_s) == 1:
        return [(0.0, STRIP_S)]
    lit, at = [], 0.0
    for index, duration in enumerate(cycle(pattern.durations_s)):
        if at >= STRIP_S:
            break
        if index % 2 == 0:
            lit.append((at, min(duration, STRIP_S - at)))
        at += duration
    return lit


def _blink(pattern: Pattern) -> str:
    """The pattern as an animation of SVG's own."""
    if len(pattern.durations_s) == 1:
        return ""
    period, at, values, times = sum(pattern.durations_s), 0.0, [], []
    for index, duration in enumerate(pattern.durations_s):
        values.append("1" if index % 2 == 0 else "0")
        times.append(f"{at / period:.4f}")
        at += duration
    return (
        f'<animate attributeName="opacity" calcMode="discrete" dur="{period:g}s" '
        f'repeatCount="indefinite" values="{";".join(values)}" keyTimes="{";".join(times)}"/>'
    )


DRAWINGS = {
    "way-of-the-data": way_of_the_data,
    "capture": capture,
    "storage": storage,
    "web": web,
    "page": page,
    "led": led,
}


def main() -> int:
    """Write or check; returns the exit status."""
    status = 0
    for name, draw in DRAWINGS.items():
        path, svg = IMAGES / f"{name}.svg", draw().svg()
        if "--check" not in sys.argv[1:]:
            path.write_text(svg)
        elif not path.exists() or path.read_text() != svg:
            print(f"{path} is not what would be drawn: run tools/drawings.py", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
