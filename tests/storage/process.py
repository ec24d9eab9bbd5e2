"""A storage that stands alone, as a process of its own, and ffmpeg that pushes to it."""

import re
import subprocess
import sys
import time
from pathlib import Path

from storage.helpers import ISSUER, Tokens

CAMERA = "cam001@studio.loc"


class StorageProcess:
    """`ucam storage` with keys from a file, on a port that the system chooses."""

    def __init__(
        self,
        folder: Path,
        tokens: Tokens,
        *,
        root: Path | None = None,
        under: tuple[str, ...] = (),
        port: int = 0,
        **keys: str,
    ) -> None:
        """`root`: the folder of chunks; `under`: a command that runs it, such as strace; `port`: 0
        for one that the system chooses.
        """
        self.tokens = tokens
        self.root = root or folder / "chunks"
        self._under = under
        self.config = folder / "storage.toml"
        self.log = folder / "storage.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        lines = "\n".join(f'{name.replace("_", "-")} = "{value}"' for name, value in keys.items())
        self.config.write_text(f"""
            [device]
            jid = "storage@studio.loc"
            location = "studio"
            [web]
            keys-file = "{tokens.keys_file}"
            issuer = "{ISSUER}"
            [rtsps]
            listen = "127.0.0.1:{port}"
            [storage]
            path = "{self.root}"
            reserve = "1MB"
            {lines}
        """)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "ucam.cli", name, "--config", str(self.config)]

    def start(self, within_s: float = 60) -> None:
        self.log.unlink(missing_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._under, *self.command("storage")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            match = re.search(r"listening on rtsps://127.0.0.1:(\d+)", self.log.read_text())
            if match:
                self.port = int(match[1])
                return
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def ended(self) -> int | None:
        """Its status, None while it runs."""
        assert self._process is not None
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """SIGTERM, and it must end by itself, in good order."""
        if self._process is None:
            return
        self._process.terminate()
        assert self._process.wait(60) == 0, self.log.read_text()
        self._process = None

    def fsck(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command("fsck"), capture_output=True, text=True, check=False)

    def verify(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command("verify"), capture_output=True, text=True, check=False)

    def url(self, token: str | None = None, jid: str = CAMERA) -> str:
        token = token or self.tokens.issue(jid)
        return f"rtsps://127.0.0.1:{self.port}/{jid}?token={token}"

    def chunks(self) -> list[Path]:
        return sorted(self.root.rglob("*.mp4"))


def push(
    storage: StorageProcess,
    frames: int,
    *,
    options: str = "",
    qp: int = 23,
    jid: str = CAMERA,
    keyframes: int = 25,
) -> subprocess.Popen[bytes]:
    """ffmpeg sends so many pictures, 25 a second, a keyframe each `keyframes`."""
    source = f"testsrc2=size=320x240:rate=25{options},format=yuv420p"
    command = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", source]
    command += ["-frames:v", str(frames), "-c:v", "libx264"]
    command += ["-preset", "ultrafast", "-g", str(keyframes), "-bf", "2", "-qp", str(qp)]
    command += ["-f", "rtsp", "-rtsp_transport", "tcp", storage.url(jid=jid)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)
