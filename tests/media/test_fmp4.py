import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from media.clips import START_US, clip, fragments, frame_md5, whole_file
from ucam.media import ContainerError, fmp4
from ucam.media.clock import ticks
from ucam.media.scan import scan
from ucam.media.track import VideoTrack

KINDS = [
    pytest.param({"b_frames": 0}, id="no B-frames"),
    pytest.param({"b_frames": 2}, id="B-frames"),
    pytest.param({"b_frames": 3, "options": "b-pyramid=normal"}, id="B-pyramid"),
    pytest.param({"b_frames": 2, "options": "slices=4"}, id="four slices"),
    pytest.param({"b_frames": 0, "size": "322x182"}, id="cropped"),
]


def probe(path: Path, *options: str) -> list[dict[str, Any]]:
    command = ["ffprobe", "-v", "error", "-of", "json", *options, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert not done.stderr
    found = json.loads(done.stdout)
    rows: list[dict[str, Any]] = found.get("packets") or found["streams"]
    return rows


@pytest.mark.interop
@pytest.mark.parametrize("kind", KINDS)
def test_ffmpeg_decodes_the_very_pictures_that_went_in(
    kind: dict[str, Any], tmp_path: Path
) -> None:
    source = clip(**kind)
    path = tmp_path / "chunk.mp4"
    path.write_bytes(whole_file(source))
    assert frame_md5(path) == source.md5
    (stream,) = probe(path, "-count_frames", "-show_streams")
    assert int(stream["nb_read_frames"]) == len(source.units)
    track = VideoTrack.h264(source.parameter_sets)
    assert (stream["width"], stream["height"]) == (track.width, track.height)


@pytest.mark.interop
@pytest.mark.parametrize("closed", [False, True])
def test_times_in_the_file_are_utc(closed: bool, tmp_path: Path) -> None:
    source = clip()
    data = close(whole_file(source)) if closed else whole_file(source)
    path = tmp_path / "chunk.mp4"
    path.write_bytes(data)
    packets = probe(path, "-show_packets")
    assert [int(p["pts"]) for p in packets] == [ticks(u.utc_us) for u in source.units]
    dts = [int(p["dts"]) for p in packets]
    assert dts == sorted(set(dts))
    assert all(int(p["dts"]) <= int(p["pts"]) for p in packets)
    assert ["K" in p["flags"] for p in packets] == [u.keyframe for u in source.units]


@pytest.mark.interop
def test_a_stream_that_hides_its_b_frames_is_decoded_all_the_same(tmp_path: Path) -> None:
    source = clip(b_frames=3, options="b-pyramid=normal")
    path = tmp_path / "chunk.mp4"
    path.write_bytes(whole_file(source, depth=0))
    assert frame_md5(path) == source.md5
    pts = [int(packet["pts"]) for packet in probe(path, "-show_packets")]
    shift = pts[0] - ticks(source.units[0].utc_us)
    assert [each - shift for each in pts] == [ticks(unit.utc_us) for unit in source.units]


def close(data: bytes) -> bytes:
    """The sidx over the free box, as storage closes a chunk."""
    found = scan(data)
    assert found.index is not None
    offset, size = found.index
    entries = [fmp4.IndexEntry(f.size, f.duration_90k, f.keyframe) for f in found.fragments]
    index = fmp4.sidx(entries, min(f.pts_90k for f in found.fragments), size)
    assert len(index) == size
    return data[:offset] + index + data[offset + size :]


@pytest.mark.parametrize("room", [1, 2, 3, 4, 7, 60])
def test_an_index_takes_exactly_the_room_that_was_reserved(room: int) -> None:
    data = whole_file(clip(), per_fragment=10, room=room)
    closed = close(data)
    before, after = scan(data), scan(closed)
    assert not before.indexed
    assert after.indexed
    assert after.index == before.index
    assert after.fragments == before.fragments
    assert len(after.fragments) == 6


@pytest.mark.interop
@pytest.mark.parametrize("room", [1, 2])
def test_ffmpeg_reads_by_an_index_of_joined_fragments(room: int, tmp_path: Path) -> None:
    path = tmp_path / "chunk.mp4"
    path.write_bytes(close(whole_file(clip(), room=room)))
    assert frame_md5(path) == clip().md5


@pytest.mark.interop
def test_ffmpeg_finds_a_moment_by_the_index(tmp_path: Path) -> None:
    path = tmp_path / "chunk.mp4"
    path.write_bytes(close(whole_file(clip())))
    second = f"{(START_US + 1_500_000) / 1e6:.3f}%+#1"
    first, *_ = probe(path, "-read_intervals", second, "-show_packets")
    assert int(first["pts"]) == ticks(START_US + 1_000_000)


def test_a_fragment_is_whole_by_its_head_and_its_samples() -> None:
    (first, *_) = fragments(clip())
    assert first[4:8] == b"prft"
    assert first[36:40] == b"moof"
    mdat = first.index(b"mdat") - 4
    assert int.from_bytes(first[mdat : mdat + 4]) == len(first) - mdat


@pytest.mark.parametrize(
    ("sequence", "samples", "dts"),
    [
        (1, [], 0),
        (1, [fmp4.Sample(10, -1, 0, True)], 0),
        (1, [fmp4.Sample(1 << 31, 1, 0, True)], 0),
        (1, [fmp4.Sample(10, 1, 1 << 31, True)], 0),
        (1 << 32, [fmp4.Sample(10, 1, 0, True)], 0),
        (1, [fmp4.Sample(10, 1, 0, True)], -1),
    ],
)
def test_what_no_fragment_can_hold_is_refused(
    sequence: int, samples: list[fmp4.Sample], dts: int
) -> None:
    with pytest.raises(ContainerError):
        fmp4.fragment(sequence, samples, dts, START_US)


@pytest.mark.parametrize("mark", [fmp4.RunMark("", 0), fmp4.RunMark("é", 0), fmp4.RunMark("a", -1)])
def test_a_run_mark_that_cannot_be_read_back_is_refused(mark: fmp4.RunMark) -> None:
    with pytest.raises(ContainerError):
        fmp4.init_segment(VideoTrack.h264(clip().parameter_sets), mark)


@pytest.mark.parametrize("fragments", [0, 65_536])
def test_an_index_has_between_one_and_65535_fragments(fragments: int) -> None:
    with pytest.raises(ContainerError):
        fmp4.free_for_sidx(fragments)


def test_an_index_of_nothing_is_refused() -> None:
    with pytest.raises(ContainerError):
        fmp4.sidx([], 0, 100)
    with pytest.raises(ContainerError):
        fmp4.sidx([fmp4.IndexEntry(1 << 31, 1, True)], 0, 100)
