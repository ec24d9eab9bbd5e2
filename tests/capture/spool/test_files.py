"""What is done to the spool's files, on a real disk."""

import errno
import os
from pathlib import Path

import pytest

from capture.samples import unit
from capture.spool.test_disk import A, B, items
from ucam.capture.spool import files
from ucam.capture.spool.files import Notes, Segment, SegmentWriter, SpoolBusy
from ucam.capture.spool.units import FULL, Gap, Spooled


def written(path: Path, wanted: list[Spooled]) -> Segment:
    writer = SegmentWriter(path, wanted[0], 0)
    writer.segment.size = writer.append(wanted)
    writer.close()
    assert writer.segment.size == path.stat().st_size
    return writer.segment


def test_a_folder_is_one_process_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "spool"
    taken = files.lock(folder)
    with pytest.raises(SpoolBusy, match="another process uses"):
        files.lock(folder)
    os.close(taken)
    os.close(files.lock(folder))


def test_what_is_found_again(tmp_path: Path) -> None:
    assert files.recover(tmp_path) == ([], Notes(), 0)
    first = written(tmp_path / "000000000007.seg", items(A, *range(5)))
    second = written(tmp_path / "000000000010.seg", items(A, *range(5, 8)))
    notes = Notes([Gap("aaaa", 3, 4, 1, 2, FULL)], {"boot": 5})
    files.write_notes(tmp_path, notes)
    found, kept, number = files.recover(tmp_path)
    assert (kept, number) == (notes, 11)
    assert [(each.path, each.first, each.size) for each in found] == [
        (first.path, 0, first.size),
        (second.path, 5, second.size),
    ]
    assert found[0].run is found[1].run, "one run, however many segments"
    assert found[0].run == A
    assert found[0].position is None


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b'{"gaps": 1}', b"[" * 100_000])
def test_notes_that_are_none_stop_no_start(tmp_path: Path, text: bytes) -> None:
    (tmp_path / files.NOTES).write_bytes(text)
    assert files.recover(tmp_path)[1] == Notes()


def test_a_segment_is_read_in_pieces(tmp_path: Path) -> None:
    wanted = items(B, *range(20), size=1000)
    segment = written(tmp_path / "0", wanted)
    offset: int | None = segment.start
    found, reads = [], 0
    while offset is not None:
        batch = files.read(segment, offset, 2500)
        assert not batch.damaged
        found += batch.units
        offset, reads = batch.offset, reads + 1
    assert found == [item.unit for item in wanted]
    assert reads == 10
    # A piece smaller than what comes next is no end.
    assert files.read(segment, segment.start, 100).units == [wanted[0].unit]
    assert files.last_us(segment) == 1_900_000


@pytest.mark.parametrize("cut", [1, 500, 1030])
def test_a_torn_end_is_told(tmp_path: Path, cut: int) -> None:
    segment = written(tmp_path / "0", items(B, *range(3), size=1000))
    segment.size -= cut
    os.truncate(segment.path, segment.size)
    whole = files.read(segment, segment.start, 1 << 20)
    assert [each.number for each in whole.units] == [0, 1]
    assert whole.offset is not None
    assert files.read(segment, whole.offset, 1 << 20) == ([], None, True)


def test_a_write_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path / "0", Spooled(A, unit(0)), 0)
    writer.segment.size = writer.append(items(A, 0, 1))

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="no"):
            writer.append(items(A, 2, 3))
    assert (tmp_path / "0").stat().st_size == writer.segment.size
    writer.segment.size = writer.append(items(A, 2))
    writer.close()
    assert [u.number for u in files.read(writer.segment, writer.segment.start, 1 << 20).units] == [
        *range(3)
    ]


def test_more_than_one_system_call_takes(tmp_path: Path) -> None:
    wanted = items(A, *range(files.MOST_BUFFERS), size=3)
    segment = written(tmp_path / "0", wanted)
    batch = files.read(segment, segment.start, 1 << 20)
    assert batch.units == [item.unit for item in wanted]
