"""RTP and RTCP: packets, reports, and each payload format from packets to access units."""

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

from fuzz.rtsp_targets import vectors
from fuzz.target import Target, framed, frames
from rtsp.peers import VECTORS, accept_all
from ucam.media import h264
from ucam.media.clock import to_ntp64
from ucam.rtp import packet, rtcp
from ucam.rtp.errors import PacketError
from ucam.rtsp import sdp
from ucam.rtsp.errors import SDPError
from ucam.rtsp.messages import Interleaved
from ucam.rtsp.parser import Parser
from ucam.rtsp.recordable import is_supported
from ucam.rtsp.server import Media, Recording, ServerConnection
from ucam.storage.stream import Arrived, Stream

NOW_US = 1_795_325_400_000_000
MOST_PACKETS = 24
CODECS = {
    "h264": ("video", "H264"),
    "h265": ("video", "H265"),
    "aac": ("audio", "MPEG4-GENERIC"),
    "latm": ("audio", "MP4A-LATM"),
    "opus": ("audio", "OPUS"),
    "g711": ("audio", "PCMU"),
}


def rtp(data: bytes) -> None:
    """A packet, or `PacketError`; what was read can be written and read again."""
    try:
        found = packet.parse(data)
    except PacketError:
        return
    assert len(found.payload) <= len(data)
    assert packet.parse(packet.build(found)) == found
    extension, start, _ = packet.payload_bounds(data)
    if extension:
        packet.capture_time_us(data, extension, start, 1)


def reports(data: bytes) -> None:
    """Reports, or `PacketError`."""
    with contextlib.suppress(PacketError):
        for report in rtcp.sender_reports(data):
            # A time stamp of zero says that there is none.
            written = rtcp.sender_reports(rtcp.build_sender_report(report, "a"))
            assert bool(written) == bool(to_ntp64(report.utc_us))


def stream(data: bytes, kind: str, encoding: str) -> None:
    """An SDP, then packets of RTP and RTCP: access units that are no more than what came."""
    first, *packets = list(frames(data)) or [b""]
    media = _media(first, kind, encoding)
    if media is None:
        return
    try:
        sets = media.parameter_sets()
    except SDPError:
        sets = ()
    found = Stream(media, sets, 0)
    units = list[Arrived]()
    for number, each in enumerate(packets):
        if len(each) > 1 and 200 <= each[1] <= 204:
            found.rtcp(each)
        else:
            units += found.rtp(each, NOW_US + 40_000 * number)
    units += found.flush(NOW_US + 40_000 * len(packets))
    numbers = [arrived.unit.number for arrived in units]
    assert numbers == sorted(set(numbers))
    # NAL units get 4 bytes of length for the 2 that they have in an aggregate.
    assert sum(len(arrived.unit.data) for arrived in units) <= 3 * len(data)
    for arrived in units:
        assert arrived.unit.data
        if kind == "video":
            assert sum(4 + len(nal) for nal in h264.nals(arrived.unit.data)) == len(
                arrived.unit.data
            )


def _media(text: bytes, kind: str, encoding: str) -> sdp.Media | None:
    try:
        session = sdp.parse(text)
    except SDPError:
        return None
    if not session.media:
        return None
    media = replace(session.media[0], kind=kind, encoding=encoding)
    return media if is_supported(media) else None


@cache
def _streams() -> dict[str, list[bytes]]:
    """What each captured publisher sent of each track: its SDP, then its first packets."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(VECTORS.rglob("*.txt")):
        data = path.read_bytes()
        named = re.search(rb"\r\nSession: ([0-9a-f]{32})", data)
        assert named is not None
        events = accept_all(ServerConnection(bytes.fromhex(named[1].decode())), data)
        recording = next(event for event in events if isinstance(event, Recording))
        packets = [each for event in events if isinstance(event, Media) for each in event.packets]
        for track in recording.tracks:
            wanted = (track.rtp_channel, track.rtcp_channel)
            mine = [bytes(each) for channel, each in packets if channel in wanted]
            text = sdp.SessionDescription((track.media,)).build()
            encoding = track.media.encoding.replace("PCMA", "PCMU")
            found.setdefault(encoding, []).append(framed([text, *mine[:MOST_PACKETS]]))
    return found


def _seeds(encoding: str) -> Callable[[], list[bytes]]:
    return lambda: _streams()[encoding]


def _packets(reported: bool) -> list[bytes]:
    return [
        bytes(each)
        for data in vectors()
        for item in Parser().feed(data)
        if isinstance(item, Interleaved)
        for channel, each in item.packets
        if channel % 2 == int(reported)
    ][:60]


TARGETS = {
    "rtp": Target(rtp, lambda: _packets(reported=False)),
    "rtcp": Target(reports, lambda: _packets(reported=True)),
    **{
        name: Target(partial(stream, kind=kind, encoding=encoding), _seeds(encoding))
        for name, (kind, encoding) in CODECS.items()
    },
}
