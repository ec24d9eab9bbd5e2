import asyncio
from collections.abc import Callable
from pathlib import Path

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory

from capture.test_lamps import act
from ucam.capture.lamps import KernelLed, PinLed, find_lamp
from ucam.capture.led import (
    DOUBLE_BLINK,
    FRANTIC,
    LOCATE,
    SLOW_BLINK,
    STEADY,
    Led,
    Pattern,
    choose,
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
    # Who stands in front of a broken camera wants to know which it is, too.
    assert choose(**fine | {"frames_advance": False, "located": True}) is LOCATE


def watched(led: Led, read: Callable[[], bool], begin_s: float, seconds: float) -> str:
    """The lamp in each 50 ms of simulated time; a loop wakes up a little late, as they do."""
    found, due_s = [], begin_s
    for slot in range(round(seconds / 0.05)):
        looked_s = begin_s + slot * 0.05 + 0.025
        while due_s <= looked_s:
            due_s += led.tick(due_s) + 1e-4
        found.append("#" if read() else ".")
    return "".join(found)


def shines(folder: Path) -> bool:
    return (folder / "brightness").read_text() == "200"


TIMELINE = [
    (FRANTIC, "#." * 20),
    (STEADY, "#" * 40),
    (DOUBLE_BLINK, "###....###" + "." * 30),
    (SLOW_BLINK, "#" * 20 + "." * 20),
    (LOCATE, ("#" * 5 + "." * 5) * 4),
    (FRANTIC, "#." * 20),
]


def test_each_pattern_over_time_on_the_kernels_led(tmp_path: Path) -> None:
    folder = act(tmp_path)
    lamp = KernelLed("ACT", tmp_path)
    led = Led(lamp)
    for number, (pattern, expected) in enumerate(TIMELINE):
        led.show(pattern)
        assert watched(led, lambda: shines(folder), 100 + 7.3 * number, 2) == expected
    lamp.close()
    assert (folder / "trigger").read_text() == "mmc0"


def test_each_pattern_over_time_on_a_pin() -> None:
    factory = MockFactory()
    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, factory
    try:
        lamp = find_lamp(None, 17)
        assert isinstance(lamp, PinLed)
        led, pin = Led(lamp), factory.pin(17)
        for number, (pattern, expected) in enumerate(TIMELINE):
            led.show(pattern)
            assert watched(led, lambda: bool(pin.state), 100 + 7.3 * number, 2) == expected
        lamp.close()
        assert pin.function == "input"
    finally:
        gpiozero.Device.pin_factory = before
        factory.reset()


def test_steady_light_costs_no_write(tmp_path: Path) -> None:
    act(tmp_path)
    lamp = KernelLed("ACT", tmp_path)
    led = Led(lamp)
    led.show(STEADY)
    led.tick(0)
    (tmp_path / "ACT" / "brightness").write_text("untouched")
    for now_s in range(1, 100):
        led.tick(now_s)
    assert (tmp_path / "ACT" / "brightness").read_text() == "untouched"
    lamp.close()


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
