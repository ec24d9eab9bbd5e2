"""What `gdpdepay` makes of our bytes."""

import os
from typing import Any

import pytest

from ucam.capture import gdp
from ucam.capture.gst import Gst

CAPS = "video/x-h264, stream-format=(string)avc, alignment=(string)au, width=(int){}"


def read_back(data: bytes, count: int) -> list[Any]:
    """The samples that GStreamer finds in a pipe."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    pipeline = Gst.parse_launch(f"fdsrc fd={reading} ! gdpdepay ! appsink name=out sync=false")
    try:
        pipeline.set_state(Gst.State.PLAYING)
        sink = pipeline.get_by_name("out")
        return [sink.emit("try-pull-sample", 5 * Gst.SECOND) for _ in range(count)]
    finally:
        pipeline.set_state(Gst.State.NULL)
        os.close(reading)


def test_buffers_and_caps_come_out_as_they_went_in() -> None:
    data = (
        gdp.beginning(CAPS.format(640))
        + gdp.buffer(b"key", 5_000_000_000_000, delta=False)
        + gdp.buffer(b"delta" * 1000, 5_000_033_000_000, delta=True)
        + gdp.new_caps(CAPS.format(320))
        + gdp.buffer(b"", 5_000_066_000_000, delta=False)
    )
    samples = read_back(data, 3)
    buffers = [sample.get_buffer() for sample in samples]
    sizes = [buffer.get_size() for buffer in buffers]
    assert sizes == [3, 5000, 0]
    assert buffers[0].extract_dup(0, 3) == b"key"
    assert buffers[1].extract_dup(0, 5000) == b"delta" * 1000
    times = [5_000_000_000_000, 5_000_033_000_000, 5_000_066_000_000]
    assert [buffer.pts for buffer in buffers] == times
    running = [
        sample.get_segment().to_running_time(Gst.Format.TIME, buffer.pts)
        for sample, buffer in zip(samples, buffers, strict=True)
    ]
    assert running == times
    delta = [buffer.has_flags(Gst.BufferFlags.DELTA_UNIT) for buffer in buffers]
    assert delta == [False, True, False]
    widths = [sample.get_caps().get_structure(0).get_int("width")[1] for sample in samples]
    assert widths == [640, 640, 320]


def written() -> bytes:
    """What GStreamer writes: ten pictures with their caps and their segment."""
    reading, writing = os.pipe()
    pipeline = Gst.parse_launch(
        "videotestsrc num-buffers=10 ! video/x-raw,format=GRAY8,width=8,height=8,framerate=10/1"
        f" ! gdppay crc-header=false ! fdsink sync=false fd={writing}"
    )
    try:
        pipeline.set_state(Gst.State.PLAYING)
        message = pipeline.get_bus().timed_pop_filtered(20 * Gst.SECOND, Gst.MessageType.EOS)
        assert message is not None
        return os.read(reading, 1 << 16)
    finally:
        pipeline.set_state(Gst.State.NULL)
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("piece", [1, 7, 62, 100_000])
def test_what_gstreamer_writes_is_read_in_pieces_of_any_size(piece: int) -> None:
    data = written()
    parser = gdp.Parser(100_000)
    found = [
        packet
        for start in range(0, len(data), piece)
        for packet in parser.feed(data[start : start + piece])
    ]
    caps, segment, *buffers = found
    assert isinstance(caps, gdp.Caps)
    assert isinstance(segment, gdp.Segment)
    assert Gst.Caps.from_string(caps.text).to_string() == caps.text
    assert segment.text.startswith("GstEventSegment")
    pictures = [each for each in buffers if isinstance(each, gdp.Buffer)]
    assert len(pictures) == len(buffers) == 10
    assert {len(picture.data) for picture in pictures} == {64}
    assert [picture.pts_ns for picture in pictures] == [n * 100_000_000 for n in range(10)]


def test_our_own_words_are_read_back() -> None:
    data = gdp.beginning(CAPS) + gdp.buffer(b"one", 5, delta=True)
    _, _, found = gdp.Parser(2000).feed(data)
    assert found == gdp.Buffer(b"one", 5, delta=True)


@pytest.mark.parametrize("data", [bytes([9]) * 62, gdp.buffer(bytes(200), 0, delta=False)])
def test_what_is_no_gdp_or_too_long_is_refused(data: bytes) -> None:
    with pytest.raises(gdp.Broken):
        gdp.Parser(100).feed(data)
