import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clips import clip
from ucam.media import DiscontinuityError
from ucam.media.decode_times import DecodeTimes
from ucam.media.track import VideoTrack

PYRAMID = [0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11]


def times(pts: list[int], depth: int) -> list[int]:
    decode = DecodeTimes(depth)
    return [decode.push(each * 3000) for each in pts]


def test_without_b_frames_dts_is_pts() -> None:
    assert times([0, 1, 2, 3], 0) == [0, 3000, 6000, 9000]


def test_with_b_frames_dts_is_the_sorted_pts_late_by_the_depth() -> None:
    assert times(PYRAMID, 2) == [(n - 2) * 3000 for n in range(len(PYRAMID))]


@pytest.mark.parametrize("depth", [0, 1])
def test_a_depth_that_was_too_small_grows(depth: int) -> None:
    decode = DecodeTimes(depth)
    pts = [each * 3000 for each in PYRAMID]
    dts = [decode.push(each) for each in pts]
    assert decode.depth == 2
    assert dts == sorted(set(dts))
    assert dts[8:] == [(n - 2) * 3000 for n in range(8, len(pts))]


def test_equal_times_still_rise() -> None:
    assert times([0, 0, 1], 0) == [0, 1, 3000]


def test_a_jump_back_is_told() -> None:
    with pytest.raises(DiscontinuityError):
        times([1000, 1001, 0], 0)
    with pytest.raises(DiscontinuityError):
        times([32, *range(60)], 0)
    with pytest.raises(DiscontinuityError):
        times(list(range(20, 0, -1)), 0)


@given(st.permutations(range(1, 5)), st.integers(0, 4), st.integers(0, 4))
def test_strictly_monotone_for_any_order_within_groups(
    order: list[int], groups: int, depth: int
) -> None:
    pts = [group * 5 + each for group in range(groups + 1) for each in (0, *order)]
    dts = times(pts, depth)
    assert dts == sorted(set(dts))
    if depth == 4:
        assert all(d <= p * 3000 for d, p in zip(dts, pts, strict=True))


@pytest.mark.interop
@pytest.mark.parametrize("options", ["", "b-pyramid=normal", "ref=5:b-pyramid=strict"])
@pytest.mark.parametrize("b_frames", [0, 1, 3])
def test_x264_says_its_depth_so_that_nothing_grows(b_frames: int, options: str) -> None:
    source = clip(b_frames=b_frames, options=options)
    depth = VideoTrack.h264(source.parameter_sets).reorder_depth
    decode = DecodeTimes(depth, frame_90k=3600)
    dts = [decode.push(unit.pts_90k) for unit in source.units]
    assert decode.depth == depth
    start = source.units[0].pts_90k - depth * 3600
    assert dts == [start + n * 3600 for n in range(len(dts))]
    assert all(d <= u.pts_90k for d, u in zip(dts, source.units, strict=True))
