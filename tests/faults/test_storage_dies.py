"""Storage's disk part killed, and its power cut, at random: what was confirmed is there.

How often: UCAM_FAULTS_STORAGE_KILLS and UCAM_FAULTS_POWER_CUTS, UCAM_FAULTS_SEED.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.counts import count
from faults.life import Hoarding, Life, Unsynced, assert_kept, born
from faults.loop_disk import LoopDisk, loop_disk

pytestmark = pytest.mark.matrix
KILLS = count("STORAGE_KILLS", 20)
CUTS = count("POWER_CUTS", 20)
CUTS_IN_ROTATION = count("POWER_CUTS_IN_ROTATION", 10)
MAXSPACE = 12_000_000
# So small that each chunk takes the place of another.
TIGHT = 2_500_000


@pytest.fixture
def chance() -> random.Random:
    return random.Random(count("SEED", 1))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path) as made:
        yield made


def at_random(life: Life, chance: random.Random) -> None:
    """Some confirmations later, and then at any point of what it does."""
    life.wait_for(chance.randint(0, 60) * 25)
    life.idle(chance.uniform(0, 0.02))


def test_killed_at_random(tmp_path: Path, chance: random.Random) -> None:
    root, lives = tmp_path / "chunks", list[Life]()
    for number in range(KILLS):
        lives.append(life := born(root, number, maxspace=MAXSPACE))
        at_random(life, chance)
        life.kill()
        assert_kept(root, lives, MAXSPACE)
    assert sum(life.confirmed + 1 for life in lives) > 25 * KILLS


def test_this_would_see_what_was_confirmed_too_early(tmp_path: Path, chance: random.Random) -> None:
    """But for a kill between two chunks, when all of it is written."""
    with pytest.raises(AssertionError):  # noqa: PT012 - whichever of them sees it
        for number in range(5):
            root = tmp_path / f"{number}"
            life = born(root, 0, disk=Hoarding())
            life.wait_for(500)
            life.kill()
            assert_kept(root, [life])


def cut(disk: LoopDisk, life: Life, chance: random.Random) -> None:
    """Power off, and on again."""
    at_random(life, chance)
    # A sync that is on its way while the power goes may say that all is well: the ioctl isn't as
    # sudden as a cable.
    life.last_words()
    disk.cut()
    life.kill()
    disk.unmount()
    disk.mount()


def test_power_cut_at_random(disk: LoopDisk, chance: random.Random) -> None:
    root, lives = disk.path / "chunks", list[Life]()
    for number in range(CUTS):
        lives.append(life := born(root, number, maxspace=MAXSPACE))
        cut(disk, life, chance)
        assert_kept(root, lives, MAXSPACE)
    assert sum(life.confirmed + 1 for life in lives) > 25 * CUTS


def test_power_cut_in_rotation(disk: LoopDisk, chance: random.Random) -> None:
    """No file without a row, no row without a file, never more than maxspace."""
    root, lives = disk.path / "chunks", list[Life]()
    for number in range(CUTS_IN_ROTATION):
        lives.append(life := born(root, number, maxspace=TIGHT))
        life.wait_for(1200)  # by now each chunk takes the place of another
        cut(disk, life, chance)
        assert_kept(root, lives, TIGHT)


def test_without_syncs_power_cuts_lose_what_was_confirmed(
    disk: LoopDisk, chance: random.Random
) -> None:
    """The cut is a real one: this is what it does."""
    root = disk.path / "chunks"
    life = born(root, 0, disk=Unsynced())
    life.wait_for(500)
    disk.cut()
    life.kill()
    disk.unmount()
    disk.mount()
    with pytest.raises(AssertionError):
        assert_kept(root, [life])
