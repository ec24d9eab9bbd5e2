from contextlib import suppress

import pytest

from media.clips import clip, fragments
from ucam.media import ContainerError, fmp4
from ucam.media.scan import scan
from ucam.media.track import VideoTrack
from ucam.storage.playback.heads import read_fragment, read_tracks


def init() -> bytes:
    return fmp4.init_segment(VideoTrack.h264(clip().parameter_sets))


def test_tracks_are_carried_as_they_stand() -> None:
    (track,) = read_tracks(init())
    assert (track.kind, track.timescale) == (b"vide", 90_000)
    assert track.entries[4:8] == b"avc1"
    assert track.size == (320 << 16, 240 << 16)
    assert track.hdlr[4:8] == b"hdlr"
    assert track.media_header[4:8] == b"vmhd"


def test_samples_as_scan_sees_them() -> None:
    parts = fragments(clip())
    held = scan(init() + b"".join(parts))
    for data, seen in zip(parts, held.fragments, strict=True):
        found = read_fragment(data, seen.offset, read_tracks(init()))
        assert found is not None
        (run,) = found.runs
        assert run.dts == seen.dts_90k
        assert sum(run.durations) == seen.duration_90k
        assert len(run.sizes) == seen.samples
        assert run.offset == found.data
        assert sum(run.sizes) == found.data_end - found.data
        assert found.end == seen.offset + seen.size


def test_a_head_that_is_not_whole_asks_for_more() -> None:
    data = fragments(clip())[0]
    tracks = read_tracks(init())
    whole = read_fragment(data, 0, tracks)
    assert whole is not None
    for length in range(whole.data):
        assert read_fragment(data[:length], 0, tracks) is None
    assert read_fragment(data[: whole.data + 8], 0, tracks) == whole


@pytest.mark.parametrize("position", range(32, 140))
def test_garbled_heads_raise_nothing_else(position: int) -> None:
    data = bytearray(fragments(clip())[0])
    data[position] ^= 0xFF
    with suppress(ContainerError):
        read_fragment(bytes(data), 0, read_tracks(init()))


@pytest.mark.parametrize("length", range(0, 600, 7))
def test_a_cut_init_is_told(length: int) -> None:
    with pytest.raises(ContainerError):
        read_tracks(init()[:length])
