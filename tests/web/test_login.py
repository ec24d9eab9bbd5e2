import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest

from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from ucam.web.login import MAX_WAITING_REQUESTS, Logins
from ucam.web.mail import Mailer, Outbox
from ucam.web.sessions import Sessions
from ucam.web.state_sqlite import SqliteState
from web.helpers import ANN, BOB, link_in, load_config


class Kept(Outbox):
    """Keeps mails in a list."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def send(self, mail: EmailMessage) -> None:
        self.mails.append(mail)


@asynccontextmanager
async def logins(folder: Path) -> AsyncIterator[tuple[Logins, Kept, Sessions]]:
    config = load_config(folder)
    state = SqliteState(config.http.data_dir)
    sessions = Sessions(state, Issuer(KeyStore(config.http.data_dir, 0), config))
    kept = Kept()
    mailer = Mailer(kept)
    logins = Logins(state, sessions, mailer, config)
    tasks = [asyncio.ensure_future(mailer.run()), asyncio.ensure_future(logins.run())]
    try:
        yield logins, kept, sessions
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await state.close()


async def mails_after_all(logins: Logins, kept: Kept, *addresses: str) -> list[str]:
    """Who got mails, once every address was worked off (Bob's mail comes last)."""
    for address in (*addresses, BOB):
        await logins.request(address)
    async with asyncio.timeout(5):
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
    assert "too many" in caplog.text


async def test_a_flood_of_requests_is_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with logins(tmp_path) as (requests, _, _):
        for _ in range(MAX_WAITING_REQUESTS + 7):
            await requests.request("eve@example.com")
    assert caplog.text.count("dropped") == 7
