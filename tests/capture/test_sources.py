from pathlib import Path

import pytest

from ucam.base.units import Duration, Rate
from ucam.capture.config import Video
from ucam.capture.encoder import Encoder, EncoderError, choose_encoder, encoder_launch
from ucam.capture.sources import SourceError, launch_text, plan


def everything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


def test_auto_prefers_the_ribbon_cable_then_usb_then_says_what_to_do() -> None:
    usb = (Path("/dev/video0"),)
    assert plan(Video(), everything, usb).name == "libcamera"
    assert plan(Video(), nothing, usb).name == "v4l2:/dev/video0"
    with pytest.raises(SourceError, match="gstreamer1.0-libcamera"):
        plan(Video(), nothing)


def test_names_of_sources_hold_no_secrets() -> None:
    source = plan(Video(source="rtsp://admin:geheim@10.0.0.5:554/h264?pw=geheim"), everything)
    assert source.name == "rtsp://10.0.0.5"
    assert not source.encodes


def test_whatever_a_path_holds_it_stays_one_value(tmp_path: Path) -> None:
    path = tmp_path / 'a "clip" ! fakesink \\.mp4'
    path.touch()
    launch = plan(Video(source=f"file:{path}"), everything).launch
    quoted = str(path).replace("\\", "\\\\").replace('"', '\\"')
    assert f'filesrc location="{quoted}" !' in launch


@pytest.mark.parametrize("source", ["libcamera", "libcamera:/base/soc/i2c0mux", "rpicam"])
def test_what_is_missing_is_named(source: str) -> None:
    assert plan(Video(source=source), everything).name == source
    with pytest.raises(SourceError, match="is missing: install"):
        plan(Video(source=source), nothing)


@pytest.mark.parametrize("source", ["test", "v4l2:/dev/video3", "libcamera", "gst:videotestsrc"])
def test_pictures_go_through_one_encoder(source: str) -> None:
    video = Video(source=source)
    text = launch_text(plan(video, everything), video, Encoder("x264enc", ""))
    assert text.count("x264enc") == 1
    assert text.endswith("max-buffers=64")


def test_the_first_encoder_that_comes_up_is_taken_and_the_log_can_say_why() -> None:
    encoder = choose_encoder("auto", everything, lambda name: name != "v4l2h264enc")
    assert encoder.name == "x264enc"
    assert "v4l2h264enc does not start" in encoder.why
    assert choose_encoder("auto", everything, everything).name == "v4l2h264enc"
    assert choose_encoder("openh264enc", everything, everything).name == "openh264enc"


def test_without_an_encoder_the_packages_are_named() -> None:
    with pytest.raises(EncoderError, match="gstreamer1.0-plugins-ugly"):
        choose_encoder("auto", nothing, nothing)
    with pytest.raises(EncoderError, match="x264enc does not start"):
        choose_encoder("x264enc", everything, nothing)


def test_encoders_get_rate_and_keyframe_interval() -> None:
    video = Video(bitrate=Rate(3_000_000), framerate=25, keyframe_interval=Duration(2))
    assert "key-int-max=50 bitrate=3000 " in encoder_launch(Encoder("x264enc", ""), video)
    assert "bitrate=3000000 " in encoder_launch(Encoder("openh264enc", ""), video)
    hardware = encoder_launch(Encoder("v4l2h264enc", ""), video)
    assert "video_bitrate=3000000,h264_i_frame_period=50,repeat_sequence_header=1" in hardware
