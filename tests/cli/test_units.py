"""What is asked of systemctl, and what is said of its answers; systemd itself isn't here."""

import os
from pathlib import Path

import pytest

from ucam.base.service import Fault
from ucam.cli import enroll, units

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/asked"
case "$*" in
  *" cat ucam-capture.service") exit 0 ;;
  *" enable --now ucam-capture.service") test ! -e "$(dirname "$0")/broken" ||
    { echo "Job for ucam-capture.service failed." >&2; exit 1; } ;;
  *" is-active ucam-capture.service") exit 0 ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a systemctl that knows ucam-capture alone; root asks."""
    script = tmp_path / "systemctl"
    script.write_text(SYSTEMCTL)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(units, "BOOTED", tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path


def test_started_now_and_at_each_boot(systemd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enroll._start("capture", Path("/etc/ucam/capture.toml")) == 0
    assert (systemd / "asked").read_text().splitlines() == [
        "--no-pager cat ucam-capture.service",
        "--no-pager enable --now ucam-capture.service",
        "--no-pager is-active ucam-capture.service",
    ]
    assert "It runs." in capsys.readouterr().out


def test_one_that_does_not_start_is_told(systemd: Path) -> None:
    (systemd / "broken").touch()
    with pytest.raises(Fault, match=r"Job for ucam-capture\.service failed.; see: journalctl -u"):
        enroll._start("capture", Path("/etc/ucam/capture.toml"))


def test_without_a_unit_or_without_root_it_says_what_to_type(
    systemd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enroll._start("storage", Path("x/storage.toml")) == 0
    assert "  ucam storage --config x/storage.toml" in capsys.readouterr().out
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert enroll._start("capture", Path("/etc/ucam/capture.toml")) == 0
    assert "  sudo systemctl enable --now ucam-capture" in capsys.readouterr().out
    monkeypatch.setattr(units, "BOOTED", systemd / "no")
    assert units.command_of("capture", Path("c.toml")) == "ucam capture --config c.toml"
    assert "enable" not in (systemd / "asked").read_text()
