"""The first pipelines of docs/raspberry-pi-steps.md: those that need no camera run, the others name
elements that exist; what can't be had here is named as unproved."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop

PAGE = (Path(__file__).parents[2] / "docs" / "raspberry-pi-steps.md").read_text()
BLOCKS = re.findall(r"^```sh\n(gst-launch-1\.0 [^`]*)\n```$", PAGE, re.MULTILINE)
PIPELINES = [block.replace("\\\n", " ") for block in BLOCKS]
# Elements of a Raspberry Pi.
OF_A_PI = {"libcamerasrc", "v4l2convert", "v4l2h264enc"}


def elements(pipeline: str) -> set[str]:
    words = shlex.split(pipeline)
    begins = [i + 1 for i, word in enumerate(words) if word == "!"]
    first = next(i for i, word in enumerate(words) if i and not word.startswith("-"))
    named = {words[i] for i in [first, *begins]}
    sinks = {word.partition("=")[2] for word in words if word.startswith("video-sink=")}
    return {name for name in named if "/" not in name} | sinks


def test_every_element_exists_or_is_a_pis() -> None:
    assert len(PIPELINES) >= 8
    named = set().union(*(elements(one) for one in PIPELINES))
    assert named >= OF_A_PI
    missing = [
        name
        for name in sorted(named - OF_A_PI)
        if subprocess.run(["gst-inspect-1.0", "--exists", name]).returncode
    ]
    assert missing == []
    assert "Nothing here was tried on a Raspberry Pi yet" in PAGE


@pytest.mark.parametrize("pipeline", [one for one in PIPELINES if "videotestsrc" in one])
def test_what_needs_no_camera_runs(pipeline: str, tmp_path: Path) -> None:
    command = shlex.split(pipeline.replace("num-buffers=300", "num-buffers=30"))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    if "fpsdisplaysink" in pipeline:
        return
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames"]
    probe += ["-of", "csv=p=0", "test.mp4"]
    counted = subprocess.check_output(probe, cwd=tmp_path, text=True)
    assert counted.strip() == re.search(r"num-buffers=(\d+)", pipeline)[1]  # type: ignore[index]
