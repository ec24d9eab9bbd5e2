"""What ffprobe and ffmpeg say about a file."""

import json
import subprocess
from pathlib import Path

_FFPROBE = ["ffprobe", "-v", "error", "-select_streams", "v:0"]


def frame_count(path: Path) -> int:
    """How many pictures ffprobe decodes."""
    entries = ["-count_frames", "-of", "csv=p=0", "-show_entries", "stream=nb_read_frames"]
    return int(
        subprocess.check_output([*_FFPROBE, *entries, str(path)], text=True).strip().strip(",")
    )


def packet_times_us(path: Path) -> list[int]:
    """Presentation times of the coded pictures, microseconds UTC, in order of presentation."""
    entries = ["-of", "json", "-show_entries", "packet=pts"]
    packets = json.loads(subprocess.check_output([*_FFPROBE, *entries, str(path)]))["packets"]
    return sorted(int(packet["pts"]) * 100 // 9 for packet in packets)


def decode_errors(path: Path) -> str:
    """What ffmpeg complains about when it decodes the whole file; empty when all is well."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def picture_hashes(path: Path) -> list[str]:
    """A hash of each decoded picture, in order of presentation."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough"]
    lines = subprocess.check_output([*command, "-f", "framemd5", "-"], text=True).splitlines()
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]


def coded_hashes(path: Path) -> list[str]:
    """A hash of each picture's slices as they are coded, in decode order, whatever stands around
    them.
    """
    codec = ["-show_entries", "stream=codec_name", "-of", "csv=p=0"]
    name = subprocess.check_output([*_FFPROBE, *codec, str(path)], text=True).strip().strip(",")
    slices = {"h264": "1-5", "hevc": "0-31"}[name]
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v", "-c", "copy"]
    command += ["-bsf:v", f"filter_units=pass_types={slices}", "-f", "framemd5", "-"]
    lines = subprocess.check_output(command, text=True).splitlines()
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]
