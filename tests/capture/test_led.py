import asyncio
from pathlib import Path

import pytest

from ucam.capture.led import (
    DOUBLE_BLINK,
    FRANTIC,
    SLOW_BLINK,
    STEADY,
    KernelLed,
    Led,
    Pattern,
    choose,
    find_lamp,
)


def shown(pattern: Pattern, seconds: float, step_s: float = 0.01) -> str:
    return "".join(
        "#" if pattern.at(n * step_s + step_s / 2)[0] else "." for n in range(int(seconds / step_s))
    )


def test_frantic_is_ten_hertz_and_steady_is_steady() -> None:
    assert shown(FRANTIC, 1) == "#####....." * 10
    assert set(shown(STEADY, 5)) == {"#"}


def test_a_watched_camera_blinks_twice_and_pauses() -> None:
    assert shown(DOUBLE_BLINK, 4, 0.05) == ("###....###" + "." * 30) * 2


def test_at_tells_how_long_it_stays_so() -> None:
    now, flips = 0.0, []
    for _ in range(6):
        on, left_s = SLOW_BLINK.at(now)
        flips.append(on)
        now += left_s
    assert flips == [True, False] * 3
    assert now == pytest.approx(6.0)


def test_the_worst_trouble_wins() -> None:
    fine = {"frames_advance": True, "confirmed": True, "web_away": False, "watched": False}
    assert choose(**fine) is STEADY
    assert choose(**fine | {"watched": True}) is DOUBLE_BLINK
    assert choose(**fine | {"watched": True, "web_away": True}) is SLOW_BLINK
    assert choose(**fine | {"web_away": True, "confirmed": False}) is FRANTIC
    assert choose(**fine | {"frames_advance": False}) is FRANTIC


def act(root: Path) -> Path:
    folder = root / "ACT"
    folder.mkdir()
    (folder / "trigger").write_text("none timer [mmc0] heartbeat\n")
    (folder / "brightness").write_text("1\n")
    (folder / "max_brightness").write_text("200\n")
    return folder


def test_the_kernels_led_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = act(tmp_path)
    lamp = KernelLed("ACT", tmp_path)
    assert (folder / "trigger").read_text() == "none"
    lamp.set(True)
    assert (folder / "brightness").read_text() == "200"
    lamp.set(False)
    assert (folder / "brightness").read_text() == "0"
    lamp.close()
    assert (folder / "trigger").read_text() == "mmc0"
    assert (folder / "brightness").read_text() == "1"


def test_a_missing_led_is_told_and_does_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_lamp("ACT", None, tmp_path) is None
    assert "the camera works without it" in caplog.text


async def test_the_shell_shows_a_new_pattern_at_once_and_gives_the_lamp_back() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.states: asyncio.Queue[bool] = asyncio.Queue()
            self.closed = False

        def set(self, on: bool) -> None:
            self.states.put_nowait(on)

        def close(self) -> None:
            self.closed = True

    lamp = Recorder()
    led = Led(lamp)
    led.show(SLOW_BLINK)
    task = asyncio.create_task(led.run())
    assert await lamp.states.get() is True
    led.show(FRANTIC)
    async with asyncio.timeout(0.9):  # slow blink would stay on for a second
        while await lamp.states.get():
            pass
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert lamp.closed
