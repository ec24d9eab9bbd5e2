"""docs/integrations.md for Home Assistant and Frigate: their own arguments, by the documented URLs.

Neither is installed here; what reads the stream in them is: PyAV in Home Assistant's `stream`,
ffmpeg in Frigate with its presets.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.helpers import Tokens
from storage.process import CAMERA, StorageProcess, push
from support.site import wait_until
from support.smtp import make_certificate

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
SIZE = (160, 120)

# Frigate's input presets for RTSP, and what follows them for the roles record and detect.
FRIGATE = {
    "preset-rtsp-generic": (
        "-user_agent FFmpeg-Frigate/0.16 -avoid_negative_ts make_zero"
        " -fflags +genpts+discardcorrupt -rtsp_transport tcp -timeout 10000000"
        " -use_wallclock_as_timestamps 1"
    ),
    "preset-rtsp-restream": (
        "-user_agent FFmpeg-Frigate/0.16 -rtsp_transport tcp -timeout 10000000"
    ),
}
RECORD = (
    "-f segment -segment_time 2 -segment_format mp4 -reset_timestamps 1 -strftime 1 -c copy -an"
)
DETECT = f"-r 5 -vf fps=5,scale={SIZE[0]}:{SIZE[1]} -threads 2 -f rawvideo -pix_fmt yuv420p"

# Home Assistant's stream worker: it asks for TCP, and for an end of waiting.
HOME_ASSISTANT = """
import sys, av
options = {"rtsp_flags": "prefer_tcp", "timeout": "5000000"}
options |= dict(option.split("=") for option in sys.argv[2:])
with av.open(sys.argv[1], options=options, timeout=10) as stream:
    times = []
    for packet in stream.demux(video=0):
        if packet.dts is None:
            continue
        times.append(packet.dts)
        if len(times) == 50:
            break
print(len(times), times == sorted(times))
"""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageProcess]:
    folder = tmp_path_factory.mktemp("storage")
    found = StorageProcess(folder, Tokens(folder), chunk_size="4s")
    found.start()
    publisher = push(found, 100_000)
    wait_until("the first chunk is there", found.chunks)
    yield found
    publisher.kill()
    publisher.communicate()
    found.stop()


def url(storage: StorageProcess, host: str = "127.0.0.1") -> str:
    token = storage.tokens.issue("owner@shop.loc", "player")
    return f"rtsps://{host}:{storage.port}/{CAMERA}?token={token}"


@pytest.mark.parametrize("preset", FRIGATE)
def test_frigate_records_and_detects(storage: StorageProcess, tmp_path: Path, preset: str) -> None:
    raw = tmp_path / "detect.yuv"
    command = ["ffmpeg", "-hide_banner", "-loglevel", "warning", "-threads", "2"]
    command += [*FRIGATE[preset].split(), "-i", url(storage)]
    command += [*RECORD.split(), str(tmp_path / "%Y%m%d%H%M%S.mp4"), *DETECT.split(), str(raw)]
    frigate = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until("three files", lambda: len(list(tmp_path.glob("*.mp4"))) > 3, 90)
    finally:
        _, complaints = frigate.communicate("q", timeout=60)
    assert frigate.returncode == 0, complaints
    pictures, rest = divmod(raw.stat().st_size, SIZE[0] * SIZE[1] * 3 // 2)
    assert rest == 0
    assert pictures > 20
    for path in sorted(tmp_path.glob("*.mp4"))[:-1]:
        check = ["ffprobe", "-v", "error", "-count_frames", "-show_entries"]
        check += ["stream=codec_name,nb_read_frames", "-of", "csv=p=0", str(path)]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        codec, frames = done.stdout.strip().split(",")[:2]
        assert (codec, done.stderr) == ("h264", ""), path
        assert int(frames) >= 25, path


def home_assistant(address: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HOME_ASSISTANT, address, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_home_assistant_plays(storage: StorageProcess) -> None:
    done = home_assistant(url(storage))
    assert (done.stdout, done.returncode) == ("50 True\n", 0), done.stderr


def test_whoever_verifies_the_certificate_may(storage: StorageProcess, tmp_path: Path) -> None:
    """With the storage's own certificate for `localhost`; and not with another one."""
    ours = storage.root.parent / "rtsps-cert.pem"
    done = home_assistant(url(storage, "localhost"), "tls_verify=1", f"ca_file={ours}")
    assert (done.stdout, done.returncode) == ("50 True\n", 0), done.stderr
    other = make_certificate(tmp_path / "other.pem")
    done = home_assistant(url(storage, "localhost"), "tls_verify=1", f"ca_file={other}")
    assert done.returncode != 0
    assert not done.stdout


def test_a_token_that_has_run_out_ends_it_with_a_reason(storage: StorageProcess) -> None:
    token = storage.tokens.issue("owner@shop.loc", "player", life_s=-10)
    done = home_assistant(f"rtsps://127.0.0.1:{storage.port}/{CAMERA}?token={token}")
    assert done.returncode != 0
    assert "401" in done.stderr
