"""Reading back the files that `fmp4` writes, also those a power cut has shortened."""

from dataclasses import dataclass
from typing import NamedTuple

from ucam.media.fmp4 import RunMark
from ucam.media.track import Track


class Fragment(NamedTuple):
    """One whole fragment of a file. `offset`, `size`: bytes, from its prft to its mdat's end.

    `pts_90k`: its smallest presentation time. `samples`: how many access units.
    """

    offset: int
    size: int
    dts_90k: int
    duration_90k: int
    pts_90k: int
    keyframe: bool
    samples: int


@dataclass(frozen=True, slots=True)
class ChunkScan:
    """What a file holds. `init_length`: bytes of ftyp and moov (they start the file).

    `valid_length`: where to cut it: the end of the last whole fragment (of the init segment and
    the index box behind it, when there is no fragment). `index`: offset and size of the place
    reserved for the sidx (free, or sidx and free), None if there is none.
    `indexed`: a sidx stands there.
    """

    track: Track
    run: RunMark | None
    init_length: int
    index: tuple[int, int] | None
    indexed: bool
    fragments: tuple[Fragment, ...]
    valid_length: int


def scan(
    data: bytes | memoryview,
    *,
    max_fragments: int = 100_000,
    max_moov: int = 1 << 20,
    max_samples: int = 10_000,
) -> ChunkScan:
    """Read a file (a `memoryview` of an mmap will do: only heads are touched, and the samples of
    the last fragment). A cut or garbled tail is left out. Raises `ContainerError` when there is
    no whole init segment, or it is not one of ours.
    """
    raise NotImplementedError
