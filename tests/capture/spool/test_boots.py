"""Times of boots without a clock, by segments on a real disk."""

from pathlib import Path

from capture.samples import unit
from media.clips import clip
from ucam.capture.run import Run
from ucam.capture.spool.boots import Boots
from ucam.capture.spool.files import Segment, SegmentWriter
from ucam.capture.spool.units import Spooled
from ucam.media.track import VideoTrack

TRACK = VideoTrack.h264(clip(b_frames=0).parameter_sets)
NOW_US = 1_800_000_000_000_000


def run(boot: str | None) -> Run:
    return Run(TRACK, boot=boot)


def segment(path: Path, boot: str | None, first: int, last: int) -> Segment:
    """Ten pictures a second, the number tells the time since that boot."""
    items = [Spooled(run(boot), unit(number)) for number in range(first, last + 1)]
    writer = SegmentWriter(path, items[0], 0)
    writer.segment.size = writer.append(items)
    writer.close()
    return writer.segment


def test_a_run_with_a_clock_is_taken_as_it_is() -> None:
    boots = Boots("this")
    assert boots.utc_us(run(None), 5) == 5
    item = Spooled(run(None), unit(3))
    assert boots.timed(item) is item


def test_a_run_without_one_has_no_time_until_its_boot_has() -> None:
    boots = Boots("this")
    item = Spooled(run("this"), unit(3))
    assert (boots.is_set, boots.utc_us(item.run, 5), boots.timed(item)) == (False, None, None)
    boots.offsets_us["this"] = NOW_US
    timed = boots.timed(item)
    assert timed is not None
    assert (boots.is_set, timed.unit.utc_us) == (True, NOW_US + 300_000)
    assert timed.unit._replace(utc_us=300_000) == item.unit


async def test_earlier_boots_end_where_the_next_one_begins(tmp_path: Path) -> None:
    segments = [
        segment(tmp_path / "0", "first", 0, 50),
        segment(tmp_path / "1", "second", 0, 10),
        segment(tmp_path / "2", "second", 15, 30),
        segment(tmp_path / "3", None, 0, 5),
        segment(tmp_path / "4", "this", 0, 5),
    ]
    boots = Boots("this")
    boots.offsets_us["this"] = NOW_US
    await boots.estimate(reversed(segments))
    assert boots.offsets_us == {
        "this": NOW_US,
        "second": NOW_US - 3_000_000,
        "first": NOW_US - 3_000_000 - 5_000_000,
    }


async def test_an_estimate_that_was_made_stays(tmp_path: Path) -> None:
    segments = [segment(tmp_path / "0", "first", 0, 50), segment(tmp_path / "1", "second", 0, 10)]
    boots = Boots("this")
    boots.offsets_us |= {"this": NOW_US, "second": 1_000_000_000}
    await boots.estimate(reversed(segments))
    assert boots.offsets_us["second"] == 1_000_000_000
    assert boots.offsets_us["first"] == 1_000_000_000 - 5_000_000


async def test_a_segment_that_cannot_be_read_counts_from_its_first(tmp_path: Path) -> None:
    lost = segment(tmp_path / "0", "first", 20, 50)
    lost.path.unlink()
    boots = Boots("this")
    boots.offsets_us["this"] = NOW_US
    await boots.estimate([lost])
    assert boots.offsets_us["first"] == NOW_US - 2_000_000
