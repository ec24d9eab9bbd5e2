"""Every codec, as ffmpeg and GStreamer send it, all at the same time; ffmpeg judges what arrived.

The source flashes and beeps once a second: that tells how far audio and video are apart.
"""

import subprocess
import sys
import time
from array import array
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import pytest

from storage.helpers import Tokens
from storage.process import StorageProcess
from support.site import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.matrix]
SECONDS = 8
RATE = 25
WITHIN_S = 0.020

X264 = "-c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p"
SOURCES = {
    "h264": f"{X264} -bf 0",
    "h264-b": f"{X264} -bf 2 -x264-params b-pyramid=normal:slices=3",
    "h265": "-c:v libx265 -preset ultrafast -pix_fmt yuv420p "
    "-x265-params log-level=error:keyint=25:min-keyint=25:bframes=3",
}
SOUND = {
    "aac": "-c:a aac -ar 48000",
    "aac44": "-c:a aac -ar 44100 -ac 2",
    "opus": "-c:a libopus",
    "pcmu": "-c:a pcm_mulaw -ar 8000 -ac 1",
    "pcma": "-c:a pcm_alaw -ar 8000 -ac 1",
}


@dataclass(frozen=True)
class Case:
    """One publisher. `video`, `audio`: names above; `options` of ffmpeg's muxer; `codecs` that
    the file must have, as ffprobe calls them.
    """

    name: str
    video: str
    audio: str
    codecs: tuple[str, ...]
    options: str = ""

    @property
    def jid(self) -> str:
        return f"{self.name}@studio.loc"


CASES = [
    Case("ffmpeg-h264", "h264", "", ("h264",)),
    Case("ffmpeg-h264-b", "h264-b", "", ("h264",)),
    Case("ffmpeg-h264-small", "h264-b", "", ("h264",), "-pkt_size 200"),
    Case("ffmpeg-h265", "h265", "", ("hevc",)),
    Case("ffmpeg-h265-large", "h265", "", ("hevc",), "-pkt_size 60000"),
    Case("ffmpeg-aac", "h264-b", "aac", ("h264", "aac")),
    Case("ffmpeg-h265-aac44", "h265", "aac44", ("hevc", "aac")),
    Case("ffmpeg-latm", "h264", "aac", ("h264", "aac"), "-rtpflags latm"),
    Case("ffmpeg-opus", "h264", "opus", ("h264", "opus")),
    Case("ffmpeg-pcmu", "h264-b", "pcmu", ("h264", "aac")),
    Case("ffmpeg-pcma", "h265", "pcma", ("hevc", "aac")),
    Case("ffmpeg-opus-alone", "", "opus", ("opus",)),
    Case("ffmpeg-aac-alone", "", "aac", ("aac",)),
    Case("ffmpeg-pcmu-alone", "", "pcmu", ("aac",)),
    Case("gst-h264", "h264-b", "", ("h264",)),
    Case("gst-h265", "h265", "", ("hevc",)),
    Case("gst-aac", "h264-b", "aac", ("h264", "aac")),
    Case("gst-latm", "h264-b", "aac", ("h264", "aac")),
    Case("gst-opus", "h265", "opus", ("hevc", "opus")),
    Case("gst-pcmu", "h264", "pcmu", ("h264", "aac")),
    Case("gst-opus-alone", "", "opus", ("opus",)),
]


@cache
def source(folder: Path, video: str, audio: str) -> Path:
    """A Matroska file of this video and audio, `SECONDS` long."""
    path = folder / f"{video}+{audio}.mkv"
    flash = "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.039)'"
    beep = "0.8*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.04)"
    command = ["ffmpeg", "-v", "error"]
    if video:
        picture = f"testsrc2=size=320x240:rate={RATE}:duration={SECONDS},{flash}"
        command += ["-f", "lavfi", "-i", picture]
    if audio:
        command += ["-f", "lavfi", "-i", f"aevalsrc='{beep}':s=48000:d={SECONDS}"]
    coded = f"{SOURCES.get(video, '')} {SOUND.get(audio, '')}"
    subprocess.run([*command, *coded.split(), str(path)], check=True, timeout=60)
    return path


def publish(case: Case, made: Path, url: str) -> subprocess.Popen[bytes]:
    if case.name.startswith("ffmpeg"):
        command = ["ffmpeg", "-v", "error", "-re", "-i", str(made), "-c", "copy"]
        command += ["-f", "rtsp", "-rtsp_transport", "tcp", *case.options.split(), url]
        return subprocess.Popen(command, stderr=subprocess.PIPE)
    if case.name == "gst-aac":
        generic = Path(__file__).with_name("generic_aac.py")
        command = [sys.executable, str(generic), str(made), url]
        return subprocess.Popen(command, stderr=subprocess.PIPE)
    parser = {"h264": "h264parse", "h265": "h265parse"}
    branches = [f'rtspclientsink name=s protocols=tcp tls-validation-flags=0 location="{url}"']
    branches.append(f"filesrc location={made} ! matroskademux name=d")
    if case.video:
        branches.append(f"d.video_0 ! queue ! {parser[case.video[:4]]} ! clocksync ! s.")
    if case.audio:
        parse = {"aac": "aacparse !", "opus": "opusparse !"}.get(case.audio, "")
        branches.append(f"d.audio_0 ! queue ! {parse} clocksync ! s.")
    command = ["gst-launch-1.0", "-q", *" ".join(branches).split()]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


# Publishers that change their picture's size in mid-stream, as raw streams do it: in-band.
CHANGING = ("h264", "h265")
SIZES = ("320x240", "480x272")


@cache
def raw(folder: Path, codec: str, size: str) -> Path:
    """Two seconds as a byte stream."""
    path = folder / f"{size}.{codec}"
    picture = f"testsrc2=size={size}:rate={RATE}:duration=2"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture]
    options = SOURCES[codec].replace("bframes=3", "bframes=0").split()
    kind = "hevc" if codec == "h265" else codec
    subprocess.run([*command, *options, "-f", kind, str(path)], check=True, timeout=60)
    return path


def publish_change(folder: Path, codec: str, url: str) -> subprocess.Popen[bytes]:
    both = folder / f"both.{codec}"
    both.write_bytes(b"".join(raw(folder, codec, size).read_bytes() for size in SIZES))
    command = ["ffmpeg", "-v", "error", "-re", "-r", str(RATE), "-i", str(both), "-c", "copy"]
    return subprocess.Popen(
        [*command, "-f", "rtsp", "-rtsp_transport", "tcp", url], stderr=subprocess.PIPE
    )


@dataclass
class Pushed:
    folder: Path
    storage: StorageProcess
    sources: dict[str, Path]
    errors: dict[str, str]
    problems: str

    def chunks(self, case: Case) -> list[Path]:
        """One; of GStreamer perhaps two: it tells its clock only after some seconds, and on a busy
        machine times of arrival are so far off by then that a new chunk begins.
        """
        assert not self.errors[case.name], self.errors[case.name]
        found = sorted((self.storage.root / "studio" / case.jid).rglob("*.mp4"))
        most = 2 if case.name.startswith("gst") else 1
        assert 1 <= len(found) <= most, (found, self.storage.log.read_text()[-2000:])
        return found


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    folder = tmp_path_factory.mktemp("codecs")
    sources = {case.name: source(folder, case.video, case.audio) for case in CASES}
    storage = StorageProcess(folder, Tokens(folder))
    storage.start()
    try:
        running = {
            case.name: publish(case, sources[case.name], storage.url(jid=case.jid))
            for case in CASES
        }
        for codec in CHANGING:
            url = storage.url(jid=f"{codec}-changes@studio.loc")
            running[codec] = publish_change(folder, codec, url)
        errors = {}
        ended = time.monotonic()
        # ffmpeg ends by itself, however busy the machine is; the others should be through by then.
        for name, process in sorted(running.items(), key=lambda item: item[0].startswith("gst")):
            try:
                within = ended + 20 - time.monotonic() if name.startswith("gst") else 120
                _, said = process.communicate(timeout=max(0.1, within))
                ended = ended if name.startswith("gst") else time.monotonic()
            except subprocess.TimeoutExpired:
                process.kill()
                _, said = process.communicate()
                # On a busy machine GStreamer's sink may wait for ever at its end: what it sent
                # is judged all the same.
                said = b"" if name.startswith("gst") else b"hung: " + said
            # rtspclientsink 1.22 now and then closes its socket before it says goodbye, and then
            # complains that it can't.
            own_race = name.startswith("gst") and b"(Received end-of-file)" in said
            errors[name] = said.decode() if process.returncode and not own_race else ""
        wait_until("all is closed", lambda: not list(storage.root.rglob("*.part")))
    finally:
        storage.stop()
    check = storage.fsck()
    return Pushed(
        folder,
        storage,
        sources,
        errors,
        "" if check.returncode == 0 else check.stdout + check.stderr,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_everything_arrives(pushed: Pushed, case: Case) -> None:
    chunks = pushed.chunks(case)
    for chunk in chunks:
        with av.open(str(chunk)) as container:
            names = tuple(stream.codec_context.name for stream in container.streams)
            assert tuple(name.removeprefix("lib") for name in names) == case.codecs
    # Between two chunks pictures are missing, up to the next keyframe.
    seconds = SECONDS - (len(chunks) - 1)
    if case.video:
        sent, seen = hashes(pushed.sources[case.name]), [hashes(chunk) for chunk in chunks]
        assert seen[0] == sent[: len(seen[0])]
        assert seen[-1] == sent[-len(seen[-1]) :]
        assert seconds * RATE <= sum(map(len, seen)) <= SECONDS * RATE
    if case.audio:
        times = [audio_times(chunk) for chunk in chunks]
        # Without a report times are those of arrival, which may shorten a start by 5 % and more.
        most = 0.8 if case.name.startswith("gst") else 0.3
        length = sum(each[-1] - each[0] for each in times)
        assert seconds - most < length < SECONDS + most
        assert max(after - before for each in times for before, after in pairwise(each)) < 0.1
    if case.video and case.audio:
        apart = [each for chunk in chunks for each in beeps_after_flashes(chunk)]
        assert len(apart) >= seconds - 1
        if case.name.startswith("gst"):
            # It tells its clock only after some seconds: until then arrival times must do.
            assert max(map(abs, apart)) < 0.5
            apart = apart[-2:]
        assert max(map(abs, apart)) < WITHIN_S


@pytest.mark.parametrize("codec", CHANGING)
def test_another_size_begins_a_new_chunk(pushed: Pushed, codec: str) -> None:
    assert not pushed.errors[codec], pushed.errors[codec]
    chunks = sorted((pushed.storage.root / "studio" / f"{codec}-changes@studio.loc").rglob("*.mp4"))
    assert len(chunks) == 2
    for chunk, size in zip(chunks, SIZES, strict=True):
        with av.open(str(chunk)) as container:
            stream = container.streams.video[0]
            assert f"{stream.width}x{stream.height}" == size
        assert hashes(chunk) == hashes(raw(pushed.folder, codec, size))


def test_the_storage_is_content(pushed: Pushed) -> None:
    assert not pushed.problems


@cache
def hashes(path: Path) -> tuple[str, ...]:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough"]
    done = subprocess.run(
        [*command, "-f", "framemd5", "-"], check=True, capture_output=True, text=True, timeout=60
    )
    assert not done.stderr, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return tuple(line.rpartition(",")[2].strip() for line in lines)


def audio_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [float(p.pts * p.time_base) for p in container.demux(stream) if p.pts is not None]


@cache
def beeps_after_flashes(path: Path) -> tuple[float, ...]:
    """How long after each flash its beep is heard, in seconds."""
    with av.open(str(path)) as container:
        pictures = [
            (frame.time or 0.0, bytes(frame.reformat(16, 16, "gray").planes[0]))
            for frame in container.decode(video=0)
        ]
    flashes = [at for at, luma in pictures if sum(luma) > 200 * len(luma)]
    beeps: list[float] = []
    quiet_until = 0.0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono")
        for decoded in container.decode(audio=0):
            start = decoded.time or 0.0
            for frame in resampler.resample(decoded):
                samples = array("h", bytes(frame.planes[0])[: 2 * frame.samples])
                for place, sample in enumerate(samples):
                    at = start + place / frame.sample_rate
                    if abs(sample) > 5000:
                        beeps += [at] if at > quiet_until else []
                        quiet_until = at + 0.3
    return tuple(min((beep - flash for beep in beeps), key=abs) for flash in flashes)
