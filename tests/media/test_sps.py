from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clips import clip
from ucam.media import BitstreamError
from ucam.media.sps import Sps, parse_sps
from ucam.media.track import VideoTrack

# What encoders wrote: as GStreamer 1.22 and ffmpeg 5.1 use them here.
CASES = [
    # x264enc's defaults
    ("6764001eacd940a03db016a0c0c0d4a0000003002000000791e2c5b2c0", (640, 480), "avc1.64001e", 2),
    # x264enc tune=zerolatency bframes=0
    ("67640028acb200f0044fcb80b501010140000003004000000f23c60c92", (1920, 1080), "avc1.640028", 0),
    # x264enc bframes=3, main profile
    (
        "674d4028ec803c0113f2e02d40404050000003001000000303c8f1831960",
        (1920, 1080),
        "avc1.4d4028",
        2,
    ),
    # openh264enc
    ("6742c0288c8d403c0113f2c03c2211a8", (1920, 1080), "avc1.42c028", 0),
]


@pytest.mark.parametrize(("text", "size", "codec", "depth"), CASES)
def test_size_codec_and_depth(text: str, size: tuple[int, int], codec: str, depth: int) -> None:
    sps = parse_sps(bytes.fromhex(text))
    assert (sps.width, sps.height) == size
    assert (sps.codec_string, sps.reorder_depth) == (codec, depth)


def test_a_vui_that_ends_too_early_is_forgiven() -> None:
    text, size, codec, _ = CASES[0]
    sps = parse_sps(bytes.fromhex(text)[:-4])
    assert ((sps.width, sps.height), sps.codec_string) == (size, codec)
    assert (sps.reorder_frames, sps.reorder_depth) == (None, 0)


@pytest.mark.interop
@pytest.mark.parametrize("size", ["320x240", "322x180", "64x48", "1920x1080"])
@pytest.mark.parametrize("options", ["", "interlaced=1"])
def test_the_size_of_what_x264_writes(size: str, options: str) -> None:
    track = VideoTrack.h264(clip(frames=2, size=size, options=options).parameter_sets)
    assert f"{track.width}x{track.height}" == size


def real_sps() -> bytes:
    return clip().parameter_sets[0]


@given(st.integers(0, 40))
def test_a_cut_sps_is_a_bitstream_error_or_still_one(cut: int) -> None:
    whole = parse_sps(real_sps())
    try:
        found = parse_sps(real_sps()[:cut])
    except BitstreamError:
        return
    assert replace(found, reorder_frames=whole.reorder_frames) == whole


@given(st.binary(max_size=60))
def test_any_bytes_raise_nothing_but_bitstream_errors(data: bytes) -> None:
    with suppress(BitstreamError):
        assert isinstance(parse_sps(b"\x67" + data), Sps)


def test_a_track_needs_an_sps_and_a_pps() -> None:
    sets = clip().parameter_sets
    assert VideoTrack.h264(sets[::-1]) == VideoTrack.h264(sets)
    for some in ((), sets[:1], sets[1:]):
        with pytest.raises(BitstreamError):
            VideoTrack.h264(some)
