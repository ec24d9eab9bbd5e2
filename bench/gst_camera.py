"""A camera that others fetch from, by gst-rtsp-server: `gst_camera.py PORT FILM` plays a film to
each, `gst_camera.py PORT live RATE` gives all the same numbered pictures (`ucam.capture.counter`).
"""

import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

from ucam.capture import counter  # noqa: E402

WIDTH, HEIGHT = 640, 360


def main(port: str, what: str, rate: str = "15") -> None:
    """Serve it as /camera until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    if what == "live":
        factory.set_launch(
            f"( videotestsrc is-live=true ! video/x-raw,format=I420,width={WIDTH},height={HEIGHT}"
            f",framerate={rate}/1{counter.launch(WIDTH)} ! x264enc tune=zerolatency"
            f" speed-preset=superfast bitrate=500 key-int-max={rate} ! rtph264pay name=pay0"
            " config-interval=1 )"
        )
        factory.set_shared(True)
        # Its pictures go on and are numbered on while nobody looks.
        factory.set_suspend_mode(GstRtspServer.RTSPSuspendMode.NONE)
        factory.set_stop_on_disconnect(False)
        factory.connect("media-configure", _number)
    else:
        factory.set_launch(
            f"( filesrc location={what} ! qtdemux ! h264parse ! rtph264pay name=pay0 )"
        )
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    GLib.MainLoop().run()


def _number(_factory: Any, media: Any) -> None:
    media.counted = counter.count(media.get_element())


if __name__ == "__main__":
    main(*sys.argv[1:4])
