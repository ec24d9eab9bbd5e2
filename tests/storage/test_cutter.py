from dataclasses import replace
from itertools import pairwise

from storage.helpers import FRAME_90K, START_US, cut, track, units
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds, ticks
from ucam.media.track import AudioTrack
from ucam.storage.cutter import Action, AddFragment, CloseChunk, Cutter, OpenChunk


def fragments(actions: list[Action]) -> list[AddFragment]:
    return [action for action in actions if isinstance(action, AddFragment)]


def opens(actions: list[Action]) -> list[OpenChunk]:
    return [action for action in actions if isinstance(action, OpenChunk)]


def test_a_fragment_a_second_each_at_a_keyframe() -> None:
    actions = cut(Cutter(60_000_000, None), units(100))
    found = fragments(actions)
    assert [len(fragment.samples) for fragment in found] == [25, 25, 25, 25]
    assert all(fragment.samples[0].keyframe for fragment in found)
    assert [fragment.duration_90k for fragment in found] == [90_000] * 4
    assert found[1].start_us == START_US + 1_000_000
    assert found[1].base_dts_90k == ticks(START_US) + 90_000
    assert isinstance(actions[0], OpenChunk)
    assert isinstance(actions[-1], CloseChunk)
    assert len(opens(actions)) == 1


def test_numbers_follow_each_other_over_fragments_and_chunks() -> None:
    found = fragments(cut(Cutter(2_000_000, None), units(200, first=7)))
    assert found[0].first_number == 7
    assert found[-1].last_number == 206
    for before, after in pairwise(found):
        assert after.first_number == before.last_number + 1
        assert after.base_dts_90k == before.base_dts_90k + before.duration_90k


def test_without_keyframes_nothing_waits_longer_than_about_a_second() -> None:
    found = fragments(cut(Cutter(None, None), units(250, keyframes=250)))
    assert max(fragment.duration_90k for fragment in found) <= 99_000 + FRAME_90K
    assert [fragment.samples[0].keyframe for fragment in found[:2]] == [True, False]


def test_frequent_keyframes_make_fragments_of_half_a_second() -> None:
    found = fragments(cut(Cutter(None, None), units(100, keyframes=5)))
    assert {fragment.duration_90k for fragment in found[:-1]} == {15 * FRAME_90K}


def test_chunks_by_duration() -> None:
    actions = cut(Cutter(2_000_000, None), units(250))
    starts = [action.start_us for action in opens(actions)]
    assert starts == [START_US + second * 1_000_000 for second in range(0, 10, 2)]
    assert [action.first_number for action in opens(actions)] == [0, 50, 100, 150, 200]
    assert all(action.broken is None for action in opens(actions))


def test_chunks_by_size_and_by_what_is_allowed_now() -> None:
    by_size = cut(Cutter(None, 120_000), units(250, size=2000))
    allowed = cut(Cutter(60_000_000, None), units(250, size=2000), limit=120_000)
    for actions in (by_size, allowed):
        sizes: list[int] = []
        for action in actions:
            if isinstance(action, OpenChunk):
                sizes.append(0)
            elif isinstance(action, AddFragment):
                sizes[-1] += action.size
        # Two seconds of 50 kB fit into 120 kB, three don't.
        assert sizes == [100_000] * 5


def test_it_begins_at_a_keyframe() -> None:
    cutter = Cutter(None, None)
    source = [unit._replace(keyframe=unit.number == 30) for unit in units(60)]
    actions = cut(cutter, iter(source))
    assert opens(actions)[0].first_number == 30
    assert cutter.dropped == 30


def test_a_resumed_run_needs_no_keyframe_where_it_was_interrupted() -> None:
    cutter = Cutter(None, None)
    actions = cutter.begin(track(), "run1", "storage was stopped", follows=12)
    for unit in list(units(60))[13:]:
        actions += cutter.push(unit, None)
    assert opens(actions)[0].first_number == 13
    assert cutter.dropped == 0


def test_a_resumed_run_that_misses_some_waits_for_a_keyframe_and_says_why() -> None:
    cutter = Cutter(None, None)
    actions = cutter.begin(track(), "run1", "storage was stopped", follows=12)
    for unit in list(units(60))[14:]:
        actions += cutter.push(unit, None)
    first = opens(actions)[0]
    assert first.first_number == 25
    assert first.broken is not None
    assert "could not keep" in first.broken


def test_lost_access_units_end_the_chunk() -> None:
    source = [unit for unit in units(100) if not 30 <= unit.number < 50]
    actions = cut(Cutter(None, None), iter(source))
    first, second = opens(actions)
    assert (first.first_number, second.first_number) == (0, 50)
    assert second.broken is not None
    assert "lost" in second.broken
    assert fragments(actions)[1].last_number == 29


def test_a_hole_in_time_ends_the_chunk() -> None:
    late = [
        unit if unit.number < 40 else unit._replace(utc_us=unit.utc_us + 5_000_000)
        for unit in units(100)
    ]
    actions = cut(Cutter(None, None), iter(late))
    _, second = opens(actions)
    assert second.first_number == 40
    assert second.start_us == late[40].utc_us
    assert second.broken == "the camera sent nothing"
    # The last picture before the hole doesn't last through it.
    assert fragments(actions)[1].samples[-1].duration_90k == FRAME_90K


def test_a_hole_is_one_also_when_nothing_was_waiting() -> None:
    cutter = Cutter(None, None)
    actions = cutter.begin(track(), "run1", None)
    for unit in units(25):
        actions += cutter.push(unit, None)
    actions += cutter.flush()
    for unit in units(50, start_us=START_US + 11_000_000, first=25):
        actions += cutter.push(unit, None)
    actions += cutter.end(None)
    assert [action.first_number for action in opens(actions)] == [0, 25]


def test_a_clock_that_goes_back_ends_the_chunk() -> None:
    back = [
        unit if unit.number < 50 else unit._replace(utc_us=unit.utc_us - 30_000_000)
        for unit in units(100)
    ]
    actions = cut(Cutter(None, None), iter(back))
    assert [action.first_number for action in opens(actions)] == [0, 50]
    assert opens(actions)[1].start_us == START_US + 2_000_000 - 30_000_000


def test_a_camera_that_stops_sending_leaves_nothing_in_memory() -> None:
    cutter = Cutter(None, None)
    cutter.begin(track(), "run1", None)
    actions: list[Action] = []
    for unit in units(10):
        actions += cutter.push(unit, None)
    assert not fragments(actions)
    flushed = cutter.flush()
    assert [len(fragment.samples) for fragment in fragments(flushed)] == [10]
    assert cutter.flush() == []
    for unit in list(units(60))[10:]:
        actions += cutter.push(unit, None)
    assert len(opens(actions)) == 1, "the same chunk goes on"


def test_b_frames_have_decode_times_before_they_are_shown() -> None:
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    reordered = [
        AccessUnit(b"\0\0\0\1x", n * FRAME_90K, START_US + microseconds(n * FRAME_90K), k == 0, k)
        for k, n in enumerate(order)
    ]
    cutter = Cutter(None, None)
    cutter.begin(replace(track(), reorder_depth=1), "run1", None)
    actions: list[Action] = []
    for unit in reordered:
        actions += cutter.push(unit, None)
    (fragment,) = fragments(actions + cutter.end(None))
    dts = fragment.base_dts_90k
    shown = []
    for sample in fragment.samples:
        assert sample.composition_90k >= 0
        shown.append(dts + sample.composition_90k)
        dts += sample.duration_90k
    assert [time - shown[0] for time in shown] == [n * FRAME_90K for n in order]


AUDIO = AudioTrack.opus()
AUDIO_90K = 1800


def heard(count: int, *, late_us: int = 0, start_us: int = START_US) -> list[AccessUnit]:
    """20 ms frames of audio, each one byte."""
    return [
        AccessUnit(
            bytes([n % 255 + 1]), 0, start_us + late_us + microseconds(n * AUDIO_90K), True, n
        )
        for n in range(count)
    ]


def test_audio_goes_with_the_pictures_of_its_time() -> None:
    cutter = Cutter(2_000_000, None)
    actions = cutter.begin(track(), "run1", None, audio=AUDIO)
    sound = iter(heard(200))
    for unit in units(100):
        actions += cutter.push(unit, None)
        cutter.push_audio(next(sound))
        cutter.push_audio(next(sound))
    actions += cutter.end(None)
    assert [action.audio for action in opens(actions)] == [AUDIO, AUDIO]
    found = fragments(actions)
    beside = [fragment.audio for fragment in found]
    assert all(each is not None for each in beside)
    assert sum(len(each.samples) for each in beside if each) == 200
    for fragment, each in zip(found, beside, strict=True):
        assert each is not None
        assert each.base_dts_90k == fragment.base_dts_90k
        assert len(each.samples) == 50
        assert {sample.duration_90k for sample in each.samples} == {AUDIO_90K}
        assert len(fragment.data) == len(fragment.samples) + 1
        assert fragment.size == sum(s.size for s in (*fragment.samples, *each.samples))


def test_late_audio_goes_into_the_next_fragment_with_its_own_time() -> None:
    cutter = Cutter(None, None)
    actions = cutter.begin(track(), "run1", None, audio=AUDIO)
    sound = heard(200)
    for unit in units(100):
        actions += cutter.push(unit, None)
        if unit.number in (40, 99):  # packed into few packets, as ffmpeg does in silence
            for _ in range(min(len(sound), 80)):
                cutter.push_audio(sound.pop(0))
    first, second, *_ = fragments(actions + cutter.end(None))
    assert first.audio is None
    assert second.audio is not None
    assert second.audio.base_dts_90k == ticks(START_US)
    assert len(second.audio.samples) == 80


def test_audio_that_goes_back_or_whose_video_never_comes_is_dropped_and_counted() -> None:
    cutter = Cutter(None, None)
    cutter.begin(track(), "run1", None, audio=AUDIO)
    for unit in heard(1100):
        cutter.push_audio(unit)
    cutter.push_audio(heard(1)[0])
    assert cutter.dropped_audio == 101


def test_audio_alone_is_cut_each_second() -> None:
    cutter = Cutter(3_000_000, None)
    actions = cutter.begin(AUDIO, "run1", None)
    for unit in heard(250):
        actions += cutter.push(unit, None)
    actions += cutter.end(None)
    assert [len(fragment.samples) for fragment in fragments(actions)] == [50] * 5
    assert [action.first_number for action in opens(actions)] == [0, 150]
    assert all(action.track == AUDIO for action in opens(actions))


def test_chunks_of_audio_alone_by_size() -> None:
    cutter = Cutter(None, 2000)
    actions = cutter.begin(AUDIO, "run1", None)
    for unit in heard(250):
        actions += cutter.push(unit, None)
    # 50 frames of 17 bytes a second: two seconds fit.
    actions += cutter.end(None)
    assert [action.first_number for action in opens(actions)] == [0, 100, 200]
