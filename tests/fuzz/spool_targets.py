"""What a camera reads from its own card after a start: segments, and the notes beside them."""

import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from capture.samples import sound, unit
from fuzz.storage_targets import MEMORY
from fuzz.target import Target, framed, frames
from media.clips import clip
from ucam.capture.run import Run
from ucam.capture.spool import files
from ucam.capture.spool.files import Notes, Segment
from ucam.capture.spool.record import (
    HEAD_BYTES,
    RECORD_BYTES,
    Header,
    encode_header,
    encode_record,
    parse_records,
)
from ucam.capture.spool.units import MAX_UNIT_BYTES, Gap
from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack, VideoTrack

# What it says of each file is not what is tested, and takes longer.
logging.getLogger(files.__name__).setLevel(logging.CRITICAL)
NAME = "000000000007.seg"
CRC = 4


def segment(data: bytes) -> None:
    """Notes and a segment, behind their lengths. The card may hold anything: a start takes what is
    whole, and reads the same however much of it at a time.
    """
    notes, body = (*frames(data), b"", b"")[:2]
    # As it is, and with sums that are right: nothing behind them would ever be seen else.
    for each in (body, _summed(body)):
        _read(notes, each)


def _read(notes: bytes, body: bytes) -> None:
    place = MEMORY if MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(dir=place, prefix=f"ucam-fuzz-{os.getpid()}-"))
    try:
        (folder / files.NOTES).write_bytes(notes)
        (folder / NAME).write_bytes(body)
        found, kept, number = files.recover(folder)
        assert number == 8
        assert all(isinstance(gap, Gap) for gap in kept.gaps)
        files.write_notes(folder, kept)
        assert files.recover(folder)[1] == kept
        for each in found:
            assert 0 < each.start <= each.size == len(body)
            units = _units(each, 1 << 20)
            assert _units(each, RECORD_BYTES) == _units(each, 700) == units
            assert sum(RECORD_BYTES + len(unit.data) for unit in units) <= len(body)
            assert all(unit.number >= 0 and unit.data for unit in units)
            files.last_us(each)
    finally:
        shutil.rmtree(folder)


def _units(found: Segment, most_bytes: int) -> list[AccessUnit]:
    units: list[AccessUnit] = []
    offset: int | None = found.start
    offsets = []
    while offset is not None:
        offsets.append(offset)
        batch = files.read(found, offset, most_bytes)
        units += batch.units
        offset = batch.offset
    assert all(before < after for before, after in pairwise(offsets))
    return units


def _summed(body: bytes) -> bytes:
    """The same with the checksums that its lengths ask for."""
    data = bytearray(body)
    if len(data) < HEAD_BYTES:
        return body
    at = HEAD_BYTES + int.from_bytes(data[HEAD_BYTES - 2 * CRC : HEAD_BYTES - CRC], "little")
    data[HEAD_BYTES - CRC : HEAD_BYTES] = zlib.crc32(data[HEAD_BYTES:at]).to_bytes(CRC, "little")
    while at + RECORD_BYTES <= len(data):
        size = int.from_bytes(data[at + CRC : at + 2 * CRC], "little")
        end = at + RECORD_BYTES + size
        if not 0 < size <= MAX_UNIT_BYTES or end > len(data):
            break
        data[at : at + CRC] = zlib.crc32(data[at + CRC : end]).to_bytes(CRC, "little")
        at = end
    return bytes(data)


def _seeds() -> Iterable[bytes]:
    import msgspec

    run = Run(VideoTrack.h264(clip(b_frames=0).parameter_sets), AudioTrack.opus(1), "abcd")
    head = encode_header(Header.of(run, 0, 1_000))
    units = [unit(0, size=40), sound(0), unit(1, size=1), unit(2, size=900)]
    body = head + b"".join(part for each in units for part in encode_record(each))
    assert parse_records(body[len(head) :]).units == units
    notes = msgspec.json.encode(Notes([], {"boot-1": 17}))
    yield framed([notes, body])
    yield framed([b"{}", body[:-7]])
    yield framed([b"", head])
    yield framed([notes, body + bytes(50)])


TARGETS = {"spool": Target(segment, _seeds)}
