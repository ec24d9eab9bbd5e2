"""The whole camera against a storage and a room of a few lines each."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import gpiozero
import msgspec
import pytest
from gpiozero.pins.mock import MockFactory
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets

from capture.tiny_storage import JID as NAME
from capture.tiny_storage import TinyStorage, tiny_storage
from device.helpers import unsigned_token
from ucam.base import config
from ucam.base.service import Fault, Stop
from ucam.base.times import format_utc
from ucam.capture import feed as feed_module
from ucam.capture import sender as sender_module
from ucam.capture.config import CaptureConfig
from ucam.capture.config import Led as LedConfig
from ucam.capture.service import Capture, serve
from ucam.protocol.messages import (
    AnyMessage,
    DeviceInfo,
    EndMedia,
    Locate,
    LocationInfo,
    OfferMedia,
    Peer,
    RequestMedia,
    Status,
    Welcome,
    decode,
    encode,
)

TEXT = """
[device]
jid = "cam001@studio.loc"
name = "Front door"
token-file = "{token}"
[web]
url = "http://127.0.0.1:{port}"
[spool]
path = "{token}.spool"
[video]
source = "{source}"
width = 320
height = 180
framerate = 15
[live]
max-viewers = {viewers}
"""


@dataclass
class TinyRoom:
    """Welcomes the camera, keeps what it says."""

    storage: TinyStorage
    said: "asyncio.Queue[AnyMessage]" = field(default_factory=asyncio.Queue)
    socket: ServerConnection | None = None
    port: int = 0

    async def behave(self, socket: ServerConnection) -> None:
        announcement = {
            "storage": {"url": self.storage.address.url, "fingerprint": self.storage.fingerprint}
        }
        impostor = {"storage": {"url": "rtsps://127.0.0.1:1", "fingerprint": "sha256:" + "0" * 64}}

        def peer(jid: str, status: dict[str, dict[str, str]]) -> Peer:
            return Peer(jid=jid, name=jid, role="storage", location="studio", status=status)

        place = LocationInfo(
            name="studio",
            title="Studio",
            timezone=None,
            storage="storage@studio.loc",
            devices=(DeviceInfo(jid=NAME, name="Front door"),),
        )
        welcome = Welcome(
            jid=f"{NAME}/r1",
            roster=(
                peer("storage@studio.loc/s", announcement),
                peer("storage@elsewhere.loc/s", impostor),
            ),
            ice_servers=(),
            server_time=format_utc(time.time_ns() // 1000),
            locations=(place,),
        )
        self.socket = socket
        await socket.send(encode(welcome))
        async for text in socket:
            self.said.put_nowait(decode(text))

    async def tell(self, message: AnyMessage) -> None:
        assert self.socket is not None
        await self.socket.send(encode(message))

    async def status(self, limit_s: float = 8, **wanted: object) -> dict[str, object]:
        """The next Status in which these fields are as wanted."""
        async with asyncio.timeout(limit_s):
            while True:
                message = await self.said.get()
                if isinstance(message, Status) and wanted.items() <= message.fields.items():
                    return message.fields


@asynccontextmanager
async def surroundings(tmp_path: Path) -> AsyncIterator[TinyRoom]:
    (tmp_path / "token").write_text(unsigned_token(time.time(), time.time() + 10_000))
    async with tiny_storage(tmp_path) as storage:
        room = TinyRoom(storage)
        async with serve_sockets(room.behave, "127.0.0.1", 0) as server:
            room.port = server.sockets[0].getsockname()[1]
            yield room


def configuration(
    tmp_path: Path, port: int, source: str = "test", viewers: int = 8
) -> CaptureConfig:
    text = TEXT.format(token=tmp_path / "token", port=port, source=source, viewers=viewers)
    return config.parse(text, CaptureConfig, source=tmp_path / "capture.toml")


async def test_it_records_says_so_and_ends_cleanly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "ASK_INTERVAL_S", 0.1)
    async with surroundings(tmp_path) as room:
        stop = Stop()
        task = asyncio.create_task(serve(configuration(tmp_path, room.port), stop))
        while not isinstance(offer := await room.said.get(), OfferMedia):
            pass
        assert offer.to is None
        assert offer.sdp is not None
        assert "m=video" in offer.sdp
        assert "a=sendonly" in offer.sdp
        fields = await room.status(recording="stored", storage="connected")
        assert fields["viewers"] == []
        assert fields["encoder"] == "x264enc"
        assert fields["message"] is None
        assert isinstance(fields["clock-offset"], float)
        assert abs(fields["clock-offset"]) < 1
        stop.set()
        async with asyncio.timeout(8):
            await task
        (run,) = room.storage.units.values()
        # The rest was sent: the newest picture is of the moment of the end.
        newest = max(unit.capture_utc_us or 0 for unit in run.values())
        assert sorted(run) == list(range(len(run)))
        assert room.storage.durable is not None
        assert room.storage.durable.utc_us == newest
        assert (tmp_path / "token.storage.json").exists()


async def test_viewers_are_refused_in_words_and_nobody_has_a_pipeline(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as room:
        stop = Stop()
        settings = configuration(tmp_path, room.port, viewers=0)
        task = asyncio.create_task(serve(settings, stop))
        await room.status(storage="connected")
        await room.tell(
            RequestMedia(to=NAME, call="c1", kind="live", from_="owner@example.com/page")
        )
        async with asyncio.timeout(5):
            while not isinstance(message := await room.said.get(), EndMedia):
                assert not isinstance(message, OfferMedia) or message.to is None
        assert message.reason.startswith("max-viewers")
        stop.set()
        await task


async def test_storage_that_goes_away_is_told(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as room:
        stop = Stop()
        task = asyncio.create_task(serve(configuration(tmp_path, room.port), stop))
        await room.status(storage="connected")
        room.storage.refuses = 403
        room.storage.cut()
        fields = await room.status(storage="away")
        assert fields["recording"] == "spooled"
        assert "Storage is away" in str(fields["message"])
        room.storage.refuses = None
        await room.status(storage="connected")
        stop.set()
        await task


async def test_a_camera_without_a_picture_is_told_and_refuses_viewers(tmp_path: Path) -> None:
    async with surroundings(tmp_path) as room:
        stop = Stop()
        settings = configuration(tmp_path, room.port, source="file:/nowhere.mp4")
        task = asyncio.create_task(serve(settings, stop))
        fields = await room.status(recording="nothing", storage="away")
        assert "/nowhere.mp4 is no file" in str(fields["message"])
        await room.tell(RequestMedia(to=NAME, call="c", kind="live", from_="owner@example.com/p"))
        async with asyncio.timeout(5):
            while not isinstance(message := await room.said.get(), EndMedia):
                pass
        assert "/nowhere.mp4" in message.reason
        stop.set()
        await task


async def test_a_source_that_stalls_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "ASK_INTERVAL_S", 0.1)
    monkeypatch.setattr(feed_module, "STALL_S", 3.0)
    monkeypatch.setattr(feed_module, "LOOK_S", 0.1)
    # Two seconds of pictures, and then neither an end nor an error.
    picture = "videotestsrc is-live=true num-buffers=30 ! video/x-raw,framerate=15/1"
    stalls = f"concat name=both  {picture} ! both.  appsrc is-live=true ! both.  both."
    async with surroundings(tmp_path) as room:
        stop = Stop()
        settings = configuration(tmp_path, room.port, source=f"gst:{stalls} ! videoconvert")
        task = asyncio.create_task(serve(settings, stop))
        await room.status(30, recording="stored")
        told = "camera gst: no picture for 3 s"
        fields = await room.status(30, recording="nothing", message=told)
        assert fields["storage"] == "connected"
        await room.status(30, recording="stored")
        stop.set()
        async with asyncio.timeout(30):
            await task
        first, second, *_ = room.storage.units.values()
        # All that came before it stood still; videorate keeps the last one back.
        assert sorted(first) == list(range(29))
        assert sorted(second)[0] == 0


async def test_locate_blinks_the_lamp_and_the_page_can_see_it(tmp_path: Path) -> None:
    factory = MockFactory()
    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, factory
    try:
        async with surroundings(tmp_path) as room:
            stop = Stop()
            settings = configuration(tmp_path, room.port)
            settings = msgspec.structs.replace(settings, led=LedConfig(gpio=17))
            task = asyncio.create_task(serve(settings, stop))
            await room.status(recording="stored", led="steady")
            pin = factory.pin(17)
            assert pin.state == 1
            await room.tell(Locate(to=NAME, from_="owner@example.com/p"))
            await room.status(led="locate")
            async with asyncio.timeout(5):
                while pin.state == 1:
                    await asyncio.sleep(0.01)
                while pin.state == 0:
                    await asyncio.sleep(0.01)
            stop.set()
            await task
            assert pin.function == "input", "the pin was given back"
    finally:
        gpiozero.Device.pin_factory = before
        factory.reset()


async def test_the_token_of_another_device_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(unsigned_token(0, 10, "cam002@studio.loc"))
    with pytest.raises(Fault, match=r"cam002@studio\.loc"):
        Capture(configuration(tmp_path, 1))
    (tmp_path / "token").unlink()
    with pytest.raises(Fault, match="ucam token"):
        Capture(configuration(tmp_path, 1))
