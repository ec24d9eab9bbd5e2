"""The camera's own disk: filled by a stranger, and too small for an outage."""

import itertools
import time
from pathlib import Path

import pytest

from faults.chain import Chain, assert_whole, wait_until
from faults.disk import filled, small_disk
from faults.network import network
from ucam.capture.spool.units import FULL

pytestmark = pytest.mark.interop


def test_a_disk_that_a_stranger_fills(tmp_path: Path) -> None:
    """Told; memory goes on, and so does the disk when there is room again. Nothing is lost."""
    with (
        small_disk(tmp_path / "spool", 4) as disk,
        network() as net,
        Chain(tmp_path, net) as chain,
    ):
        chain.record()
        chain.storage.kill()
        wait_until("it spools", chain.camera.segments)
        with filled(disk):
            wait_until("it is told", lambda: "No space left" in chain.camera.tail())
            time.sleep(3)
        wait_until("it spools again", lambda: "is in use again" in chain.camera.tail())
        chain.camera.kill()  # what was in memory alone is on the disk as well by now
        chain.camera.start()
        chain.storage.start()
        stored = chain.settle()
        assert_whole(stored)
        assert {picture.run for picture in stored} == set(chain.camera.runs())
        assert {gap.reason for gap in chain.gaps()} <= {"the camera was started"}


def test_an_outage_that_is_too_long_for_the_spool(tmp_path: Path) -> None:
    """The oldest goes, whole groups of pictures; storage knows where and why."""
    spool = 'memory = "500kB"\n maxspace = "500kB"'
    with network() as net, Chain(tmp_path, net, spool=spool) as chain:
        chain.record()
        time.sleep(3)
        chain.storage.kill()
        notes = chain.camera.folder / "notes.json"
        wait_until("it gives up the oldest", lambda: notes.exists() and FULL in notes.read_text())
        time.sleep(3)
        used = sum(path.stat().st_blocks * 512 for path in chain.camera.folder.iterdir())
        assert used <= 500_000
        chain.storage.start()
        stored = chain.settle()
        (hole,) = [
            (before, after)
            for before, after in itertools.pairwise(stored)
            if after.number != before.number + 1
        ]
        before, after = hole
        for part in (stored[: stored.index(after)], stored[stored.index(after) :]):
            # Each side of the hole is whole by itself.
            first = part[0]
            assert first.counter is not None
            assert_whole(
                [
                    item._replace(
                        number=item.number - first.number,
                        counter=None if item.counter is None else item.counter - first.counter,
                    )
                    for item in part
                ]
            )
            assert first.counter == first.number
        (gap,) = chain.gaps()
        assert gap.reason == FULL
        assert 0 < gap.from_us - before.utc_us < 200_000
        assert abs(gap.to_us - after.utc_us) < 100  # files count 90,000 a second
