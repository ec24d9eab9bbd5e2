import asyncio
import io
from array import array
from itertools import pairwise
from math import pi, sin

import av
import pytest

from storage.helpers import START_US
from ucam.media import fmp4
from ucam.media.aac import SPEECH, SPEECH_RATE
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import ticks
from ucam.media.track import AudioTrack
from ucam.storage.g711 import ENCODINGS, G711Coder, Transcoder
from ucam.storage.stream import Arrived

RATE = 8000
PACKET = 160  # samples, 20 ms


def spoken(encoding: str, seconds: float, beep_at_s: float) -> list[AccessUnit]:
    """Silence with a beep of 100 ms, in packets of 20 ms."""
    encoder = av.CodecContext.create(ENCODINGS[encoding], "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    found: list[AccessUnit] = []
    for first in range(0, int(seconds * RATE), PACKET):
        places = [n / RATE for n in range(first, first + PACKET)]
        loud = [beep_at_s <= at < beep_at_s + 0.1 for at in places]
        wave = [round(20_000 * sin(2 * pi * 440 * at)) for at in places]
        frame = av.AudioFrame("s16", "mono", PACKET)
        frame.sample_rate = RATE
        frame.planes[0].update(
            array("h", [w if on else 0 for w, on in zip(wave, loud, strict=True)]).tobytes()
        )
        data = b"".join(bytes(packet) for packet in encoder.encode(frame))
        utc_us = START_US + first * 1_000_000 // RATE
        found.append(AccessUnit(data, ticks(utc_us), utc_us, True, len(found)))
    return found


def decoded(units: list[AccessUnit]) -> list[tuple[float, int]]:
    """Each sample with its time after START_US, through a file as storage writes it."""
    track = AudioTrack.aac(SPEECH)
    rows = [fmp4.Sample(len(unit.data), 5760, 0, True) for unit in units]
    data = fmp4.init_segment(track)
    data += fmp4.fragment(1, rows, ticks(units[0].utc_us), units[0].utc_us)
    data += b"".join(unit.data for unit in units)
    found: list[tuple[float, int]] = []
    resampler = av.AudioResampler("s16", "mono")
    with av.open(io.BytesIO(data), "r", format="mp4") as container:
        for frame in container.decode(audio=0):
            for each in resampler.resample(frame):
                start = (frame.time or 0.0) - START_US / 1e6
                samples = array("h", bytes(each.planes[0])[: 2 * each.samples])
                found += [(start + n / SPEECH_RATE, s) for n, s in enumerate(samples)]
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_beep_stays_where_it_was(encoding: str) -> None:
    coder = G711Coder(encoding, RATE, 1, 7)
    made = [m for unit in spoken(encoding, 2.0, 1.0) for m in coder.code(unit)] + coder.flush()
    assert [unit.number for unit in made] == list(range(7, 7 + len(made)))
    gaps = {b.utc_us - a.utc_us for a, b in pairwise(made)}
    assert gaps == {64_000}
    sound = decoded(made)
    loud = [at for at, sample in sound if abs(sample) > 6000]
    assert abs(loud[0] - 1.0) < 0.01
    assert abs(loud[-1] - 1.1) < 0.01
    assert abs(sound[-1][0] - 2.0) < 0.1


def test_a_hole_is_not_closed_up() -> None:
    units = spoken("PCMU", 2.0, 1.5)
    coder = G711Coder("PCMU", RATE, 1, 0)
    kept = [*units[:40], *units[60:]]  # 0.4 s are missing
    made = [m for unit in kept for m in coder.code(unit)] + coder.flush()
    times = [unit.utc_us for unit in made]
    assert times == sorted(set(times))
    after = next(unit for unit in made if unit.utc_us >= units[60].utc_us - 65_000)
    assert abs(after.utc_us - units[60].utc_us) <= 64_001


async def test_a_thread_does_it_and_nothing_is_left_behind() -> None:
    got: list[Arrived] = []
    transcoder = Transcoder("PCMA", RATE, 1, 0, got.append)
    track = AudioTrack.aac(SPEECH)
    for unit in spoken("PCMA", 1.0, 0.5):
        transcoder.push(Arrived(unit, track, stepped=unit.number == 0))
    await asyncio.wait_for(transcoder.finish(), 10)
    assert [each.unit.number for each in got] == list(range(len(got)))
    assert len(got) >= 16
    assert [each.stepped for each in got[:2]] == [True, False]
    assert got[0].track.codec_string == "mp4a.40.2"
