"""Bits that flip on the disk, in chunks, in what is open, in the index and beside it: a start comes
up, keeps what is whole, and names what isn't. UCAM_FAULTS_FLIPS: how many stores are spoilt.
"""

import random
import shutil
from pathlib import Path

import pytest

from faults.counts import count
from faults.life import born
from storage.helpers import PLACE, opened
from storage.test_fsck import configured
from ucam.storage.fsck import look
from ucam.storage.recovery import set_aside_if_damaged

pytestmark = pytest.mark.matrix
FLIPS = count("FLIPS", 40)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten closed chunks and an open one."""
    while True:
        root = tmp_path_factory.mktemp("begun") / "chunks"
        life = born(root, 0)
        life.wait_for(10 * 50 + 30)
        life.kill()
        if list(root.rglob("*.part")):  # not just between two
            return root.parent


def spoil(path: Path, chance: random.Random) -> None:
    """One to fifty bits, near each other: a bad sector, not a bad disk."""
    data = bytearray(path.read_bytes())
    place = chance.randrange(len(data))
    for _ in range(chance.randint(1, 50)):
        at = min(len(data) - 1, place + chance.randrange(512))
        data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def test_flipped_bits(begun: Path, tmp_path: Path) -> None:
    chance = random.Random(count("SEED", 1))
    for number in range(FLIPS):
        folder = tmp_path / str(number)
        shutil.copytree(begun, folder)
        root = folder / "chunks"
        wanted = sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size)
        kind = ("*.mp4", "*.part", "index.sqlite", "chain")[number % 4]
        victim = chance.choice([path for path in wanted if path.match(kind)])
        spoil(victim, chance)
        untouched = {path.name: path.read_bytes() for path in wanted if path.match("*.mp4")}
        untouched.pop(victim.name, None)
        set_aside_if_damaged(root)  # as the service does before it opens
        with opened(root) as store:
            names = {path.name for path in store.files()}
            assert set(untouched) <= names, victim
        for name, data in untouched.items():
            (path,) = root.rglob(name)
            assert path.read_bytes() == data
        # It can be looked at, whatever it finds.
        look(configured(root, "1GB"))
        with opened(root) as store:
            store.record(50, start_us=1_900_000_000_000_000)
            assert store.index.call(lambda database: database.durable(PLACE)) is not None
        shutil.rmtree(folder)
