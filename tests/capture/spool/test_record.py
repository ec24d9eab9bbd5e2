import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.samples import sound, unit
from media.clips import clip
from ucam.capture.run import Run
from ucam.capture.spool.record import (
    MAX_HEADER_BYTES,
    RECORD_BYTES,
    Header,
    NewerSegment,
    SegmentError,
    encode_header,
    encode_record,
    header_bytes,
    parse_header,
    parse_records,
)
from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack, VideoTrack

TRACK = VideoTrack.h264(clip(b_frames=0).parameter_sets)


def encoded(*units: AccessUnit) -> bytes:
    return b"".join(part for each in units for part in encode_record(each))


def test_a_header_comes_back_with_its_run() -> None:
    run = Run(TRACK, AudioTrack.opus(1), "abcd", "the source ended", "boot-1")
    data = encode_header(Header.of(run, 7, 1_000))
    assert header_bytes(data[:16]) == len(data)
    header = parse_header(data + b"records")
    assert (header.first, header.first_us, header.to_run()) == (7, 1_000, run)


def test_records_come_back_whole_and_the_torn_one_does_not() -> None:
    units = [unit(0), sound(0), unit(1, size=1), unit(2, size=5000)]
    data = encoded(*units)
    parsed = parse_records(data)
    assert (parsed.units, parsed.used, parsed.damaged) == (units, len(data), False)
    torn = parse_records(data[:-1])
    assert torn.units == units[:3]
    assert (torn.wanted, torn.damaged) == (RECORD_BYTES + 5004, False)
    assert torn.used == len(encoded(*units[:3]))


@given(st.integers(0, 3 * (RECORD_BYTES + 54) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    units = [unit(number, size=50) for number in range(3)]
    data = bytearray(encoded(*units))
    data[place] ^= change
    parsed = parse_records(bytes(data))
    good = place // (RECORD_BYTES + 54)
    # A changed length may look like a record that isn't all there; nothing wrong is ever read.
    assert parsed.units == units[:good]
    assert parsed.damaged or parsed.wanted


@given(st.binary(max_size=400))
def test_no_bytes_do_harm(data: bytes) -> None:
    parsed = parse_records(data)
    assert parsed.used <= len(data)
    for parse in (header_bytes, parse_header):
        with contextlib.suppress(SegmentError):
            parse(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[:-1],
        lambda data: b"X" + data[1:],
        lambda data: data[:-3] + b"???",
        lambda data: data[:8] + (MAX_HEADER_BYTES + 1).to_bytes(4, "little") + data[12:],
    ],
)
def test_a_broken_header_is_an_error(change: object) -> None:
    data = encode_header(Header.of(Run(TRACK), 0, 0))
    assert callable(change)
    with pytest.raises(SegmentError):
        parse_header(change(data))


def test_a_newer_version_and_unreadable_tracks_are_told_apart() -> None:
    data = encode_header(Header.of(Run(TRACK), 0, 0))
    with pytest.raises(NewerSegment):
        header_bytes(data[:7] + b"\x02" + data[8:])
    for codec, sets in (("vp8", TRACK.parameter_sets), ("h264", (b"\x67",))):
        with pytest.raises(SegmentError, match="tracks"):
            Header(run="a", codec=codec, sets=sets, first=0, first_us=0).to_run()


def test_the_format_is_the_one_that_stands_on_cards_already() -> None:
    """Version 1 must be read for ever: these bytes are what it wrote."""
    picture = AccessUnit(b"\0\0\0\1\x65", 90_000, 1_795_325_400_123_456, True, 3)
    assert encoded(picture).hex() == (
        "b3080618" "05000000" "01" "000000" "0300000000000000" "905f010000000000"
        "4008bbc4d6600600" "0000000165"
    )  # fmt: skip
