"""Calls are taken over by `Peers` once they are loaded."""

import asyncio
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from ucam.protocol.messages import AnswerMedia, EndMedia, IceServer, RequestMedia
from ucam.storage.playback import late, peers
from ucam.storage.playback.late import LatePeers

VIEWER = "owner@shop.loc/page"


class SpyPeers:
    """Keeps what it was told."""

    made: ClassVar["list[SpyPeers]"] = []

    def __init__(self, *_parts: Any) -> None:
        self.told: list[str] = []
        self.ice_servers: tuple[IceServer, ...] = ()
        self.made.append(self)

    def request(self, message: RequestMedia, allowed: frozenset[str], role: str) -> None:
        self.told.append(f"request {message.call} {sorted(allowed)}")

    def answer(self, message: AnswerMedia) -> None:
        self.told.append(f"answer {message.call}")

    def end(self, message: EndMedia) -> None:
        self.told.append(f"end {message.call}")

    def gone(self, jid: str) -> None:
        self.told.append(f"gone {jid}")

    async def close(self) -> None:
        self.told.append("close")


def request(call: str) -> RequestMedia:
    return RequestMedia(to="storage", call=call, kind="recordings", from_=VIEWER)


async def test_what_comes_while_it_is_loaded_comes_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers, "Peers", SpyPeers)
    monkeypatch.setattr(SpyPeers, "made", [])
    nothing: Any = None
    servers = (IceServer(urls=("stun:x",)),)
    async with asyncio.TaskGroup() as tasks:
        found = LatePeers(nothing, nothing, tasks)
        found.ice_servers = servers
        found.answer(AnswerMedia(to="storage", call="c0", sdp="x", from_=VIEWER))
        found.gone(VIEWER)
        await asyncio.sleep(0)
        assert SpyPeers.made == []  # nobody has asked
        found.request(request("c1"), frozenset({"shop"}))
        found.answer(AnswerMedia(to="storage", call="c1", sdp="x", from_=VIEWER))
        found.request(request("c2"), frozenset())
    (made,) = SpyPeers.made
    assert made.told == ["request c1 ['shop']", "answer c1", "request c2 []"]
    assert made.ice_servers == servers
    found.ice_servers = ()
    found.end(EndMedia(to="storage", call="c1", from_=VIEWER))
    found.gone(VIEWER)
    await found.close()
    assert made.told[3:] == ["end c1", f"gone {VIEWER}", "close"]
    assert not made.ice_servers


async def test_nothing_is_loaded_for_a_service_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "Peers", SpyPeers)
    monkeypatch.setattr(SpyPeers, "made", [])
    nothing: Any = None
    async with asyncio.TaskGroup() as tasks:
        found = LatePeers(nothing, nothing, tasks)
        found.request(request("c1"), frozenset())
        await found.close()
    assert SpyPeers.made == []


def test_a_storage_begins_without_webrtc_and_codecs() -> None:
    """They are what most of its memory would be."""
    program = "import sys, ucam.storage.service; print(*sys.modules, sep='\\n')"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert not {"aiortc", "aioice", "av", "numpy", late.MODULE} & set(loaded)
