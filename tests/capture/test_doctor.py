import time
from pathlib import Path

import msgspec
import pytest

from capture.test_health import board
from capture.test_lamps import act
from capture.test_service import configuration
from capture.tiny_storage import tiny_storage
from device.helpers import tiny_web, unsigned_token
from ucam.capture import doctor
from ucam.capture.config import Audio as AudioConfig
from ucam.capture.config import Led as LedConfig
from ucam.capture.doctor import examine
from ucam.capture.doctor_network import Finding
from ucam.capture.health import Health
from ucam.cli import main


async def findings(folder: Path, port: int, source: str = "test") -> dict[str, Finding]:
    config = configuration(folder, port, source=source)
    return {finding.what: finding async for finding in examine(config)}


async def test_a_healthy_machine(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(unsigned_token(0, time.time() + 1000))
    async with tiny_web(lambda _: (200, b"ok")) as web, tiny_storage(tmp_path) as storage:
        (tmp_path / "token.storage.json").write_text(
            f'{{"url": "{storage.address.url}", "fingerprint": "{storage.fingerprint}"}}'
        )
        found = await findings(tmp_path, int(web.url.rpartition(":")[2]))
    for what in ("elements", "camera", "encoder", "clock", "spool", "web", "storage"):
        assert found[what].good, found[what]
    # This web application of two lines has no keys to check a token with.
    assert found["token"].good is None
    assert "320×180, avc1.42c0" in found["camera"].text


async def test_each_trouble_comes_with_what_to_do(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage:
        (tmp_path / "token.storage.json").write_text(
            f'{{"url": "{storage.address.url}", "fingerprint": "sha256:{"0" * 64}"}}'
        )
        found = await findings(tmp_path, 1, source="file:/nowhere.mp4")
    bad = {what: finding.text for what, finding in found.items() if finding.good is False}
    assert set(bad) == {"camera", "token", "web", "storage"}
    assert "no file" in bad["camera"]
    assert "ucam token" in bad["token"]
    assert "another certificate" in bad["storage"]


def test_the_command_prints_a_line_a_check(capsys, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(doctor, "ELEMENTS", {"nosuchelement": "some-package"})
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "BAD   elements: missing: nosuchelement; apt install some-package"
    checks = [line[6:].partition(":")[0] for line in lines]
    assert checks == ["elements", "camera", "encoder", "clock", "LED", "temperature", "power"]


async def test_a_pin_is_named_and_left_alone(tmp_path: Path) -> None:
    config = configuration(tmp_path, 1)
    config = msgspec.structs.replace(config, led=LedConfig(gpio=17))
    found = {finding.what: finding async for finding in examine(config)}
    assert found["LED"].good is None
    assert "GPIO 17" in found["LED"].text


def led(folder: Path, **keys: object) -> Finding:
    config = msgspec.structs.replace(configuration(folder, 1), led=LedConfig(**keys))  # type: ignore[arg-type]
    return doctor._led(config)


def test_an_led_of_the_kernel_is_tried_without_being_switched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LEDS", tmp_path)
    folder = act(tmp_path)
    assert led(tmp_path, name="ACT").good
    assert (folder / "trigger").read_text() == "none timer [mmc0] heartbeat\n"
    (folder / "trigger").unlink()
    found = led(tmp_path, name="ACT")
    assert found.good is False
    assert "No such file" in found.text
    assert "this machine has ACT" in led(tmp_path).text


def test_heat_and_weak_power_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temperature, alarm = board(tmp_path)
    monkeypatch.setattr(doctor, "Health", lambda: Health(tmp_path, tmp_path))
    temperature.write_text("45000")
    assert [finding.good for finding in doctor._board()] == [True, True]
    temperature.write_text("85000")
    alarm.write_text("1")
    hot, weak = doctor._board()
    assert (hot.good, weak.good) == (False, False)
    assert "85 °C" in hot.text
    assert "take a better one" in weak.text


def test_the_spools_disk(tmp_path: Path) -> None:
    found = doctor._spool(tmp_path / "not" / "yet", 1_000_000)
    assert found.good
    assert not (tmp_path / "not").exists(), "the doctor changes nothing"
    found = doctor._spool(tmp_path, 1 << 60)
    assert found.good is False
    assert "lower [spool] maxspace, or make room" in found.text
    found = doctor._spool(Path("/proc/version/spool"), 1)
    assert found.good is False
    assert "can't be written" in found.text


async def test_a_microphone_that_is_none(tmp_path: Path) -> None:
    config = configuration(tmp_path, 1)
    config = msgspec.structs.replace(config, audio=AudioConfig(source="alsa:plughw:9,9"))
    found = {finding.what: finding async for finding in examine(config)}
    assert found["sound"].good is False
    assert found["camera"].good
    config = msgspec.structs.replace(config, audio=AudioConfig(source="test"))
    found = {finding.what: finding async for finding in examine(config)}
    assert found["sound"].good
