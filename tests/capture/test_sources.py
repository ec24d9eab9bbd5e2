from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ucam.base.units import Duration, Rate
from ucam.capture.config import Video
from ucam.capture.encoder import Encoder, EncoderError, choose_encoder, encoder_launch
from ucam.capture.sources import SINK, SourceError, launch_text, plan

USB = Path("/dev/video0")
SENSOR = Path("/dev/video1")


@dataclass
class FakeMachine:
    """`elements` None: all are installed. `faults`: launch texts that don't come up. `gives`: the
    caps that devices offer, by a part of their launch text.
    """

    elements: set[str] | None = None
    faults: dict[str, str] = field(default_factory=dict)
    gives: dict[str, str] = field(default_factory=dict)
    devices: tuple[Path, ...] = ()

    def has(self, element: str) -> bool:
        return self.elements is None or element in self.elements

    def fault(self, source: str) -> str | None:
        return next((why for part, why in self.faults.items() if part in source), None)

    def offers(self, source: str, caps: str) -> bool:
        given = next((gives for part, gives in self.gives.items() if part in source), "")
        return any(one.startswith(given) for one in caps.split(";")) if given else False

    def cameras(self) -> tuple[Path, ...]:
        return self.devices


ALL = FakeMachine(gives={"/dev": "image/jpeg"})
NOTHING = FakeMachine(elements=set())


def test_auto_prefers_the_ribbon_cable() -> None:
    found = plan(Video(), ALL)
    assert (found.name, found.gives) == ("libcamera", "pictures")
    assert found.why == "libcamera comes up"


def test_auto_passes_over_what_does_not_come_up_and_says_so() -> None:
    machine = FakeMachine(
        elements={"libcamerasrc", "v4l2src"},
        faults={"libcamerasrc": "Could not find any supported camera", "video1": "Device is busy"},
        gives={"video0": "video/x-bayer", "video2": "video/x-raw"},
        devices=(USB, SENSOR, Path("/dev/video2")),
    )
    found = plan(Video(), machine)
    assert found.name == "v4l2:/dev/video2"
    assert found.why == (
        "libcamera: Could not find any supported camera; rpicamsrc is not installed;"
        " v4l2:/dev/video0: gives no pictures (the bare sensor of another camera?);"
        " v4l2:/dev/video1: Device is busy; /dev/video2 comes up"
    )


def test_auto_without_a_camera_says_what_was_tried_and_what_to_do() -> None:
    with pytest.raises(SourceError, match=r"libcamerasrc is not.*gstreamer1\.0-libcamera"):
        plan(Video(), NOTHING)


def test_a_usb_cameras_own_h264_passes_through() -> None:
    video = Video(source="v4l2:/dev/video0", width=1920, height=1080)
    machine = FakeMachine(gives={"video0": "video/x-h264,width=1920,height=1080"})
    found = plan(video, machine)
    assert found.gives == "H264"
    assert "H.264 of this size by itself" in found.why
    text = launch_text(found, video, None)
    assert "x264enc" not in text
    assert 'v4l2src device="/dev/video0"' in text
    assert "video/x-h264,width=1920,height=1080" in text


def test_h264_of_another_size_is_not_taken() -> None:
    found = plan(Video(source="v4l2:/dev/video0"), ALL)
    assert found.gives == "pictures"
    assert "image/jpeg,width=1280,height=720" in found.launch


def test_names_of_sources_hold_no_secrets() -> None:
    source = plan(Video(source="rtsp://admin:geheim@10.0.0.5:554/h264?pw=geheim"), ALL)
    assert source.name == "rtsp://10.0.0.5"
    assert source.gives == "H264 or H265"


def test_whatever_a_path_holds_it_stays_one_value(tmp_path: Path) -> None:
    path = tmp_path / 'a "clip" ! fakesink \\.mp4'
    path.touch()
    launch = plan(Video(source=f"file:{path}"), ALL).launch
    quoted = str(path).replace("\\", "\\\\").replace('"', '\\"')
    assert f'filesrc location="{quoted}" !' in launch


@pytest.mark.parametrize("source", ["libcamera", "libcamera:/base/soc/i2c0mux", "rpicam"])
def test_what_is_missing_is_named(source: str) -> None:
    assert plan(Video(source=source), ALL).name == source
    with pytest.raises(SourceError, match="is missing: install"):
        plan(Video(source=source), NOTHING)


def everything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


@pytest.mark.parametrize("source", ["test", "v4l2:/dev/video3", "libcamera", "gst:videotestsrc"])
def test_pictures_go_through_one_encoder(source: str) -> None:
    video = Video(source=source)
    text = launch_text(plan(video, ALL), video, Encoder("x264enc", ""))
    assert text.count("x264enc") == 1
    assert text.endswith(SINK)


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
