"""Formats from caps as GStreamer writes them, with parameter sets that x264 and x265 made."""

import pytest

from media.clips import clip
from ucam.capture.coded import read_format
from ucam.media.errors import MediaError
from ucam.media.track import VideoTrack

AVCC = "0142c00affe1{:04x}{}01{:04x}{}"


def caps(sets: tuple[bytes, ...], name: str = "video/x-h264") -> str:
    sps, pps = sets
    record = AVCC.format(len(sps), sps.hex(), len(pps), pps.hex())
    return f"{name}, stream-format=(string)avc, alignment=(string)au, codec_data=(buffer){record}"


def test_h264_with_its_parameter_sets() -> None:
    sets = clip(b_frames=0).parameter_sets
    text = caps(sets)
    found = read_format(text)
    assert (found.codec, found.caps, found.channels) == ("h264", text, 0)
    assert found.parameter_sets == sets
    assert VideoTrack.h264(found.parameter_sets).width == VideoTrack.h264(sets).width


def test_sound_has_channels() -> None:
    found = read_format("audio/x-opus, rate=(int)48000, channels=(int)2")
    assert (found.codec, found.channels, found.parameter_sets) == ("opus", 2, ())


@pytest.mark.parametrize("record", ["00", "0142c00affe1ffff67", "0242c00affe0"])
def test_parameter_sets_that_are_none_are_an_error(record: str) -> None:
    for name in ("video/x-h264", "video/x-h265"):
        with pytest.raises(MediaError):
            read_format(f"{name}, codec_data=(buffer){record}")
