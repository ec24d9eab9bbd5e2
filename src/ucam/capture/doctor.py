"""`ucam doctor`: looks at a camera's machine, one finding a check, each with what to do."""

import asyncio
import importlib.util
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from ucam.base.units import Size
from ucam.capture.camera import Camera, Captured
from ucam.capture.config import Audio, CaptureConfig, Video
from ucam.capture.doctor_network import Finding, network
from ucam.capture.encoder import EncoderError, choose_encoder
from ucam.capture.gst import has_element, proves
from ucam.capture.health import Health
from ucam.capture.lamps import LEDS
from ucam.capture.systemclock import SystemClock

# Element → Debian package.
ELEMENTS = {
    "videoconvert": "gstreamer1.0-plugins-base",
    "rtph264pay": "gstreamer1.0-plugins-good",
    "h264parse": "gstreamer1.0-plugins-bad",
    "gdppay": "gstreamer1.0-plugins-bad",
    "srtpenc": "gstreamer1.0-plugins-bad",
    "webrtcbin": "gstreamer1.0-plugins-bad",
    "nicesrc": "gstreamer1.0-nice",
    "clockoverlay": "gstreamer1.0-x",
}
FIRST_PICTURE_S = 12.0
LOOK_S = 0.05


async def examine(config: CaptureConfig | None) -> AsyncIterator[Finding]:
    """All checks; without a configuration those that need none."""
    yield _elements()
    video = config.video if config is not None else Video()
    audio = config.audio if config is not None else Audio()
    for finding in await _camera(video, audio):
        yield finding
    yield await asyncio.to_thread(_encoder, video)
    yield _clock()
    yield _led(config)
    for finding in _board():
        yield finding
    if config is not None:
        yield _spool(config.spool.path, config.spool.maxspace)
        async for finding in network(config):
            yield finding


def _elements() -> Finding:
    missing = {name: package for name, package in ELEMENTS.items() if not has_element(name)}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        return Finding("elements", False, f"missing: {', '.join(missing)}; apt install {packages}")
    return Finding("elements", True, "all of GStreamer that is needed is there")


async def _camera(video: Video, audio: Audio) -> list[Finding]:
    """Captures until the first picture, and the first sound where some is wanted."""
    seen: dict[bool, Captured] = {}
    camera = Camera(video, lambda item: _keep(seen, item), audio)
    task = asyncio.create_task(camera.run())
    try:
        for _ in range(int(FIRST_PICTURE_S / LOOK_S)):
            if _is_settled(camera, seen):
                break
            await asyncio.sleep(LOOK_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return [_picture(camera, seen.get(False)), *_sound(camera, seen.get(True))]


def _keep(seen: dict[bool, Captured], item: Captured) -> None:
    seen.setdefault(item.unit.audio, item)


def _is_settled(camera: Camera, seen: dict[bool, Captured]) -> bool:
    """Whether everything wanted has come, or was tried once in vain."""
    microphone = camera.microphone
    sound = microphone is None or True in seen or microphone.feed.restarts > 0
    return sound and (False in seen or camera.restarts > 0)


def _picture(camera: Camera, item: Captured | None) -> Finding:
    if item is not None:
        track = item.run.track
        form = f"{track.width}×{track.height}, {track.codec_string}"
        return Finding("camera", True, f"gives pictures ({form}): {camera.chosen}")
    text = camera.fault or "no picture"
    if "busy" in text.lower():
        text += "; if ucam capture is running, it has the camera, and all is well"
        return Finding("camera", None, text)
    return Finding("camera", False, text)


def _sound(camera: Camera, item: Captured | None) -> list[Finding]:
    if camera.microphone is None:
        return []
    name = camera.microphone.feed.name
    if item is not None:
        return [Finding("sound", True, f"{name} gives sound")]
    text = camera.microphone.feed.fault or f"{name} gives no sound"
    hint = "is it plugged in (arecord -l), and may this user use it (group audio)?"
    return [Finding("sound", False, f"{text}; {hint}")]


def _encoder(video: Video) -> Finding:
    try:
        encoder = choose_encoder(video.encoder, has_element, proves)
    except EncoderError as error:
        return Finding("encoder", False, str(error))
    return Finding("encoder", True, f"{encoder.name} ({encoder.why})")


def _clock() -> Finding:
    _, system_ns, believed = SystemClock().read()
    says = time.strftime("%F %T UTC", time.gmtime(system_ns / 1e9))
    if believed:
        return Finding("clock", True, f"set: {says}")
    return Finding(
        "clock",
        False,
        f"not set, it says {says}; pictures wait in the spool for their times. Does this network"
        " reach a time server? See: timedatectl timesync-status",
    )


def _led(config: CaptureConfig | None) -> Finding:
    name = config.led.name if config is not None else None
    gpio = config.led.gpio if config is not None else None
    if gpio is not None:
        if importlib.util.find_spec("gpiozero") is None:
            return Finding("LED", False, "gpiozero is missing: apt install python3-gpiozero")
        return Finding("LED", None, f"GPIO {gpio}: not tried, the service may hold it")
    if name is None:
        there = sorted(path.name for path in LEDS.glob("*")) if LEDS.is_dir() else []
        return Finding(
            "LED", None, f"none configured; this machine has {', '.join(there) or 'none'}"
        )
    for file in ("brightness", "trigger"):
        try:
            with (LEDS / name / file).open("r+b"):
                pass
        except OSError as error:
            text = f"{name}: {error.strerror}; is the name right (ls {LEDS}), may this user write?"
            return Finding("LED", False, text)
    return Finding("LED", True, f"{name} can be switched")


def _board() -> list[Finding]:
    health = Health()
    health.look(0)
    found: list[Finding] = []
    if health.temperature_c is None:
        found.append(Finding("temperature", None, "this machine doesn't tell it"))
    else:
        hot = "; the processor slows down: cool it" if health.is_hot else ""
        text = f"{health.temperature_c:.0f} °C{hot}"
        found.append(Finding("temperature", not health.is_hot, text))
    if health.under_voltages is None:
        found.append(Finding("power", None, "this machine doesn't tell its voltage"))
    elif health.under_voltages:
        text = "the supply is or was too weak (under-voltage): take a better one, a shorter cable"
        found.append(Finding("power", False, text))
    else:
        found.append(Finding("power", True, "no under-voltage"))
    return found


def _spool(path: Path, maxspace: int) -> Finding:
    """The disk that takes what storage can't; nothing is written to it here."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        text = f"{place} can't be written; give it to the service's user (chown), or change"
        return Finding("spool", False, f"{text} [spool] path")
    used = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    free = shutil.disk_usage(place).free
    text = f"{path}: {Size(used)} kept, {Size(free)} free, at most {Size(maxspace)} wanted"
    if used + free < maxspace:
        return Finding("spool", False, f"{text}; lower [spool] maxspace, or make room")
    return Finding("spool", True, text)
