"""Live calls against aiortc: real DTLS, SRTP, pictures that decode."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import pytest

from capture.viewer import Device, Viewer
from support.viewers import call_host, call_processes
from ucam.base.units import Duration, Rate
from ucam.capture import calls as calls_module
from ucam.capture.config import Video
from ucam.protocol.messages import AnswerMedia, EndMedia, IceCandidate, OfferMedia

VIDEO = Video(
    source="test",
    width=320,
    height=180,
    framerate=15,
    bitrate=Rate(300_000),
    keyframe_interval=Duration(10),
)
PASS_THROUGH = Video(
    source="gst:videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=15/1"
    " ! x264enc tune=zerolatency key-int-max=30 ! video/x-h264,profile=constrained-baseline",
)


async def ended(device: Device) -> EndMedia:
    message = await device.said(EndMedia, limit_s=40)
    assert isinstance(message, EndMedia)
    return message


async def gone(device: Device, limit_s: float = 40) -> None:
    async with asyncio.timeout(limit_s):
        while device.calls.count:
            await asyncio.sleep(0.01)


async def test_a_viewer_sees_decodable_pictures_at_once() -> None:
    async with Device(VIDEO) as device:
        await device.until(10)
        assert device.calls.count == 0  # nobody watches: no pipeline
        viewer = Viewer(device)
        began_s = time.monotonic()
        await viewer.connect()
        first = await viewer.frame()
        took_s = time.monotonic() - began_s
        assert (first.width, first.height) == (320, 180)
        # Without a forced keyframe the next one would be up to ten seconds away.
        assert took_s < 5
        assert [(await viewer.frame()).width for _ in range(15)] == [320] * 15
        assert device.calls.viewers == ("owner@example.com/page",)
        device.calls.end(EndMedia(to="x", call="c1", from_="owner@example.com/page"))
        await gone(device)
        await viewer.close()
        before = device.captured
        await device.until(before + 5)  # the camera goes on


async def test_a_passed_through_stream_begins_with_its_kept_group_of_pictures() -> None:
    async with Device(PASS_THROUGH) as device:
        await device.until(20)
        viewer = Viewer(device)
        await viewer.connect()
        frames = [await viewer.frame() for _ in range(20)]
        assert {frame.height for frame in frames} == {180}
        await viewer.close()
        device.calls.peer_gone("owner@example.com/page")
        await gone(device)


async def test_two_viewers_and_no_third() -> None:
    async with Device(VIDEO, max_viewers=2) as device:
        viewers = []
        for number in range(2):
            viewer = Viewer(device, f"c{number}", f"u{number}@example.com/p")
            await viewer.connect()
            await viewer.frame()
            viewer._trickle.cancel()
            viewers.append(viewer)
        assert device.calls.count == 2
        device.request("c3", "third@example.com/p")
        refusal = await ended(device)
        assert (refusal.to, refusal.call) == ("third@example.com/p", "c3")
        assert refusal.reason.startswith("max-viewers")
        device.calls.peer_gone("u0@example.com/p")
        await gone_to(device, 1)
        await viewers[1].frame()
        for viewer in viewers:
            await viewer.close()


def threads_and_files() -> tuple[int, int]:
    status = Path("/proc/self/status").read_text()
    threads = next(line for line in status.splitlines() if line.startswith("Threads:"))
    return int(threads.split()[1]), len(list(Path("/proc/self/fd").iterdir()))


async def nothing_left(before: tuple[int, int]) -> None:
    """As many threads and files as before: at once, or when GStreamer's threads have ended."""
    for _ in range(300):
        now = threads_and_files()
        if now[0] <= before[0] + 2 and now[1] <= before[1] + 2:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{before} threads and files became {now}")


async def test_calls_leave_no_thread_and_no_socket_behind() -> None:
    async with Device(VIDEO) as device:
        before = (0, 0)
        for number in range(5):
            viewer = Viewer(device, f"c{number}")
            await viewer.connect()
            await viewer.frame()
            device.calls.peer_gone("owner@example.com/page")
            await viewer.close()
            await gone(device)
            if number == 1:  # by then the thread pool and the decoders are warm
                before = threads_and_files()
        await nothing_left(before)


async def test_who_hangs_up_in_mid_negotiation_leaves_nothing_behind() -> None:
    async with Device(VIDEO) as device:
        await device.until(5)
        before = (0, 0)
        for number in range(12):
            device.request(f"c{number}")
            if number % 2:
                await device.said(OfferMedia)  # the description is being set, candidates gathered
            else:
                await asyncio.sleep(0.005 * number)
            device.calls.peer_gone("owner@example.com/page")
            await gone(device)
            if number == 1:
                before = threads_and_files()
        await nothing_left(before)


async def gone_to(device: Device, count: int) -> None:
    async with asyncio.timeout(40):
        while device.calls.count != count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "nonsense",
        "v=0\r\n" * 1000,
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n",
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
        "a=ice-ufrag:a\r\na=ice-pwd:b\r\na=setup:active\r\na=fingerprint:sha-256 zz\r\n",
    ],
    ids=["empty", "nonsense", "long", "audio", "bad-fingerprint"],
)
async def test_a_broken_answer_ends_that_call_alone(sdp: str) -> None:
    async with Device(VIDEO) as device:
        device.request("bad", "bad@example.com/p")
        assert isinstance(await device.said(OfferMedia), OfferMedia)
        device.calls.answer(AnswerMedia(to="x", call="bad", sdp=sdp, from_="bad@example.com/p"))
        assert (await ended(device)).call == "bad"
        await gone(device)
        before = device.captured
        await device.until(before + 3)


async def test_only_the_caller_speaks_for_his_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Device(VIDEO) as device:
        device.request()
        await device.said(OfferMedia)
        stranger = "eve@example.com/p"
        device.calls.answer(AnswerMedia(to="x", call="c1", sdp="nonsense", from_=stranger))
        device.calls.end(EndMedia(to="x", call="c1", from_=stranger))
        device.calls.peer_gone(stranger)
        ice = IceCandidate(candidate="nonsense")
        device.calls.answer(AnswerMedia(to="x", call="c1", ice=ice, from_=stranger))
        await asyncio.sleep(0.2)
        assert device.calls.count == 1
        device.calls.end(EndMedia(to="x", call="c1", from_="owner@example.com/page"))
        await gone(device)


async def test_who_vanishes_without_a_word_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "SILENCE_S", 3.0)
    async with Device(VIDEO) as device:
        viewer = Viewer(device)
        await viewer.connect()
        for _ in range(15 * 4):
            await viewer.frame()  # his reports keep him in
        assert device.calls.count == 1
        await viewer.close()
        await gone(device)


async def test_a_request_for_recordings_or_without_a_picture_is_refused() -> None:
    device = Device(VIDEO)
    device.calls._tasks = asyncio.TaskGroup()
    device.request()
    assert "starting" in (await ended(device)).reason
    assert device.calls.count == 0


def credentials_of(sdp: str) -> list[str]:
    """ICE user and password."""
    return re.findall(r"a=ice-(?:ufrag|pwd):(\S+)", sdp)[:2]


async def test_asked_again_by_its_id_a_call_goes_on_in_another_process() -> None:
    async with Device(VIDEO) as device:
        viewer = Viewer(device)
        await viewer.connect()
        await viewer.frame()
        viewer._trickle.cancel()
        (before,) = call_processes(os.getpid())
        again = Viewer(device)  # the same id, from the same page
        await again.connect()
        assert credentials_of(again.offer) != credentials_of(viewer.offer)
        assert [(await again.frame()).width for _ in range(5)] == [320] * 5
        assert device.calls.count == 1
        await old_gone(before)
        assert len(call_processes(os.getpid())) == 1
        for one in (viewer, again):
            await one.close()


async def test_an_answer_that_was_overtaken_by_a_restart_does_no_harm() -> None:
    """A viewer who waits for his offer asks again; the first one was on its way already."""
    async with Device(VIDEO) as device:
        early = Viewer(device)
        await early.connect(answers=False)
        viewer = Viewer(device)
        await viewer.connect(answers=False)
        assert viewer.offer != early.offer
        await early.answer()
        early._trickle.cancel()
        await viewer.answer()
        assert [(await viewer.frame()).width for _ in range(5)] == [320] * 5
        for one in (early, viewer):
            await one.close()


async def old_gone(pid: int) -> None:
    async with asyncio.timeout(40):
        while pid in call_processes(os.getpid()):
            await asyncio.sleep(0.01)


async def test_no_two_calls_share_their_secrets() -> None:
    async with Device(VIDEO) as device:
        seen: dict[str, list[str]] = {}
        for number in range(4):
            device.request(f"c{number}")
        while len(seen) < 4:
            offer = await device.said(OfferMedia)
            assert isinstance(offer, OfferMedia)
            if offer.sdp is not None:
                seen[offer.call or ""] = credentials_of(offer.sdp)
        assert len({secret for pair in seen.values() for secret in pair}) == 2 * 4


async def test_the_host_of_calls_that_dies_comes_back_and_calls_stay() -> None:
    async with Device(VIDEO) as device:
        viewer = Viewer(device)
        await viewer.connect()
        await viewer.frame()
        viewer._trickle.cancel()
        os.kill(call_host(os.getpid()), signal.SIGKILL)
        async with asyncio.timeout(40):
            while not isinstance(await host_offers(device), OfferMedia):
                await asyncio.sleep(0.2)
        assert [(await viewer.frame()).width for _ in range(5)] == [320] * 5
        await viewer.close()


async def host_offers(device: Device) -> OfferMedia | EndMedia:
    """What comes of asking now."""
    device.request("next", "another@example.com/p")
    async with asyncio.timeout(40):
        while True:
            message = await device.outbox.get()
            if isinstance(message, OfferMedia | EndMedia) and message.call == "next":
                return message


async def test_a_call_that_hangs_is_killed() -> None:
    async with Device(VIDEO) as device:
        viewer = Viewer(device)
        await viewer.connect()
        await viewer.frame()
        (process,) = call_processes(os.getpid())
        os.kill(process, signal.SIGSTOP)
        await gone(device)
        await old_gone(process)
        await viewer.close()
