"""What the room bears: sockets, messages, and everybody coming back at once.

Server and clients share the machine; the clients are a process of their own (this one).
"""

import asyncio
import contextlib
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cost import cpu_seconds, memory_mb
from bench.result import OURS, Plan, Plot, Point, Result, Row
from support.crowd import Guest, World, text, until_all_know_each_other
from support.redis import redis_server
from support.site import Process, free_port
from ucam.web.server import raise_file_limit

warnings.filterwarnings("ignore", message="EdDSA is deprecated")
MEMORY, SOCKETS_GB = "memory a socket", "sockets a GB"
DELAY, LATE, CPU = "message, sent to heard", "the same, 99 of 100", "CPU a thousand messages"
MOST = "messages a second, at most"
BACK, KNOWN, STORM_CPU = "storm: all back", "storm: all know all", "storm: CPU"
TWO = "ucam, two processes (Redis)"
MESSAGES_PER_S = 200
# What the flood keeps under way: more would measure the queue.
UNDER_WAY = 64
# 16 businesses' worth of locations in one room.
MANY = World(places=16, people_each=63, cameras_each=4)
FEW = World(places=16, people_each=12, cameras_each=4)


@dataclass
class Web:
    """`ucam web`, one process or several, and everybody's tokens."""

    running: list[Process]
    ports: list[int]
    tokens: dict[str, str]

    def cpu_s(self) -> float:
        """User plus system time of all of them."""
        return sum(cpu_seconds(process.pid) for process in self.running)


@contextlib.contextmanager
def processes(folder: Path, world: World, count: int, redis_url: str = "sqlite") -> Iterator[Web]:
    """So many `ucam web` for one room."""
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
        yield Web(started, ports, tokens)
    finally:
        for process in started:
            process.end()


def measure(plan: Plan) -> Iterator[Row]:
    """Sockets and messages with one process; the storm with one and with two."""
    raise_file_limit()
    world = plan.pick(full=MANY, quick=FEW)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with processes(folder / "sockets", world, 1) as web:
            yield from asyncio.run(_sockets(web, plan))
        with processes(folder / "one", world, 1) as web:
            yield from _storms(OURS, web, plan)
        with (
            redis_server(folder) as redis,
            processes(folder / "two", world, 2, redis.url) as web,
        ):
            yield from _storms(TWO, web, plan)


async def _come(web: Web, guests: list[Guest]) -> None:
    for group in range(0, len(guests), 100):
        await asyncio.gather(
            *(
                guest.come(web.ports[number % len(web.ports)])
                for number, guest in enumerate(guests[group : group + 100])
            )
        )


async def _sockets(web: Web, plan: Plan) -> list[Row]:
    process = web.running[0]
    people = [jid for jid in web.tokens if "@people" in jid]
    first = [Guest(jid, web.tokens[jid], "resource=warm") for jid in people[:50]]
    await _come(web, first)
    for guest in first:
        guest.leave()
    await asyncio.sleep(3)
    before_mb = memory_mb(process.pid)
    guests = [Guest(j, web.tokens[j], f"resource=tab{tab}") for tab in range(2) for j in people]
    await _come(web, guests)
    await until_all_know_each_other(guests)
    await asyncio.sleep(3)
    each_kb = (memory_mb(process.pid) - before_mb) * 1000 / len(guests)
    rows: list[Row] = [
        Result(MEMORY, OURS, "KB", (each_kb,), note=f"{len(guests)} sockets"),
        Result(SOCKETS_GB, OURS, "sockets", (1e6 / each_kb,)),
    ]
    paced = [await _paced(web, guests, plan.seconds) for _ in range(plan.runs)]
    note = f"{MESSAGES_PER_S} a second among {len(guests)} sockets"
    rows.append(Result(DELAY, OURS, "ms", tuple(one.middle_ms for one in paced), note=note))
    rows.append(Result(LATE, OURS, "ms", tuple(one.late_ms for one in paced)))
    rows.append(Result(CPU, OURS, "ms", tuple(one.cpu_ms for one in paced)))
    floods = [await _flood(guests, plan.seconds) for _ in range(plan.runs)]
    note = f"{UNDER_WAY} under way; the clients take CPU from the server"
    rows.append(Result(MOST, OURS, "a second", tuple(floods), note=note))
    for guest in guests:
        guest.leave()
    return rows


@dataclass(frozen=True, slots=True)
class Paced:
    """Delays of messages, and the server's CPU for a thousand of them."""

    middle_ms: float
    late_ms: float
    cpu_ms: float


async def _paced(web: Web, guests: list[Guest], seconds: float) -> Paced:
    """Each to one other: the second tab of the next person hears."""
    sent: dict[str, float] = {}
    delays_ms: list[float] = []

    def note(heard: bytes) -> None:
        if (sent_s := sent.pop(_key(heard), None)) is not None:
            delays_ms.append((time.perf_counter() - sent_s) * 1000)

    half = len(guests) // 2
    for guest in guests[half:]:
        guest.on_text = note
    before_s, began_s = web.cpu_s(), time.perf_counter()
    total = int(MESSAGES_PER_S * seconds)
    for number in range(total):
        speaker, hearer = guests[number % half], guests[half + number % half]
        message = text(type="Chat", text=f"n{number}", to=hearer.full)
        sent[f"n{number}"] = time.perf_counter()
        speaker.say(message)
        await asyncio.sleep(max(0, began_s + (number + 1) / MESSAGES_PER_S - time.perf_counter()))
    async with asyncio.timeout(30):
        while len(delays_ms) < total:
            await asyncio.sleep(0.05)
    cpu_ms = 1e6 * (web.cpu_s() - before_s) / total
    delays_ms.sort()
    return Paced(delays_ms[total // 2], delays_ms[int(total * 0.99)], cpu_ms)


async def _flood(guests: list[Guest], seconds: float) -> float:
    """As many messages as go through, a bounded number under way; each speaker keeps its rate."""
    half = len(guests) // 2
    room = asyncio.Semaphore(UNDER_WAY)
    heard = 0

    def note(message: bytes) -> None:
        nonlocal heard
        if _key(message):
            heard += 1
            room.release()

    for guest in guests[half:]:
        guest.on_text = note
    began_s, number = time.perf_counter(), 0
    while (passed_s := time.perf_counter() - began_s) < seconds:
        await room.acquire()
        speaker, hearer = guests[number % half], guests[half + number % half]
        speaker.say(text(type="Chat", text=f"n{number}", to=hearer.full))
        number += 1
    return heard / passed_s


def _key(heard: bytes) -> str:
    """The text of one of our messages, "" of another."""
    at = heard.find(b'"text":"n')
    return heard[at + 8 : heard.index(b'"', at + 8)].decode() if at >= 0 else ""


def _storms(who: str, web: Web, plan: Plan) -> Iterator[Row]:
    found = [asyncio.run(_storm(web)) for _ in range(plan.runs)]
    people = len(web.tokens)
    yield Result(BACK, who, "s", tuple(f[0] for f in found), note=f"{people} sockets cut at once")
    yield Result(KNOWN, who, "s", tuple(f[1] for f in found))
    yield Result(STORM_CPU, who, "s", tuple(f[2] for f in found), note="of all its processes")


async def _storm(web: Web) -> tuple[float, float, float]:
    """Everybody is in, is cut off at once, and comes back at once: all in, all told, CPU (s)."""
    guests = [Guest(jid, token, "resource=r") for jid, token in web.tokens.items()]
    await _come(web, guests)
    for guest in guests:
        guest.leave()
    await asyncio.gather(*(guest.closed.wait() for guest in guests))
    before_s = web.cpu_s()
    again = [Guest(jid, token, "resource=r") for jid, token in web.tokens.items()]
    began_s = time.perf_counter()
    ports = web.ports
    await asyncio.gather(*(g.come(ports[n % len(ports)]) for n, g in enumerate(again)))
    back_s = time.perf_counter() - began_s
    await until_all_know_each_other(again)
    known_s = time.perf_counter() - began_s
    spent_s = web.cpu_s() - before_s
    if leaks := sum(len(guest.leaks) for guest in (*guests, *again)):
        raise SystemExit(f"{leaks} messages of other locations were heard")
    for guest in again:
        guest.leave()
    return back_s, known_s, spent_s


POINT = Point(
    "signaling",
    "Signaling",
    """The WebSocket room of `ucam web`, 16 locations in one room, each person seeing one; server
    and clients share this machine. Memory is what sockets add to the process (PSS), with
    everything that a member of a location costs. The storm: every socket is cut at once, and
    everybody comes back at once, with the roster of each location sent to each. No peer is
    measured: the others' signaling is one HTTP request a viewer, which is another thing.""",
    measure,
    (Plot(KNOWN, "Reconnect storm: until everybody knows everybody again", "bars"),),
)
