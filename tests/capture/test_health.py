from pathlib import Path

from ucam.capture.health import Health


def board(root: Path) -> tuple[Path, Path]:
    """The files of a Raspberry Pi 4, and a folder of another kind beside each."""
    for number, (kind, name) in enumerate((("gpu-thermal", "nvme"), ("cpu-thermal", "rpi_volt"))):
        zone, sensor = root / f"thermal_zone{number}", root / f"hwmon{number}"
        zone.mkdir()
        sensor.mkdir()
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text("1000\n")
        (sensor / "name").write_text(f"{name}\n")
        (sensor / "in0_lcrit_alarm").write_text("0\n")
    return root / "thermal_zone1" / "temp", root / "hwmon1" / "in0_lcrit_alarm"


def test_temperature_and_each_time_the_voltage_fell(tmp_path: Path) -> None:
    temperature, alarm = board(tmp_path)
    health = Health(tmp_path, tmp_path)
    temperature.write_text("48312\n")
    health.look(0)
    assert (health.temperature_c, health.under_voltages, health.warning) == (48.312, 0, None)
    for now_s, value in enumerate(("1", "1", "0", "1", "0"), 1):
        alarm.write_text(f"{value}\n")
        health.look(now_s)
    assert health.under_voltages == 2
    assert "too weak (under-voltage, 2 ×" in (health.warning or "")
    health.look(604)
    assert health.warning is not None
    health.look(605)
    assert health.warning is None, "what is over is not told for ever"
    assert health.under_voltages == 2


def test_heat_is_told(tmp_path: Path) -> None:
    temperature, _ = board(tmp_path)
    health = Health(tmp_path, tmp_path)
    temperature.write_text("83000\n")
    health.look(0)
    assert health.warning == "The board is 83 °C hot and slows down: cool it."


def test_a_machine_without_sensors(tmp_path: Path) -> None:
    health = Health(tmp_path, tmp_path)
    health.look(0)
    assert (health.temperature_c, health.under_voltages, health.warning) == (None, None, None)


def test_a_sensor_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    temperature, alarm = board(tmp_path)
    health = Health(tmp_path, tmp_path)
    temperature.unlink()
    alarm.write_text("no number")
    health.look(0)
    assert (health.temperature_c, health.under_voltages) == (None, 0)
