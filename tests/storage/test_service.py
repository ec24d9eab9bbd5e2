import asyncio
from pathlib import Path

import pytest

from storage.helpers import ISSUER, Tokens, opened
from ucam.base import config
from ucam.base.service import Fault, Stop
from ucam.storage import service
from ucam.storage.config import StorageConfig
from ucam.storage.layout import CHAIN_GONE
from ucam.storage.service import alone_in, serve


def written(folder: Path, tokens: Tokens, **keys: str) -> StorageConfig:
    lines = "\n".join(f'{name.replace("_", "-")} = "{value}"' for name, value in keys.items())
    path = folder / "storage.toml"
    path.write_text(f"""
        [device]
        jid = "storage@studio.loc"
        location = "studio"
        [web]
        keys-file = "{tokens.keys_file}"
        issuer = "{ISSUER}"
        [rtsps]
        listen = "127.0.0.1:0"
        [http]
        listen = "127.0.0.1:0"
        [storage]
        path = "{folder}/a/b/chunks"
        reserve = "1MB"
        {lines}
    """)
    return config.load(path, StorageConfig)


class Running:
    def __init__(self, folder: Path, settings: StorageConfig) -> None:
        self.stop = Stop()
        self.stop.config_path = folder / "storage.toml"
        self._task = asyncio.create_task(serve(settings, self.stop))

    async def __aenter__(self) -> "Running":
        async with asyncio.timeout(10):
            while not self.stop._on_reload:  # the last thing before it waits
                assert not self._task.done()
                await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        async with asyncio.timeout(5):
            await self._task


async def test_it_starts_in_an_empty_place_and_stops(tmp_path: Path, tokens: Tokens) -> None:
    async with Running(tmp_path, written(tmp_path, tokens)):
        assert (tmp_path / "a/b/chunks/index.sqlite").exists()
        assert (tmp_path / "a/b/rtsps-cert.pem").exists()
    assert not (tmp_path / "a/b/chunks/index.sqlite-wal").exists()


async def test_a_reload_with_less_space_makes_room(
    tmp_path: Path, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CHAINS_S", 0.05)
    settings = written(tmp_path, tokens)
    root = settings.storage.path
    root.mkdir(parents=True)
    with opened(root) as store:
        store.record(500, size=4000)
    before = len(list(root.rglob("*.mp4")))
    async with Running(tmp_path, settings) as running:
        written(tmp_path, tokens, maxspace="2MB")
        running.stop.reload()
        async with asyncio.timeout(5):
            while len(list(root.rglob("*.mp4"))) == before:
                await asyncio.sleep(0.01)
            # And says, in a file that survives the index, what it has taken.
            while not list(root.rglob(CHAIN_GONE)):
                await asyncio.sleep(0.01)
        (tmp_path / "storage.toml").write_text("[storage]\nnonsense = 1\n")
        running.stop.reload()  # says so, and goes on
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) <= 2_000_000


async def test_what_can_not_work_is_told_at_the_start(tmp_path: Path, tokens: Tokens) -> None:
    settings = written(tmp_path, tokens)
    with alone_in(settings.storage.path), pytest.raises(Fault, match="in use by another"):
        await serve(settings, Stop())
    (settings.storage.path / "film.avi").write_bytes(bytes(3_000_000))
    with pytest.raises(Fault, match="maxspace"):
        await serve(written(tmp_path, tokens, maxspace="2MB"), Stop())
