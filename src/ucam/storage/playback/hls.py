"""/cameras/JID/hls.m3u8: recordings for any player (RFC 8216): segments are parts of the chunks.

A window that is past is a VOD playlist. With `from` alone, or with a `to` that is yet to come, it
is an EVENT that grows; with neither it is live: the last segments, a few seconds behind.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ucam.base.times import format_utc
from ucam.media import MediaError
from ucam.storage.layout import Place
from ucam.storage.playback.answers import Answer, Problem, Request, not_found
from ucam.storage.playback.heads import TrackHead, read_tracks
from ucam.storage.playback.library import DAY_US, Library, Query, Stored
from ucam.storage.writer import GAP_TOLERANCE_US

VOD_TARGET_US = 6_000_000
LIVE_TARGET_US = 2_000_000
# A fragment's length jitters: a segment that nearly has its length has it.
_NEARLY_US = 250_000
LIVE_SEGMENTS = 12
MOST_CHUNKS = 20_000
MOST_NUMBERED = 64  # segments of a camera whose numbers are remembered


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes of a chunk that begin with a keyframe, where the camera gives them. `start_us`: since
    1970. `breaks`: what comes before it doesn't go on in it.
    """

    chunk: Stored
    offset: int
    length: int
    start_us: int
    duration_us: int
    breaks: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Which one it is, now and when it is asked for again."""
        return self.chunk.id, self.offset


def cut(chunk: Stored, target_us: int) -> list[Segment]:
    """The segments of a chunk; of the open one those that will not grow any more."""
    begins = [0]
    for number, piece in enumerate(chunk.pieces):
        length_us = piece.start_us - chunk.pieces[begins[-1]].start_us
        if piece.keyframe and length_us >= target_us - _NEARLY_US:
            begins.append(number)
    found = []
    for first, behind in zip(begins, [*begins[1:], len(chunk.pieces)], strict=True):
        if behind == len(chunk.pieces):
            if chunk.is_open:
                break
            end_us = chunk.duration_us
        else:
            end_us = chunk.pieces[behind].start_us
        begin, last = chunk.pieces[first], chunk.pieces[behind - 1]
        length = last.offset + last.size - begin.offset
        start_us = chunk.id + begin.start_us
        duration_us = max(1000, end_us - begin.start_us)
        found.append(Segment(chunk, begin.offset, length, start_us, duration_us))
    return found


def joined(
    chunks: Sequence[Stored], kinds: Sequence[object], target_us: int, from_us: int, to_us: int
) -> list[Segment]:
    """The segments of a window. `kinds`: what each chunk holds; a change breaks the stream."""
    found: list[Segment] = []
    before: object = None
    for chunk, kind in zip(chunks, kinds, strict=True):
        for segment in cut(chunk, target_us):
            if segment.start_us >= to_us or segment.start_us + segment.duration_us <= from_us:
                continue
            end_us = found[-1].start_us + found[-1].duration_us if found else segment.start_us
            apart = abs(segment.start_us - end_us) > GAP_TOLERANCE_US
            breaks = bool(found) and (apart or kind != before)
            found.append(
                Segment(
                    chunk,
                    segment.offset,
                    segment.length,
                    segment.start_us,
                    segment.duration_us,
                    breaks,
                )
            )
            before = kind
    return found


class Numbers:
    """Gives each segment of a live playlist its number, the same each time it is asked for.

    The first is the time in seconds: so that numbers rise over a restart, too.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], tuple[int, int]] = OrderedDict()

    def number(self, segments: Iterable[Segment]) -> list[tuple[int, int]]:
        """For each segment its media sequence number, and how many breaks came before it."""
        found = []
        for segment in segments:
            if segment.key not in self._known:
                if self._known:
                    number, breaks = next(reversed(self._known.values()))
                else:
                    number, breaks = segment.start_us // 1_000_000, 0
                self._known[segment.key] = (number + 1, breaks + segment.breaks)
            found.append(self._known[segment.key])
        while len(self._known) > MOST_NUMBERED:
            self._known.popitem(last=False)
        return found


def playlist(
    segments: Sequence[Segment],
    *,
    token: str,
    kind: str | None,
    ended: bool,
    numbered: tuple[int, int] = (0, 0),
) -> str:
    """The text. `kind`: "VOD", "EVENT", or None for live; `numbered`: of the first segment."""
    longest_us = max((segment.duration_us for segment in segments), default=VOD_TARGET_US)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{-(-longest_us // 1_000_000)}"]
    if kind is not None:
        lines.append(f"#EXT-X-PLAYLIST-TYPE:{kind}")
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{numbered[0]}")
    if numbered[1]:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{numbered[1]}")
    lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    query = f"?token={quote(token, safe='')}" if token else ""
    chunk: Stored | None = None
    for number, segment in enumerate(segments):
        if segment.breaks and number:
            lines.append("#EXT-X-DISCONTINUITY")
        address = f"../../chunks/{segment.chunk.id}.mp4{query}"
        if segment.chunk is not chunk:
            chunk = segment.chunk
            lines.append(f'#EXT-X-MAP:URI="{address}",BYTERANGE="{chunk.init_length}@0"')
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{format_utc(segment.start_us)}")
        lines.append(f"#EXTINF:{segment.duration_us / 1e6:.6f},")
        lines.append(f"#EXT-X-BYTERANGE:{segment.length}@{segment.offset}")
        lines.append(address)
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


class Hls:
    """Answers /hls.m3u8."""

    def __init__(self) -> None:
        self._numbers: dict[Place, Numbers] = {}

    async def playlist(
        self, library: Library, place: Place, query: Query, request: Request
    ) -> Answer:
        """The playlist of a window, or of what is recorded now."""
        now_us = library.now_us()
        live = "from" not in query and "to" not in query
        span_us = 4 * LIVE_SEGMENTS * LIVE_TARGET_US if live else DAY_US
        from_us, to_us = library.window(query, span_us)
        if to_us - from_us > 2 * DAY_US:
            raise Problem(400, "too-long", "at most two days fit into one playlist")
        ended = "to" in query and to_us <= now_us
        target_us = VOD_TARGET_US if ended else LIVE_TARGET_US

        async def look() -> list[Segment]:
            from_us, to_us = library.window(query, span_us)
            chunks = await library.stored(place, from_us, to_us, MOST_CHUNKS)
            if ended:
                # Nothing follows any more in this window: the open chunk has all there is.
                chunks = [chunk.as_closed() for chunk in chunks]
            kinds = await asyncio.to_thread(_kinds, chunks)
            return joined(chunks, kinds, target_us, from_us, to_us)

        segments = await (library.once_recorded(place, look) if live else look())
        if not segments:
            raise not_found()
        numbered = (0, 0)
        if live:
            given = self._numbers.setdefault(place, Numbers()).number(segments)[-LIVE_SEGMENTS:]
            segments, numbered = segments[-LIVE_SEGMENTS:], given[0]
        kind = None if live else "VOD" if ended else "EVENT"
        text = playlist(segments, token=request.token, kind=kind, ended=ended, numbered=numbered)
        headers = {
            "content-type": "application/vnd.apple.mpegurl",
            "cache-control": "no-store",  # it holds a token
        }
        return Answer(200, headers, text.encode())


def _kinds(chunks: Iterable[Stored]) -> list[tuple[TrackHead, ...] | None]:
    """The tracks of each chunk, as its init segment says. Blocks."""
    found: list[tuple[TrackHead, ...] | None] = []
    for chunk in chunks:
        try:
            descriptor = os.open(chunk.current_path(), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            found.append(None)  # rotated away just now
            continue
        try:
            found.append(read_tracks(os.pread(descriptor, chunk.init_length, 0)))
        except (OSError, MediaError):
            found.append(None)
        finally:
            os.close(descriptor)
    return found
