"""`maxspace` is never crossed, at no sample."""

import time
from pathlib import Path

import pytest

from support.probe import decode_errors
from support.site import Site

pytestmark = pytest.mark.interop
MAXSPACE = 20_000_000
# Snow can't be compressed: the encoder really needs the bitrate that it is allowed.
CAMERA = """source = "gst:videotestsrc is-live=true pattern=snow"
width = 480
height = 270
framerate = 15
bitrate = "{}" """


def folder_size(folder: Path) -> int:
    """Bytes of everything in the folder, as a stranger would add them up."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # rotated away meanwhile
    return total


def test_the_folder_never_exceeds_it(tmp_path: Path) -> None:
    cameras = {"cam1": CAMERA.format("4Mbit/s"), "cam2": CAMERA.format("3Mbit/s")}
    site = Site(tmp_path, cameras, maxspace="20MB", chunk_size="10s")
    sizes: list[int] = []
    with site.running():
        began = time.monotonic()
        while time.monotonic() - began < 60:
            sizes.append(folder_size(site.recordings))
            time.sleep(0.1)
    assert max(sizes) <= MAXSPACE
    assert folder_size(site.recordings) <= MAXSPACE
    # It rotated (far more than 20 MB came in), and it makes use of the space.
    assert max(sizes) > 0.6 * MAXSPACE
    assert sizes[-1] > 0.5 * MAXSPACE
    for name in cameras:
        assert site.chunks(name)
        assert decode_errors(site.chunks(name)[0]) == ""
    assert site.fsck().returncode == 0, site.fsck().stdout
