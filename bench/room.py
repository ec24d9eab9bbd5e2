"""What the room bears: sockets, messages, and everybody coming back at once.

Server and clients share the machine; the clients are a process of their own (this one).
"""

import asyncio
import contextlib
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from bench.cost import cpu_seconds, memory_mb
from support.crowd import Guest, World, text, until_all_know_each_other
from support.redis import redis_server
from support.site import Process, free_port
from ucam.web.server import raise_file_limit

warnings.filterwarnings("ignore", message="EdDSA is deprecated")
SOCKETS = 2000
MESSAGES_PER_S = 200
SECONDS = 15
# 16 businesses' worth of locations in one room, and the worst: all in one.
MANY = World(places=16, people_each=63, cameras_each=4)
ONE = World(places=1, people_each=1000, cameras_each=64)


@contextlib.contextmanager
def processes(
    folder: Path, world: World, count: int, redis_url: str = "sqlite"
) -> Iterator[tuple[list[Process], list[int], dict[str, str]]]:
    """So many `ucam web`, their ports, and everybody's tokens."""
    ports = [free_port() for _ in range(count)]
    started: list[Process] = []
    tokens: dict[str, str] = {}
    try:
        for number, port in enumerate(ports):
            home = folder / f"web{number}"
            home.mkdir(parents=True)
            config = home / "web.toml"
            config.write_text(world.config(port, ports[0], home / "data", redis_url))
            if not number:
                tokens = asyncio.run(world.tokens(config))
            process = Process(f"web{number}", home, "web", "--config", str(config))
            process.start()
            started.append(process)
        yield started, ports, tokens
    finally:
        for process in started:
            process.end()


async def _sockets(process: Process, port: int, tokens: dict[str, str]) -> None:
    people = [jid for jid in tokens if "@people" in jid][: SOCKETS // 2]
    first = [Guest(jid, tokens[jid], "resource=warm") for jid in people[:50]]
    await asyncio.gather(*(guest.come(port) for guest in first))
    for guest in first:
        guest.leave()
    await asyncio.sleep(3)
    before_mb = memory_mb(process.pid)
    guests = [Guest(j, tokens[j], f"resource=tab{tab}") for tab in range(2) for j in people]
    for group in range(0, len(guests), 100):
        await asyncio.gather(*(guest.come(port) for guest in guests[group : group + 100]))
    await until_all_know_each_other(guests)
    await asyncio.sleep(3)
    each_kb = (memory_mb(process.pid) - before_mb) * 1000 / len(guests)
    print(f"  {len(guests)} sockets: {each_kb:.1f} KB each", flush=True)
    delays_ms, cpu = await _messages(process, guests)
    print(
        f"  {MESSAGES_PER_S} messages a second among them, {SECONDS} s: "
        f"p50 {delays_ms[len(delays_ms) // 2]:.1f} ms, "
        f"p99 {delays_ms[int(len(delays_ms) * 0.99)]:.1f} ms, {cpu:.0f} % of a core",
        flush=True,
    )
    for guest in guests:
        guest.leave()


async def _messages(process: Process, guests: list[Guest]) -> tuple[list[float], float]:
    """Each to one other; delays from writing to reading, and the CPU that it took."""
    sent: dict[bytes, float] = {}
    delays_ms: list[float] = []

    def note(heard: bytes) -> None:
        at = heard.find(b'"text":"n')
        if at >= 0:
            key = heard[at + 8 : heard.index(b'"', at + 8)]
            if (sent_s := sent.pop(key, None)) is not None:
                delays_ms.append((time.perf_counter() - sent_s) * 1000)

    half = len(guests) // 2
    # The second tab of the same person hears; the sender hears itself too, first or last.
    for guest in guests[half:]:
        guest.on_text = note
    before_s, began_s = cpu_seconds(process.pid), time.perf_counter()
    total = MESSAGES_PER_S * SECONDS
    for number in range(total):
        speaker, hearer = guests[number % half], guests[half + number % half]
        key = f"n{number}".encode()
        message = text(type="Chat", text=key.decode(), to=hearer.full)
        sent[key] = time.perf_counter()
        speaker.say(message)
        await asyncio.sleep(max(0, began_s + (number + 1) / MESSAGES_PER_S - time.perf_counter()))
    took_s = time.perf_counter() - began_s
    async with asyncio.timeout(30):
        while len(delays_ms) < total:
            await asyncio.sleep(0.05)
    cpu = 100 * (cpu_seconds(process.pid) - before_s) / took_s
    return sorted(delays_ms), cpu


async def _storm(running: list[Process], ports: list[int], tokens: dict[str, str]) -> str:
    """Everybody is in, is cut off at once, and comes back at once."""
    guests = [Guest(jid, token, "resource=r") for jid, token in tokens.items()]
    for group in range(0, len(guests), 100):
        await asyncio.gather(
            *(g.come(ports[n % len(ports)]) for n, g in enumerate(guests[group : group + 100]))
        )
    for guest in guests:
        guest.leave()
    await asyncio.gather(*(guest.closed.wait() for guest in guests))
    before_s = [cpu_seconds(process.pid) for process in running]
    again = [Guest(jid, token, "resource=r") for jid, token in tokens.items()]
    began_s = time.perf_counter()
    await asyncio.gather(*(g.come(ports[n % len(ports)]) for n, g in enumerate(again)))
    back_s = time.perf_counter() - began_s
    await until_all_know_each_other(again)
    settled_s = time.perf_counter() - began_s
    spent = [cpu_seconds(p.pid) - b for p, b in zip(running, before_s, strict=True)]
    leaks = sum(len(guest.leaks) for guest in (*guests, *again))
    heard = sum(guest.heard for guest in again)
    refused = sum(guest.refused for guest in again)
    for guest in again:
        guest.leave()
    return (
        f"all {len(again)} back in {back_s:.1f} s, everybody knows everybody after "
        f"{settled_s:.1f} s; {heard} messages, {sum(spent):.1f} s of CPU, "
        f"{refused} times refused, "
        f"{leaks} heard of other locations"
    )


def main() -> None:
    """Measure and print."""
    raise_file_limit()
    print("\nThe room:", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with processes(folder / "sockets", MANY, 1) as (running, ports, tokens):
            asyncio.run(_sockets(running[0], ports[0], tokens))
        for words, world in (("16 locations", MANY), ("one location", ONE)):
            home = folder / words.replace(" ", "-")
            with processes(home / "one", world, 1) as (running, ports, tokens):
                print(f"  {words}: {asyncio.run(_storm(running, ports, tokens))}", flush=True)
            with (
                redis_server(home) as redis,
                processes(home / "two", world, 2, redis.url) as (running, ports, tokens),
            ):
                result = asyncio.run(_storm(running, ports, tokens))
                print(f"  {words}, two processes: {result}", flush=True)
