"""What the index keeps, as values. Times and durations are in microseconds, UTC since 1970."""

from dataclasses import dataclass

from ucam.storage.layout import Place

Packed = bytes  # the name `bytes` is a column's in `Chunk`


@dataclass(frozen=True, slots=True)
class Durable:
    """The last access unit of a device that survives a power cut."""

    run: str
    number: int
    utc_us: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A closed chunk. `id` is its start in µs; `activity` coded KiB per 10 s, u16 big-endian."""

    id: int
    place: Place
    duration_us: int
    bytes: int
    codecs: str
    width: int
    height: int
    run: str
    first_number: int
    last_number: int
    activity: Packed = b""

    @property
    def end_us(self) -> int:
        """Where it ends, µs since 1970."""
        return self.id + self.duration_us


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without recordings, µs since 1970; `to_us` < `from_us`: the clock went back."""

    from_us: int
    to_us: int
    reason: str


@dataclass(slots=True)
class Totals:
    """What is kept of one device."""

    chunks: int = 0
    bytes: int = 0
    duration_us: int = 0
    blocks: int = 0  # bytes on the disk, in whole blocks


@dataclass(frozen=True, slots=True)
class Camera:
    """One device's recordings, summed up; times in µs since 1970."""

    place: Place
    first_us: int
    end_us: int
    totals: Totals
