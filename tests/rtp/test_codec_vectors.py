"""What real publishers sent of H.265 and of audio, at every split, taken apart track by track."""

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsp.peers import VECTORS, accept_all, peer
from ucam.media.track import Track
from ucam.rtp.formats import FORMATS, Depacketizer, depacketizer
from ucam.rtp.unit import Unit
from ucam.rtsp.server import Media, Recording, ServerConnection

# Each track's encoding, codec string and number of units. AAC of 44.1 kHz has 43 frames a second
# and ffmpeg codes two more, but those that wait to share a packet at the end it never sends.
EXPECTED = {
    "codecs/ffmpeg-5.1-h265-aac.txt": {"H265": ("hvc1.1.6.", 25), "MPEG4-GENERIC": ("mp4a.", 38)},
    "codecs/ffmpeg-5.1-aac-alone.txt": {"MPEG4-GENERIC": ("mp4a.", 42)},
    "codecs/ffmpeg-5.1-opus-alone.txt": {"OPUS": ("opus", 51)},
    "codecs/ffmpeg-5.1-pcma-alone.txt": {"PCMA": ("mp4a.40.2", 44)},
    "codecs/ffmpeg-5.1-pcmu-alone.txt": {"PCMU": ("mp4a.40.2", 44)},
    "codecs/gst-1.22-opus-alone.txt": {"OPUS": ("opus", 51)},
    "codecs/gst-1.22-opus-h264b.txt": {"H264": ("avc1.", 25), "OPUS": ("opus", 51)},
    "codecs/gst-1.22-h264-aac.txt": {"H264": ("avc1.", 25), "MPEG4-GENERIC": ("mp4a.40.2", 44)},
    "codecs/ucam-h264.txt": {"H264": ("avc1.42c00b", 45)},
    "codecs/ucam-h264-opus.txt": {"H264": ("avc1.42c00b", 79), "OPUS": ("opus", 156)},
    "codecs/ffmpeg-5.1-h264-latm.txt": {"H264": ("avc1.", 25), "MP4A-LATM": ("mp4a.40.2", 45)},
    "codecs/ffmpeg-5.1-opus-h265.txt": {"OPUS": ("opus", 51), "H265": ("hvc1.1.6.", 25)},
    "codecs/gst-1.22-h265-latm.txt": {"H265": ("hvc1.1.6.", 25), "MP4A-LATM": ("mp4a.", 45)},
    "codecs/gst-1.22-h264-pcmu.txt": {"H264": ("avc1.", 25), "PCMU": ("mp4a.40.2", 44)},
}
NAMES = sorted(EXPECTED)


def taken_apart(name: str, pieces: list[bytes]) -> tuple[dict[str, Track], dict[str, list[Unit]]]:
    """Each recorded track and its units."""
    server = ServerConnection(peer(name).entropy)
    receivers: dict[int, tuple[str, Depacketizer]] = {}
    tracks: dict[str, Track] = {}
    units: dict[str, list[Unit]] = {}
    for event in (event for piece in pieces for event in accept_all(server, piece)):
        if isinstance(event, Recording):
            for each in event.tracks:
                media = each.media
                receiver = depacketizer(
                    media.encoding,
                    media.parameter_sets(),
                    media.ntp64_id,
                    clock_rate=media.clock_rate,
                    channels=media.channels,
                    parameters=media.parameters,
                )
                assert receiver is not None
                receivers[each.rtp_channel] = media.encoding, receiver
                if receiver.description:
                    tracks[media.encoding] = FORMATS[media.encoding].describe(receiver.description)
        for channel, packet in event.packets if isinstance(event, Media) else ():
            if channel in receivers:
                encoding, receiver = receivers[channel]
                receiver.push(bytes(packet))
                while (unit := receiver.pull()) is not None:
                    units.setdefault(encoding, []).append(unit)
    for _, receiver in receivers.values():
        told = receiver.lost_packets, receiver.malformed_packets, receiver.dropped_units
        assert told == (0, 0, 0)
    return tracks, units


@cache
def whole(name: str) -> tuple[dict[str, Track], dict[str, list[Unit]]]:
    return taken_apart(name, [peer(name).data])


@pytest.mark.parametrize("name", NAMES)
def test_every_unit_is_there(name: str) -> None:
    tracks, units = whole(name)
    assert {encoding: len(found) for encoding, found in units.items()} == {
        encoding: count for encoding, (_, count) in EXPECTED[name].items()
    }
    for encoding, (codec, _) in EXPECTED[name].items():
        assert tracks[encoding].codec_string.startswith(codec)
        assert units[encoding][0].keyframe
        stamps = [unit.rtp_timestamp for unit in units[encoding]]
        assert len(set(stamps)) == len(stamps)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_any_splits_give_the_same(name: str, draw: st.DataObject) -> None:
    data = peer(name).data
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=20)))
    bounds = [0, *places, len(data)]
    pieces = [data[a:b] for a, b in pairwise(bounds)]
    assert taken_apart(name, pieces) == whole(name)


@pytest.mark.parametrize("name", NAMES)
def test_byte_by_byte(name: str) -> None:
    data = peer(name).data
    assert taken_apart(name, [data[n : n + 1] for n in range(len(data))]) == whole(name)


def test_vectors_are_where_the_readme_says() -> None:
    readme = (VECTORS / "README.md").read_text()
    assert [path.name for path in sorted((VECTORS / "codecs").iterdir())] == [
        name.removeprefix("codecs/") for name in NAMES
    ]
    assert all(f"`{name}`" in readme for name in NAMES)
