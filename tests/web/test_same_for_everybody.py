"""`/auth` tells nobody whether an address may log in: not by its answer, nor by how long it takes,
nor by how long the next answer takes; whatever the mail server does meanwhile.
"""

import asyncio
import contextlib
import math
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from support.smtp import Box, smtp_server
from ucam.web import login
from ucam.web.state import Limit
from web.helpers import ANN, TOML, Running, running

ADDRESSES = 2000
MEMORY = "/dev/shm"
# So many standard errors from one half happen to nobody by chance; a difference of 6 % in time,
# where times vary by a third, is seen.
MOST_ERRORS = 4


@asynccontextmanager
async def web_with_mail_server(
    folder: Path, port: int, people: list[str]
) -> AsyncIterator[Running]:
    names = "".join(f'"{name}", ' for name in people)
    text = TOML.replace('allowed-emails = ["ann@', f'allowed-emails = [{names}"ann@')
    text = text.replace('outbox = "outbox"', f'url = "smtp://127.0.0.1:{port}"')
    async with running(folder, text) as web:
        yield web


def faster(these: list[float], those: list[float]) -> float:
    """In what part of all pairs one of `these` is less than one of `those` (the area under the
    curve, by ranks): it knows no scale, so a machine that stalls now and then disturbs it little.
    """
    ranked = sorted([(t, 0) for t in these] + [(t, 1) for t in those])
    rank_sum, position = 0.0, 0
    while position < len(ranked):
        end = position
        while end < len(ranked) and ranked[end][0] == ranked[position][0]:
            end += 1
        mean_rank = (position + 1 + end) / 2
        rank_sum += mean_rank * sum(1 for _, group in ranked[position:end] if group == 0)
        position = end
    u = rank_sum - len(these) * (len(these) + 1) / 2
    return 1 - u / (len(these) * len(those))


def by_chance(these: list[float], those: list[float]) -> float:
    """The standard error of `faster` where there is no difference (Mann and Whitney's U)."""
    return math.sqrt((len(these) + len(those) + 1) / (12 * len(these) * len(those)))


async def timed(http: httpx.AsyncClient, *ask: str, **more: Any) -> tuple[float, httpx.Response]:
    """How long an answer takes, s. On a machine that stalls for seconds the server may give a
    connection up just when it is used again: then once more, on a new one."""
    while True:
        began_s = time.perf_counter()
        try:
            answer = await http.request(*ask, **more)
        except httpx.TransportError:
            continue
        return time.perf_counter() - began_s, answer


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: 4,000 links are synced to the disk, one by one."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


async def test_known_and_unknown_addresses_cannot_be_told_apart_by_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every known address gets its mail: the limits would spare us the work that might show.
    no_limit = Limit("none", 10 * ADDRESSES, 900)
    monkeypatch.setattr(login, "LIMITS", login.Limits(*[no_limit] * 5))
    monkeypatch.setattr(login, "MAX_WAITING_REQUESTS", 2 * ADDRESSES)
    monkeypatch.setattr("ucam.web.mail.MAX_WAITING_MAILS", ADDRESSES)
    # Names of one length: a longer request takes longer, and says nothing that wasn't asked.
    known = [f"k{number:05}@example.com" for number in range(ADDRESSES)]
    unknown = [f"u{number:05}@example.com" for number in range(ADDRESSES)]
    asked = [(address, True) for address in known] + [(address, False) for address in unknown]
    chance = random.Random(1)
    chance.shuffle(asked)
    first: dict[bool, list[float]] = {True: [], False: []}
    second: dict[bool, list[float]] = {True: [], False: []}
    box = Box()
    async with smtp_server(box) as port, web_with_mail_server(folder, port, known) as web:
        for number, (address, is_known) in enumerate(asked):
            took_s, answer = await timed(web.http, "POST", "/auth", json={"email": address})
            first[is_known].append(took_s)
            assert answer.status_code == 202
            if number % 4:
                continue
            # What the first one set going might slow this one down.
            second[is_known].append((await timed(web.http, "GET", "/healthz"))[0])
        async with asyncio.timeout(300):
            while len({str(mail["To"]) for mail in box.mails}) < ADDRESSES:
                await asyncio.sleep(0.05)
    assert {str(mail["To"]) for mail in box.mails} == set(known)
    for name, times in (("answer", first), ("next answer", second)):
        part, error = faster(times[True], times[False]), by_chance(times[True], times[False])
        medians = [statistics.median(times[group]) * 1e6 for group in (True, False)]
        print(
            f"\n{name}: known faster than unknown in {part:.4f} of all pairs "
            f"(0.5 ± {error:.4f} by chance), medians {medians[0]:.0f} and {medians[1]:.0f} µs"
        )
        assert abs(part - 0.5) < MOST_ERRORS * error, name


def test_the_statistic_sees_what_there_is_to_see() -> None:
    chance = random.Random(2)
    base = [chance.lognormvariate(0, 0.3) for _ in range(ADDRESSES)]
    same = [chance.lognormvariate(0, 0.3) for _ in range(ADDRESSES)]
    slower = [chance.lognormvariate(0, 0.3) * 1.06 for _ in range(ADDRESSES)]
    most = MOST_ERRORS * by_chance(base, same)
    assert abs(faster(base, same) - 0.5) < most
    assert faster(base, slower) - 0.5 > most
    assert faster([1, 1], [1, 1]) == 0.5
    assert faster([1, 2], [3, 4]) == 1


async def test_a_mail_server_that_is_down_changes_nothing(tmp_path: Path) -> None:
    """Away, silent, slow, lying or refusing: the answer is the same, at once."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for letter in b"220 mail.example.com ESMTP" * 100:
            writer.write(bytes((letter,)))
            await asyncio.sleep(0.5)

    async def lying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All is well, and nothing of it is true."""
        writer.write(b"220 mail\r\n")
        while line := await reader.readline():
            data = line.upper().startswith(b"DATA")
            writer.write(b"354 go on\r\n" if data else b"250 OK\r\n")
        writer.close()

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 not for you\r\n")
        await reader.read()
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        ports = {"away": 1}
        for behave in (silent, slow, lying, refusing):
            server = await asyncio.start_server(behave, "127.0.0.1", 0)
            stack.callback(server.close)
            ports[behave.__name__] = server.sockets[0].getsockname()[1]
        for name, port in ports.items():
            folder = tmp_path / name
            folder.mkdir()
            async with web_with_mail_server(folder, port, []) as web:
                # One after the other: were any to wait for a mail, this would take minutes.
                async with asyncio.timeout(30):
                    answers = [await ask(web.http, n) for n in range(100)]
                assert set(answers) == {(202, b'{"status":"sent"}')}


async def ask(http: httpx.AsyncClient, number: int) -> tuple[int, bytes]:
    address = ANN if number % 2 else f"eve{number}@example.com"
    answer = await http.post("/auth", json={"email": address})
    return answer.status_code, answer.content
