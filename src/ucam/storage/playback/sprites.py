"""Sprite sheets: small pictures of keyframes, side by side in one WebP. Loaded when needed."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from ucam.media import ContainerError, MediaError
from ucam.storage.changes import Change
from ucam.storage.playback.heads import fragment_at, read_tracks
from ucam.storage.playback.thumbnails import GRID

WIDTH, HEIGHT = GRID["width"], GRID["height"]
COLUMNS, ROWS = GRID["columns"], GRID["rows"]
QUALITY = "60"
MOST_KEYFRAME_BYTES = 8 << 20
# Pictures are compared by the means of so many parts; a part that differs by no more is the same.
GRAINS = (32, 18)
NOISE = 6
FULL = 0.25
MOST_APART_US = 60_000_000
_BLACK = (16, 128, 128)


@dataclass(frozen=True, slots=True)
class Cell:
    """Which picture comes where: the keyframe that begins the fragment at `offset` of a file.
    `at_us`: when it was taken.
    """

    number: int
    at_us: int
    path: Path
    init_length: int
    offset: int


class _Sheet:
    """The planes of a picture in YUV 4:2:0, all black."""

    def __init__(self) -> None:
        self._frame = av.VideoFrame(WIDTH * COLUMNS, HEIGHT * ROWS, "yuv420p")
        self._planes = [
            bytearray([value]) * plane.buffer_size
            for plane, value in zip(self._frame.planes, _BLACK, strict=True)
        ]

    def put(self, number: int, picture: av.VideoFrame) -> None:
        """A picture into its cell, as large as fits."""
        scale = min(Fraction(WIDTH, picture.width), Fraction(HEIGHT, picture.height))
        # Even numbers: colours have half the lines and columns.
        width = max(2, int(picture.width * scale) // 2 * 2)
        height = max(2, int(picture.height * scale) // 2 * 2)
        small = picture.reformat(width=width, height=height, format="yuv420p")
        left = number % COLUMNS * WIDTH + (WIDTH - width) // 4 * 2
        top = number // COLUMNS * HEIGHT + (HEIGHT - height) // 4 * 2
        for plane, (source, goal) in enumerate(zip(small.planes, self._frame.planes, strict=True)):
            part = 2 if plane else 1
            data, wide = memoryview(source), width // part
            for line in range(height // part):
                at = (top // part + line) * goal.line_size + left // part
                begin = line * source.line_size
                self._planes[plane][at : at + wide] = data[begin : begin + wide]

    def webp(self) -> bytes:
        """The sheet as a file."""
        for plane, content in zip(self._frame.planes, self._planes, strict=True):
            plane.update(bytes(content))
        encoder = av.CodecContext.create("libwebp", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height = WIDTH * COLUMNS, HEIGHT * ROWS
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = Fraction(1, 25)
        encoder.options = {"quality": QUALITY}
        packets = [*encoder.encode(self._frame), *encoder.encode(None)]
        return b"".join(bytes(packet) for packet in packets)


class _Decoder:
    """Decodes keyframes of chunks whose init segments say the same."""

    def __init__(self, init: bytes) -> None:
        self.init = init
        self.tracks = read_tracks(init)
        self._container = av.open(io.BytesIO(init), "r", format="mp4")
        streams = self._container.streams.video
        if not streams:
            raise ContainerError("there are no pictures")
        self._number = next(track.id for track in self.tracks if track.kind == b"vide")
        self._context = streams[0].codec_context
        self._context.thread_count = 1
        self._context.options = {"skip_loop_filter": "all"}

    def picture(self, descriptor: int, offset: int) -> av.VideoFrame | None:
        """The keyframe that begins a fragment."""
        head = fragment_at(descriptor, offset, self.tracks)
        run = next((run for run in head.runs if run.track == self._number), None)
        if run is None or run.sizes[0] > MOST_KEYFRAME_BYTES:
            return None
        packet = av.Packet(os.pread(descriptor, run.sizes[0], run.offset))
        found = [*self._context.decode(packet), *self._context.decode(None)]
        self._context.flush_buffers()
        return found[0] if found else None

    def close(self) -> None:
        """Give the memory back."""
        self._container.close()


class Watch:
    """Compares each picture with the one before."""

    def __init__(self) -> None:
        self._before: tuple[int, bytes] | None = None
        self.changes: list[Change] = []

    def look(self, at_us: int, picture: av.VideoFrame) -> None:
        """The next picture. What lies far apart shows another time of the day, not what moved."""
        small = picture.reformat(width=GRAINS[0], height=GRAINS[1], format="gray")
        data, line = bytes(small.planes[0]), small.planes[0].line_size
        grains = b"".join(data[y * line : y * line + GRAINS[0]] for y in range(GRAINS[1]))
        if self._before is not None and 0 < at_us - self._before[0] <= MOST_APART_US:
            value = changed(self._before[1], grains)
            self.changes.append(Change(self._before[0], at_us, value))
        self._before = (at_us, grains)


def changed(before: bytes, after: bytes) -> float:
    """How much of a picture is another one, 0 to 1 (a quarter of it, and more). Light that changes
    everywhere, as that of a cloud, is none.
    """
    steps = [b - a for a, b in zip(before, after, strict=True)]
    everywhere = sorted(steps)[len(steps) // 2]
    count = sum(abs(step - everywhere) > NOISE for step in steps)
    return min(1.0, count / len(steps) / FULL)


def sheet(cells: Sequence[Cell], watch: Watch) -> bytes:
    """A WebP of the cells' pictures; what can't be read or decoded stays black. Blocks."""
    made = _Sheet()
    decoder: _Decoder | None = None
    try:
        for cell in cells:
            try:
                decoder = _put(made, watch, cell, decoder)
            except (OSError, MediaError, av.FFmpegError):
                continue  # rotated away meanwhile, or damaged: the others are shown all the same
        return made.webp()
    finally:
        if decoder is not None:
            decoder.close()


def _put(made: _Sheet, watch: Watch, cell: Cell, decoder: _Decoder | None) -> _Decoder:
    descriptor = os.open(cell.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        init = os.pread(descriptor, cell.init_length, 0)
        if decoder is None or decoder.init != init:
            if decoder is not None:
                decoder.close()
            decoder = _Decoder(init)
        picture = decoder.picture(descriptor, cell.offset)
        if picture is not None:
            made.put(cell.number, picture)
            watch.look(cell.at_us, picture)
        return decoder
    finally:
        os.close(descriptor)
