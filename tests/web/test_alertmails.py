"""Alerts as their readers get them: a room, a real mail server, time that is made up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.smtp import Box, smtp_server
from ucam.base.jid import JID
from ucam.protocol.messages import Status
from ucam.web import alertmails, alerts
from ucam.web.alertmails import LOOK_S, AlertMails
from ucam.web.config import WebConfig
from ucam.web.health import Presence
from ucam.web.lease import LEASE_S
from ucam.web.mail import Mailer, MailServer
from ucam.web.state_sqlite import SqliteState
from ucam.web.webhooks import Settings, Webhooks
from web.helpers import ANN, BOB, DISK, TILL, TOML, YARD, load_config, running

ALERTS = TOML.replace(
    "[locations.home]", '[alerts]\nemails = ["ann@example.com"]\nafter = "1m"\n[locations.home]'
)
WELL = {"recording": "stored", "storage": "connected", "clock-offset": 0.0, "message": None}


class World:
    """Devices that come and go while somebody looks every five seconds."""

    def __init__(self, state: SqliteState, mailer: Mailer, config: WebConfig, box: Box) -> None:
        self.here = {
            JID(YARD): Presence("Back yard", WELL),
            JID(TILL): Presence("Till", WELL),
            JID(DISK): Presence("disk", {"message": None}),
        }
        self.state, self.mailer, self.box = state, mailer, box
        self.now_s = 1_800_000_000.0
        self.alerts = self.process(config)

    def process(self, config: WebConfig) -> AlertMails:
        hooks = Webhooks(Settings(config.alerts))
        return AlertMails(self.state, self.mailer, hooks, lambda: self.here, config)

    async def go(self, seconds: float, *processes: AlertMails) -> list[str]:
        """Let time pass; subjects of the mails that came."""
        before = len(self.box.mails)
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += LOOK_S
            for process in processes or (self.alerts,):
                await process.look(self.now_s)
        async with asyncio.timeout(20):
            while self.mailer.waiting:
                await asyncio.sleep(0.01)
        return [str(mail["Subject"]) for mail in self.box.mails[before:]]


@asynccontextmanager
async def world(folder: Path, text: str = ALERTS) -> AsyncIterator[World]:
    box = Box()
    async with smtp_server(box) as port:
        config = load_config(folder, text=text)
        mailer = Mailer(MailServer(f"smtp://127.0.0.1:{port}", None))
        sending = asyncio.ensure_future(mailer.run())
        state = SqliteState(config.http.data_dir)
        try:
            yield World(state, mailer, config, box)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await state.close()


async def test_a_camera_goes_and_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        assert await here.go(600) == []
        away = here.here.pop(JID(TILL))
        assert await here.go(120) == ["ucam: Till (The shop) is offline"]
        (mail,) = here.box.mails
        assert mail["To"] == ANN
        body = mail.get_body(("plain",))
        assert body is not None
        assert "08:10. It is not connected: look at its power" in body.get_content()
        assert await here.go(24 * 3600) == []
        here.here[JID(TILL)] = away
        assert await here.go(600) == ["ucam: Till (The shop) is connected again"]


async def test_each_trouble_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.go(60)
        for change, subject in (
            ({"recording": "nothing", "message": "No picture."}, "Till (The shop) records nothing"),
            (
                {"recording": "spooled", "storage": "away"},
                "Till (The shop) can't reach its storage",
            ),
            ({"clock-offset": 99.0}, "Till (The shop) has a wrong clock"),
        ):
            here.here[JID(TILL)] = Presence("Till", {**WELL, **change})
            assert await here.go(120) == [f"ucam: {subject}"]
            here.here[JID(TILL)] = Presence("Till", WELL)
            assert len(await here.go(3600)) == 1
        here.here[JID(DISK)] = Presence("disk", {"message": "The disk is full."})
        assert await here.go(120) == ["ucam: disk (The shop) has trouble with its disk"]


async def test_a_power_cut_is_one_mail_and_a_flapping_line_no_flood(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        all_of_them = dict(here.here)
        here.here.clear()
        assert await here.go(300) == ["ucam: 3 things want a look"]
        here.here.update(all_of_them)
        assert await here.go(300) == ["ucam: 3 things are well again"]
        mails = 0
        for _ in range(60):  # twelve hours of a bad line
            here.here.pop(JID(TILL))
            mails += len(await here.go(360))
            here.here.update(all_of_them)
            mails += len(await here.go(360))
        assert mails <= 6 * 13


async def test_a_restart_tells_nothing_again_and_still_tells_the_end(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        till = here.here.pop(JID(TILL))
        assert len(await here.go(300)) == 1
        config = load_config(tmp_path, text=ALERTS)
        again = here.process(config)
        await again.remember_told(here.now_s)
        here.now_s += LEASE_S
        assert await here.go(3600, again) == []
        here.here[JID(TILL)] = till
        assert await here.go(600, again) == ["ucam: Till (The shop) is connected again"]


async def test_of_two_processes_one_writes_and_the_other_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        other = here.process(load_config(tmp_path, text=ALERTS))
        till = here.here.pop(JID(TILL))
        assert len(await here.go(300, here.alerts, other)) == 1
        here.here[JID(TILL)] = till
        here.now_s += LEASE_S  # the first one dies
        assert len(await here.go(600, other)) == 1


async def test_a_reload_changes_who_is_told_and_drops_what_is_gone(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.here.clear()
        await here.go(300)
        text = ALERTS.replace('\nemails = ["ann@', '\nemails = ["bob@').replace(
            'devices = ["yard@home.loc"]', ""
        )
        here.alerts.change_config(load_config(tmp_path, text=text))
        here.here.update({JID(TILL): Presence("Till", WELL), JID(DISK): Presence("disk", {})})
        assert await here.go(600) == ["ucam: 2 things are well again"]
        assert here.box.mails[-1]["To"] == BOB


async def test_without_addresses_nothing_is_sent(tmp_path: Path) -> None:
    async with world(tmp_path, TOML) as here:
        here.here.clear()
        assert await here.go(3600) == []


async def test_the_whole_way_from_the_room_to_the_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alertmails, "LOOK_S", 0.05)
    monkeypatch.setattr(alerts, "GATHER_S", 0.1)
    monkeypatch.setattr(alerts, "SETTLE_S", 0.1)
    text = ALERTS.replace('after = "1m"', 'after = "100ms"').replace("yard@home.loc", "")
    text = text.replace('devices = [""]', "").replace('storage = "disk@shop.loc"', "")
    box = Box()
    async with smtp_server(box) as port:
        text = text.replace('outbox = "outbox"', f'url = "smtp://127.0.0.1:{port}"')
        async with running(tmp_path, text) as web:
            token = web.device_token(TILL)

            async def heard(subject: str) -> None:
                async with asyncio.timeout(30):
                    while subject not in [mail["Subject"] for mail in box.mails]:
                        await asyncio.sleep(0.02)

            await heard("ucam: till (The shop) is offline")
            async with web.room(token, "name=Till") as till:
                await heard("ucam: Till (The shop) is connected again")
                await till.say(Status(fields={"recording": "nothing", "message": "No picture."}))
                await heard("ucam: Till (The shop) records nothing")
            await heard("ucam: Till (The shop) is offline")
