import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ucam.base.times import format_utc
from ucam.base.units import Duration, Size
from ucam.web.audit import MAX_FILE_BYTES, MAX_WAITING_ENTRIES, AuditLog, Entry, Files, Query
from ucam.web.config import Audit

LIMITS = Audit()
ALWAYS = Query(from_us=0, to_us=4_000_000_000_000_000)


@asynccontextmanager
async def writing(folder: Path, limits: Audit = LIMITS) -> AsyncIterator[AuditLog]:
    log = AuditLog(folder, limits)
    task = asyncio.ensure_future(log.run())
    try:
        yield log
    finally:
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def lines(folder: Path) -> list[dict[str, object]]:
    files = sorted((folder / "audit").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


async def read(log: AuditLog, *places: str, everything: bool = False) -> list[str | None]:
    return [e.who for e in await log.read(ALWAYS, frozenset(places), everything=everything)]


async def test_entries_are_lines_that_only_the_owner_reads(tmp_path: Path) -> None:
    async with writing(tmp_path) as log:
        log.note("login", who="ann@example.com", network="192.0.2.1", locations=("home",))
        log.note("watch", who="ann@example.com", object="till@shop.loc", detail="x" * 9999)
    first, second = lines(tmp_path)
    assert first.pop("time")
    assert first == {
        "what": "login",
        "who": "ann@example.com",
        "network": "192.0.2.1",
        "locations": ["home"],
    }
    assert len(str(second["detail"])) == 300
    (file,) = (tmp_path / "audit").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


async def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, LIMITS)
    task = asyncio.ensure_future(log.run())
    await asyncio.sleep(0)
    for number in range(100):
        log.note("login", who=str(number))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [entry["who"] for entry in lines(tmp_path)] == [str(number) for number in range(100)]


async def test_who_sees_a_location_reads_what_concerns_it(tmp_path: Path) -> None:
    async with writing(tmp_path) as log:
        log.note("login", who="ann", locations=("home", "shop"))
        log.note("login", who="bob", locations=("shop",))
        log.note("refused", who="eve")
    assert await read(log, "home") == ["ann"]
    assert await read(log, "shop") == ["bob", "ann"]  # newest first
    assert await read(log) == []
    assert await read(log, "home", "shop", everything=True) == ["eve", "bob", "ann"]


async def test_queries(tmp_path: Path) -> None:
    async with writing(tmp_path) as log:
        for who in ("ann", "bob", "ann"):
            log.note("login", who=who)
        log.note("logout", who="ann")
    everything = frozenset[str]()
    now_us = time.time_ns() // 1000
    for query, found in (
        (Query(from_us=0, to_us=now_us, who="ann"), 3),
        (Query(from_us=0, to_us=now_us, what="login"), 3),
        (Query(from_us=0, to_us=now_us, what="login", who="bob"), 1),
        (Query(from_us=0, to_us=now_us, most=2), 2),
        (Query(from_us=now_us, to_us=now_us + 10**12), 0),
        (Query(from_us=0, to_us=1), 0),
    ):
        assert len(await log.read(query, everything, everything=True)) == found, query


def entry(at: datetime, who: str = "x") -> Entry:
    return Entry(time=format_utc(round(at.timestamp() * 1e6)), what="login", who=who)


def test_a_torn_line_costs_one_entry(tmp_path: Path) -> None:
    files = Files(tmp_path / "audit")
    now = datetime.now(UTC)
    files.append([entry(now, "a"), entry(now, "b")], LIMITS)
    (file,) = (tmp_path / "audit").iterdir()
    file.write_bytes(file.read_bytes()[:-5] + b"\n\xff\xfe\n{}\n[]\n")
    files.append([entry(now, "c")], LIMITS)
    assert [e.who for e in files.read(ALWAYS, frozenset(), True)] == ["c", "a"]


def test_old_files_go_and_full_ones_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    today = datetime.now(UTC)
    for days in (500, 400, 300, 2, 1):
        day = (today - timedelta(days=days)).strftime("%Y-%m-%d")
        (folder / f"{day}.jsonl").write_bytes(b"x" * 1000)
    files = Files(folder)
    files.append([entry(today)], Audit(keep=Duration(350 * 86400)))
    assert len(list(folder.iterdir())) == 4
    (folder / f"{today:%Y-%m-%d}.jsonl").write_bytes(b"\n" * MAX_FILE_BYTES)
    files.append([entry(today, "second file")], Audit(maxspace=Size(MAX_FILE_BYTES + 1500)))
    names = sorted(path.name for path in folder.iterdir())
    yesterday = (today - timedelta(days=1)).strftime("%Y-%m-%d")
    assert names == [f"{yesterday}.jsonl", f"{today:%Y-%m-%d}.1.jsonl", f"{today:%Y-%m-%d}.jsonl"]
    assert [e.who for e in files.read(ALWAYS, frozenset(), True)] == ["second file"]


async def test_a_disk_that_refuses_is_told_once_and_what_was_lost_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit").write_text("in the way")
    async with writing(tmp_path) as log:
        for number in range(3):
            log.note("login", who=str(number))
            async with asyncio.timeout(5):
                while log.lost <= number:
                    await asyncio.sleep(0.01)
        os.unlink(tmp_path / "audit")
        log.note("login", who="after")
    assert caplog.text.count("the audit log can't be written") == 1
    assert [(e["what"], e.get("detail"), e.get("who")) for e in lines(tmp_path)] == [
        ("lost", "3 entries", None),
        ("login", None, "after"),
    ]


async def test_a_flood_is_bounded(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, LIMITS)
    for _ in range(MAX_WAITING_ENTRIES + 7):
        log.note("login")
    assert log.lost == 7
