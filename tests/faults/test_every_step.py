"""Storage's disk part killed at each system call of a chunk's life, by strace.

From the making of its folders to its row in the index, and the deletion of the chunk whose place
it takes: SQLite's calls included. UCAM_FAULTS_STEPS: how many of them are tried, spread evenly.
"""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from faults.counts import count
from faults.life import assert_kept, born
from storage.helpers import opened

pytestmark = pytest.mark.matrix
STEPS = count("STEPS", 24)
CALLS = (
    *("mkdir", "openat", "writev", "write", "pwrite64", "fdatasync", "fsync"),
    *("ftruncate", "rename", "unlink", "rmdir"),
)
# Room for what two lives keep, but not for a third: each new chunk is the end of an old one.
MAXSPACE = 1_500_000
PICTURES = 150


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is nearly full."""
    root = tmp_path_factory.mktemp("begun") / "chunks"
    life = born(root, 0, maxspace=MAXSPACE, pictures=600)
    assert life.bury() == 0
    return root.parent


def traced(folder: Path, *options: str) -> tuple[int, int, str]:
    """One life under strace: its wait status, what it confirmed, and what strace wrote."""
    root, trace = folder / "chunks", folder / "trace"
    go_read, go_write = os.pipe()
    life = born(
        root,
        1,
        maxspace=MAXSPACE,
        pictures=PICTURES,
        inline=True,
        when=lambda: os.read(go_read, 1),
    )
    command = ["strace", "-f", "-p", str(life.pid), "-o", str(trace), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        line = strace.stderr.readline()
        if "attached" not in line:
            life.kill()
            pytest.skip(f"strace can't be used here: {line}")
        os.write(go_write, b"!")
        status = life.bury()
        strace.communicate()
    os.close(go_read)
    os.close(go_write)
    confirmed = life.confirmed
    assert_kept(root, [life], MAXSPACE)
    return status, confirmed, trace.read_text()


def copy(begun: Path, tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    shutil.copytree(begun, folder)
    return folder


def steps(trace: str) -> list[tuple[str, int]]:
    """(system call, which of its kind) in the order in which they came."""
    seen: Counter[str] = Counter()
    found = []
    for call in re.findall(r"^\d+ +([a-z0-9]+)\(", trace, re.MULTILINE):
        seen[call] += 1
        found.append((call, seen[call]))
    return found


def test_killed_at_each_system_call(begun: Path, tmp_path: Path) -> None:
    traced_calls = f"trace={','.join(CALLS)}"
    status, confirmed, trace = traced(copy(begun, tmp_path, "whole"), "-e", traced_calls)
    assert status == 0
    assert confirmed == PICTURES - 1
    every = steps(trace)
    # Chunks were opened, written, closed, and old ones were deleted.
    assert {"writev", "fdatasync", "rename", "unlink"} <= {call for call, _ in every}
    places = {round(n * (len(every) - 1) / max(1, STEPS - 1)) for n in range(STEPS)}
    killed = 0
    for place in sorted(places):
        call, number = every[place]
        inject = f"inject={call}:signal=KILL:when={number}"
        folder = copy(begun, tmp_path, f"step{place}")
        status, *_ = traced(folder, "-e", traced_calls, "-e", inject)
        # Files that are opened once in a while make one life's last steps another's none.
        assert status in (0, signal.SIGKILL), (call, number, status)
        killed += status == signal.SIGKILL
        shutil.rmtree(folder)
    print(f"killed at {killed} of {len(every)} system calls")
    assert killed > 0.9 * len(places)


def test_a_start_that_is_told_of_a_loss_fails_the_test(begun: Path, tmp_path: Path) -> None:
    """The oracle: a file that is deleted before its row says so."""
    folder = copy(begun, tmp_path, "broken")
    with opened(folder / "chunks", MAXSPACE) as store:
        store.files()[0].unlink()
    with pytest.raises(AssertionError, match="missing"):
        assert_kept(folder / "chunks", [], MAXSPACE)
