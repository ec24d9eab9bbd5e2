"""From packets to chunks, without a socket: which track leads, which goes beside."""

from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, Store, opened, recorder, track, units
from ucam.media.clock import to_ntp64
from ucam.media.scan import ChunkScan, scan
from ucam.rtp.h264 import H264Packetizer
from ucam.rtp.packet import Packet, build
from ucam.rtsp.events import RecordedTrack
from ucam.rtsp.sdp import Media
from ucam.storage.intake import Intake

SETS = track().parameter_sets
VIDEO = Media("video", 96, "H264", 90_000, ntp64_id=1)
OPUS = Media("audio", 97, "OPUS", 48_000, ntp64_id=1, channels=2)
PCMU = Media("audio", 0, "PCMU", 8000, ntp64_id=1)
Packets = list[tuple[int, memoryview]]


def pictures(count: int) -> Packets:
    """On channel 2, with their capture times."""
    packetizer = H264Packetizer(96, 1, ntp64_id=1, parameter_sets=SETS)
    return [
        (2, memoryview(packet))
        for unit in units(count)
        for packet in packetizer.packetize(unit, unit.pts_90k)
    ]


def sound(count: int, rate: int, payload: bytes) -> Packets:
    """20 ms a packet on channel 0, with their capture times."""
    found: Packets = []
    for n in range(count):
        stamp = to_ntp64(START_US + 20_000 * n).to_bytes(8)
        packet = Packet(97, n, n * rate // 50, 2, True, payload, {1: stamp})
        found.append((0, memoryview(build(packet))))
    return found


async def record(store: Store, tracks: list[RecordedTrack], packets: Packets) -> ChunkScan:
    recording = await recorder(store, chunk_us=60_000_000).begin(PLACE, "run1")
    intake = Intake(tracks, 7, recording)
    intake.take(packets, START_US)
    intake.flush(START_US)
    await intake.drain()
    await recording.finish("the test ended")
    assert intake.lost_packets == 0
    (path,) = store.files()
    return scan(path.read_bytes())


async def test_audio_announced_first_goes_beside_the_video(tmp_path: Path) -> None:
    tracks = [RecordedTrack(OPUS, 0, 1, True), RecordedTrack(VIDEO, 2, 3, True)]
    packets = sound(100, 48_000, b"\x78" * 30) + pictures(50)
    with opened(tmp_path / "chunks") as store:
        found = await record(store, tracks, packets)
    assert found.codec_strings == f"{track().codec_string},opus"
    assert found.run is not None
    assert found.run.first_number == 7
    assert sum(fragment.samples for fragment in found.fragments) == 50
    # Also what came before the first picture.
    assert [fragment.audio for fragment in found.fragments] == [50, 50]


@pytest.mark.parametrize("beside", [False, True])
async def test_g711_becomes_aac(beside: bool, tmp_path: Path) -> None:
    tracks = [RecordedTrack(PCMU, 0, 1, True)]
    packets = sound(100, 8000, b"\xff" * 160)
    if beside:
        tracks.append(RecordedTrack(VIDEO, 2, 3, True))
        packets = pictures(25) + packets
    with opened(tmp_path / "chunks") as store:
        found = await record(store, tracks, packets)
    (*_, codec) = found.codec_strings.split(",")
    assert codec == "mp4a.40.2"
    frames = sum(f.audio if beside else f.samples for f in found.fragments)
    # 2 s in frames of 64 ms, and what the coder holds back and gives at the end.
    assert 32 <= frames <= 34


async def test_what_is_not_supported_is_no_track(tmp_path: Path) -> None:
    with opened(tmp_path / "chunks") as store:
        recording = await recorder(store).begin(PLACE, "run1")
        with pytest.raises(ValueError, match="nothing"):
            Intake([RecordedTrack(OPUS, 0, 1, False)], 0, recording)
        await recording.finish("the test ended")
