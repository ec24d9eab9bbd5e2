"""`ucam capture`: the parts of a camera put together, from start to clean end."""

import asyncio
import logging
import os
import time
from dataclasses import replace

from ucam.base import config as config_files
from ucam.base.service import Fault, Stop
from ucam.capture import metrics
from ucam.capture.address import AddressError, KnownStorage
from ucam.capture.camera import Camera, Captured
from ucam.capture.config import CaptureConfig
from ucam.capture.presence import Presence
from ucam.capture.sender import Sender
from ucam.capture.signals import Signals
from ucam.capture.spool import Spool
from ucam.capture.status import Losses, State, status_fields
from ucam.capture.systemclock import SystemClock
from ucam.device.token import TokenFileError, TokenStore

_log = logging.getLogger(__name__)
CLOCK_S = 0.5
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
        self._announcement = asyncio.Event()
        self._system_clock = SystemClock()
        self.spool = Spool(
            config.spool.memory,
            # Several cameras of one machine may share the folder.
            config.spool.path / device.jid,
            config.spool.maxspace,
            boot=self._system_clock.boot,
        )
        self.camera = Camera(
            config.video,
            self._captured,
            config.audio,
            system_clock=self._system_clock,
            watched=lambda: bool(self.presence.calls.count),
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
            located=self._located,
        )
        self._loss_told_s = float("-inf")
        self._losses = Losses()
        self._newest_us: int | None = None
        self._pictures = 0
        where = os.environ.get(metrics.VARIABLE)
        self._metrics_address = metrics.listen_address(where) if where else None
        memory = device.token_file.with_name(device.token_file.name + ".led")
        self.signals = Signals(config.led, memory)

    async def run(self) -> None:
        """Everything but the camera: this goes on while the rest of the spool is sent."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tokens.run())
            tasks.create_task(self.spool.run(self.sender.away))
            tasks.create_task(self._wait_for_clock())
            tasks.create_task(self._keep_address())
            tasks.create_task(self.sender.run())
            tasks.create_task(self.presence.run())
            tasks.create_task(self.signals.run(self.state, lambda: self._pictures))
            if self._metrics_address is not None:
                tasks.create_task(metrics.serve(self._metrics_address, self._metrics))

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
        camera, sender, microphone = self.camera, self.sender, self.camera.microphone
        health, led = self.signals.health, self.signals.led
        state = State(
            frames_advance=camera.frames_advance,
            camera_fault=camera.fault,
            newest_us=self._newest_us,
            storage_connected=sender.connected,
            storage_fault=sender.fault,
            durable_us=sender.durable.utc_us if sender.durable else None,
            spool_bytes=self.spool.unconfirmed_bytes,
            spool_s=self.spool.unconfirmed_s,
            spool_fault=self.spool.fault,
            lost_s=0.0,
            viewers=self.presence.calls.viewers,
            clock_offset_s=self.presence.room.clock_offset_s,
            encoder=camera.encoder.name if camera.encoder else "none (passed through)",
            source=camera.source,
            chosen=camera.chosen,
            audio=None if microphone is None else microphone.track is not None,
            audio_fault=None if microphone is None else microphone.feed.fault,
            temperature_c=health.temperature_c,
            under_voltages=health.under_voltages,
            warning=health.warning,
            led=None if led is None else led.pattern.name,
            web_connected=self.presence.room.connected,
        )
        return replace(
            state, lost_s=self._losses.seconds(self.spool.gaps, state.recording == "stored")
        )

    def status(self) -> dict[str, object]:
        """The fields of the room's Status."""
        return status_fields(self.state())

    def _metrics(self) -> bytes:
        microphone = self.camera.microphone
        counts = {"pictures": self._pictures, "source_restarts": self.camera.restarts}
        if microphone is not None:
            counts["microphone_restarts"] = microphone.feed.restarts
        if self.signals.health.under_voltages is not None:
            counts["under_voltages"] = self.signals.health.under_voltages
        return metrics.text(self.state(), counts)

    def _captured(self, captured: Captured) -> None:
        if not self.spool.append(captured.run, captured.unit):
            self._tell_loss()
        if captured.unit.audio:
            self.presence.calls.hear(captured)
            return
        if not captured.unit.number:
            self.presence.look()  # a run begins
        self._pictures += 1
        self._newest_us = captured.unit.utc_us if captured.run.boot is None else None
        self.presence.calls.replays = self.camera.replays
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

    async def _keep_address(self) -> None:
        """Files are written beside the event loop: an SD card may take its time."""
        while True:
            await self._announcement.wait()
            self._announcement.clear()
            await asyncio.to_thread(self._storage.keep)

    def _announced(self, fields: dict[str, object]) -> None:
        if self._storage.announce(fields):
            self.sender.hurry()
            self._announcement.set()

    def _located(self, who: str) -> None:
        self.signals.locate(who, asyncio.get_running_loop().time())

    def _changed(self) -> None:
        self.presence.look()


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
