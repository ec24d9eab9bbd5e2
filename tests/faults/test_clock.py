"""Clocks that are wrong: a Raspberry Pi that starts in 1970, steps by hours while it records."""

import itertools
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from faults.chain import FRAME_US, Chain, Stored, wait_until
from faults.counts import long
from faults.network import network

pytestmark = pytest.mark.interop
LIBRARY = "/usr/$LIB/faketime/libfaketimeMT.so.1"
FOUND = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class FalseClock:
    """What the camera's system clock says; its monotonic clock is left alone."""

    def __init__(self, folder: Path) -> None:
        if not FOUND:
            pytest.skip("libfaketime is not installed")
        self._file = folder / "faketime"
        self.environment = {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def in_zone(self, name: str) -> None:
        """The machine's time zone."""
        self.environment["TZ"] = name

    def off_by(self, seconds: float) -> None:
        """From now on it is so many seconds ahead (or behind, below 0)."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}s\n")
        new.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> FalseClock:
    return FalseClock(tmp_path)


@pytest.fixture
def chain(tmp_path: Path, clock: FalseClock) -> Iterator[Chain]:
    with network() as net, Chain(tmp_path, net, environment=clock.environment) as made:
        yield made


def by_run(stored: list[Stored]) -> list[list[Stored]]:
    return [list(items) for _, items in itertools.groupby(stored, key=lambda item: item.run)]


def assert_spaced(pictures: list[Stored]) -> None:
    """In order, and as far apart as they were captured."""
    for before, after in itertools.pairwise(pictures):
        assert (after.number, after.counter) == (before.number + 1, (before.counter or 0) + 1)
        assert 0 < after.utc_us - before.utc_us < 1.5 * FRAME_US, (before, after)


def test_a_camera_that_starts_in_1970(chain: Chain, clock: FalseClock) -> None:
    """It spools, sends nothing, and what it captured then has its right time in the end."""
    clock.off_by(5 - time.time())
    began_us = time.time_ns() // 1000
    chain.camera.start()
    wait_until("it captures", chain.camera.runs)
    time.sleep(4)
    assert chain.camera.segments()
    assert not list(chain.storage.root.rglob("*.part"))
    chain.camera.kill()  # nor does it need to live until then
    chain.camera.start()
    wait_until("it captures again", lambda: len(chain.camera.runs()) == 2)
    time.sleep(3)
    assert not list(chain.storage.root.rglob("*.part"))
    set_us = time.time_ns() // 1000
    clock.off_by(0)
    stored = chain.settle()
    first, second, third = by_run(stored)
    # Each run that came before the clock was set has times of before it was set.
    assert began_us < first[0].utc_us
    assert len(first) * FRAME_US > 3e6
    assert second[0].utc_us < set_us
    # The third run goes on where the second ended, without a hole and without an overlap.
    assert 0 < third[0].utc_us - second[-1].utc_us < 1.5 * FRAME_US
    for pictures in (first, second, third):
        assert_spaced(pictures)
    assert all(before.utc_us < after.utc_us for before, after in itertools.pairwise(stored))


@pytest.mark.parametrize("step_s", [7200, -7200])
def test_a_clock_that_steps_moves_neither_order_nor_spacing(
    chain: Chain, clock: FalseClock, step_s: int
) -> None:
    clock.off_by(0)
    chain.camera.start()
    wait_until("it captures", chain.camera.runs)
    time.sleep(4)
    clock.off_by(step_s)
    wait_until("a new run", lambda: len(chain.camera.runs()) == 2)
    time.sleep(4)
    chain.stop()
    first, second = sorted(
        by_run(chain.stored()), key=lambda run: chain.camera.runs().index(run[0].run)
    )
    assert_spaced(first)
    assert_spaced(second)
    # The step took three seconds to be believed; nothing is missing between the two.
    distance_s = (second[0].utc_us - first[-1].utc_us) / 1e6
    assert abs(distance_s - step_s) < 1
    (gap,) = chain.gaps()
    if step_s > 0:
        assert gap.reason == "the system's clock was set"
    else:
        assert gap.to_us < gap.from_us
        assert gap.reason == "the camera's clock went back"


@long
@pytest.mark.parametrize("hour", ["2027-03-28T01:00:00+00:00", "2027-10-31T01:00:00+00:00"])
def test_the_hour_in_which_summer_begins_or_ends(
    chain: Chain, clock: FalseClock, hour: str
) -> None:
    """Where people set their clocks, recordings go on in UTC: no gap, no hour twice."""
    changes_s = datetime.fromisoformat(hour).timestamp()
    zone = ZoneInfo("Europe/Lisbon")
    offsets = [datetime.fromtimestamp(changes_s + s, zone).utcoffset() for s in (-1, 1)]
    assert offsets[0] != offsets[1]
    clock.in_zone("Europe/Lisbon")
    clock.off_by(changes_s - 8 - time.time())
    chain.record()
    time.sleep(10)
    chain.stop()
    stored = chain.stored()
    assert len(by_run(stored)) == 1
    assert_spaced(stored)
    assert stored[0].utc_us < changes_s * 1e6 < stored[-1].utc_us
    assert not chain.gaps()
