"""Nothing is lost: the network cut, the storage killed, the camera killed, in one chain of real
programs. How often and how long: UCAM_FAULTS_KILLS, UCAM_FAULTS_CUTS (seconds, with commas).
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.chain import Chain, Stored, assert_whole, wait_until
from faults.counts import count
from faults.network import network
from ucam.capture.spool import files

pytestmark = pytest.mark.interop
KILLS = count("KILLS", 2)
CUTS_S = [float(each) for each in os.environ.get("UCAM_FAULTS_CUTS", "1,5").split(",")]
# When it kills is random, and the same again with the seed that a failure shows.
SEED = count("SEED", random.randrange(1 << 30))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A camera (not started) and its storage, with a network of their own. Its memory holds a few
    seconds: what is older comes from the disk.
    """
    with network() as net, Chain(tmp_path, net, spool='memory = "300kB"') as made:
        yield made


@pytest.fixture
def chance() -> random.Random:
    print(f"UCAM_FAULTS_SEED={SEED}")
    return random.Random(SEED)


def seconds(stored: list[Stored]) -> float:
    return (stored[-1].utc_us - stored[0].utc_us) / 1e6


def capture(chain: Chain) -> None:
    """Start the camera, and wait for its next run."""
    runs = len(chain.camera.runs())
    chain.camera.start()
    wait_until("it captures", lambda: len(chain.camera.runs()) > runs)


def written_s(chain: Chain) -> float:
    """When the spool's files were written last, as a Unix time."""
    return max((path.stat().st_mtime for path in chain.camera.segments()), default=0.0)


def on_disk(chain: Chain) -> dict[str, int]:
    """The newest picture of each run that stands in the spool's files."""
    found, _, _ = files.recover(chain.camera.folder)
    last: dict[str, int] = {}
    for segment in found:
        offset: int | None = segment.start
        while offset is not None:
            batch = files.read(segment, offset, 1 << 20)
            offset = batch.offset
            numbers = [unit.number for unit in batch.units if not unit.audio]
            last[segment.run.id] = max([last.get(segment.run.id, -1), *numbers])
    return last


@pytest.mark.parametrize("cut_s", CUTS_S)
def test_a_network_that_is_cut(chain: Chain, cut_s: float) -> None:
    chain.record()
    time.sleep(2)
    with chain.network.cut(chain.port):
        time.sleep(cut_s)
    stored = chain.settle(60 + cut_s)
    assert_whole(stored)
    assert len(chain.camera.runs()) == 1
    assert seconds(stored) > cut_s + 4
    assert not chain.gaps()


def test_a_storage_that_is_killed(chain: Chain, chance: random.Random) -> None:
    chain.record()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 5))
        chain.storage.kill()
        time.sleep(chance.choice((0, 0, chance.uniform(1, 4))))
        chain.storage.start()
    stored = chain.settle()
    assert_whole(stored)
    assert len(chain.camera.runs()) == 1
    assert not chain.gaps()


def test_a_camera_that_is_killed_while_storage_is_away(chain: Chain, chance: random.Random) -> None:
    """What stood on the disk is delivered, in its own runs, before what is new."""
    spooled: dict[str, int] = {}
    lost_s: list[float] = []
    for _ in range(KILLS):
        # Half of them never see storage, half are in the midst of sending when the cable is cut.
        early = chance.random() < 0.5
        if early:
            capture(chain)
            time.sleep(chance.uniform(0, 3))
        with chain.network.cut(chain.port):
            if not early:
                capture(chain)
            # A second later: files from before it found storage don't count.
            later_s = time.time() + 1
            wait_until("it is being written", lambda: written_s(chain) > later_s)  # noqa: B023
            time.sleep(2 + chance.uniform(0, 3))
            killed_us = time.time_ns() // 1000
            chain.camera.kill()
        kept = on_disk(chain)
        assert chain.camera.runs()[-1] in kept
        spooled |= kept
        newest = files.last_us(files.recover(chain.camera.folder)[0][-1])
        assert newest is not None
        lost_s.append((killed_us - newest) / 1e6)
        time.sleep(1)  # what is shorter than half a second is told as no gap
    chain.camera.start()
    stored = chain.settle()
    assert_whole(stored)
    last = {picture.run: picture.number for picture in stored}
    assert {run: last.get(run) for run in spooled} == spooled
    print(f"lost of each: {', '.join(f'{each:.2f} s' for each in lost_s)}")
    # The last second, and what a busy machine adds to that.
    assert max(lost_s) < 4
    assert {gap.reason for gap in chain.gaps()} == {"the camera was started"}


def test_a_camera_that_is_killed_while_it_sends(chain: Chain, chance: random.Random) -> None:
    for _ in range(KILLS):
        capture(chain)
        time.sleep(chance.uniform(1, 5))
        chain.camera.kill()
    chain.camera.start()
    time.sleep(6)
    chain.stop()
    stored = chain.stored()
    assert_whole(stored)
    assert set(chain.camera.runs()) >= {picture.run for picture in stored}
    assert len({picture.run for picture in stored}) == KILLS + 1


def test_both_are_stopped_and_started(chain: Chain) -> None:
    """In good order, the camera while storage is down: what is left goes to the disk."""
    chain.record()
    time.sleep(2)
    chain.storage.stop()
    time.sleep(1)
    chain.camera.stop()
    kept = on_disk(chain)
    chain.camera.start()
    chain.storage.start()
    stored = chain.settle()
    assert_whole(stored)
    last = {picture.run: picture.number for picture in stored}
    assert {run: last.get(run) for run in kept} == kept
    assert len(last) == 2
