"""What `ucam enroll` writes that hangs on the machine."""

from pathlib import Path

import pytest

from ucam.base import config
from ucam.capture import lamps
from ucam.capture.config import CaptureConfig
from ucam.cli import enroll
from ucam.cli.written import CAPTURE, quoted


@pytest.mark.parametrize(
    ("there", "taken"),
    [(("ACT", "PWR", "mmc0"), "ACT"), (("led0", "led1"), "led0"), (("input0::capslock",), None)],
)
def test_the_lamp_is_the_one_on_the_board(
    there: tuple[str, ...], taken: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in there:
        (tmp_path / "leds" / name).mkdir(parents=True)
    monkeypatch.setattr(lamps, "LEDS", tmp_path / "leds")
    values = {"jid": "cam001@studio.loc", "name": "Front door", "url": "https://cams.example.com"}
    values |= {"token": "token", "source": "auto", "spool": "spool"}
    texts = {key: quoted(value) for key, value in values.items()}
    file = tmp_path / "capture.toml"
    file.write_text(CAPTURE.format(**texts, lamp=enroll._lamp(), command="ucam enroll"))
    assert config.load(file, CaptureConfig).led.name == taken
