"""Two processes and a real Redis: one room, whichever process one came to."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from support.redis import PASSWORD, RedisServer, redis_server
from support.site import Process, free_port
from ucam.protocol.messages import (
    AnswerMedia,
    AnyMessage,
    Chat,
    Connect,
    Disconnect,
    EndMedia,
    Error,
    Message,
    OfferMedia,
    RequestMedia,
    Status,
    Welcome,
    decode,
)
from ucam.web.elsewhere import SILENT_S
from ucam.web.redis_link import close as close_redis
from ucam.web.redis_link import connect as connect_redis
from ucam.web.sessions import GRACE_S
from web.helpers import ANN, BOB, TILL, TOML, YARD, Visitor, link_in

CEM, DAN, ELI = "cem@example.com", "dan@example.com", "eli@example.com"
M = TypeVar("M", bound=Message)
# Generous: the machine may do much else.
PATIENCE_S = 30.0


class Site:
    """Processes `a` and `b`, each with a folder of its own, as on two machines."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.redis = redis
        self.outbox = folder / "outbox"
        ports = {name: free_port() for name in ("a", "b")}
        # People come to one address, behind which both stand.
        self.url = f"http://127.0.0.1:{ports['a']}"
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.configs: dict[str, Path] = {}
        self._tokens: dict[str, str] = {}
        self.processes: dict[str, Process] = {}
        for name, port in ports.items():
            home = folder / name
            home.mkdir()
            text = TOML.replace('outbox = "outbox"', f'outbox = "{self.outbox}"')
            text = text.replace(
                'public-url = "http://127.0.0.1:{port}"', f'public-url = "{self.url}"'
            )
            text = text.replace(
                '["ann@', '["cem@example.com", "dan@example.com", "eli@example.com", "ann@', 1
            )
            text = text.replace("{port}", str(port)) + f'[state]\nurl = "{redis.url}"\n'
            self.configs[name] = home / "web.toml"
            self.configs[name].write_text(text)
            config = str(self.configs[name])
            self.processes[name] = Process(f"web-{name}", home, "web", "--config", config)

    def command(self, name: str, *arguments: str) -> str:
        """What a `ucam` command of one of the machines prints."""
        import subprocess
        import sys

        config = ("--config", str(self.configs[name]))
        command = [sys.executable, "-m", "ucam.cli", *arguments, *config]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    async def post(self, name: str, bearer: str | None = None, **body: str) -> httpx.Response:
        """POST /auth at a process."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:
            json: Any = {"json": body} if body else {}
            return await http.post(f"{self.urls[name]}/auth", headers=headers, **json)

    async def link(self, name: str, address: str) -> str:
        """The token of a link that a process mails."""
        before = set(self.outbox.glob("*.eml"))
        assert (await self.post(name, email=address)).status_code == 202
        async with asyncio.timeout(PATIENCE_S):
            while not (new := set(self.outbox.glob("*.eml")) - before):
                await asyncio.sleep(0.02)
        return link_in(new.pop().read_bytes())

    async def token(self, address: str) -> str:
        """A person's JWT, the same each time: links by mail are few."""
        if address not in self._tokens:
            self._tokens[address] = await self.log_in(address)
        return self._tokens[address]

    async def log_in(self, address: str, by: str = "a", at: str = "b") -> str:
        """A JWT: the link asked for at one process, opened at the other."""
        answer = await self.post(at, token=await self.link(by, address))
        assert answer.status_code == 200
        return str(answer.json()["token"])

    @asynccontextmanager
    async def room(self, name: str, token: str, query: str = "") -> AsyncIterator[Visitor]:
        """Be in the room, at a process."""
        url = f"{self.urls[name].replace('http', 'ws', 1)}/ws?{query}"
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(url, additional_headers=headers, max_queue=None) as socket:
            visitor = Visitor(socket)
            visitor.welcome = await hear(visitor, Welcome)
            yield visitor


async def hear(
    visitor: Visitor, kind: type[M], fits: Callable[[M], bool] = lambda _message: True
) -> M:
    """The next message of a kind that fits; others are passed over."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = decode(await visitor.socket.recv(), 4 << 20)
            if isinstance(message, kind) and fits(message):
                return message


async def until_roster(visitor: Visitor, wanted: set[str], roster: set[str] | None = None) -> None:
    """Wait until a visitor knows exactly these others, by Welcome, Connect and Disconnect."""
    known = {peer.jid for peer in visitor.welcome.roster} if roster is None else set(roster)
    async with asyncio.timeout(PATIENCE_S):
        while known != wanted:
            match decode(await visitor.socket.recv(), 4 << 20):
                case Welcome() as welcome:
                    known = {peer.jid for peer in welcome.roster}
                case Connect() as came:
                    known.add(came.jid)
                case Disconnect() as gone:
                    known.discard(gone.jid)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def site(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), redis)
    for process in site.processes.values():
        process.start()
    yield site
    for process in site.processes.values():
        assert process.end() == 0
        assert PASSWORD not in process.tail()
        assert "a-pass%2F" not in process.tail()
        assert "Traceback" not in process.tail()


async def test_a_call_between_processes(site: Site) -> None:
    ann = await site.token(ANN)
    till = site.command("b", "token", TILL)
    async with site.room("a", till, "name=Till&resource=t") as device:
        await device.say(OfferMedia(sdp="v=0 ready"))
        await device.say(Status(fields={"recording": "stored"}))
        async with site.room("b", ann, "resource=one") as viewer:
            me = f"{ANN}/one"
            if not viewer.welcome.roster:  # its process hasn't heard of the device yet
                await hear(viewer, Connect, lambda m: m.jid == f"{TILL}/t")
            else:
                assert [p.jid for p in viewer.welcome.roster] == [f"{TILL}/t"]
            ready = await hear(viewer, OfferMedia)
            assert (ready.from_, ready.to, ready.sdp) == (f"{TILL}/t", None, "v=0 ready")
            came = await hear(device, Connect, lambda m: m.jid == me)
            assert (came.role, came.location) == ("user", "shop")

            await viewer.say(RequestMedia(to=TILL, call="c", kind="live", from_="eve@x.example"))
            asked = await hear(device, RequestMedia)
            assert (asked.from_, asked.to, asked.locations) == (me, f"{TILL}/t", ("shop",))
            await device.say(OfferMedia(to=me, call="c", sdp="v=0 offer"))
            offer = await hear(viewer, OfferMedia)
            assert (offer.from_, offer.call, offer.sdp) == (f"{TILL}/t", "c", "v=0 offer")
            await viewer.say(AnswerMedia(to=f"{TILL}/t", call="c", sdp="v=0 answer"))
            assert (await hear(device, AnswerMedia)).from_ == me
            await device.say(Status(fields={"recording": "spooled"}))
            assert (await hear(viewer, Status)).fields == {"recording": "spooled"}
            await viewer.say(EndMedia(to=f"{TILL}/t", call="c", reason="seen enough"))
            assert (await hear(device, EndMedia)).reason == "seen enough"
        assert (await hear(device, Disconnect)).jid == me


async def test_forbidden_and_absent_look_alike_over_processes(site: Site) -> None:
    bob = await site.token(BOB)
    async with (
        site.room("a", site.command("a", "token", YARD), "resource=y"),
        site.room("a", site.command("a", "token", TILL), "resource=t") as till,
        site.room("b", bob, "resource=bob") as viewer,
    ):
        await hear(till, Connect, lambda m: m.jid == f"{BOB}/bob")
        answers = []
        for to in (f"{YARD}/y", YARD, "ghost@home.loc/y", "ghost@home.loc"):
            await viewer.say(RequestMedia(to=to, call="c", kind="live"))
            answers.append(await hear(viewer, Error))
        assert len(set(answers)) == 1


async def test_chat_and_its_history(site: Site) -> None:
    ann, bob = await site.token(ANN), await site.token(BOB)
    async with site.room("a", ann, "resource=one") as one:
        async with site.room("b", bob, "resource=two") as two:
            await until_roster(two, {f"{ANN}/one"})
            await one.say(Chat(text="the till is open"))
            said = await hear(two, Chat)
            assert (said.from_, said.text) == (f"{ANN}/one", "the till is open")
            await two.say(Chat(text="to you alone", to=f"{ANN}/one"))
            assert (await hear(one, Chat, lambda m: m.from_ != f"{ANN}/one")).text == "to you alone"
            await two.say(Chat(text="closed it"))
            assert (await hear(one, Chat)).text == "closed it"
        for name in ("a", "b"):
            async with site.room(name, bob, "resource=later") as later:
                texts = [line.text for line in later.welcome.chat]
                assert texts[-2:] == ["the till is open", "closed it"]
                assert "to you alone" not in texts


async def test_a_second_connection_replaces_the_first_at_another_process(site: Site) -> None:
    token = site.command("a", "token", TILL)
    ann = await site.token(ANN)
    async with site.room("a", ann, "resource=watch") as watcher:
        for round_number in range(3):
            first, second = ("a", "b") if round_number % 2 else ("b", "a")
            async with site.room(first, token, f"resource=r{round_number}") as old:
                await hear(watcher, Connect, lambda m: m.jid.endswith(f"/r{round_number}"))  # noqa: B023
                async with site.room(second, token, f"resource=s{round_number}"):
                    assert await old.close_code() == 4409
                    await hear(watcher, Connect, lambda m: m.jid.endswith(f"/s{round_number}"))  # noqa: B023


async def test_of_many_at_once_one_connection_of_a_device_stays(site: Site) -> None:
    token = site.command("a", "token", YARD)
    ann = await site.token(ANN)

    async def come(name: str, number: int) -> tuple[int, Visitor | None]:
        url = f"{site.urls[name].replace('http', 'ws', 1)}/ws?resource=n{number}"
        headers = {"Authorization": f"Bearer {token}"}
        return number, Visitor(await connect(url, additional_headers=headers, max_queue=None))

    came = await asyncio.gather(*(come("ab"[n % 2], n) for n in range(20)))
    visitors = [visitor for _, visitor in came if visitor is not None]
    ends = [asyncio.ensure_future(visitor.socket.wait_closed()) for visitor in visitors]
    async with asyncio.timeout(PATIENCE_S):
        while sum(not end.done() for end in ends) > 1:
            await asyncio.wait([e for e in ends if not e.done()], return_when="FIRST_COMPLETED")
    (stays,) = (number for (number, _), end in zip(came, ends, strict=True) if not end.done())
    for name in ("a", "b"):
        async with site.room(name, ann, "resource=look") as viewer:
            await until_roster(viewer, {f"{YARD}/n{stays}"})
    for visitor in visitors:
        await visitor.socket.close()
    await asyncio.gather(*ends)


async def test_a_link_opens_once_over_both(site: Site) -> None:
    link = await site.link("a", DAN)
    answers = await asyncio.gather(*(site.post("ab"[n % 2], token=link) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 7]


async def test_recycling_over_both(site: Site) -> None:
    first = await site.log_in(DAN)
    answers = await asyncio.gather(*(site.post("ab"[n % 2], first) for n in range(8)))
    (second,) = {answer.json()["token"] for answer in answers}
    async with site.room("a", second, "resource=a") as here, site.room("b", second) as there:
        # A thief comes with the old one, later than an answer can be lost.
        await asyncio.sleep(GRACE_S + 0.5)
        assert (await site.post("b", first)).status_code == 401
        assert await here.close_code() == 4401
        assert await there.close_code() == 4401
    assert (await site.post("a", second)).status_code == 401


async def test_logging_out_closes_sockets_at_both(site: Site) -> None:
    token = await site.log_in(DAN, by="b", at="a")
    async with site.room("a", token) as here, site.room("b", token) as there:
        async with httpx.AsyncClient(trust_env=False) as http:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await http.delete(f"{site.urls['a']}/auth", headers=headers)
        assert answer.status_code == 204
        assert await here.close_code() == await there.close_code() == 4401


async def test_limits_hold_over_both(site: Site) -> None:
    for n in range(6):
        assert (await site.post("ab"[n % 2], email=CEM)).status_code == 202
    await site.link("a", ELI)  # whose mail comes last
    await site.link("b", ELI)
    mails = [path.read_bytes() for path in site.outbox.glob("*.eml")]
    assert sum(f"To: {CEM}".encode() in mail for mail in mails) == 3


async def test_keys_are_shared_and_rotate_together(site: Site) -> None:
    async def keys(name: str) -> set[str]:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{site.urls[name]}/.well-known/jwks.json")
        return {key["kid"] for key in answer.json()["keys"]}

    before = await keys("a")
    assert before == await keys("b")
    token = site.command("a", "token", TILL)
    site.command("b", "web", "rotate-keys")
    async with asyncio.timeout(PATIENCE_S):
        while not before < await keys("a") or await keys("a") != await keys("b"):
            await asyncio.sleep(0.1)
    for name in ("a", "b"):
        async with site.room(name, token):
            pass


async def test_redis_that_lost_all_keeps_the_devices(site: Site) -> None:
    token = site.command("a", "token", YARD)
    async with site.room("a", token):
        pass
    client = connect_redis(site.redis.url)
    await client.flushall()
    # A command asks for the shared keys: there are none, so those of its machine are given.
    made = site.command("b", "token", TILL)
    for name in ("a", "b"):
        async with site.room(name, token), site.room(name, made):
            pass
        assert (await site.post(name, token)).status_code == 200
    await close_redis(client)


async def test_a_process_that_dies_takes_only_its_own_sockets(
    redis: RedisServer, tmp_path: Path
) -> None:
    site = Site(tmp_path, redis)
    a, b = site.processes["a"], site.processes["b"]
    try:
        a.start()
        b.start()
        ann = await site.log_in(ANN)
        till, yard = (site.command("a", "token", jid) for jid in (TILL, YARD))
        async with (
            site.room("b", ann, "resource=one") as viewer,
            site.room("b", yard, "resource=y") as here,
        ):
            async with site.room("a", till, "resource=t"):
                await until_roster(viewer, {f"{YARD}/y", f"{TILL}/t"})
                a.kill()
                began_s = time.monotonic()
                assert (await hear(viewer, Disconnect)).jid == f"{TILL}/t"
                assert time.monotonic() - began_s > SILENT_S - 3  # no sooner than it must be dead
            await here.say(Status(fields={"recording": "stored"}))
            assert (await hear(viewer, Status)).from_ == f"{YARD}/y"
            # The device comes to the one that lives, and the other comes back.
            async with site.room("b", till, "resource=t2"):
                assert (await hear(viewer, Connect)).jid == f"{TILL}/t2"
            a.start()
            async with site.room("a", till, "resource=t3"):
                assert (
                    await hear(viewer, Connect, lambda m: m.jid.endswith("t3"))
                ).role == "device"
            assert a.end() == 0
    finally:
        a.end()
        b.end()


@pytest.mark.parametrize("how", ["killed", "hangs"])
async def test_redis_away(tmp_path: Path, how: str) -> None:
    with redis_server(tmp_path) as redis:
        site = Site(tmp_path, redis)
        try:
            for process in site.processes.values():
                process.start()
            ann, till = await site.log_in(ANN), site.command("a", "token", TILL)
            async with (
                site.room("a", till, "resource=t") as device,
                site.room("a", ann, "resource=here") as here,
                site.room("b", ann, "resource=there") as there,
            ):
                await until_roster(there, {f"{TILL}/t", f"{ANN}/here"})
                await until_roster(device, {f"{ANN}/there", f"{ANN}/here"})
                asking = asyncio.create_task(_ask_without_pause(site, ann))
                (redis.kill if how == "killed" else redis.pause)()
                await _all_is_refused(site, ann)
                # Who is in stays in, and goes on with who is at the same process.
                await asyncio.sleep(SILENT_S + 2)  # longer than what a process may be silent
                await here.say(RequestMedia(to=TILL, call="c", kind="live"))
                assert (await hear(device, RequestMedia)).from_ == f"{ANN}/here"
                await there.say(RequestMedia(to=TILL, call="c", kind="live"))
                assert (await hear(there, Error)).code == "unavailable"

                (redis.go_on if how == "hangs" else redis.start)()
                async with asyncio.timeout(PATIENCE_S):
                    while (await site.post("a", email=ANN)).status_code != 202:
                        await asyncio.sleep(0.1)
                await _reaches(there, device)
                asking.cancel()
                assert (await _ended(asking)) <= {200, 503}
                # Nobody was taken for dead meanwhile.
                assert not [m for m in await _waiting(there) if isinstance(m, Disconnect)]
                assert (await site.post("b", ann)).status_code == 200
        finally:
            for process in site.processes.values():
                process.end()


ANSWERS: set[int] = set()


async def _ask_without_pause(site: Site, token: str) -> None:
    """The load under which it goes away: whoever has a session looks at it, at both processes."""
    ANSWERS.clear()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        while True:
            for url in site.urls.values():
                headers = {"Authorization": f"Bearer {token}"}
                ANSWERS.add((await http.get(f"{url}/sessions", headers=headers)).status_code)


async def _ended(asking: "asyncio.Task[None]") -> set[int]:
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    return ANSWERS


async def _all_is_refused(site: Site, token: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await site.post("a", email=ANN)).status_code != 503:
            await asyncio.sleep(0.1)
    for answer in (
        await site.post("b", email="nobody@example.com"),
        await site.post("b", token="x" * 43),
        await site.post("a", token),
    ):
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "unavailable"
        assert "try again" in answer.json()["error"]["text"]
    with pytest.raises(InvalidStatus) as refused:
        async with site.room("a", token):
            pass
    assert refused.value.response.status_code == 503
    url = f"{site.url.replace('http', 'ws', 1)}/ws?auth={token}"
    async with connect(url, origin=site.url) as page:  # type: ignore[arg-type]
        await page.wait_closed()
        assert page.close_code == 1013


async def _reaches(viewer: Visitor, device: Visitor) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await viewer.say(RequestMedia(to=TILL, call="again", kind="live"))
            try:
                async with asyncio.timeout(1):
                    await hear(device, RequestMedia, lambda m: m.call == "again")
                    return
            except TimeoutError:
                continue


async def _waiting(visitor: Visitor) -> list[AnyMessage]:
    """What has come and wasn't read."""
    messages: list[AnyMessage] = []
    await visitor.say(Chat(text="the last of them", to=visitor.jid))
    while True:
        async with asyncio.timeout(PATIENCE_S):
            message = decode(await visitor.socket.recv(), 4 << 20)
        if isinstance(message, Chat | Error):
            return messages
        messages.append(message)
