"""Everybody comes back at once, to one process and to two: all get in, nobody hears of another
place. How fast, `make bench` tells."""

import asyncio
from pathlib import Path

import pytest

from support.crowd import Guest, World, until_all_know_each_other
from support.redis import redis_server
from support.site import Process, free_port

WORLD = World(places=4, people_each=50, cameras_each=4)
PATIENCE_S = 120.0


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_storm(tmp_path: Path, processes: int) -> None:
    with redis_server(tmp_path) as redis:
        ports = [free_port() for _ in range(processes)]
        configs = []
        for number, port in enumerate(ports):
            home = tmp_path / f"web{number}"
            home.mkdir()
            config = home / "web.toml"
            state = redis.url if processes > 1 else "sqlite"
            config.write_text(WORLD.config(port, ports[0], home / "data", state))
            configs.append(config)
        tokens = await WORLD.tokens(configs[0])
        running = [
            Process(config.parent.name, config.parent, "web", "--config", str(config))
            for config in configs
        ]
        try:
            for process in running:
                process.start()
            guests = [Guest(jid, token, "resource=r") for jid, token in tokens.items()]
            async with asyncio.timeout(PATIENCE_S):
                await _come(guests, ports)
                await until_all_know_each_other(guests)
                for guest in guests:
                    guest.leave()
                again = [Guest(jid, token, "resource=r") for jid, token in tokens.items()]
                await _come(again, ports[::-1])
                await until_all_know_each_other(again)
            assert [leak for guest in (*guests, *again) for leak in guest.leaks] == []
            for guest in again:
                guest.leave()
        finally:
            statuses = [process.end() for process in running]
        assert statuses == [0] * processes


async def _come(guests: list[Guest], ports: list[int]) -> None:
    await asyncio.gather(*(g.come(ports[n % len(ports)]) for n, g in enumerate(guests)))
