"""Chunks with audio beside their video, and of audio alone, through the disk, the index and a
power cut.
"""

from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US, Store, opened, track, units
from ucam.media.access_unit import AccessUnit
from ucam.media.clock import microseconds
from ucam.media.track import AudioTrack
from ucam.storage.cutter import Action, CloseChunk, Cutter
from ucam.storage.database import Database
from ucam.storage.playback.tables import read_table
from ucam.storage.playback.views import closed_entry, live_entry
from ucam.storage.records import Chunk

OPUS = AudioTrack.opus()
AUDIO_90K = 1800


def heard(count: int) -> list[AccessUnit]:
    return [
        AccessUnit(b"\x01" * 40, 0, START_US + microseconds(n * AUDIO_90K), True, n)
        for n in range(count)
    ]


def both() -> list[Action]:
    """Four seconds of pictures and audio in one chunk."""
    cutter = Cutter(None, None)
    actions = cutter.begin(track(), "run1", None, audio=OPUS)
    sound = iter(heard(200))
    for unit in units(100):
        actions += cutter.push(unit, None)
        cutter.push_audio(next(sound))
        cutter.push_audio(next(sound))
    return actions + cutter.end(None)


def alone() -> list[Action]:
    """Four seconds of audio in one chunk."""
    cutter = Cutter(None, None)
    actions = cutter.begin(OPUS, "run1", None)
    for unit in heard(200):
        actions += cutter.push(unit, None)
    return actions + cutter.end(None)


@pytest.mark.parametrize("kind", ["both", "alone"])
def test_it_is_listed_with_its_codecs_while_open_and_when_closed(kind: str, tmp_path: Path) -> None:
    actions = both() if kind == "both" else alone()
    codecs = f"{track().codec_string},opus" if kind == "both" else "opus"
    with opened(tmp_path / "chunks") as store:
        writer = store.write([each for each in actions if not isinstance(each, CloseChunk)])
        (live,) = store.live.values()
        entry = live_entry(live)
        assert (entry["codecs"], entry["open"], len(entry["fragments"])) == (codecs, True, 4)
        writer.close()
        chunk = row(store)
        (path,) = store.files()
        table = read_table(path, chunk.id)
        again = closed_entry(chunk, table)
    assert chunk.codecs == again["codecs"] == codecs
    assert (chunk.width, chunk.height) == ((320, 240) if kind == "both" else (0, 0))
    assert again["fragments"] == entry["fragments"]
    assert [fragment[3] for fragment in again["fragments"]] == [1_000_000] * 4


@pytest.mark.parametrize("kind", ["both", "alone"])
@pytest.mark.parametrize("lost", [0, 10, 2000])
def test_a_power_cut_leaves_whole_fragments(kind: str, lost: int, tmp_path: Path) -> None:
    actions = both() if kind == "both" else alone()
    root = tmp_path / "chunks"
    with opened(root) as store:
        store.write([each for each in actions if not isinstance(each, CloseChunk)])
        (part,) = store.files("*.part")
    size = part.stat().st_size - lost
    with part.open("r+b") as file:
        file.truncate(size)
    with opened(root) as store:
        chunk = row(store)
        durable = store.index.call(Database.durable, PLACE)
    per_second = 25 if kind == "both" else 50
    assert chunk.last_number + 1 == (4 if not lost else 3) * per_second
    assert durable is not None
    assert durable.number == chunk.last_number
    assert chunk.codecs.endswith("opus")


def test_another_audio_configuration_begins_a_new_chunk(tmp_path: Path) -> None:
    cutter = Cutter(None, None)
    actions = cutter.begin(OPUS, "run1", None)
    for unit in heard(100):
        actions += cutter.push(unit, None)
    actions += cutter.begin(AudioTrack.aac(bytes.fromhex("1190")), "run1", "it changed")
    for unit in heard(200)[100:]:
        actions += cutter.push(unit, None)
    with opened(tmp_path / "chunks") as store:
        store.write(actions + cutter.end(None))
        found = store.index.call(lambda database: list(database.all_chunks()))
    assert [chunk.codecs for chunk in found] == ["opus", "mp4a.40.2"]


def row(store: Store) -> Chunk:
    (chunk,) = store.index.call(lambda database: list(database.all_chunks()))
    return chunk
