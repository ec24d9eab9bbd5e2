"""What viewers do and suffer touches neither recording nor each other. How long:
UCAM_FAULTS_CALLS_S (seconds), UCAM_FAULTS_JOINS (viewers who come and go).
"""

import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from faults.counts import count
from support.site import Site, wait_until
from support.viewers import call_host, call_processes, person_token, viewers
from ucam.protocol.messages import (
    AnswerMedia,
    EndMedia,
    IceCandidate,
    OfferMedia,
    RequestMedia,
    Welcome,
    decode,
    encode,
)
from ucam.storage.database import Database
from ucam.storage.layout import INDEX

pytestmark = pytest.mark.interop
SECONDS = count("CALLS_S", 12)
JOINS = count("JOINS", 20)
SEED = count("SEED", random.randrange(1 << 30))
RATE = 15
# One person may begin 12 calls, then one a second: see `ucam.capture.calllimit`.
PAUSE_S = 0.5 if JOINS > 30 else 0
CAMERA = f"""source = "test"
width = 640
height = 360
framerate = {RATE}
bitrate = "1Mbit/s"
"""
DEVICE = "cam1@shop.loc"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A camera, its storage and the room."""
    return Site(tmp_path, {"cam1": CAMERA}, chunk_size="5s")


def recorded(site: Site) -> int:
    """How many pictures storage has: one run, numbers and times without a hole."""
    database = Database(site.recordings / INDEX)
    try:
        rows = sorted(database.all_chunks(), key=lambda chunk: chunk.id)
    finally:
        database.close()
    assert len({row.run for row in rows}) == 1, "recording was begun anew"
    assert rows[0].first_number == 0
    for before, after in itertools.pairwise(rows):
        assert after.first_number == before.last_number + 1
    times: list[float] = []
    for path in site.chunks("cam1"):
        command = ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]
        output = subprocess.check_output([*command, str(path)], text=True)
        times += [float(line.strip(",")) for line in output.split()]
    for one, next_one in itertools.pairwise(times):
        assert 0.5 < (next_one - one) * RATE < 1.5, (one, next_one)
    assert len(times) == rows[-1].last_number + 1
    return len(times)


class Rude:
    """Floods a camera with requests, answers with rubbish, leaves calls lying about."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.requests = self.answers = self.refused = 0

    async def run(self, site: Site, token: str, seconds: float) -> None:
        headers = {"Authorization": f"Bearer {token}", "Origin": site.url}
        url = site.url.replace("http", "ws", 1) + "/ws"
        async with connect(url, additional_headers=headers) as socket:
            welcome = decode(await socket.recv(), 1 << 20)
            assert isinstance(welcome, Welcome)
            device = next(peer.jid for peer in welcome.roster if peer.jid.startswith(DEVICE))
            listening = asyncio.create_task(self._listen(socket, device))
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                call = f"rude{self.requests}"
                self.requests += 1
                await socket.send(encode(RequestMedia(to=device, call=call, kind="live")))
                if self._chance.random() < 0.3:
                    await socket.send(encode(EndMedia(to=device, call=call, reason="bye")))
                await asyncio.sleep(60 / 1000)  # a thousand a minute
            listening.cancel()

    async def _listen(self, socket: ClientConnection, device: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                message = decode(text, 1 << 20)
                if isinstance(message, EndMedia):
                    self.refused += 1
                if not isinstance(message, OfferMedia) or message.call is None:
                    continue
                if message.sdp is not None:
                    self.answers += 1
                    sdp = self._spoil(message.sdp)
                    answer = AnswerMedia(to=device, call=message.call, sdp=sdp)
                    await socket.send(encode(answer))
                elif message.ice is not None and self._chance.random() < 0.5:
                    ice = IceCandidate(
                        candidate=self._spoil(message.ice.candidate),
                        sdp_mid=None,
                        sdp_m_line_index=self._chance.choice([0, 0, 0, 1, None]),
                    )
                    await socket.send(encode(AnswerMedia(to=device, call=message.call, ice=ice)))

    def _spoil(self, text: str) -> str:
        """Something like an answer, or a candidate, that was mangled."""
        text = text.replace("actpass", "active").replace("sendonly", "recvonly")
        for _ in range(self._chance.randrange(4)):
            place = self._chance.randrange(len(text) + 1)
            many = self._chance.choice([0, 1, 1, 2, 20])
            new = self._chance.choice(["", "9" * 30, "a=", "\r\n", "%n", "é", "-1", ":"])
            text = text[:place] + new + text[place + many :]
        return text[:60_000]


async def test_nothing_that_viewers_do_touches_recording(site: Site) -> None:
    print(f"UCAM_FAULTS_SEED={SEED}")
    chance = random.Random(SEED)
    rude = Rude(chance)
    with site.running():
        camera = site.cameras["cam1"]
        token = person_token(site)
        assert call_processes(camera.pid) == [], "nobody watches: nothing is there for it"
        with viewers(site, token, DEVICE, ["good"]) as good:
            wait_until("the good viewer sees", lambda: good.all_see(10))
            before = good.told["good"]["frames"]
            began_s = time.monotonic()
            (kept,) = call_processes(camera.pid)
            with (
                viewers(site, token, DEVICE, ["lossy"], loss=0.3) as lossy,
                viewers(site, token, DEVICE, ["killed"]) as killed,
            ):
                wait_until("both see", lambda: lossy.all_see(1) and killed.all_see(1))
                killed.process.kill()
                flood = asyncio.create_task(rude.run(site, token, SECONDS))
                while not flood.done():
                    await asyncio.sleep(0.5)
                    _hurt_one(chance, [pid for pid in call_processes(camera.pid) if pid != kept])
                await flood
            wait_until("all others are gone", lambda: call_processes(camera.pid) == [kept], 40)
            seconds = time.monotonic() - began_s
            told = good.told["good"]
            assert told["state"] == "connected"
            assert told["lost"] == 0
            assert told["frames"] - before > 0.9 * RATE * (seconds - 2)
        wait_until("nobody watches again", lambda: call_processes(camera.pid) == [], 40)
        log = camera.log.read_text(errors="replace")
    print(f"{rude.requests} requests, {rude.answers} answers, {rude.refused} refused")
    assert rude.answers > 3
    assert rude.refused > 10
    assert "Traceback" not in log
    assert recorded(site) > RATE * (seconds - 2)


def _hurt_one(chance: random.Random, calls: list[int]) -> None:
    """A crash, or a hang, of a call's process."""
    if calls:
        how = chance.choice([signal.SIGSEGV, signal.SIGSTOP, signal.SIGKILL])
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(calls), how)


def test_eight_viewers_lose_nothing_and_a_ninth_is_told(site: Site) -> None:
    with site.running():
        camera = site.cameras["cam1"]
        token = person_token(site)
        calls = [f"c{number}" for number in range(9)]
        with viewers(site, token, DEVICE, calls) as all_nine:
            eight = dict.fromkeys(calls[:8], 0)

            def seen() -> dict[str, int]:
                return {call: int(all_nine.told[call]["frames"]) for call in eight}

            wait_until("the first pictures", lambda: all_nine.told and all(seen().values()))
            assert all_nine.told["c8"]["ended"] == "max-viewers: 8 watch already"
            eight = seen()
            wait_until(
                "a hundred pictures each",
                lambda: all(now - eight[call] >= 100 for call, now in seen().items()),
            )
            assert [all_nine.told[call]["lost"] for call in eight] == [0] * 8
            spread = max(seen().values()) - min(seen().values())
            assert spread <= RATE, "all see the same, but for when they came"
            assert len(call_processes(camera.pid)) == 8
    recorded(site)


def test_joins_and_leaves_leave_nothing_behind(site: Site) -> None:
    """Threads, descriptors and memory of the camera and of the calls' host."""
    with site.running():
        camera = site.cameras["cam1"]
        token = person_token(site)
        before: list[Held] = []
        with viewers(site, token, DEVICE, []) as viewer:
            for number in range(JOINS):
                call = f"c{number}"
                if number % 10 == 9:  # who is killed says no word
                    with viewers(site, token, DEVICE, [call]) as killed:
                        wait_until("a picture", lambda: killed.frames(call))  # noqa: B023
                else:
                    viewer.begin(call)
                    wait_until("a picture", lambda: viewer.frames(call))  # noqa: B023
                    viewer.end(call)
                wait_until("it is gone", lambda: not call_processes(camera.pid), 15)
                if number == JOINS // 4:  # by then everything is warm
                    before = [Held(pid) for pid in (camera.pid, call_host(camera.pid))]
                time.sleep(PAUSE_S)
        after = [Held(pid) for pid in (camera.pid, call_host(camera.pid))]
        print(before, after)
        for old, new in zip(before, after, strict=True):
            assert new.threads <= old.threads
            assert new.descriptors <= old.descriptors
            assert new.memory_kb < old.memory_kb + 6_000
    recorded(site)


class Held:
    """What a process holds now."""

    def __init__(self, pid: int) -> None:
        status = Path(f"/proc/{pid}/status").read_text()
        self.threads = int(re.findall(r"Threads:\s+(\d+)", status)[0])
        self.memory_kb = int(re.findall(r"RssAnon:\s+(\d+)", status)[0])
        self.descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))

    def __repr__(self) -> str:
        return f"{self.threads} threads, {self.descriptors} files, {self.memory_kb} kB"
