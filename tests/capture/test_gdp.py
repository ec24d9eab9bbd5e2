"""What `gdpdepay` makes of our bytes."""

import os
from typing import Any

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
        return [sink.try_pull_sample(5 * Gst.SECOND) for _ in range(count)]
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
