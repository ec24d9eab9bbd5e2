"""The spool against a storage that counts: whatever breaks when, nothing is missing, and what
storage has is never followed by anything but what comes next.
"""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from capture.samples import sound, unit
from capture.spool.test_spool import COST, SIZE, Away, newest_on_disk, run, settled, spooling
from ucam.capture.run import Run
from ucam.capture.spool import Spool
from ucam.capture.spool import spool as spool_module

STEPS = 120


@dataclass
class Storage:
    """Takes what follows, drops what it has, and complains about everything else."""

    last: dict[str, int] = field(default_factory=dict)
    now: str = ""
    durable: tuple[str, int] | None = None

    def take(self, name: str, number: int) -> None:
        if name != self.now:
            assert name not in self.last, f"{name} comes back after {self.now}"
            assert number == 0, f"{name} begins with {number}"
            self.now = name
            self.last[name] = -1
        assert number <= self.last[name] + 1, f"{name}: {number} after {self.last[name]}"
        self.last[name] = max(self.last[name], number)

    def sync(self, chance: random.Random) -> None:
        """Some of what was taken becomes durable."""
        if not self.last:
            return
        stored = 0
        if self.durable is not None and self.durable[0] == self.now:
            stored = self.durable[1]
        if self.last[self.now] >= 0:
            self.durable = self.now, chance.randint(stored, max(stored, self.last[self.now]))


@dataclass
class World:
    """One camera's life, with all that happens to it."""

    folder: Path
    chance: random.Random
    storage: Storage = field(default_factory=Storage)
    away: Away = field(default_factory=Away)
    must: dict[str, int] = field(default_factory=dict)  # what has to be in storage at the end
    lives: int = 0

    async def live(self) -> None:
        """From the start of a process to its death."""
        self.lives += 1
        runs = 0
        name, number = self._new_run(runs), 0
        async with spooling(self.folder, self.away, memory=20 * COST) as spool:
            spool.rewind()
            for _ in range(self.chance.randint(STEPS // 4, STEPS)):
                match self.chance.choice(
                    ("grow", "grow", "grow", "send", "send", "confirm", "cut")
                ):
                    case "grow":
                        for _ in range(self.chance.randint(1, 6)):
                            spool.append(name, unit(number, size=SIZE))
                            spool.append(name, sound(number))
                            number += 1
                        # The memory is small: what storage doesn't take has to be on the disk.
                        self.away.now = True
                        await settled(lambda: newest_on_disk(spool) == number - 1)  # noqa: B023
                    case "send":
                        await self._send(spool, self.chance.randint(1, 40))
                    case "confirm":
                        self.storage.sync(self.chance)
                        self._ask(spool)
                        self.away.now = self.chance.random() < 0.5
                    case "cut":
                        self._ask(spool)
                        spool.rewind()
                        if self.chance.random() < 0.3:
                            runs += 1
                            self._note(name, number)
                            name, number = self._new_run(runs), 0
            self._note(name, number)

    async def end(self) -> None:
        """A last life in which all is well."""
        async with spooling(self.folder, self.away, memory=20 * COST) as spool:
            self.away.now = False
            async with asyncio.timeout(20):
                while spool.unconfirmed:
                    self._ask(spool)
                    spool.rewind()
                    await self._send(spool, 10_000)
                    self.storage.durable = self.storage.now, self.storage.last[self.storage.now]
                    await asyncio.sleep(0)
            self._ask(spool)
            await settled(lambda: not list((self.folder / "spool").glob("*.seg")))

    def _new_run(self, number: int) -> Run:
        return run(f"{self.lives}.{number}")

    def _note(self, name: Run, number: int) -> None:
        if number:
            self.must[name.id] = number - 1

    def _ask(self, spool: Spool) -> None:
        if self.storage.durable is not None:
            spool.confirm(*self.storage.durable, 0)

    async def _send(self, spool: Spool, most: int) -> None:
        for _ in range(most):
            if (item := await spool.poll()) is None:
                return
            if self.storage.now not in ("", item.run.id):
                # Another run is another session: storage ends the last one first, and is asked.
                durable = self.storage.now, self.storage.last[self.storage.now]
                if self.storage.durable != durable:
                    self.storage.durable = durable
                    self._ask(spool)
                    spool.rewind()
                    continue
            spool.take()
            if not item.unit.audio:
                self.storage.take(item.run.id, item.unit.number)


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_breaks_nothing_is_missing(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "WRITE_S", 0.001)
    world = World(tmp_path, random.Random(seed))
    for _ in range(3):
        await world.live()
    await world.end()
    assert world.storage.last == world.must
    assert list(world.storage.last) == list(world.must)
