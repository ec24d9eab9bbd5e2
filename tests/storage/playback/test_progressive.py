"""The arithmetic of exports, on tracks made by hand; what players say is in test_export."""

import struct
from array import array

import pytest

from storage.helpers import START_US
from ucam.media.boxes import Box, boxes, descend
from ucam.storage.playback.heads import NOT_SYNC, FragmentHead, Run, TrackHead
from ucam.storage.playback.progressive import MixedError, Plan, Progressive

SECOND_US = 1_000_000
START_S = START_US // SECOND_US
RATE = 48_000


def track(number: int, kind: bytes, scale: int, entry: bytes) -> TrackHead:
    entries = (8).to_bytes(4) + entry
    return TrackHead(number, kind, scale, entries, b"", b"", b"", 0, (0, 0), (0, 0, 0))


PICTURES = track(1, b"vide", 90_000, b"avc1")
SOUND = track(2, b"soun", RATE, b"mp4a")


def run(which: TrackHead, at_s: float, offset: int, durations: list[int]) -> Run:
    count = len(durations)
    dts = round((START_S + at_s) * which.timescale)
    flags = array("I", [NOT_SYNC] * count if which is PICTURES else [0] * count)
    flags[0] = 0
    sizes = array("I", range(10, 10 + count))
    return Run(which.id, offset, dts, array("I", durations), sizes, flags, array("i", [0] * count))


def fragment(*runs: Run) -> FragmentHead:
    end = max(one.offset + sum(one.sizes) for one in runs)
    return FragmentHead(runs, 1000, end, end)


def second(at_s: float, *, sound_s: float | None = None, jitter: int = 0) -> FragmentHead:
    """A second: 25 pictures, and 47 frames of sound that begin at `sound_s`."""
    durations = [3600 + (jitter if n % 2 else -jitter) for n in range(24)] + [3600]
    pictures = run(PICTURES, at_s, 1000, durations)
    if sound_s is None:
        return fragment(pictures)
    behind = 1000 + sum(pictures.sizes)
    return fragment(pictures, run(SOUND, sound_s, behind, [1024] * 47))


def plan(*fragments: FragmentHead, to_s: float = 1000, from_s: float = 0) -> Plan:
    movie = Progressive(
        START_S * SECOND_US + round(from_s * SECOND_US), round((START_S + to_s) * 1e6)
    )
    movie.begin((PICTURES, SOUND))
    for each in fragments:
        movie.add(0, each)
    made = movie.finish()
    assert made is not None
    return made


def table(made: Plan, trak: int, kind: bytes) -> list[tuple[int, ...]]:
    """Rows of a table of 32-bit pairs."""
    view = memoryview(made.head)
    stbl = _stbl(view, trak)
    found = next(one for one in boxes(view, stbl.body, stbl.end) if one.kind == kind)
    (count,) = struct.unpack_from(">I", view, found.body + 4)
    return list(struct.iter_unpack(">II", view[found.body + 8 : found.body + 8 + 8 * count]))


def _trak(view: memoryview, number: int) -> Box:
    moov = next(one for one in boxes(view, 0, len(view)) if one.kind == b"moov")
    return [one for one in boxes(view, moov.body, moov.end) if one.kind == b"trak"][number]


def _stbl(view: memoryview, number: int) -> Box:
    return descend(view, _trak(view, number), b"mdia", b"minf", b"stbl")


def edits(made: Plan, trak: int) -> list[tuple[int, int]]:
    """Duration (1/90000 s) and media time of each edit."""
    view = memoryview(made.head)
    elst = descend(view, _trak(view, trak), b"edts", b"elst")
    rows = struct.iter_unpack(">QqI", view[elst.body + 8 : elst.end])
    return [(length, begin) for length, begin, _ in rows]


def test_a_gap_is_closed_and_sound_stays_in_step() -> None:
    made = plan(second(0, sound_s=0.0), second(1, sound_s=1.0), second(60, sound_s=60.01))
    # The second's sound is 128 samples too long: the last picture waits for its end.
    assert table(made, 0, b"stts") == [(49, 3600), (1, 3600 + 240), (25, 3600)]
    lengths = table(made, 1, b"stts")
    assert sum(count for count, _ in lengths) == 141
    # Sound came 10 ms after the pictures behind the gap: it still does.
    before = sum(count * length for count, length in lengths) - 47 * 1024
    assert before == pytest.approx(2.01 * RATE + 128, abs=2)
    assert made.duration_s == pytest.approx(3.0, abs=0.02)


def test_sound_that_begins_late_begins_late() -> None:
    made = plan(second(0), second(1, sound_s=1.25))
    assert edits(made, 0)[0][1] == 0
    (empty, none), (_, begin) = edits(made, 1)
    assert (empty, none, begin) == (112_500, -1, 0)


def test_what_comes_before_the_window_is_hidden() -> None:
    made = plan(second(0, sound_s=-0.02), second(1, sound_s=0.98), from_s=0.5, to_s=1.5)
    assert edits(made, 0) == [(90_000, 45_000)]
    assert edits(made, 1) == [(90_000, round(0.52 * RATE))]
    assert made.duration_s == 1.0


def test_jitter_costs_no_room_but_drift_is_kept() -> None:
    assert table(plan(second(0, jitter=40)), 0, b"stts") == [(25, 3600)]
    assert len(table(plan(second(0, jitter=900)), 0, b"stts")) > 10
    # The second begins 2 ms late: the last picture before it stays that much longer.
    assert table(plan(second(0), second(1.002)), 0, b"stts") == [(24, 3600), (1, 3780), (25, 3600)]


def test_sync_samples_are_counted_through() -> None:
    view = memoryview(plan(second(0), second(1)).head)
    stbl = _stbl(view, 0)
    stss = next(one for one in boxes(view, stbl.body, stbl.end) if one.kind == b"stss")
    assert struct.unpack(">III", view[stss.body + 4 : stss.end]) == (2, 1, 26)


def test_another_codec_is_another_file() -> None:
    movie = Progressive(0, 1)
    movie.begin((PICTURES,))
    with pytest.raises(MixedError):
        movie.begin((track(1, b"vide", 90_000, b"hvc1"),))


def test_nothing_is_no_file() -> None:
    movie = Progressive(0, 1)
    movie.begin((PICTURES,))
    assert movie.finish() is None
