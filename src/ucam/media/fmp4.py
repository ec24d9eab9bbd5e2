"""Writing fragmented MP4 (ISO/IEC 14496-12), a whole fragment's head at once.

A chunk file: `init_segment` + `free_for_sidx` + (`fragment` + samples' data)…; when it is closed,
`sidx` is written over the free box. Times are UTC × 90000: give `DecodeTimes` the pts
`clock.ticks(utc_us)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ucam.media.track import Track


@dataclass(frozen=True, slots=True)
class RunMark:
    """Which run a file belongs to and the number of its first access unit."""

    run: str
    first_number: int


class Sample(NamedTuple):
    """One access unit in a fragment. `composition_90k` is pts − dts."""

    size: int
    duration_90k: int
    composition_90k: int
    keyframe: bool


class IndexEntry(NamedTuple):
    """One fragment in the sidx. `size`: prft, moof and mdat in bytes."""

    size: int
    duration_90k: int
    keyframe: bool


def init_segment(track: Track, run: RunMark | None = None) -> bytes:
    """`ftyp` and `moov`; the run mark in a `uuid` box at the moov's end."""
    raise NotImplementedError


def free_for_sidx(fragments: int) -> bytes:
    """A `free` box that a sidx of so many fragments fits into."""
    raise NotImplementedError


def sidx(entries: Sequence[IndexEntry], earliest_pts_90k: int, size: int) -> bytes:
    """A `sidx`, and a `free` box behind it, of exactly `size` bytes (the length of what
    `free_for_sidx` gave). More fragments than fit are joined, neighbours first.
    `earliest_pts_90k`: the smallest pts of the file. Raises `ContainerError`.
    """
    raise NotImplementedError


def fragment(
    sequence: int, samples: Sequence[Sample], base_dts_90k: int, capture_utc_us: int
) -> bytes:
    """`prft`, `moof` and the `mdat` header: everything of a fragment but its samples' data.

    `sequence`: 1, 2, … within the file. `base_dts_90k`: dts of the first sample, UTC × 90000
    (tfdt version 1). `capture_utc_us`: capture time of the first sample, for prft.
    Write it and the samples' data with one `writev`. Raises `ContainerError`.
    """
    raise NotImplementedError
