"""AAC's configurations and the files of audio, alone and beside video."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clips import START_US, clip, whole_file
from ucam.media import MediaError, fmp4
from ucam.media.aac import parse_audio_config, parse_stream_mux_config
from ucam.media.clock import ticks
from ucam.media.scan import audio_samples, samples, scan
from ucam.media.track import AudioTrack, VideoTrack, codec_strings

LC_48_STEREO = bytes.fromhex("1190")
FRAME_90K = 1920


def test_an_audio_specific_config_is_read() -> None:
    found = parse_audio_config(LC_48_STEREO)
    assert (found.object_type, found.sample_rate, found.channels) == (2, 48_000, 2)
    assert (found.frame_samples, found.bits) == (1024, 16)
    assert AudioTrack.aac(LC_48_STEREO).codec_string == "mp4a.40.2"
    # HE-AAC, signalled first: 24 kHz of the core coder, 48 kHz of what comes out.
    found = parse_audio_config(bytes.fromhex("2b118800"))
    assert (found.object_type, found.sample_rate, found.channels) == (5, 24_000, 2)


def test_the_config_inside_latm() -> None:
    # As rtspclientsink writes it: version 0, one program, one layer, then LC at 48 kHz.
    assert parse_stream_mux_config(bytes.fromhex("400023203fc0")) == LC_48_STEREO


@pytest.mark.parametrize("config", ["", "11", "ff", "0000", "1100", "1780", "00" * 65])
def test_what_is_no_aac_is_refused(config: str) -> None:
    with pytest.raises(MediaError):
        AudioTrack.aac(bytes.fromhex(config))


@given(st.binary(max_size=40))
def test_any_bytes_raise_nothing_but_media_errors(data: bytes) -> None:
    for parse in (parse_audio_config, parse_stream_mux_config, AudioTrack.aac):
        try:
            parse(data)
        except MediaError:
            continue


@pytest.mark.parametrize("track", [AudioTrack.aac(LC_48_STEREO), AudioTrack.opus()])
def test_a_file_of_audio_alone_is_read_back(track: AudioTrack) -> None:
    frames = [bytes([n + 1]) * (n + 10) for n in range(8)]
    data = fmp4.init_segment(track, fmp4.RunMark("run", 5)) + fmp4.free_for_sidx(4)
    for number in range(2):
        part = frames[4 * number : 4 * number + 4]
        rows = [fmp4.Sample(len(frame), FRAME_90K, 0, True) for frame in part]
        data += fmp4.fragment(number + 1, rows, number * 4 * FRAME_90K, START_US) + b"".join(part)
    found = scan(data)
    assert (found.track, found.audio, found.run) == (track, None, fmp4.RunMark("run", 5))
    assert [fragment.samples for fragment in found.fragments] == [4, 4]
    assert all(fragment.keyframe for fragment in found.fragments)
    stored = [each for fragment in found.fragments for each in samples(data, fragment)]
    assert [data[each.offset : each.offset + each.size] for each in stored] == frames
    # Zeros where the last frame should be are what a power cut leaves.
    torn = data[: -len(frames[-1])] + bytes(len(frames[-1]))
    assert len(scan(torn).fragments) == 1


def beside() -> tuple[bytes, list[bytes]]:
    """A second of the clip with 20 frames of "audio" that begin a bit earlier."""
    source = clip(b_frames=0)
    track, audio = VideoTrack.h264(source.parameter_sets), AudioTrack.aac(LC_48_STEREO)
    units, sound = source.units[:25], [bytes([n + 1]) * 50 for n in range(20)]
    rows = [fmp4.Sample(len(unit.data), 3600, 0, unit.keyframe) for unit in units]
    heard = fmp4.Beside([fmp4.Sample(50, FRAME_90K, 0, True)] * 20, ticks(START_US) - FRAME_90K)
    head = fmp4.fragment(1, rows, ticks(START_US), START_US, heard)
    init = fmp4.init_segment(track, audio=audio) + fmp4.free_for_sidx(2)
    return init + head + b"".join(unit.data for unit in units) + b"".join(sound), sound


def test_audio_beside_video_is_read_back() -> None:
    data, sound = beside()
    found = scan(data)
    assert found.audio == AudioTrack.aac(LC_48_STEREO)
    assert found.codec_strings == codec_strings(found.track, found.audio)
    assert found.codec_strings.endswith(",mp4a.40.2")
    (fragment,) = found.fragments
    assert (fragment.samples, fragment.audio) == (25, 20)
    assert found.valid_length == len(data)
    stored = audio_samples(data, fragment)
    assert [data[each.offset : each.offset + each.size] for each in stored] == sound
    assert stored[0].pts_90k == fragment.dts_90k - FRAME_90K
    assert [each.keyframe for each in samples(data, fragment)][:2] == [True, False]


def test_a_cut_in_the_audio_leaves_the_fragment_out() -> None:
    data, _ = beside()
    assert scan(data[:-1]).fragments == ()
    assert scan(data[:-50] + bytes(50)).fragments == ()


def test_a_file_without_audio_has_none() -> None:
    data = whole_file(clip())
    assert scan(data).audio is None
    assert audio_samples(data, scan(data).fragments[0]) == []


@pytest.mark.interop
def test_ffprobe_reads_both_tracks(tmp_path: Path) -> None:
    path = tmp_path / "chunk.mp4"
    path.write_bytes(beside()[0])
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,nb_read_packets"]
    done = subprocess.run(
        [*command, "-count_packets", "-of", "csv=p=0", str(path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["h264,25", "aac,20"]
