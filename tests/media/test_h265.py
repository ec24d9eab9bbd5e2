import json
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.media import BitstreamError, h265
from ucam.media.h264 import split_annex_b
from ucam.media.hevc_sps import parse_hevc_sps
from ucam.media.hvcc import build_hvcc, parse_hvcc
from ucam.media.track import VideoTrack


@cache
def nals(size: str = "322x182", options: str = "", pixels: str = "yuv420p") -> tuple[bytes, ...]:
    """Eight pictures that x265 made."""
    source = f"testsrc2=size={size}:rate=25"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "8"]
    command += ["-pix_fmt", pixels, "-c:v", "libx265", "-preset", "ultrafast"]
    command += ["-x265-params", f"log-level=error{options}", "-f", "hevc", "-"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    return tuple(split_annex_b(done.stdout))


def sets(**kind: str) -> tuple[bytes, ...]:
    return h265.ordered_sets(nals(**kind))


@pytest.mark.interop
@pytest.mark.parametrize("kind", [{}, {"options": ":bframes=3"}, {"pixels": "yuv420p10le"}])
def test_ffprobe_says_the_same_of_a_parameter_set(kind: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "clip.hevc"
    path.write_bytes(b"".join(b"\0\0\0\1" + nal for nal in nals(**kind)))
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    (stream,) = json.loads(done.stdout)["streams"]
    track = VideoTrack.h265(sets(**kind))
    assert (track.width, track.height) == (stream["width"], stream["height"]) == (322, 182)
    assert track.reorder_depth == stream["has_b_frames"]
    sps = parse_hevc_sps(track.parameter_sets[1])
    assert sps.profile[11] == stream["level"]
    assert sps.luma_depth == (10 if "10" in stream["pix_fmt"] else 8)
    assert (sps.profile[0] & 31 == 2) == (stream["profile"] == "Main 10")


def test_the_codec_string() -> None:
    track = VideoTrack.h265(sets())
    assert track.codec_string.startswith("hvc1.1.6.L")
    assert track.codec_string.endswith(".90")


def test_the_record_is_read_back_and_is_ffmpegs(tmp_path: Path) -> None:
    record = build_hvcc(sets())
    assert parse_hvcc(record) == sets()
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        stream = container.add_stream("hevc", rate=25)
        stream.codec_context.extradata = record
        assert stream.codec_context.extradata == record
    for end in (0, 22, 30, len(record) - 1):
        with pytest.raises(BitstreamError):
            parse_hvcc(record[:end])


def test_sets_stand_in_their_order_each_once() -> None:
    found = [h265.nal_type(nal) for nal in h265.ordered_sets(reversed(nals() * 2))]
    assert found == [h265.VPS, h265.SPS, h265.PPS]
    assert [h265.set_id(nal) for nal in sets()] == [0, 0, 0]
    for one, other in pairwise(sets()):
        with pytest.raises(BitstreamError):
            VideoTrack.h265((one, other))


@given(st.binary(max_size=60))
def test_any_bytes_raise_nothing_but_bitstream_errors(data: bytes) -> None:
    for nal in (data, b"\x42\x01" + data, b"\x42\x01" + bytes(14) + data):
        try:
            parse_hevc_sps(nal)
        except BitstreamError:
            continue
