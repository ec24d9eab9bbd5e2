"""`ucam capture`: the parts of a camera put together, from start to clean end."""

import asyncio
import logging
import os
import time

from ucam.base import config as config_files
from ucam.base import service
from ucam.base.service import Fault, Stop
from ucam.capture.address import AddressError, KnownStorage
from ucam.capture.camera import Camera, Captured
from ucam.capture.config import CaptureConfig
from ucam.capture.led import Led, choose, find_lamp
from ucam.capture.presence import Presence
from ucam.capture.sender import Sender
from ucam.capture.spool import Spool
from ucam.capture.status import State, status_fields
from ucam.capture.systemclock import SystemClock
from ucam.device.token import TokenFileError, TokenStore

_log = logging.getLogger(__name__)
LOOK_S = 0.25
CLOCK_S = 0.5
WATCHDOG_S = 1.0
# Before the end, the spool's rest goes to storage; systemd's own patience is 90 s.
FINISH_S = 4.0


class Capture:
    """One camera. `run` until cancelled, then `finish`. Raises `Fault` for what can't start."""

    def __init__(self, config: CaptureConfig) -> None:
        device = config.device
        try:
            self._tokens = TokenStore(device.token_file, config.web.url)
            # Named after the token's file: several cameras may share a folder.
            cache = device.token_file.with_name(device.token_file.name + ".storage.json")
            self._storage = KnownStorage(config.storage, cache)
        except (TokenFileError, AddressError) as error:
            raise Fault(str(error)) from None
        if self._tokens.life.subject != str(device.jid):
            raise Fault(
                f"{device.token_file} is the token of {self._tokens.life.subject},"
                f" but [device] jid is {device.jid}"
            )
        self._system_clock = SystemClock()
        self.spool = Spool(
            config.spool.memory,
            # Several cameras of one machine may share the folder.
            config.spool.path / device.jid,
            config.spool.maxspace,
            boot=self._system_clock.boot,
        )
        self.camera = Camera(
            config.video, self._captured, config.audio, system_clock=self._system_clock
        )
        self.sender = Sender(
            device.jid,
            self._tokens,
            self.spool,
            lambda: self._storage.address,
            self._changed,
            watched=lambda: bool(self.presence.calls.viewers),
        )
        self.presence = Presence(
            config.web.url,
            self._tokens,
            device.jid,
            device.name or device.jid.local,
            self.camera,
            max_viewers=config.live.max_viewers,
            status=self.status,
            announced=self._announced,
        )
        lamp = find_lamp(config.led.name, config.led.gpio)
        self._led = Led(lamp) if lamp is not None else None
        self._loss_told_s = float("-inf")

    async def run(self) -> None:
        """Everything but the camera: this goes on while the rest of the spool is sent."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tokens.run())
            tasks.create_task(self.spool.run(self.sender.away))
            tasks.create_task(self._wait_for_clock())
            tasks.create_task(self.sender.run())
            tasks.create_task(self.presence.run())
            tasks.create_task(self._show())
            if self._led is not None:
                tasks.create_task(self._led.run())

    def reload(self, config: CaptureConfig) -> None:
        """Take what can be taken while running."""
        self.presence.calls.max_viewers = config.live.max_viewers
        try:
            self._tokens.reload()
        except TokenFileError as error:
            _log.error("%s", error)
        _log.info("reloaded: live, token. Everything else takes effect with a restart")

    def state(self) -> State:
        """What the parts know now."""
        camera, sender = self.camera, self.sender
        gaps = self.spool.gaps
        return State(
            frames_advance=camera.frames_advance,
            camera_fault=camera.fault,
            storage_connected=sender.connected,
            storage_fault=sender.fault,
            durable_us=sender.durable.utc_us if sender.durable else None,
            spool_bytes=self.spool.unconfirmed_bytes,
            spool_s=self.spool.unconfirmed_s,
            spool_fault=self.spool.fault,
            lost_s=sum(gap.to_us - gap.from_us for gap in gaps) / 1e6,
            viewers=self.presence.calls.viewers,
            clock_offset_s=self.presence.room.clock_offset_s,
            encoder=camera.encoder.name if camera.encoder else "none (passed through)",
            source=camera.source,
        )

    def status(self) -> dict[str, object]:
        """The fields of the room's Status."""
        return status_fields(self.state())

    def _captured(self, captured: Captured) -> None:
        if not self.spool.append(captured.run, captured.unit):
            self._tell_loss()
        self.presence.calls.replays = self.camera.replays
        if not captured.unit.audio:
            self.presence.calls.push(captured)

    def _tell_loss(self) -> None:
        now_s = time.monotonic()
        if now_s - self._loss_told_s > 10:
            self._loss_told_s = now_s
            _log.error("[spool] is full: the oldest pictures are dropped")

    async def _wait_for_clock(self) -> None:
        """What was captured before the clock was set gets its time when it is."""
        while True:
            pipeline_ns, system_ns, is_set = self._system_clock.read()
            if is_set:
                self.spool.clock_set((system_ns - pipeline_ns) // 1000)
                return
            await asyncio.sleep(CLOCK_S)

    def _announced(self, fields: dict[str, object]) -> None:
        if self._storage.announce(fields):
            self.sender.hurry()

    def _changed(self) -> None:
        self.presence.look()

    async def _show(self) -> None:
        """The LED, readiness and the watchdog follow the state."""
        told_ready, fed_s = False, 0.0
        while True:
            await asyncio.sleep(LOOK_S)
            state, now_s = self.state(), time.monotonic()
            if self._led is not None:
                self._led.show(
                    choose(
                        frames_advance=state.frames_advance,
                        confirmed=state.recording == "stored",
                        web_away=not self.presence.room.connected,
                        watched=bool(state.viewers),
                    )
                )
            if not state.frames_advance:
                continue
            if not told_ready:
                service.ready(f"capturing {state.source}")
                told_ready = True
            if now_s - fed_s >= WATCHDOG_S:
                service.watchdog()
                fed_s = now_s


async def serve(config: CaptureConfig, stop: Stop) -> None:
    """Capture until `stop`; raises `Fault` for what a person must mend first."""
    # Synthetic sources draw the time of day: in UTC, as everything that is kept.
    os.environ["TZ"] = "UTC"
    time.tzset()
    capture = Capture(config)
    stop.on_reload(lambda: _reload(capture, stop))
    async with asyncio.TaskGroup() as tasks:
        rest = tasks.create_task(capture.run())
        camera = tasks.create_task(capture.camera.run())
        await stop.wait()
        camera.cancel()
        await asyncio.wait({camera})
        await capture.sender.finish(FINISH_S if capture.sender.connected else 0)
        rest.cancel()
        await asyncio.wait({rest})
        await capture.spool.close()


def _reload(capture: Capture, stop: Stop) -> None:
    if stop.config_path is None:
        return
    try:
        capture.reload(config_files.load(stop.config_path, CaptureConfig))
    except config_files.ConfigError as error:
        _log.error("%s; the old configuration stays in force", error)
