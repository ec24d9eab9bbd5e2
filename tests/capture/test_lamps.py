import subprocess
import sys
from pathlib import Path

import pytest

from support.site import wait_until
from ucam.capture.lamps import KernelLed, find_lamp


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


def test_the_lamp_of_a_camera_that_was_killed_blinks_by_itself(tmp_path: Path) -> None:
    folder, memory = act(tmp_path), tmp_path / "memory"
    take = "import sys, pathlib; from ucam.capture.lamps import KernelLed;"
    take += "lamp = KernelLed('ACT', *map(pathlib.Path, sys.argv[1:]));"
    take += "lamp.set(True); print(flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", take, str(tmp_path), str(memory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert (folder / "brightness").read_text() == "200"
    process.kill()
    process.communicate()
    wait_until("the kernel blinks", (folder / "delay_off").exists)
    assert (folder / "trigger").read_text() == "timer\n"
    assert (folder / "delay_on").read_text() == "50\n"
    # The kernel shows it in brackets; the next process knows what was there before.
    (folder / "trigger").write_text("none [timer] mmc0 heartbeat\n")
    lamp = KernelLed("ACT", tmp_path, memory)
    assert (folder / "trigger").read_text() == "none"
    lamp.close()
    assert (folder / "trigger").read_text() == "mmc0"
    assert not memory.exists()


def test_the_delays_may_become_writable_after_the_trigger(tmp_path: Path) -> None:
    """As udev makes them: not a moment before the kernel has told it of the trigger."""
    folder = act(tmp_path)
    (folder / "delay_on").mkdir()  # what nobody can write to, root neither
    lamp = KernelLed("ACT", tmp_path)
    assert lamp._guard.stdin is not None
    lamp._guard.stdin.close()
    wait_until("the trigger", lambda: (folder / "trigger").read_text() == "timer\n")
    (folder / "delay_on").rmdir()
    wait_until("the kernel blinks", (folder / "delay_off").exists)
    assert (folder / "delay_on").read_text() == "50\n"
    lamp._guard.wait()


def test_a_lamp_that_was_given_back_is_left_alone(tmp_path: Path) -> None:
    folder = act(tmp_path)
    lamp = KernelLed("ACT", tmp_path)
    lamp.close()
    lamp.close()
    assert lamp._guard.returncode == 0, "nobody watches any more"
    assert (folder / "trigger").read_text() == "mmc0"
    assert not (folder / "delay_on").exists()
