import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clips import clip
from ucam.media import BitstreamError, h264
from ucam.media.avcc import build_avcc, parse_avcc

SPS, PPS, IDR, SLICE = b"\x67\x42\x00\x1e", b"\x68\xce", b"\x65\x88\x84", b"\x41\x9a"


def test_prefixed_data_round_trips() -> None:
    data = h264.prefixed([SPS, PPS, IDR])
    assert data == b"\0\0\0\4" + SPS + b"\0\0\0\2" + PPS + b"\0\0\0\3" + IDR
    assert [bytes(nal) for nal in h264.nals(data)] == [SPS, PPS, IDR]


@pytest.mark.parametrize("data", [b"\0\0\0", b"\0\0\0\0", b"\0\0\0\2a", b"\xff\xff\xff\xffabc"])
def test_wrong_lengths_are_errors(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        list(h264.nals(data))
    assert not h264.is_whole(data)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1), st.integers(0, 8))
def test_what_is_whole_can_be_taken_apart(units: list[bytes], missing: int) -> None:
    data = h264.prefixed(units)
    assert h264.is_whole(data)
    cut = data[: len(data) - missing]
    try:
        whole = bool(list(h264.nals(cut)))
    except BitstreamError:
        whole = False
    assert h264.is_whole(cut) == whole


def test_start_codes_of_three_and_four_bytes_and_trailing_zeros() -> None:
    stream = b"\0\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\0\0\1" + IDR + b"\0\0"
    assert h264.split_annex_b(stream) == [SPS, PPS, IDR]
    assert h264.split_annex_b(b"no start code") == []


nal_units = st.lists(st.binary(min_size=1, max_size=40).filter(
    lambda nal: b"\0\0\1" not in nal and b"\0\0\0" not in nal and nal[-1] != 0
), max_size=5)  # fmt: skip


@given(nal_units)
def test_both_framings_hold_the_same(units: list[bytes]) -> None:
    assert h264.split_annex_b(h264.annex_b(h264.prefixed(units))) == units


def test_keyframes_and_parameter_sets_are_found() -> None:
    assert h264.is_keyframe(h264.prefixed([SPS, PPS, IDR]))
    assert not h264.is_keyframe(h264.prefixed([SLICE]))
    assert h264.parameter_sets(h264.prefixed([PPS, SPS, IDR, SPS])) == (SPS, PPS)
    assert h264.parameter_sets(h264.prefixed([SLICE])) == ()


def test_avcc_round_trips_real_parameter_sets() -> None:
    sets = clip().parameter_sets
    assert parse_avcc(build_avcc(sets)) == sets
    assert parse_avcc(build_avcc(sets[::-1])) == sets


@given(st.integers(0, 60))
def test_a_cut_avcc_is_an_error(cut: int) -> None:
    record = build_avcc(clip().parameter_sets)
    # What follows the PPS says nothing that the SPS doesn't.
    if cut < len(record) - 4:
        with pytest.raises(BitstreamError):
            _sets_of(record[:cut])


def _sets_of(record: bytes) -> tuple[bytes, ...]:
    sets = parse_avcc(record)
    build_avcc(sets)
    return sets


def test_an_avcc_needs_both_kinds() -> None:
    with pytest.raises(BitstreamError):
        build_avcc(clip().parameter_sets[:1])
