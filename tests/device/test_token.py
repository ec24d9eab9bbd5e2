import asyncio
import contextlib
import errno
import json
import os
import time
from pathlib import Path

import pytest

from device.helpers import Asked, speaking, tiny_web, unsigned_token
from faults.disk import filled, small_disk
from ucam.device import http
from ucam.device import token as token_module
from ucam.device.http import WebRefused, WebUnavailable, request
from ucam.device.token import TokenFileError, TokenStore, read_life


def answer_with(token: str) -> bytes:
    return json.dumps({"token": token}).encode()


def test_life_is_read_without_a_key() -> None:
    life = read_life(unsigned_token(1000, 3000))
    assert (life.subject, life.locations, life.half_s) == ("cam001@studio.loc", ("studio",), 2000)


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", "eyJh.bm90IGpzb24.c2ln", "a.W10.c"])
def test_what_is_no_token_is_told_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(TokenFileError, match="ucam token"):
        TokenStore(path, "http://localhost")


def test_a_missing_file_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="nowhere"):
        TokenStore(tmp_path / "nowhere", "http://localhost")


async def test_at_half_life_the_successor_is_written_before_it_is_used(tmp_path: Path) -> None:
    now = time.time()
    old, new = unsigned_token(now - 100, now + 50), unsigned_token(now, now + 1000)
    path = tmp_path / "token"
    path.write_text(old)

    def answer(asked: Asked) -> tuple[int, bytes]:
        assert path.read_text().strip() == old
        return 200, json.dumps({"token": new, "expires": "x"}).encode()

    async with tiny_web(answer) as web:
        store = TokenStore(path, web.url)
        task = asyncio.create_task(store.run())
        while store.token == old:
            assert not task.done()
            await asyncio.sleep(0.01)
        task.cancel()
    assert web.asked == [Asked("POST", "/auth", f"Bearer {old}")]
    assert path.read_text() == new + "\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", WebRefused),
        (200, b"<html>", WebUnavailable),
        (200, b'{"token": "x"}', WebUnavailable),
        (200, answer_with(unsigned_token(0, 10, "cam002@studio.loc")), WebUnavailable),
        (200, answer_with(unsigned_token(0, 10**30)), WebUnavailable),
        (200, answer_with("e30\r\nX: y." + unsigned_token(0, 10).split(".", 1)[1]), WebUnavailable),
        (200, answer_with(unsigned_token(0, 10) + "A" * 5000), WebUnavailable),
        (200, b"x" * 2_000_000, WebUnavailable),
    ],
)
async def test_a_refusal_keeps_the_old_token(
    tmp_path: Path, status: int, body: bytes, error: type[Exception]
) -> None:
    path = tmp_path / "token"
    path.write_text(unsigned_token(0, 10))
    async with tiny_web(lambda _: (status, body)) as web:
        store = TokenStore(path, web.url)
        with pytest.raises(error):
            await store.recycle()
    assert store.token == path.read_text() == unsigned_token(0, 10)


async def test_no_redirect_carries_the_token_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(unsigned_token(0, 10))
    async with tiny_web(lambda _: (302, b"")) as web:
        with pytest.raises(WebRefused):
            await TokenStore(path, web.url).recycle()
    assert len(web.asked) == 1


async def test_what_speaks_no_http_is_told_as_such() -> None:
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as other:
        with pytest.raises(WebUnavailable, match="no HTTP"):
            await request(f"{other.url}/healthz")


async def test_a_body_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_BODY_S", 0.1)
    async with speaking(b"HTTP/1.1 200 OK\r\n\r\n", drip=b"x") as other:
        with pytest.raises(WebUnavailable, match="didn't come to an end"):
            await request(f"{other.url}/healthz")


async def test_a_clock_that_is_ahead_makes_no_storm_of_renewals(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(unsigned_token(0, 10))
    numbers = iter(range(10, 1000))
    async with tiny_web(lambda _: (200, answer_with(unsigned_token(0, next(numbers))))) as web:
        store = TokenStore(path, web.url)
        task = asyncio.create_task(store.run())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(web.asked) == 1


async def test_a_token_of_seconds_is_renewed_in_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    now_s = time.time()
    path.write_text(unsigned_token(now_s - 2, now_s + 2))

    def answer(_: object) -> tuple[int, bytes]:
        return 200, answer_with(unsigned_token(time.time(), time.time() + 2))

    async with tiny_web(answer) as web:
        store = TokenStore(path, web.url)
        task = asyncio.create_task(store.run())
        async with asyncio.timeout(20):
            while len(web.asked) < 3:
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_full_disk_is_noticed_before_the_successor_is_asked_for(tmp_path: Path) -> None:
    """The same successor is given for ten seconds only, and asking later ends the session."""
    new = unsigned_token(1, 20)
    with small_disk(tmp_path / "small", 1) as disk:
        path = disk / "token"
        path.write_text(unsigned_token(0, 10))
        async with tiny_web(lambda _: (200, answer_with(new))) as web:
            store = TokenStore(path, web.url)
            with filled(disk), pytest.raises(OSError, match="No space left"):
                await store.recycle()
            assert web.asked == []
            assert store.token == path.read_text() == unsigned_token(0, 10)
            await store.recycle()
        assert store.token == new
        assert path.read_text() == new + "\n"
        assert [each.name for each in disk.iterdir()] == ["token"]


async def test_a_disk_that_fills_up_meanwhile_takes_the_successor_all_the_same(
    tmp_path: Path,
) -> None:
    new = unsigned_token(1, 20)
    with small_disk(tmp_path / "small", 1) as disk, contextlib.ExitStack() as stack:
        path = disk / "token"
        path.write_text(unsigned_token(0, 10))

        def answer(_: Asked) -> tuple[int, bytes]:
            stack.enter_context(filled(disk))
            return 200, answer_with(new)

        async with tiny_web(answer) as web:
            await TokenStore(path, web.url).recycle()
        assert path.read_text() == new + "\n"


async def test_a_successor_that_could_not_be_written_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = unsigned_token(1, 20)
    path = tmp_path / "token"
    path.write_text(unsigned_token(0, 10))

    def broken(_path: Path, _token: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with tiny_web(lambda _: (200, answer_with(new))) as web:
        store = TokenStore(path, web.url)
        with monkeypatch.context() as patched:
            patched.setattr(token_module, "_replace", broken)
            with pytest.raises(OSError, match="Input/output"):
                await store.recycle()
        assert store.token == unsigned_token(0, 10)
        await store.recycle()
    assert len(web.asked) == 1
    assert (store.token, path.read_text()) == (new, new + "\n")


async def test_a_device_that_was_moved_gets_its_new_token_at_once(tmp_path: Path) -> None:
    path, now_s = tmp_path / "token", int(time.time())
    path.write_text(unsigned_token(now_s, now_s + 1000))
    moved = unsigned_token(now_s, now_s + 1000, location="shop")
    async with tiny_web(lambda _: (200, answer_with(moved))) as web:
        store = TokenStore(path, web.url)
        running = asyncio.ensure_future(store.run())
        store.belongs_to(("studio",))
        await asyncio.sleep(0)
        assert web.asked == []
        store.belongs_to(("shop",))
        async with asyncio.timeout(20):
            while store.life.locations != ("shop",):
                await asyncio.sleep(0.01)
        running.cancel()
    assert path.read_text().strip() == moved
    assert len(web.asked) == 1
