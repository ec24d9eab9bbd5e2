"""An IP camera that isn't ours: gst-rtsp-server in a process of its own. Prints its port.

CODEC: a test picture, with sound; CODEC FILE: what is in an MP4, as it is, from its beginning for
each connection.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=15/1"
    " ! {encoder} ! {payloader} name=pay0 pt=96"
    "  audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 pt=8 )"
)
ENCODERS = {
    "h264": (
        "x264enc tune=zerolatency key-int-max=15 ! video/x-h264,profile=main",
        "rtph264pay config-interval=0",
    ),
    "h265": (
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15",
        "rtph265pay config-interval=0",
    ),
    "vp8": ("vp8enc deadline=1", "rtpvp8pay"),
}


FILE = "( filesrc location={path} ! qtdemux ! {codec}parse ! {payloader} name=pay0 pt=96 )"


def main(codec: str, path: str = "") -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    encoder, payloader = ENCODERS[codec]
    launch = FILE if path else LAUNCH
    factory.set_launch(launch.format(encoder=encoder, payloader=payloader, codec=codec, path=path))
    factory.set_shared(not path)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


main(*sys.argv[1:])
