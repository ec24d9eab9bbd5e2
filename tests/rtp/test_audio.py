"""Audio payload formats: RFC 3640, RFC 6416, RFC 7587, RFC 3551."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucam.media.access_unit import AccessUnit
from ucam.media.track import AudioTrack
from ucam.rtp import PayloadError, packet
from ucam.rtp.audio_depacketizer import OpusDepacketizer
from ucam.rtp.formats import FORMATS, Depacketizer, depacketizer
from ucam.rtp.packetizers import packetizer
from ucam.rtp.unit import Unit

GENERIC = {"mode": "AAC-hbr", "config": "1190", "sizelength": "13", "indexlength": "3"}
GENERIC |= {"indexdeltalength": "3"}
LATM = {"cpresent": "0", "config": "400023203fc0"}
FRAMES = [bytes([n + 1]) * size for n, size in enumerate((10, 300, 7, 255, 600))]


def make(encoding: str, parameters: dict[str, str] | None = None) -> Depacketizer:
    found = depacketizer(encoding, (), 1, clock_rate=48_000, parameters=parameters or {})
    assert found is not None
    return found


def rtp(sequence: int, timestamp: int, payload: bytes, marker: bool = True) -> bytes:
    return packet.build(packet.Packet(97, sequence & 0xFFFF, timestamp, 1, marker, payload))


def generic(*frames: bytes) -> bytes:
    heads = b"".join((len(frame) << 3).to_bytes(2) for frame in frames)
    return (len(heads) * 8).to_bytes(2) + heads + b"".join(frames)


def latm(frame: bytes) -> bytes:
    return b"\xff" * (len(frame) // 255) + bytes((len(frame) % 255,)) + frame


def take(receiver: Depacketizer, *sent: bytes) -> list[Unit]:
    found = []
    for each in sent:
        receiver.push(each)
        while (unit := receiver.pull()) is not None:
            found.append(unit)
    return found


def test_several_aac_frames_a_packet_follow_each_other_in_time() -> None:
    found = take(make("MPEG4-GENERIC", GENERIC), rtp(0, (1 << 32) - 1024, generic(*FRAMES)))
    assert [unit.data for unit in found] == FRAMES
    assert [unit.rtp_timestamp for unit in found] == [(1 << 32) - 1024, 0, 1024, 2048, 3072]
    assert all(unit.keyframe for unit in found)


def test_an_aac_frame_in_several_packets() -> None:
    whole = b"x" * 2500
    head = (16).to_bytes(2) + (len(whole) << 3).to_bytes(2)
    sent = [rtp(n, 7, head + whole[n * 1000 : (n + 1) * 1000], n == 2) for n in range(3)]
    receiver = make("MPEG4-GENERIC", GENERIC)
    assert [unit.data for unit in take(receiver, *sent)] == [whole]
    lost = [rtp(10, 9, head + whole[:1000], False), rtp(12, 9, head + whole[2000:])]
    assert take(receiver, *lost) == []
    (after,) = take(receiver, rtp(13, 10, generic(b"y")))
    assert after.after_loss
    assert receiver.lost_packets == 10 - 3 + 1


def test_latm_elements_with_one_frame_several_and_in_parts() -> None:
    receiver = make("MP4A-LATM", LATM)
    found = take(receiver, *(rtp(n, n * 1024, latm(frame)) for n, frame in enumerate(FRAMES)))
    assert [unit.data for unit in found] == FRAMES
    found = take(receiver, rtp(5, 9000, latm(FRAMES[0]) + latm(FRAMES[1])))
    assert [unit.rtp_timestamp for unit in found] == [9000, 10_024]
    element = latm(FRAMES[4])
    found = take(receiver, rtp(6, 1, element[:400], False), rtp(7, 1, element[400:]))
    assert [unit.data for unit in found] == [FRAMES[4]]
    assert receiver.malformed_packets == 0


@cache
def loas(rate: int = 48_000) -> tuple[tuple[bytes, ...], tuple[bytes, ...], bytes]:
    """Elements with their configuration in them as ffmpeg makes them (LOAS, ISO/IEC 14496-3
    §1.7.2), the frames in them as they stand in an MP4, and their configuration.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, plain = Path(folder) / "x.latm", Path(folder) / "x.mp4"
        source = ["-f", "lavfi", "-i", f"sine=sample_rate={rate}", "-t", "1", "-c:a", "aac"]
        both = ["-flags", "+global_header", "-map", "0:a", "-f", "tee", f"[f=latm]{path}|{plain}"]
        subprocess.run(["ffmpeg", "-v", "error", *source, *both], check=True)
        data, elements, at = path.read_bytes(), [], 0
        while at < len(data):
            head = int.from_bytes(data[at : at + 3])
            assert head >> 13 == 0x2B7
            size = head & 0x1FFF
            elements.append(data[at + 3 : at + 3 + size])
            at += 3 + size
        with av.open(str(plain)) as container:
            frames = tuple(bytes(packet) for packet in container.demux() if packet.size)
            config = container.streams.audio[0].codec_context.extradata or b""
    return tuple(elements), frames, config


@pytest.mark.interop
@pytest.mark.parametrize("parameters", [{}, {"cpresent": "1"}, LATM | {"cpresent": "1"}])
def test_latm_with_its_configuration_in_the_stream(parameters: dict[str, str]) -> None:
    elements, frames, config = loas()
    assert len(frames) >= 45
    receiver = make("MP4A-LATM", parameters)
    sent = [rtp(n, n * 1024, element) for n, element in enumerate(elements)]
    found = take(receiver, *sent)
    assert [unit.data for unit in found] == list(frames)
    told = [unit.parameter_sets for unit in found if unit.parameter_sets]
    # The first says it, and nobody after it; the SDP's example was of two channels.
    assert len(told) == 1
    assert told[0][0] == config[: len(told[0][0])]
    assert FORMATS["MP4A-LATM"].describe(told[0]).codec_string == "mp4a.40.2"
    assert receiver.malformed_packets == 0
    # Elements in parts, and another rate from here on.
    halves = [
        rtp(len(sent) + 2 * n + half, 90_000 + n, part, half == 1)
        for n, element in enumerate(elements[:5])
        for half, part in enumerate((element[:9], element[9:]))
    ]
    assert [unit.data for unit in take(receiver, *halves)] == list(frames[:5])
    other, others, _ = loas(44_100)
    found = take(receiver, *(rtp(600 + n, n, each) for n, each in enumerate(other)))
    assert [unit.data for unit in found] == list(others)
    assert [n for n, unit in enumerate(found) if unit.parameter_sets] == [0]


@pytest.mark.interop
def test_latm_before_its_configuration_is_dropped() -> None:
    elements, frames, _ = loas()
    later = next(n for n in range(1, len(elements)) if not elements[n][0] & 0x80)
    receiver = make("MP4A-LATM", {})
    begin = later - 3
    found = take(receiver, *(rtp(n, n, each) for n, each in enumerate(elements[begin:])))
    assert [unit.data for unit in found] == list(frames[later:])
    assert found[0].after_loss
    assert receiver.malformed_packets == 3


def test_what_they_are_is_told() -> None:
    for encoding, parameters in (("MPEG4-GENERIC", GENERIC), ("MP4A-LATM", LATM)):
        track = FORMATS[encoding].describe(make(encoding, parameters).description)
        assert track == AudioTrack.aac(bytes.fromhex("1190"))
    assert FORMATS["OPUS"].describe(make("OPUS").description) == AudioTrack.opus()
    assert FORMATS["PCMU"].describe(make("PCMU").description).codec_string == "mp4a.40.2"


@pytest.mark.parametrize("encoding", ["OPUS", "PCMU", "PCMA"])
def test_a_packet_a_frame(encoding: str) -> None:
    receiver = make(encoding)
    sent = (rtp(n + 65_534, n * 960, bytes([n + 1]) * 80) for n in range(4))
    found = take(receiver, *sent, rtp(2, 5000, b""))
    assert [unit.data[:1] for unit in found] == [b"\1", b"\2", b"\3", b"\4"]
    assert receiver.lost_packets == 0
    (late,) = take(receiver, rtp(9, 9600, b"z"))
    assert late.after_loss
    assert receiver.lost_packets == 6


@pytest.mark.parametrize(
    ("encoding", "parameters", "payload"),
    [
        ("MPEG4-GENERIC", GENERIC, b"\0"),
        ("MPEG4-GENERIC", GENERIC, b"\0\0abc"),
        ("MPEG4-GENERIC", GENERIC, b"\xff\xff\0\0"),
        ("MPEG4-GENERIC", GENERIC, b"\0\x20\0\x50\0\x50ab"),
        ("MP4A-LATM", LATM, b"\xff\xff"),
        ("MP4A-LATM", LATM, b"\x09ab"),
    ],
)
def test_what_a_format_forbids_is_counted(
    encoding: str, parameters: dict[str, str], payload: bytes
) -> None:
    receiver = make(encoding, parameters)
    assert take(receiver, rtp(0, 0, payload)) == []
    assert receiver.malformed_packets == 1


@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.binary(max_size=60), max_size=12),
    st.dictionaries(st.sampled_from(sorted(GENERIC)), st.text(max_size=8)),
)
def test_any_payloads_and_parameters_raise_nothing(
    encoding: str, payloads: list[bytes], parameters: dict[str, str]
) -> None:
    for chosen in (parameters, GENERIC | LATM):
        receiver = make(encoding, chosen)
        for number, payload in enumerate(payloads):
            receiver.push(payload)
            receiver.push(rtp(number, number // 2, payload, number % 3 == 0))
            receiver.pull()
        receiver.flush()


def test_opus_comes_out_as_it_went_in() -> None:
    sender = packetizer(AudioTrack.opus(1), 97, 9, ntp64_id=1, first_sequence=0xFFFE)
    receiver = OpusDepacketizer(48_000, ntp64_id=1)
    for number in range(4):
        sent = AccessUnit(
            bytes((0xF8, number)), 1800 * number, 10**15 + number, True, 0, audio=True
        )
        (each,) = sender.packetize(sent, 960 * number)
        receiver.push(each)
        found = receiver.pull()
        assert found is not None
        assert (found.data, found.rtp_timestamp) == (sent.data, 960 * number)
        assert abs((found.capture_utc_us or 0) - sent.utc_us) <= 1
    assert receiver.lost_packets == 0
    for wrong in (b"", bytes(60_000)):
        with pytest.raises(PayloadError):
            sender.packetize(AccessUnit(wrong, 0, 0, True, 0, audio=True), 0)
    with pytest.raises(PayloadError, match="aac"):
        packetizer(AudioTrack.aac(bytes.fromhex("1190")), 97, 9)
