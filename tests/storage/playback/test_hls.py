import asyncio
import re
from pathlib import Path

import pytest

from media.clips import clip, frame_md5
from storage.helpers import PLACE, START_US, Store, arrived, recorder, units
from storage.playback.scenes import MINUTE_US, SECOND_US, Scene, content, film, window
from ucam.storage.playback.hls import Numbers, cut
from ucam.storage.playback.library import Stored
from ucam.storage.writer import Piece


async def assemble(scene: Scene, text: str) -> list[bytes]:
    """The bytes of a playlist, as a player fetches them: init and segments, a part each break."""
    parts = [b""]
    wanted = ""
    for line in text.splitlines():
        if line.startswith("#EXT-X-DISCONTINUITY") and "SEQUENCE" not in line:
            parts.append(b"")
        elif match := re.match(r'#EXT-X-MAP:URI="(.*?)\?.*",BYTERANGE="(\d+)@(\d+)"', line):
            parts[-1] += await part(scene, match[1], int(match[2]), int(match[3]))
        elif line.startswith("#EXT-X-BYTERANGE:"):
            wanted = line.partition(":")[2]
        elif not line.startswith("#"):
            length, _, offset = wanted.partition("@")
            parts[-1] += await part(scene, line.partition("?")[0], int(length), int(offset))
    return parts


async def part(scene: Scene, address: str, length: int, offset: int) -> bytes:
    assert address.startswith("../../chunks/")
    answer = await scene.get(address[5:], f"bytes={offset}-{offset + length - 1}")
    assert answer.status == 206
    return content(answer)


async def playlist(scene: Scene, query: str = "") -> str:
    path = f"/cameras/{PLACE.jid}/hls.m3u8?{query}"
    answer = await scene.get(path, token="a.b-c")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    return content(answer).decode()


async def test_the_past_with_a_gap(store: Store, tmp_path: Path) -> None:
    scene, source = Scene(store), clip(frames=100, b_frames=2)
    await film(scene.recorder, source, START_US, "run1")
    await film(scene.recorder, source, START_US + MINUTE_US, "run2")
    text = await playlist(scene, window(0, 2 * MINUTE_US))
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T05:30:00.123456Z" in text
    assert text.count("?token=a.b-c") == text.count("../../chunks/")
    lengths = [float(n) for n in re.findall(r"#EXTINF:([\d.]+),", text)]
    assert sum(lengths) == pytest.approx(8, abs=0.1)
    target = int(re.findall(r"TARGETDURATION:(\d+)", text)[0])
    assert max(lengths) <= target
    for data in await assemble(scene, text):
        (tmp_path / "part.mp4").write_bytes(data)
        assert frame_md5(tmp_path / "part.mp4") == source.md5


async def test_a_window_that_grows(store: Store) -> None:
    found = recorder(store, chunk_us=MINUTE_US)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    for each in arrived(units(6 * 25)):
        recording.push(each)
    async with asyncio.timeout(5):
        while (last := await found.durable(PLACE)) is None or last.number < 124:
            await asyncio.sleep(0.01)
    query = window(0, 0).partition("&")[0]
    before = await playlist(scene, query)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in before
    assert "ENDLIST" not in before
    assert before.count("#EXTINF") == 2
    await recording.finish("the camera was switched off")
    after = await playlist(scene, query)
    assert after.startswith(before)
    assert after.count("#EXTINF") == 3


async def test_live_keeps_its_numbers(store: Store) -> None:
    found = recorder(store, chunk_us=10 * SECOND_US)
    scene = Scene(store, found)
    recording = await found.begin(PLACE, "run1")
    seen: dict[str, int] = {}
    stream = list(arrived(units(60 * 25)))
    for second in range(0, 60, 5):
        for each in stream[second * 25 : (second + 5) * 25]:
            recording.push(each)
        wanted = (second + 5) * 25 - 26
        async with asyncio.timeout(5):
            while (last := await found.durable(PLACE)) is None or last.number < wanted:
                await asyncio.sleep(0.005)
        scene.now_us = START_US + (second + 5) * SECOND_US
        text = await playlist(scene)
        assert "PLAYLIST-TYPE" not in text
        number = int(re.findall(r"MEDIA-SEQUENCE:(\d+)", text)[0])
        segments = re.findall(r"BYTERANGE:(\d+@\d+)\n(\S+)", text)
        assert len(segments) <= 12
        for position, segment in enumerate(segments):
            assert seen.setdefault(str(segment), number + position) == number + position
    assert len(seen) > 20
    numbers = sorted(seen.values())
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    await recording.finish("the camera was switched off")


def chunk(pieces: list[tuple[int, bool]], *, is_open: bool, number: int = START_US) -> Stored:
    table = [Piece(1000 * n, 1000, start, 1, key) for n, (start, key) in enumerate(pieces)]
    return Stored(number, Path("x"), pieces[-1][0] + SECOND_US, 700, table, is_open)


def test_segments_begin_with_keyframes() -> None:
    pieces = [(n * SECOND_US, n % 4 == 0) for n in range(10)]
    found = cut(chunk(pieces, is_open=False), 2 * SECOND_US)
    assert [(s.offset, s.length) for s in found] == [(0, 4000), (4000, 4000), (8000, 2000)]
    assert sum(s.duration_us for s in found) == 10 * SECOND_US
    still_open = cut(chunk(pieces, is_open=True), 2 * SECOND_US)
    assert [segment.key for segment in still_open] == [segment.key for segment in found[:-1]]


def test_numbers_go_on_after_a_restart() -> None:
    early = cut(chunk([(0, True)], is_open=False), SECOND_US)
    ((first, _),) = Numbers().number(early)
    late = cut(chunk([(0, True)], is_open=False, number=START_US + MINUTE_US), SECOND_US)
    ((second, _),) = Numbers().number(late)
    assert second > first


async def test_nothing_to_play(store: Store) -> None:
    store.record(25)
    scene = Scene(store)
    assert (await scene.camera(f"hls.m3u8?{window(MINUTE_US, 2 * MINUTE_US)}")).status == 404
    assert (await scene.camera("hls.m3u8")).status == 404
    assert (await scene.camera("hls.m3u8?from=2020-01-01T00:00:00Z")).status == 400
