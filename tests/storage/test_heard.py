"""Sound around a connection that broke: sent again by the camera, and stored once."""

from itertools import pairwise
from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, Store, arrived, opened, recorder, units
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds, ticks
from ucam.media.scan import audio_samples, scan
from ucam.media.track import AudioTrack
from ucam.storage.recorder import Recorder
from ucam.storage.recording import Recording
from ucam.storage.stream import Arrived

OPUS = AudioTrack.opus()
FRAME_90K = 1800
CUT = 60  # the picture after which the connection breaks


def sound(picture: int) -> list[Arrived]:
    """The two frames behind a picture of 40 ms."""
    return [
        Arrived(
            AccessUnit(b"\x01" * 40, 0, START_US + microseconds(n * FRAME_90K), True, n),
            OPUS,
            stepped=False,
        )
        for n in (2 * picture, 2 * picture + 1)
    ]


def stored(store: Store) -> list[int]:
    """When each frame of sound begins, in 1/90000 s."""
    found = []
    for path in store.files():
        data = path.read_bytes()
        for part in scan(data).fragments:
            found += [sample.dts_90k for sample in audio_samples(data, part)]
    return found


async def begin(recorder: Recorder, run: str = "run1") -> Recording:
    recording = await recorder.begin(PLACE, run)
    recording.audio = OPUS
    return recording


async def first_connection(recorder: Recorder, heard: int) -> None:
    """Breaks when `heard` of the frames behind its last picture have come."""
    recording = await begin(recorder)
    for number, picture in enumerate(list(arrived(units(CUT + 1)))):
        recording.push(picture)
        for frame in sound(number)[: heard if number == CUT else 2]:
            recording.push_audio(frame)
    await recording.finish("unplugged")


async def second_connection(recorder: Recorder) -> None:
    """From the keyframe before; of sound, what is behind the last confirmed picture."""
    recording = await begin(recorder)
    for number, picture in enumerate(list(arrived(units(CUT + 40)))):
        if number >= 50:
            recording.push(picture)
        if number >= CUT:
            for frame in sound(number):
                recording.push_audio(frame)
    await recording.finish("unplugged")


@pytest.mark.parametrize("heard", [0, 1, 2])
@pytest.mark.parametrize("restarted", [False, True], ids=["a cut", "a restart"])
async def test_none_is_missing_and_none_is_there_twice(
    heard: int, restarted: bool, tmp_path: Path
) -> None:
    root = tmp_path / "chunks"
    with opened(root) as store:
        found = recorder(store)
        await first_connection(found, heard)
        if not restarted:
            await second_connection(found)
    if restarted:
        with opened(root) as store:
            await second_connection(recorder(store))
    with opened(root) as store:
        times = stored(store)
    assert times[0] == ticks(START_US)
    assert {after - before for before, after in pairwise(times)} == {FRAME_90K}
    assert len(times) == 2 * (CUT + 40)


async def test_another_runs_times_mean_nothing(store: Store) -> None:
    """A clock that was set back begins another run: its sound is older, and is kept."""
    found = recorder(store)
    await first_connection(found, 2)
    recording = await begin(found, "run2")
    for number, picture in enumerate(list(arrived(units(25)))):
        recording.push(picture)
        for frame in sound(number):
            recording.push_audio(frame)
    await recording.finish("unplugged")
    assert len(stored(store)) == 2 * (CUT + 1) + 50
