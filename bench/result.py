"""What a benchmark gives: measured values with their spread, or the reason why there are none."""

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

OURS = "ucam"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure: `runs` of `seconds` each; `quick` leaves out the largest sizes."""

    quick: bool = False
    runs: int = 5
    seconds: float = 4.0

    @classmethod
    def short(cls) -> "Plan":
        """`make bench QUICK=1`."""
        return cls(quick=True, runs=2, seconds=4.0)

    def pick(self, *, full: T, quick: T) -> T:
        """One of two by length."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Result:
    """`name` is the same for everybody who was measured, `peer` says whom. `values`: one of each
    run, in `unit`. `at`: the place on the point's axis (streams, viewers, chunks), if it has one.
    """

    name: str
    peer: str
    unit: str
    values: tuple[float, ...]
    at: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ValueError(f"{self.name} of {self.peer}: no value, or one that is no number")

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and most."""
        return min(self.values), max(self.values)

    @property
    def n(self) -> int:
        """How often it was measured."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be measured on this machine, and why, as a sentence."""

    what: str
    why: str


Row = Result | Missing


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of the results called `name`: over `at` as lines (`axis` names it), or as bars."""

    name: str
    title: str
    kind: Literal["lines", "bars"] = "lines"
    axis: str = ""
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """One question: `about` says how it is answered and how the peers were configured."""

    name: str
    title: str
    about: str
    measure: Callable[[Plan], Iterator[Row]]
    plots: tuple[Plot, ...] = ()


def ours(result: Result, results: list[Result]) -> Result | None:
    """ucam's own at the same place, of a peer's; None: it is ucam's, or there is none."""
    if result.peer == OURS:
        return None
    wanted = (result.name, result.at, OURS)
    return next((own for own in results if (own.name, own.at, own.peer) == wanted), None)


def ratio(result: Result, results: list[Result]) -> float | None:
    """How many times ucam's median this one is; None where there is nothing to divide by."""
    own = ours(result, results)
    return result.median / own.median if own is not None and own.median else None


def figure(value: float) -> str:
    """Three digits that mean something, with a comma in thousands."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
