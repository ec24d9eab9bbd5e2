"""A service's life: signals, readiness and watchdog of systemd, one event loop.

SIGTERM and SIGINT ask for a clean stop, SIGHUP for a reload (sd_notify(3), systemd.service(5)).
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

_log = logging.getLogger(__name__)


class Fault(Exception):  # noqa: N818 - what a person is told is a fault, not an error
    """Something that ends the service and that a person can mend; the text says what and how."""


class Stop:
    """Set once, when the service is to end; also carries the reload callbacks."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._on_reload: list[Callable[[], None]] = []
        self.config_path: Path | None = None

    def set(self) -> None:
        """Ask the service to end cleanly."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when the end was asked for."""
        await self._event.wait()

    async def sleep(self, delay_s: float) -> bool:
        """Wait; True when the end was asked for meanwhile (at once)."""
        try:
            async with asyncio.timeout(delay_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True

    def on_reload(self, callback: Callable[[], None]) -> None:
        """Call `callback` on SIGHUP. It must keep what was there when the new can't be used."""
        self._on_reload.append(callback)

    def reload(self) -> None:
        """Run the reload callbacks (what SIGHUP does)."""
        for callback in self._on_reload:
            try:
                callback()
            except Exception:  # noqa: BLE001 - one part's bad reload must not stop the service or the others
                _log.exception("reload failed; the old configuration stays in force")


def run(main: Callable[[Stop], Awaitable[None]], *, uvloop: bool = False) -> None:
    """Run `main` until it returns or a signal asks for the end.

    `uvloop` takes that event loop where it is installed (not on 32-bit ARM).
    """
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop:
        try:
            from uvloop import new_event_loop

            factory = new_event_loop
        except ImportError:
            _log.info("uvloop is not installed; the standard event loop is used")

    async def start() -> None:
        stop = Stop()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, stop.reload)
        await main(stop)
        notify("STOPPING=1")

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(start())


def ready(text: str = "") -> None:
    """Tell systemd that the service does its job from now on."""
    notify("READY=1" + (f"\nSTATUS={text}" if text else ""))


def watchdog() -> None:
    """Feed systemd's watchdog; call it only while the job is really done."""
    notify("WATCHDOG=1")


def watchdog_interval_s() -> float | None:
    """How often the watchdog wants to be fed (half of its limit), None without one."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    return int(limit) / 2e6 if limit.isdigit() else None


def notify(message: str) -> None:
    """Send a datagram to systemd's NOTIFY_SOCKET, where there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(message.encode(), address)
        except OSError as error:
            _log.debug("systemd can't be told %r: %s", message.split("\n")[0], error)
