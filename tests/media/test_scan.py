import mmap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.clips import START_US, clip, fragments, whole_file
from ucam.media import MediaError
from ucam.media.clock import ticks
from ucam.media.fmp4 import RunMark
from ucam.media.scan import ChunkScan, samples, scan
from ucam.media.track import VideoTrack


def ends(data: bytes) -> list[int]:
    """Where a cut file may end: behind the index's place, and behind each fragment."""
    return [len(data) - len(b"".join(fragments(clip())[n:])) for n in range(4)]


def test_what_was_written_is_found() -> None:
    source, data = clip(), whole_file(clip())
    found = scan(data)
    assert found.track == VideoTrack.h264(source.parameter_sets)
    assert found.run == RunMark("run-1", 1000)
    assert found.valid_length == len(data)
    assert not found.indexed
    assert [f.samples for f in found.fragments] == [25, 25, 10]
    assert [f.keyframe for f in found.fragments] == [True, True, True]
    assert [f.offset + f.size for f in found.fragments] == ends(data)[1:]
    assert found.fragments[0].pts_90k == ticks(START_US)
    first, second, _ = found.fragments
    assert first.dts_90k + first.duration_90k == second.dts_90k


def test_samples_are_the_access_units() -> None:
    source, data = clip(), whole_file(clip())
    stored = [each for fragment in scan(data).fragments for each in samples(data, fragment)]
    assert [data[s.offset : s.offset + s.size] for s in stored] == [u.data for u in source.units]
    assert [s.pts_90k for s in stored] == [ticks(u.utc_us) for u in source.units]
    assert [s.keyframe for s in stored] == [u.keyframe for u in source.units]


def test_an_mmap_can_be_closed_after_a_scan(tmp_path: Path) -> None:
    path = tmp_path / "chunk.mp4"
    path.write_bytes(whole_file(clip()))
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        assert len(scan(view).fragments) == 3


def scan_cut(data: bytes) -> ChunkScan | None:
    try:
        return scan(data)
    except MediaError:
        return None


def test_a_file_cut_anywhere_ends_at_its_last_whole_fragment() -> None:
    data = whole_file(clip())
    init = scan(data).init_length
    cuts = {*range(0, len(data), 97), *(e + d for e in [init, *ends(data)] for d in (-1, 0, 1))}
    for cut in sorted(cut for cut in cuts if cut <= len(data)):
        found = scan_cut(data[:cut])
        if cut < init:
            assert found is None
        else:
            assert found is not None
            whole = [end for end in ends(data) if end <= cut]
            assert found.valid_length == (whole[-1] if whole else init)
            assert len(found.fragments) == max(0, len(whole) - 1)


@pytest.mark.parametrize("zeros_from", [1, 200, 1500, 5000])
def test_zeros_that_a_power_cut_left_are_no_fragment(zeros_from: int) -> None:
    data = whole_file(clip())
    whole, last = ends(data)[-2], fragments(clip())[-1]
    torn = data[: whole + zeros_from] + bytes(len(last) - zeros_from)
    assert scan(torn).valid_length == whole


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_garbage_raises_nothing_but_media_errors(draw: st.DataObject) -> None:
    data = bytearray(whole_file(clip()))
    for _ in range(draw.draw(st.integers(1, 4))):
        # Boxes' heads are where the interesting numbers are.
        limit = draw.draw(st.sampled_from([1200, len(data)]))
        place = draw.draw(st.integers(0, limit - 1))
        data[place] = draw.draw(st.integers(0, 255))
    found = scan_cut(bytes(data[: draw.draw(st.integers(0, len(data)))]))
    if found is not None:
        assert found.valid_length <= len(data)
        for fragment in found.fragments:
            assert fragment.offset + fragment.size <= found.valid_length


@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_but_media_errors(data: bytes) -> None:
    scan_cut(data)
    scan_cut(whole_file(clip())[:700] + data)


def test_limits_hold() -> None:
    data = whole_file(clip())
    with pytest.raises(MediaError):
        scan(data, max_fragments=2)
    with pytest.raises(MediaError):
        scan(data, max_moov=300)
    assert scan(data, max_samples=24).fragments == ()
