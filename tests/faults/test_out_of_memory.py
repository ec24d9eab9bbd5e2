"""Storage runs out of memory: the kernel kills it in the midst of its work, again and again."""

import contextlib
import random
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.chain import Chain, assert_whole, wait_until
from faults.counts import count, long
from faults.network import network

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
TIMES = count("OUT_OF_MEMORY", 1)
GROUPS = Path("/sys/fs/cgroup/memory")
PAGE = 4096


@contextmanager
def group() -> Iterator[Path]:
    """A group of processes whose memory can be limited. Skips the test where there is none."""
    folder = GROUPS / f"ucam-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup (version 1) can be made here: {error}")
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def run_out(folder: Path, pid: int) -> None:
    """No more than it has now, less what it can't do without."""
    (folder / "cgroup.procs").write_text(str(pid))
    # What it had before counts where it was: only what is new is limited.
    (folder / "memory.limit_in_bytes").write_text(str(16 * PAGE))


@long
def test_killed_by_the_kernel(tmp_path: Path) -> None:
    print(f"UCAM_FAULTS_SEED={(seed := count('SEED', random.randrange(1 << 30)))}")
    chance = random.Random(seed)
    with network() as net, Chain(tmp_path, net) as chain:
        chain.record()
        for _ in range(TIMES):
            # At any moment between two questions of the camera for what is durable.
            time.sleep(chance.uniform(1, 5))
            with group() as folder:
                run_out(folder, chain.storage.pid)
                wait_until("it is killed", lambda: chain.storage.ended() is not None)
                assert chain.storage.ended() == -signal.SIGKILL
                chain.storage.kill()
            chain.storage.start()
        assert_whole(chain.settle())
        assert len(chain.camera.runs()) == 1
        assert not chain.gaps()
