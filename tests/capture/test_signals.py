"""LED, readiness and watchdog together, over simulated time."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from capture.test_lamps import act
from capture.test_led import watched
from capture.test_status import FINE
from ucam.capture.config import Led as LedConfig
from ucam.capture.led import FRANTIC, LOCATE, SLOW_BLINK, STEADY
from ucam.capture.signals import Signals

ALONE = replace(FINE, viewers=())
AWAY = replace(ALONE, storage_connected=False, storage_fault="it hung up", spool_s=60.0)
BLIND = replace(ALONE, frames_advance=False, camera_fault="no picture for 10 s")


class Systemd:
    """What systemd hears."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._sock.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + sock.getsockname()[1:].decode())
        yield Systemd(sock)


def test_ready_with_the_first_pictures_and_fed_while_they_are_kept(systemd: Systemd) -> None:
    signals = Signals(LedConfig())
    for second in range(5):
        signals.look(BLIND, 0, second)
    assert systemd.heard() == []
    signals.look(ALONE, 1, 5)
    assert systemd.heard() == ["READY=1\nSTATUS=capturing test", "WATCHDOG=1"]
    for quarter in range(1, 41):
        signals.look(AWAY, 1 + 4 * quarter, 5 + quarter / 4)
    assert systemd.heard() == ["WATCHDOG=1"] * 10, "storage is away, but all is kept"
    for quarter in range(1, 41):
        signals.look(ALONE, 161, 15 + quarter / 4)
    assert systemd.heard() == [], "nothing is kept any more"
    for quarter in range(1, 41):
        signals.look(BLIND, 161 + quarter, 25 + quarter / 4)
    assert systemd.heard() == [], "no pictures"


def test_a_watchdog_with_little_patience_is_fed_more_often(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    signals = Signals(LedConfig())
    for quarter in range(9):
        signals.look(ALONE, quarter + 1, quarter / 4)
    assert systemd.heard().count("WATCHDOG=1") == 5


def test_the_led_follows_the_state_and_locate_goes_first_for_30_s(tmp_path: Path) -> None:
    act(tmp_path)
    signals = Signals(LedConfig(name="ACT"), leds=tmp_path)
    assert signals.led is not None
    assert signals.led.pattern is FRANTIC, "until something is confirmed"
    signals.look(ALONE, 1, 1)
    assert signals.led.pattern is STEADY
    signals.look(replace(ALONE, web_connected=False), 2, 2)
    assert signals.led.pattern is SLOW_BLINK
    signals.look(AWAY, 3, 3)
    assert signals.led.pattern is FRANTIC
    signals.locate("owner@example.com/p", 10)
    for now_s in (10, 25, 39.9):
        signals.look(AWAY, 4, now_s)
        assert signals.led.pattern is LOCATE
    brightness = tmp_path / "ACT" / "brightness"
    shown = watched(signals.led, lambda: brightness.read_text() == "200", 39.9, 1)
    assert shown == ("#" * 5 + "." * 5) * 2
    signals.look(AWAY, 5, 40)
    assert signals.led.pattern is FRANTIC
    signals.led.close()
