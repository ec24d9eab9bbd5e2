"""Real H.264 for the tests: made by ffmpeg, taken apart by PyAV."""

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av

from ucam.media import fmp4
from ucam.media.access_unit import AccessUnit
from ucam.media.avcc import parse_avcc
from ucam.media.clock import microseconds, ticks
from ucam.media.decode_times import DecodeTimes
from ucam.media.track import VideoTrack

START_US = 1_795_325_400_123_456


@dataclass(frozen=True)
class Clip:
    """`units` in decode order; `md5`: of each decoded picture, in order of presentation."""

    parameter_sets: tuple[bytes, ...]
    units: tuple[AccessUnit, ...]
    md5: tuple[str, ...]


def frame_md5(path: Path) -> tuple[str, ...]:
    """The hash of each picture that ffmpeg decodes from a file, which it must read cleanly."""
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path)]
    command += ["-fps_mode", "passthrough", "-f", "framemd5", "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    return tuple(line.rpartition(",")[2].strip() for line in lines)


@cache
def clip(
    *,
    frames: int = 60,
    size: str = "320x240",
    b_frames: int = 2,
    options: str = "",
    source: str = "testsrc2=size={}:rate=25",
) -> Clip:
    """25 pictures a second, a keyframe every 25. `options`: x264's, "name=value:…"."""
    x264 = f"keyint=25:min-keyint=25:scenecut=0:bframes={b_frames}" + (options and ":" + options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source.format(size)]
        command += ["-frames:v", str(frames), "-pix_fmt", "yuv420p", "-c:v", "libx264"]
        command += ["-preset", "veryfast", "-x264-params", x264, str(path)]
        subprocess.run(command, check=True, timeout=60)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            sets = parse_avcc(stream.codec_context.extradata or b"")
            base = stream.time_base
            assert base is not None
            units = tuple(
                access_unit(
                    bytes(packet), round((packet.pts or 0) * base * 90_000), packet.is_keyframe, n
                )
                for n, packet in enumerate(p for p in container.demux(stream) if p.pts is not None)
            )
        return Clip(sets, units, frame_md5(path))


def access_unit(data: bytes, pts_90k: int, keyframe: bool, number: int) -> AccessUnit:
    """An access unit that was captured at START_US + pts."""
    return AccessUnit(data, pts_90k, START_US + microseconds(pts_90k), keyframe, number)


def fragments(clip: Clip, per_fragment: int = 25, depth: int | None = None) -> list[bytes]:
    """Whole fragments of so many access units, timed as storage does it: on UTC. `depth`: how far
    to believe that pictures are reordered; absent: as the track says.
    """
    if depth is None:
        depth = VideoTrack.h264(clip.parameter_sets).reorder_depth
    times = DecodeTimes(depth, frame_90k=3600)
    pts = [ticks(unit.utc_us) for unit in clip.units]
    dts = [times.push(each) for each in pts]
    dts.append(dts[-1] + 3600)
    made: list[bytes] = []
    for start in range(0, len(clip.units), per_fragment):
        span = range(start, min(start + per_fragment, len(clip.units)))
        samples = [
            fmp4.Sample(
                len(clip.units[n].data),
                dts[n + 1] - dts[n],
                pts[n] - dts[n],
                clip.units[n].keyframe,
            )
            for n in span
        ]
        head = fmp4.fragment(len(made) + 1, samples, dts[start], clip.units[start].utc_us)
        made.append(head + b"".join(clip.units[n].data for n in span))
    return made


def whole_file(
    clip: Clip, *, per_fragment: int = 25, room: int = 8, depth: int | None = None
) -> bytes:
    """A chunk as it lies on disk before it is closed: run "run-1" from number 1000."""
    init = fmp4.init_segment(VideoTrack.h264(clip.parameter_sets), fmp4.RunMark("run-1", 1000))
    return init + fmp4.free_for_sidx(room) + b"".join(fragments(clip, per_fragment, depth))
