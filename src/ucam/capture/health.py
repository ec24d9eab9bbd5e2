"""The board: how hot it is, and whether its power is too weak.

The Raspberry Pi's firmware raises an alarm when the voltage falls below 4.63 V. The kernel's driver
(hwmon `rpi_volt`) forgets it when it has told it, so it is looked at often and counted here.
"""

from pathlib import Path

THERMAL = Path("/sys/class/thermal")
HWMON = Path("/sys/class/hwmon")
# A Pi 4 slows down from 80 °C on.
HOT_C = 80.0
# So long a moment of weakness is worth telling: it comes back with the next load.
LATELY_S = 600.0


class Health:
    """`look` now and then (2 s); the rest is what was seen. Times are an argument, in seconds."""

    def __init__(self, thermal: Path = THERMAL, hwmon: Path = HWMON) -> None:
        self._temperature = _find(thermal, "thermal_zone*", "type", "cpu", "temp")
        self._alarm = _find(hwmon, "hwmon*", "name", "rpi_volt", "in0_lcrit_alarm")
        self._alarmed = False
        self._weak_s = float("-inf")
        self._now_s = float("-inf")
        self.temperature_c: float | None = None
        self.under_voltages: int | None = None if self._alarm is None else 0

    def look(self, now_s: float) -> None:
        """Read both."""
        self._now_s = now_s
        milli_c = _number(self._temperature)
        self.temperature_c = None if milli_c is None else milli_c / 1000
        alarm = _number(self._alarm)
        if alarm is None or self.under_voltages is None:
            return
        if alarm and not self._alarmed:
            self.under_voltages += 1
        if alarm:
            self._weak_s = now_s
        self._alarmed = bool(alarm)

    @property
    def is_hot(self) -> bool:
        """Whether the processor slows down to keep cool."""
        return self.temperature_c is not None and self.temperature_c >= HOT_C

    @property
    def warning(self) -> str | None:
        """What is wrong with the board, in a plain sentence."""
        if self._now_s - self._weak_s <= LATELY_S:
            return (
                f"The power supply is too weak (under-voltage, {self.under_voltages} × since the"
                " start): take a better one, and a shorter cable."
            )
        if self.is_hot:
            return f"The board is {self.temperature_c:.0f} °C hot and slows down: cool it."
        return None


def _find(root: Path, pattern: str, label: str, wanted: str, value: str) -> Path | None:
    """The file `value` of the folder whose `label` contains `wanted`."""
    for folder in sorted(root.glob(pattern)):
        try:
            if wanted in (folder / label).read_text() and (folder / value).exists():
                return folder / value
        except OSError:
            continue  # sensors come and go
    return None


def _number(path: Path | None) -> int | None:
    try:
        return None if path is None else int(path.read_text())
    except (OSError, ValueError):
        return None
