"""`ucam doctor`: looks at a camera's machine, one finding a check, each with what to do."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ucam.capture.address import AddressError, KnownStorage
from ucam.capture.config import CaptureConfig, Video
from ucam.capture.encoder import EncoderError, choose_encoder
from ucam.capture.gst import ThisMachine, has_element, proves
from ucam.capture.led import LEDS
from ucam.capture.sources import SourceError, plan
from ucam.device.http import WebRefused, WebUnavailable, request
from ucam.device.token import TokenFileError, TokenStore

# Element → Debian package.
ELEMENTS = {
    "appsrc": "gstreamer1.0-plugins-base",
    "rtph264pay": "gstreamer1.0-plugins-good",
    "h264parse": "gstreamer1.0-plugins-bad",
    "webrtcbin": "gstreamer1.0-plugins-bad",
    "nicesrc": "gstreamer1.0-nice",
    "clockoverlay": "gstreamer1.0-x",
}
SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
CONNECT_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`good` None: can't be told, or nothing to check."""

    what: str
    good: bool | None
    text: str


async def examine(config: CaptureConfig | None) -> AsyncIterator[Finding]:
    """All checks; without a configuration those that need none."""
    yield _elements()
    video = config.video if config is not None else Video()
    yield _camera(video)
    yield _encoder(video)
    yield _clock()
    yield _led(config)
    if config is not None:
        yield _token(config)
        yield await _web(config)
        yield await _storage(config)


def _elements() -> Finding:
    missing = {name: package for name, package in ELEMENTS.items() if not has_element(name)}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        return Finding("elements", False, f"missing: {', '.join(missing)}; apt install {packages}")
    return Finding("elements", True, "all of GStreamer that is needed is there")


def _camera(video: Video) -> Finding:
    try:
        source = plan(video, ThisMachine())
    except SourceError as error:
        return Finding("camera", False, str(error))
    return Finding("camera", True, f"source {source.name} ({source.why})")


def _encoder(video: Video) -> Finding:
    try:
        encoder = choose_encoder(video.encoder, has_element, proves)
    except EncoderError as error:
        return Finding("encoder", False, str(error))
    return Finding("encoder", True, f"{encoder.name} ({encoder.why})")


def _clock() -> Finding:
    if SYNCHRONIZED.exists():
        return Finding("clock", True, "synchronized by systemd-timesyncd")
    return Finding(
        "clock", None, "systemd-timesyncd has not synchronized; see: timedatectl timesync-status"
    )


def _led(config: CaptureConfig | None) -> Finding:
    name = config.led.name if config is not None else None
    if config is not None and config.led.gpio is not None:
        return Finding("LED", None, f"GPIO {config.led.gpio}: not tried, the service may hold it")
    if name is None:
        there = sorted(path.name for path in LEDS.glob("*")) if LEDS.is_dir() else []
        return Finding(
            "LED", None, f"none configured; this machine has {', '.join(there) or 'none'}"
        )
    try:
        with (LEDS / name / "brightness").open("r+b"):
            return Finding("LED", True, f"{name} can be switched")
    except OSError as error:
        return Finding("LED", False, f"{name}: {error.strerror}; is the name right, may we write?")


def _token(config: CaptureConfig) -> Finding:
    try:
        store = TokenStore(config.device.token_file, config.web.url)
    except TokenFileError as error:
        return Finding("token", False, str(error))
    if store.life.subject != str(config.device.jid):
        return Finding("token", False, f"it is the token of {store.life.subject}")
    return Finding("token", True, f"of {store.life.subject}")


async def _web(config: CaptureConfig) -> Finding:
    try:
        await request(f"{config.web.url}/healthz")
    except (WebUnavailable, WebRefused) as error:
        return Finding("web", False, f"{config.web.url}: {error}; is it up, does the name resolve?")
    return Finding("web", True, f"{config.web.url} answers")


async def _storage(config: CaptureConfig) -> Finding:
    token = config.device.token_file
    try:
        known = KnownStorage(config.storage, token.with_name(token.name + ".storage.json"))
    except AddressError as error:
        return Finding("storage", False, f"[storage] {error}")
    address = known.address
    if address is None:
        return Finding("storage", None, "not known yet: it announces itself in the room")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=address.tls())
    except (OSError, TimeoutError) as error:
        return Finding("storage", False, f"{address.url}: {str(error) or 'no answer'}; is it up?")
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    if not address.check(certificate):
        return Finding("storage", False, f"{address.url} shows another certificate than expected")
    return Finding("storage", True, f"{address.url} answers, its certificate is right")
