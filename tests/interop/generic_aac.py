"""rtspclientsink with AAC as mpeg4-generic: `python generic_aac.py FILE URL`.

Its own choice is MP4A-LATM; another payloader can only be set on its pad, which gst-launch can't.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402


def main(path: str, url: str) -> int:
    """Publish a Matroska file of H.264 and AAC at its own pace."""
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f'rtspclientsink name=s protocols=tcp tls-validation-flags=0 location="{url}"'
        f" filesrc location={path} ! matroskademux name=d"
        " d.video_0 ! queue ! h264parse ! clocksync ! s.sink_0"
        " d.audio_0 ! queue ! aacparse ! clocksync name=sound"
    )
    pad = pipeline.get_by_name("s").request_pad_simple("sink_1")
    pad.set_property("payloader", Gst.ElementFactory.make("rtpmp4gpay"))
    pipeline.get_by_name("sound").get_static_pad("src").link(pad)
    pipeline.set_state(Gst.State.PLAYING)
    wanted = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, wanted)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.EOS:
        return 0
    print(*message.parse_error(), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
