"""A storage that stands alone, as a process of its own, and ffmpeg that pushes to it."""

import re
import subprocess
import time
from pathlib import Path

from storage.helpers import ISSUER, Tokens
from support.program import Program

CAMERA = "cam001@studio.loc"


class StorageProcess(Program):
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
        super().__init__(folder / "storage.toml", folder / "storage.log", under=under)
        self.tokens = tokens
        self.root = root or folder / "chunks"
        self.port = 0
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

    def start(self, within_s: float = 60) -> None:
        self.log.unlink(missing_ok=True)
        self.begin("storage")
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            match = re.search(r"listening on rtsps://127.0.0.1:(\d+)", self.log.read_text())
            if match:
                self.port = int(match[1])
                return
            assert self.ended() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

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
