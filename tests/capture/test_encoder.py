import pytest

from ucam.base.units import Duration, Rate
from ucam.capture.config import Video
from ucam.capture.encoder import (
    CANDIDATES,
    Encoder,
    EncoderError,
    choose_encoder,
    encoder_launch,
)
from ucam.capture.gst import Gst, has_element, proves


def test_the_first_that_comes_up_is_taken_and_says_why() -> None:
    found = choose_encoder("auto", lambda _: True, lambda name: name != "v4l2h264enc")
    assert found.name == "x264enc"
    assert found.why == "v4l2h264enc does not start (no device behind it?); x264enc works"


def test_the_wanted_one_is_taken_or_nothing() -> None:
    assert choose_encoder("openh264enc", lambda _: True, lambda _: True).name == "openh264enc"
    with pytest.raises(EncoderError, match="x264enc is not installed.*gstreamer1.0-plugins-ugly"):
        choose_encoder("x264enc", lambda name: name != "x264enc", lambda _: True)


def test_where_none_works_all_are_named() -> None:
    with pytest.raises(EncoderError) as told:
        choose_encoder("auto", lambda _: False, lambda _: True)
    assert all(f"{name} is not installed" in str(told.value) for name in CANDIDATES)


@pytest.mark.parametrize("name", CANDIDATES)
def test_rate_and_distance_of_keyframes_are_those_of_the_configuration(name: str) -> None:
    video = Video(framerate=25, bitrate=Rate(1_500_000), keyframe_interval=Duration(2))
    launch = encoder_launch(Encoder(name, ""), video)
    assert "constrained-baseline" in launch
    assert {"x264enc": "bitrate=1500 "}.get(name, "1500000") in launch
    assert {"v4l2h264enc": "h264_i_frame_period=50,"}.get(name, "=50 ") in launch
    if has_element(name):
        Gst.parse_launch(launch.replace("name=encoder", ""))  # every property is one


def test_this_machine_proves_its_own() -> None:
    assert choose_encoder("auto", has_element, proves).name in CANDIDATES
