"""The camera of ucam's live peers: the numbered test picture, coded as `ucam capture` codes it.

`gst_feed.py RTP_PORT RTSP_URL` ("-": none) sends by RTP to a local port, and by RTSP. Prints a line
`NUMBER MILLISECONDS` for each picture: when it was captured, since 1970.
"""

import sys
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

from ucam.base.units import Rate  # noqa: E402
from ucam.capture import counter  # noqa: E402
from ucam.capture.config import Video  # noqa: E402
from ucam.capture.encoder import choose_encoder  # noqa: E402
from ucam.capture.gst import ThisMachine, has_element, proves  # noqa: E402
from ucam.capture.sources import SINK, launch_text, plan  # noqa: E402

WIDTH, HEIGHT, RATE, BITRATE = 640, 360, 30, Rate(2_000_000)


def main(rtp_port: str, rtsp_url: str) -> None:
    """Send until killed."""
    Gst.init(None)
    video = Video(source="test", width=WIDTH, height=HEIGHT, framerate=RATE, bitrate=BITRATE)
    encoder = choose_encoder("auto", has_element, proves)
    text = launch_text(plan(video, ThisMachine()), video, encoder)
    outs = f" ! h264parse config-interval=-1 ! tee name=coded coded. ! queue ! {_rtp(rtp_port)}"
    if rtsp_url != "-":
        outs += f" coded. ! queue ! rtspclientsink protocols=tcp location={rtsp_url}"
    pipeline = Gst.parse_launch(text.replace(f" ! {SINK}", outs))
    counted = counter.count(pipeline)
    assert counted, "pictures without numbers"
    number = -1

    def note(_element: Any, buffer: Any) -> None:
        nonlocal number
        number += 1
        age_ns = pipeline.get_clock().get_time() - pipeline.get_base_time() - buffer.pts
        print(number, (time.time_ns() - age_ns) / 1e6, flush=True)

    pipeline.get_by_name("counted").connect("handoff", note)
    pipeline.set_state(Gst.State.PLAYING)
    GLib.MainLoop().run()


def _rtp(port: str) -> str:
    return f"rtph264pay pt=96 mtu=1200 ! udpsink host=127.0.0.1 port={port} sync=false"


if __name__ == "__main__":
    main(*sys.argv[1:3])
