"""Our sender against aiortc's receiver over a path in memory, on virtual time."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable

import pytest
from aiortc import rtcpeerconnection
from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    DataChunk,
    RTCSctpTransport,
    SackChunk,
    ShutdownChunk,
    ShutdownCompleteChunk,
    parse_packet,
)

from storage.playback.associations import Pair, connect, pour
from support.link import Link, percentile
from support.virtual import VirtualLoop, run_virtually
from ucam.storage.playback import sctp
from ucam.storage.playback.answers import Answer, Request
from ucam.storage.playback.channel import LOW_BYTES, Channel

MBIT = 125_000.0


def run(there: Link, back: Link, work: Callable[[Pair], Awaitable[None]]) -> None:
    """`work` with an open association, which ends afterwards with nothing left behind."""

    async def main() -> None:
        async with asyncio.timeout(120):
            pair = await connect(there, back)
            await work(pair)
            await pair.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*left, return_exceptions=True)
        assert pair.near._wake is None
        assert pair.near._t3_handle is None

    run_virtually(main())


def links(round_trip_s: float, loss: float = 0.0, jitter_s: float = 0.0) -> tuple[Link, Link]:
    there = Link(round_trip_s / 2, loss, jitter_s=jitter_s)
    return there, Link(round_trip_s / 2, loss, jitter_s=jitter_s, chance=random.Random(2))


@pytest.mark.parametrize(
    ("loss", "jitter_s"),
    [(0.0, 0.0), (0.05, 0.0), (0.3, 0.0), (0.0, 0.02), (0.05, 0.02)],
    ids=["clean", "lossy", "very-lossy", "reordered", "lossy-reordered"],
)
def test_whole_and_in_order(loss: float, jitter_s: float) -> None:
    """Messages from nothing to the largest that aiortc takes."""
    chance = random.Random(5)
    sizes = [0, 1, 1159, 1160, 1161, 262_144, *(chance.randrange(20_000) for _ in range(20))]
    messages: list[str | bytes] = [chance.randbytes(size) for size in sizes]
    messages += ["", "é" * 3000]

    async def work(pair: Pair) -> None:
        for message in messages:
            pair.wire.send(message)
        assert [await pair.received.get() for _ in messages] == messages
        # And the other way, from aiortc's sender.
        back: asyncio.Queue[str | bytes] = asyncio.Queue()
        pair.wire.on("message", back.put_nowait)
        (await pair.far_wire).send(messages[10])
        assert await back.get() == messages[10]
        await asyncio.sleep(10)  # the last acknowledgement may have been lost
        near = pair.near
        assert (near._flight_size, near._unacknowledged) == (0, 0)
        assert not near._flights
        assert not near._flying
        assert near._t3_handle is None

    run(*links(0.05, loss, jitter_s), work)


@pytest.mark.parametrize(("round_trip_s", "loss"), [(0.08, 0.003), (0.08, 0.01), (0.15, 0.005)])
def test_a_long_and_lossy_path_carries_recordings(round_trip_s: float, loss: float) -> None:
    async def work(pair: Pair) -> None:
        seconds = await pour(pair, 8_000_000)
        assert 8 / seconds > 1.8
        assert pair.near.resent < 0.03 * pair.near.data_chunks

    run(*links(round_trip_s, loss), work)


def test_a_bottleneck_is_used_without_filling_its_queue() -> None:
    there = Link(0.04, rate=20 * MBIT, queue_s=0.1)

    async def work(pair: Pair) -> None:
        seconds = await pour(pair, 10_000_000)
        assert 10 / seconds > 0.9 * 20 * MBIT / 1e6 * 1160 / 1246
        assert percentile(there.waits, 0.95) < 0.06

    run(there, Link(0.04), work)


def test_a_seek_gets_more_than_its_share_and_a_download_does_not() -> None:
    async def work(pair: Pair) -> None:
        assert await pour(pair, 500_000) < 0.15
        assert 10 / await pour(pair, 10_000_000) < 1.1 * sctp.CAP / 1e6
        await asyncio.sleep(1)
        assert await pour(pair, 500_000) < 0.15

    run(*links(0.002), work)


def test_a_machine_that_pauses_does_not_starve_the_path_for_good() -> None:
    """Thirty milliseconds of every 130, on average, are somebody else's."""

    async def work(pair: Pair) -> None:
        chance, loop = random.Random(3), asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        async def pause() -> None:
            while True:
                await asyncio.sleep(chance.uniform(0, 0.2))
                loop.stall(chance.uniform(0, 0.06))

        pausing = asyncio.create_task(pause())
        assert 8 / await pour(pair, 8_000_000) > 2.5
        pausing.cancel()

    run(*links(0.08, 0.003), work)


def test_a_path_that_reorders_is_not_taken_for_a_lossy_one() -> None:
    async def work(pair: Pair) -> None:
        seconds = await pour(pair, 8_000_000)
        assert 8 / seconds > 1.8
        assert pair.near.resent < 0.01 * pair.near.data_chunks

    run(*links(0.08, jitter_s=0.005), work)


def test_a_lost_tail_is_asked_for_before_the_time_out() -> None:
    async def work(pair: Pair) -> None:
        pair.wire.send(b"first")
        await pair.received.get()
        lost: list[bytes] = []
        loop = asyncio.get_running_loop()

        def drop_once(data: bytes) -> bool:
            if lost or not data_chunks(data):
                return False
            lost.append(data)
            return True

        pair.near_dtls.drop = drop_once
        began = loop.time()
        pair.wire.send(b"last")
        assert await pair.received.get() == b"last"
        assert loop.time() - began < 0.4
        assert (len(lost), pair.near.resent) == (1, 1)

    run(*links(0.08), work)


def test_each_lost_packet_is_sent_once_more() -> None:
    async def work(pair: Pair) -> None:
        seen: set[int] = set()
        lost: set[int] = set()

        def drop_first_time(data: bytes) -> bool:
            for chunk in data_chunks(data):
                if chunk.tsn % 50 == 0 and chunk.tsn not in seen:
                    seen.add(chunk.tsn)
                    lost.add(chunk.tsn)
                    return True
            return False

        pair.near_dtls.drop = drop_first_time
        await pour(pair, 4_000_000)
        assert len(lost) > 50
        assert pair.near.resent == len(lost)

    run(*links(0.08), work)


def test_goes_on_after_a_long_silence() -> None:
    async def work(pair: Pair) -> None:
        loop = asyncio.get_running_loop()
        pair.near_dtls.drop = lambda data: bool(data_chunks(data))
        loop.call_later(8, lambda: setattr(pair.near_dtls, "drop", lambda _data: False))
        began, before = loop.time(), pair.near.data_chunks
        await pour(pair, 300_000)
        assert 8 < loop.time() - began < 20
        assert pair.near.data_chunks - before < 400  # nothing was shouted into the silence

    run(*links(0.08), work)


def test_the_peers_window_is_honoured() -> None:
    """A receiver that is slow says so; a window of nothing is asked about with one packet."""

    async def work(pair: Pair) -> None:
        async def tell(window: int) -> None:
            pair.far._advertised_rwnd = window
            pair.wire.send(b"?")
            await pair.received.get()
            await asyncio.sleep(0.1)

        await tell(20_000)
        for _ in range(40):
            pair.wire.send(b"x" * 16_000)
        most = 0
        for _ in range(40):
            await pair.received.get()
            most = max(most, pair.near._unacknowledged)
        assert 0 < most <= 20_000
        await tell(0)
        pair.wire.send(b"x" * 16_000)
        assert await pair.received.get() == b"x" * 16_000

    run(*links(0.04), work)


def test_what_a_liar_acknowledges_is_survived() -> None:
    async def work(pair: Pair) -> None:
        near = pair.near
        pair.wire.send(b"x" * 100_000)
        cumulative = near._last_sacked_tsn
        for said, gaps in (
            (cumulative + 10_000, []),  # never sent
            (cumulative - 10, []),  # long ago
            (cumulative, [(1, 3), (2, 4), (3, 2), (0, 0), (60_000, 65_535)]),
        ):
            sack = SackChunk()
            sack.cumulative_tsn, sack.gaps = said % 2**32, gaps
            sack.advertised_rwnd = 1_000_000
            await near._receive_sack_chunk(sack)
        assert near._flight_size >= 0
        assert near._unacknowledged >= 0

    run(*links(0.04), work)


def test_what_a_peer_dropped_again_is_resent() -> None:
    async def work(pair: Pair) -> None:
        """Its gaps said that it had the second packet; then it asks for the second (RFC 9260)."""
        near = pair.near
        pair.near_dtls.drop = lambda data: bool(data_chunks(data))
        pair.wire.send(b"y" * 3000)
        await asyncio.sleep(0.05)
        cumulative = near._last_sacked_tsn
        for said, gaps in ((cumulative, [(2, 2)]), (cumulative + 1, [])):
            sack = SackChunk()
            sack.cumulative_tsn, sack.gaps = said % 2**32, gaps
            sack.advertised_rwnd = 1_000_000
            await near._receive_sack_chunk(sack)
        assert [chunk.tsn for chunk in near._sent_queue if not chunk._acked] == [
            (cumulative + 2) % 2**32,
            (cumulative + 3) % 2**32,
        ]

    run(*links(0.04), work)


def test_the_peer_aborts() -> None:
    async def work(pair: Pair) -> None:
        closed = asyncio.Event()
        pair.wire.on("close", closed.set)
        pair.wire.send(b"x" * 200_000)
        await pair.received.get()
        pair.wire.send(b"x" * 200_000)
        await pair.far._send_chunk(AbortChunk())
        await closed.wait()
        assert pair.near.state == "closed"

    run(*links(0.04), work)


def test_the_peer_shuts_down() -> None:
    async def work(pair: Pair) -> None:
        closed = asyncio.Event()
        pair.wire.on("close", closed.set)
        shutdown = ShutdownChunk()
        shutdown.cumulative_tsn = pair.near._last_sacked_tsn
        await pair.far._send_chunk(shutdown)
        await asyncio.sleep(0.1)
        assert pair.near._association_state == RTCSctpTransport.State.SHUTDOWN_ACK_SENT
        await pair.far._send_chunk(ShutdownCompleteChunk())
        await closed.wait()

    run(*links(0.04), work)


def test_what_was_called_off_does_not_stand_before_what_is_wanted() -> None:
    async def work(pair: Pair) -> None:
        (called_off, wanted), rest = (b"\0\0\0\1", b"\0\0\0\2"), bytes(16_000)
        for _ in range(15):
            pair.wire.send(called_off + rest)
        await asyncio.sleep(0.001)
        pair.wire.send("a head, which is text")
        sctp.forget(pair.wire, called_off)
        pair.wire.send(wanted + rest)
        got = [await pair.received.get()]
        while got[-1] != wanted + rest:
            got.append(await pair.received.get())
        # What had begun to leave, the head, and what is wanted; all of it whole and in order.
        assert len(got) <= 5
        assert set(got[:-2]) <= {called_off + rest}
        assert got[-2] == "a head, which is text"
        assert pair.wire.bufferedAmount == 0

    run(*links(0.04), work)


def test_closing_a_channel_sends_what_waits_first() -> None:
    async def work(pair: Pair) -> None:
        far_closed = asyncio.Event()
        (await pair.far_wire).on("close", far_closed.set)
        for _ in range(20):
            pair.wire.send(b"x" * 16_000)
        pair.wire.close()
        await far_closed.wait()
        assert pair.received.qsize() == 20

    run(*links(0.04, 0.02), work)


def test_the_transport_underneath_ends() -> None:
    async def work(pair: Pair) -> None:
        pair.wire.send(b"x" * 200_000)
        await pair.received.get()
        pair.wire.send(b"x" * 200_000)
        await asyncio.sleep(0)
        pair.near_dtls.state = "closed"
        await asyncio.sleep(10)

    run(*links(0.04), work)


def data_chunks(data: bytes) -> list[DataChunk]:
    chunks: list[Chunk] = parse_packet(data)[3]
    return [chunk for chunk in chunks if isinstance(chunk, DataChunk)]


# A recording, played


BYTES_A_SECOND = 500_000  # 4 Mbit/s
FRAGMENT_BYTES = BYTES_A_SECOND  # a second each
PLAYED_S = 30


def test_a_recording_plays_without_a_stall_at_80_ms_and_1_percent() -> None:
    """The player's way: a fragment, then two, then four at a time, a few seconds ahead."""

    async def handle(request: Request) -> Answer:
        assert request.range is not None
        first, last = map(int, request.range.removeprefix("bytes=").split("-"))
        return Answer(206, {}, bytes(last + 1 - first))

    async def work(pair: Pair) -> None:
        loop = asyncio.get_running_loop()
        pair.wire.bufferedAmountLowThreshold = LOW_BYTES
        channel = Channel(pair.wire, handle, frozenset(), closed=lambda: False)
        pair.wire.on("bufferedamountlow", channel.drained)
        pair.wire.on("message", channel.message)
        asked, began, have = loop.time(), 0.0, 0
        latest = -1.0  # how late a byte came, at worst; negative: early
        number, fragments = 0, 1
        while have < PLAYED_S * BYTES_A_SECOND:
            number += 1
            last = have + fragments * FRAGMENT_BYTES - 1
            text = {"id": number, "path": "/chunks/1", "range": f"bytes={have}-{last}"}
            (await pair.far_wire).send(json.dumps(text))
            head = await pair.received.get()
            assert isinstance(head, str)
            while have <= last:
                have += len(await pair.received.get()) - 4
                if number > 1:
                    due = began + (have - 1) // FRAGMENT_BYTES
                    latest = max(latest, loop.time() - due)
            if number == 1:
                began = loop.time()  # it plays from its first fragment on
                assert began - asked < 1.5
            fragments = min(2 * fragments, 4)
            ahead = began + have / BYTES_A_SECOND - loop.time()
            await asyncio.sleep(max(ahead - 6, 0))
        assert latest < 0, f"a stall of {latest:.2f} s"
        await channel.close()

    run(*links(0.08, 0.01), work)


# Installing


def test_aiortc_is_as_known() -> None:
    assert sctp.changed_methods() == []


def test_another_aiortc_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def other(self: RTCSctpTransport) -> None:
        raise AssertionError

    monkeypatch.setattr(rtcpeerconnection, "RTCSctpTransport", RTCSctpTransport)
    assert sctp.install()
    assert vars(rtcpeerconnection)["RTCSctpTransport"] is sctp.Transport
    monkeypatch.setattr(rtcpeerconnection, "RTCSctpTransport", RTCSctpTransport)
    monkeypatch.setattr(RTCSctpTransport, "_transmit", other)
    with caplog.at_level(logging.WARNING):
        assert not sctp.install()
    assert vars(rtcpeerconnection)["RTCSctpTransport"] is RTCSctpTransport
    assert [record.args for record in caplog.records] == [("_transmit",)]


def test_a_method_that_is_gone_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(RTCSctpTransport, "_t3_start")
    assert sctp.changed_methods() == ["_t3_start"]
