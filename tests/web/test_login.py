import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest

from ucam.web.audit import AuditLog
from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from ucam.web.login import LIMITS, MAX_WAITING_REQUESTS, Limits, Logins
from ucam.web.mail import Mailer, Outbox
from ucam.web.sessions import LinkError, Sessions
from ucam.web.state import Limit
from ucam.web.state_sqlite import SqliteState
from web.helpers import ANN, BOB, link_in, load_config

HOME = "192.0.2.0/24"


class Kept(Outbox):
    """Keeps mails in a list."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def send(self, mail: EmailMessage) -> None:
        self.mails.append(mail)


@asynccontextmanager
async def logins(
    folder: Path, limits: Limits = LIMITS
) -> AsyncIterator[tuple[Logins, Kept, Sessions]]:
    config = load_config(folder)
    state = SqliteState(config.http.data_dir)
    sessions = Sessions(state, Issuer(KeyStore(config.http.data_dir, 0), config))
    kept = Kept()
    mailer = Mailer(kept)
    audit = AuditLog(config.http.data_dir, config.audit)
    logins = Logins(state, sessions, mailer, audit, config, limits=limits)
    tasks = [asyncio.ensure_future(mailer.run()), asyncio.ensure_future(logins.run())]
    try:
        yield logins, kept, sessions
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await state.close()


async def mails_after_all(logins: Logins, kept: Kept, *asked: str | tuple[str, str]) -> list[str]:
    """Who got mails, once every address was worked off (Bob's mail comes last)."""
    for one in (*asked, (BOB, "last")):
        await logins.take(*(one if isinstance(one, tuple) else (one, HOME)))
    async with asyncio.timeout(20):
        while not any(mail["To"] == BOB for mail in kept.mails):
            await asyncio.sleep(0.01)
    return [str(mail["To"]) for mail in kept.mails]


async def test_only_allowed_addresses_get_mails(tmp_path: Path) -> None:
    async with logins(tmp_path) as (requests, kept, _):
        to = await mails_after_all(requests, kept, "eve@example.com", " Ann@Example.com ")
    assert to == [ANN, BOB]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x" * 5000,
        "ann@example.com\nBcc: eve@example.com",
        "ann@example.com\r\n\r\nhello",
        "ann@example.com,eve@example.com",
        '"ann@example.com" <eve@example.com>',
        "ann@example.com\x00",
        "ann@example.com/tab",
        "ännchen@example.com",
    ],
)
async def test_what_is_no_address_gets_nothing(tmp_path: Path, address: str) -> None:
    async with logins(tmp_path) as (requests, kept, _):
        assert await mails_after_all(requests, kept, address) == [BOB]


async def test_three_mails_an_address(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with logins(tmp_path) as (requests, kept, sessions):
        assert await mails_after_all(requests, kept, *[ANN] * 5) == [ANN, ANN, ANN, BOB]
        import time

        for mail in kept.mails:  # each link of them works
            await sessions.redeem_link(link_in(mail.as_bytes()), time.time())
    assert caplog.text.count(f"no mail for {ANN}") == 2


async def test_a_network_has_a_limit_of_its_own(tmp_path: Path) -> None:
    limits = LIMITS._replace(network=Limit("n", 3, 900))
    strangers = [(f"p{number}@example.com", HOME) for number in range(3)]
    async with logins(tmp_path, limits) as (requests, kept, _):
        assert await mails_after_all(requests, kept, *strangers, (ANN, HOME)) == [BOB]
        kept.mails.clear()
        assert await mails_after_all(requests, kept, (ANN, "198.51.100.0/24")) == [ANN, BOB]


async def test_strangers_dont_use_up_the_mails_of_others(tmp_path: Path) -> None:
    limits = LIMITS._replace(decoys=Limit("d", 2, 900), mails=Limit("m", 2, 900))
    strangers = [(f"p{number}@example.com", f"net {number}") for number in range(9)]
    async with logins(tmp_path, limits) as (requests, kept, _):
        assert await mails_after_all(requests, kept, *strangers, ANN) == [ANN, BOB]


async def test_no_more_mails_than_so_many_in_all(tmp_path: Path) -> None:
    limits = LIMITS._replace(mails=Limit("m", 2, 900))
    async with logins(tmp_path, limits) as (requests, kept, _):
        await requests.take(ANN, HOME)
        await mails_after_all(requests, kept)
        kept.mails.clear()
        for _ in range(3):
            await requests.take(ANN, HOME)
        async with asyncio.timeout(20):
            while not requests.idle:
                await asyncio.sleep(0.01)
        assert kept.mails == []


async def test_a_strangers_link_would_open_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same is done for every address, also for those that may not log in."""
    written: list[EmailMessage] = []
    async with logins(tmp_path) as (requests, kept, sessions):
        real = requests._write

        async def write(*arguments: object) -> EmailMessage:
            written.append(await real(*arguments))  # type: ignore[arg-type]
            return written[-1]

        monkeypatch.setattr(requests, "_write", write)
        await mails_after_all(requests, kept, "eve@example.com")
        assert [str(mail["To"]) for mail in written] == ["eve@example.com", BOB]
        import time

        with pytest.raises(LinkError):
            await sessions.redeem_link(link_in(written[0].as_bytes()), time.time())


async def test_a_flood_of_requests_is_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with logins(tmp_path) as (requests, _, _):
        for _ in range(MAX_WAITING_REQUESTS + 7):
            await requests.take("eve@example.com", HOME)
        async with asyncio.timeout(20):
            while not requests.idle:
                await asyncio.sleep(0.01)
    assert caplog.text.count("7 were dropped") == 1
