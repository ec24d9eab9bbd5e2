"""One call's pipeline, in this process; calls as they are forked: see `test_calls`."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ucam.capture.call import Call, bypass, launch_text
from ucam.capture.callmessages import Answer, Candidate, Ended, FromCall, Offer, Setup
from ucam.capture.gst import Gst


@asynccontextmanager
async def started(setup: Setup) -> AsyncIterator[tuple[Call, "asyncio.Queue[FromCall]"]]:
    said: asyncio.Queue[FromCall] = asyncio.Queue()
    pipes = [socket.socketpair() for _ in range(2)]
    call = Call(
        setup, pipes[0][1].fileno(), pipes[1][1].fileno() if setup.sound else None, said.put_nowait
    )
    await call.start()
    try:
        yield call, said
    finally:
        await asyncio.to_thread(call._pipeline.set_state, Gst.State.NULL)
        asyncio.get_running_loop().remove_reader(call._bus.get_pollfd().fd)
        for pair in pipes:
            for end in pair:
                end.close()


async def first(said: "asyncio.Queue[FromCall]", kind: type[FromCall]) -> Any:
    async with asyncio.timeout(30):
        while not isinstance(message := await said.get(), kind):
            pass
    return message


@pytest.mark.parametrize(
    ("setup", "lines"),
    [
        (
            Setup(codec="h264", profile_level_id="42c01f"),
            ["a=rtpmap:96 H264/90000", "profile-level-id=42c01f"],
        ),
        (Setup(codec="h265"), ["a=rtpmap:96 H265/90000"]),
        (
            Setup(codec="h264", profile_level_id="4d0028", sound=True),
            ["profile-level-id=4d0028", "m=audio", "a=rtpmap:97 OPUS/48000/2"],
        ),
    ],
    ids=["h264", "h265", "sound"],
)
async def test_the_offer_says_what_comes(setup: Setup, lines: list[str]) -> None:
    async with started(setup) as (_, said):
        offer = await first(said, Offer)
        for line in [*lines, "a=rtcp-fb:96 nack pli", "a=sendonly"]:
            assert line in offer.sdp
        assert offer.sdp.count("m=") == 1 + setup.sound
        assert "candidate:" in (await first(said, Candidate)).text


async def test_what_is_no_answer_ends_it() -> None:
    async with started(Setup(codec="h264", profile_level_id="42c01f")) as (call, said):
        await first(said, Offer)
        call.take(Candidate("nonsense", 0))  # passed over
        call.take(Answer("nonsense"))
        assert await first(said, Ended) == Ended("no session description")


def test_a_pictures_packets_stay_together() -> None:
    """One by one they cost more on their way to the socket."""
    assert lists_through("clocksync sync=false")
    assert not lists_through("capsfilter"), "if this is so one day, it needs no care any more"
    apart = Gst.parse_bin_from_description("rtpulpfecenc ! rtpredenc", True)
    assert not lists_through(apart)
    together = Gst.parse_bin_from_description("rtpulpfecenc ! rtpredenc", True)
    bypass(together)
    assert lists_through(together)
    assert "capsfilter" not in launch_text(Setup(codec="h264", sound=True), 1, 2)


def lists_through(element: Any) -> bool:
    """Whether a payloader's lists of packets come out of it as such. `element`: or a text."""
    text = (
        "videotestsrc num-buffers=1 pattern=snow ! x264enc tune=zerolatency"
        " ! rtph264pay name=pay mtu=200 fakesink name=out async=false"
    )
    pipeline: Any = Gst.parse_launch(text)
    if isinstance(element, str):
        element = Gst.parse_bin_from_description(element, True)
    pipeline.add(element)
    out = pipeline.get_by_name("out")
    assert pipeline.get_by_name("pay").link(element)
    assert element.link(out)
    seen: list[Any] = []

    def look(_pad: Any, info: Any) -> Any:
        seen.append(info.type & Gst.PadProbeType.BUFFER_LIST)
        return Gst.PadProbeReturn.OK

    kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
    out.get_static_pad("sink").add_probe(kinds, look)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS)
    pipeline.set_state(Gst.State.NULL)
    assert message is not None
    assert seen
    return any(seen)
