import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from capture.tiny_storage import JID as NAME
from capture.tiny_storage import TinyStorage, listening, tiny_storage
from device.helpers import unsigned_token
from media.clips import clip
from ucam.base.backoff import Backoff
from ucam.base.jid import JID
from ucam.capture import connection as connection_module
from ucam.capture import sender as sender_module
from ucam.capture.address import Address
from ucam.capture.run import Run
from ucam.capture.sender import Sender
from ucam.capture.spool import Spool
from ucam.device.token import TokenStore
from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack, VideoTrack
from ucam.rtsp.client import Durable

TRACK = VideoTrack.h264(clip(b_frames=0).parameter_sets)
START_US = 1_795_325_400_123_456


real_delay = Backoff.next_delay_s


def real(number: int) -> AccessUnit:
    """A real picture with a time of our days; keyframes each 25."""
    source = clip(b_frames=0).units[number % 25]
    return AccessUnit(
        source.data, number * 3600, START_US + number * 40_000, number % 25 == 0, number
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "ASK_INTERVAL_S", 0.05)


class Feed:
    """A spool that a test fills, and the sender that empties it."""

    def __init__(self, folder: Path, address: Address | None, memory: int = 10_000_000) -> None:
        (folder / "token").write_text(unsigned_token(0, 10))
        self.spool = Spool(memory, folder / "spool", 10_000_000)
        self.address = address
        self.watched = False
        self.sender = Sender(
            JID.parse(NAME),
            TokenStore(folder / "token", None),
            self.spool,
            lambda: self.address,
            lambda: None,
            lambda: self.watched,
        )

    def add(self, name: Run, *numbers: int) -> None:
        for number in numbers:
            self.spool.append(name, real(number))

    async def confirmed(self, limit_s: float = 30) -> None:
        async with asyncio.timeout(limit_s):
            while self.spool.unconfirmed:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def feeding(
    folder: Path, storage: TinyStorage, memory: int = 10_000_000
) -> AsyncIterator[Feed]:
    feed = Feed(folder, storage.address, memory)
    tasks = [
        asyncio.create_task(feed.sender.run()),
        asyncio.create_task(feed.spool.run(feed.sender.away)),
    ]
    try:
        yield feed
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await feed.spool.close()


A, B = Run(TRACK, id="aaaa"), Run(TRACK, id="bbbb")


async def test_units_arrive_whole_with_their_times_and_are_confirmed(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(60))
        await storage.until("aaaa", 59)
        await feed.confirmed()
        assert feed.sender.connected
        got = storage.units["aaaa"]
        assert sorted(got) == list(range(60))
        for number in (0, 1, 25, 59):
            assert got[number].keyframe == (number % 25 == 0)
            assert abs((got[number].capture_utc_us or 0) - real(number).utc_us) <= 1
            assert got[number].rtp_timestamp == real(number).pts_90k
        assert storage.sessions[0].media[0].parameter_sets() == TRACK.parameter_sets
        assert storage.tokens == [unsigned_token(0, 10)]
        assert feed.sender.durable is not None
        assert feed.sender.durable.number == 59


async def test_a_cut_loses_nothing(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        for round_ in range(3):
            feed.add(A, *range(round_ * 40, round_ * 40 + 40))
            await storage.until("aaaa", round_ * 40 + 20)
            storage.cut()
        feed.add(A, *range(120, 130))
        await storage.until("aaaa", 129)
        assert sorted(storage.units["aaaa"]) == list(range(130))
        assert len(storage.sessions) >= 3


async def test_sound_in_front_of_the_first_picture_is_sent_if_it_is_of_its_run(
    tmp_path: Path,
) -> None:
    """Behind the last confirmed picture it may not have been stored."""
    heard = Run(TRACK, AudioTrack.opus(), id="cccc")

    def sound(number: int) -> AccessUnit:
        picture = real(number)
        return AccessUnit(
            bytes([0xFC, number]), picture.pts_90k, picture.utc_us, True, number, True
        )

    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.spool.append(Run(TRACK, AudioTrack.opus(), id="bbbb"), sound(1))
        for number in (23, 24):
            feed.spool.append(heard, sound(number))
        for number in range(25, 30):
            feed.spool.append(heard, real(number))
            feed.spool.append(heard, sound(number))
        await storage.until("cccc", 29)
        async with asyncio.timeout(30):
            while len(storage.sound) < 7:
                await asyncio.sleep(0.01)
        assert [packet[-1] for packet in storage.sound] == list(range(23, 30))


async def test_it_goes_on_behind_what_is_durable_from_a_keyframe(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(60))
        await storage.until("aaaa", 59)
        await feed.confirmed()
        storage.cut()
        feed.add(A, 60)
        await storage.until("aaaa", 60)
        assert storage.sessions[-1].run is not None
        assert storage.sessions[-1].run.first_number == 50
        storage.cut()


async def test_storage_away_for_a_while(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tiny_storage(tmp_path) as storage:
        port = storage.port
    async with feeding(tmp_path, storage) as feed:
        feed.add(A, *range(30))
        async with asyncio.timeout(30):
            while feed.sender.fault is None:
                await asyncio.sleep(0.01)
        assert not feed.sender.connected
        async with listening(storage, port):
            await storage.until("aaaa", 29)
            await feed.confirmed()
            assert feed.sender.fault is None


async def test_each_run_is_announced_and_none_loses_its_end(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(37))
        feed.add(B, *range(5))
        await storage.until("bbbb", 4)
        assert sorted(storage.units["aaaa"]) == list(range(37))
        runs = [session.run.run for session in storage.sessions if session.run]
        assert runs == ["aaaa", "bbbb"]
        await feed.confirmed()


async def test_a_hole_in_the_numbers_is_announced(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(10))
        feed.add(A, *range(50, 60))
        await storage.until("aaaa", 59)
        assert sorted(storage.units["aaaa"]) == [*range(10), *range(50, 60)]


async def test_another_certificate_gets_no_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with tiny_storage(tmp_path) as storage:
        storage.fingerprint = "sha256:" + "0" * 64
        async with feeding(tmp_path, storage) as feed:
            feed.add(A, 0)
            async with asyncio.timeout(30):
                while feed.sender.fault is None:
                    await asyncio.sleep(0.01)
            assert "another certificate" in feed.sender.fault
        assert not storage.sessions
        assert not storage.tokens


async def test_a_ca_is_believed_only_for_its_name(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.address = Address("127.0.0.1", storage.port, ca=storage.certificate)
        feed.add(A, 0)
        async with asyncio.timeout(30):
            while feed.sender.fault is None:
                await asyncio.sleep(0.01)
        assert "a certificate that isn't accepted" in feed.sender.fault
        feed.address = replace(feed.address, host="localhost")
        feed.sender.hurry()
        await storage.until("aaaa", 0)


async def test_a_refusal_is_told_and_tried_again(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        storage.refuses = 403
        feed.add(A, 0)
        async with asyncio.timeout(30):
            while feed.sender.fault is None:
                await asyncio.sleep(0.01)
        assert "403" in feed.sender.fault
        storage.refuses = None
        await storage.until("aaaa", 0)


async def test_without_an_address_it_waits_and_hurries_when_there_is_one(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        known, feed.address = feed.address, None
        feed.add(A, 0)
        async with asyncio.timeout(30):
            while feed.sender.fault is None:
                await asyncio.sleep(0.01)
        assert "isn't known" in feed.sender.fault
        feed.address = known
        feed.sender.hurry()
        await storage.until("aaaa", 0, limit_s=5)


async def test_finish_sends_and_confirms_the_rest(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(30))
        await feed.sender.finish(5)
        assert not feed.spool.unconfirmed
        assert sorted(storage.units["aaaa"]) == list(range(30))


async def test_finish_sends_the_rest_after_a_time_when_nothing_was_left(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(10))
        await storage.until("aaaa", 9)
        await feed.confirmed()
        feed.add(A, *range(10, 30))
        await feed.sender.finish(5)
        assert not feed.spool.unconfirmed
        assert sorted(storage.units["aaaa"]) == list(range(30))


async def test_cameras_that_throw_each_other_out_do_not_do_it_without_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []

    def shorter(backoff: Backoff) -> float:
        delays.append(backoff._next_s)
        return real_delay(backoff) / 50

    monkeypatch.setattr(Backoff, "next_delay_s", shorter)
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(10))
        async with asyncio.timeout(30):
            for times in range(1, 5):
                while len(storage.sessions) < times or not feed.sender.connected:
                    await asyncio.sleep(0.01)
                storage.cut()
                while len(delays) < times:
                    await asyncio.sleep(0.01)
        assert delays[:4] == [0.25, 0.5, 1.0, 2.0]


async def test_a_storage_that_stops_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "ANSWER_TIMEOUT_S", 0.3)
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        feed.add(A, *range(10))
        await storage.until("aaaa", 9)
        storage.awake.clear()
        async with asyncio.timeout(30):
            while feed.sender.fault is None:
                await asyncio.sleep(0.01)
        assert feed.sender.fault == "it doesn't answer"
        storage.awake.set()


async def test_what_storage_does_not_confirm_stays_in_the_spool(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        storage.confirms = False
        feed.add(A, *range(10))
        await storage.until("aaaa", 9)
        await asyncio.sleep(0.2)
        assert feed.spool.unconfirmed


async def test_what_was_left_by_an_earlier_process_comes_first(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage:
        storage.confirms = False
        async with feeding(tmp_path, storage) as feed:
            feed.add(A, *range(60))
            await storage.until("aaaa", 59)
        storage.durable = Durable("aaaa", 30, real(30).utc_us)
        storage.units.clear()
        storage.confirms = True
        async with feeding(tmp_path, storage) as feed:
            feed.add(B, *range(10))
            await storage.until("bbbb", 9)
            await feed.confirmed()
        # From the keyframe before what storage has, to the end; then what is new.
        assert list(storage.units) == ["aaaa", "bbbb"]
        assert sorted(storage.units["aaaa"]) == list(range(25, 60))
        assert not list((tmp_path / "spool").glob("*.seg"))


async def test_storage_counts_as_away_when_it_is(tmp_path: Path) -> None:
    """A new run's connection isn't an outage; one that broke is, and one that doesn't confirm."""
    async with tiny_storage(tmp_path) as storage, feeding(tmp_path, storage) as feed:
        assert not feed.sender.away()
        feed.add(A, *range(10))
        feed.add(B, *range(5))
        await storage.until("bbbb", 4)
        await feed.confirmed()
        assert not feed.sender.away()
        assert feed.spool.on_disk == 0
        storage.confirms = False
        feed.add(B, *range(5, 5 + 25 * 7))
        assert feed.sender.away()
        storage.confirms = True
        feed.add(B, 180)
        await feed.confirmed()
        assert not feed.sender.away()
        storage.refuses = 403
        storage.cut()
        async with asyncio.timeout(30):
            while not feed.sender.away():
                await asyncio.sleep(0.01)
        feed.add(B, 181)
        async with asyncio.timeout(30):
            while not feed.spool.on_disk:
                await asyncio.sleep(0.01)
        storage.refuses = None
        await feed.confirmed()


async def test_viewers_have_the_line_while_it_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel paces what is sent: so many bytes take at least so long."""
    monkeypatch.setattr(sender_module, "LEAST_CATCH_UP_BYTES_S", 100_000)
    monkeypatch.setattr(sender_module, "CATCH_UP_FACTOR", 0)
    async with tiny_storage(tmp_path) as storage:
        feed = Feed(tmp_path, storage.address)
        feed.watched = True
        feed.add(A, *range(200))
        size = feed.spool.memory
        assert size > 300_000
        tasks = [asyncio.create_task(each) for each in (feed.sender.run(), feed.spool.run(bool))]
        clock = asyncio.get_running_loop()
        began_s = clock.time()
        await storage.until("aaaa", 199, limit_s=60)
        assert clock.time() - began_s > (size - 100_000) / 100_000 / 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await feed.spool.close()
