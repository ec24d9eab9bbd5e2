"""Starts the demo's services, keeps them running, prints the login link, ends them cleanly."""

import asyncio
import contextlib
import email
import os
import re
import signal
import socket
import sys
import urllib.request
from collections.abc import Sequence
from email.policy import default as mail_policy
from pathlib import Path

from ucam.base.service import Fault, Stop
from ucam.demo.files import PERSON, STORAGE, Camera, State

READY_WITHIN_S = 60.0
END_WITHIN_S = 10.0
RESTART_PAUSE_S = 1.0
_LINK = re.compile(r"https?://\S+/login#t=\S+")


class Service:
    """One service as a process: its readiness comes by systemd's protocol (sd_notify(3)).

    It inherits `lock`, which says that the demo's folder is in use.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path, lock: int) -> None:
        self.name = name
        # A demo that is killed takes its services along (setpriv is part of util-linux).
        self._arguments = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "ucam.cli"]
        self._arguments += arguments
        self._log = log
        self._lock = lock
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it says that it is ready; raises `Fault` when it ends instead."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.setblocking(False)
            ready.bind("")  # Linux gives an abstract address
            address = "@" + ready.getsockname()[1:].decode()
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "NOTIFY_SOCKET": address},
                    pass_fds=[self._lock],
                    # Ctrl-C is for the demo alone: it ends its services in order.
                    start_new_session=True,
                )
            await self._ready(self._process, ready)

    async def _ready(self, process: asyncio.subprocess.Process, ready: socket.socket) -> None:
        told = asyncio.ensure_future(_hear_ready(ready))
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait(
                {told, ended}, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
            )
            if told.done():
                return
            why = "ended at its start" if ended.done() else f"not ready in {READY_WITHIN_S:.0f} s"
            raise Fault(f"{self.name}: {why}; the end of {self._log}:\n{self.log_tail()}")
        finally:
            # Finished ones don't mind.
            told.cancel()
            ended.cancel()

    async def keep(self) -> None:
        """Start again whenever it ends by itself, for ever."""
        assert self._process is not None
        while True:
            status = await self._process.wait()
            say(f"{self.name} ended (status {status}; see {self._log}); starting it again")
            with contextlib.suppress(Fault):
                await self.start()
            await asyncio.sleep(RESTART_PAUSE_S)

    async def end(self) -> None:
        """Ask it to end (SIGTERM) and wait; one that doesn't is killed, and that is told."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            say(f"{self.name} didn't end within {END_WITHIN_S:.0f} s; killed")
            self._process.kill()
            await self._process.wait()

    def log_tail(self) -> str:
        """The last lines of its log."""
        lines = self._log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join(f"    {line}" for line in lines)


async def _hear_ready(ready: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while b"READY=1" not in await loop.sock_recv(ready, 4096):
        pass


def say(text: str) -> None:
    """A line for whoever started the demo, while there is somebody."""
    # A terminal that was closed must not keep the services from being ended.
    with contextlib.suppress(OSError):
        print(text, flush=True)  # noqa: T201 - this program's voice


async def demo(state: State, found: list[Camera], stop: Stop) -> None:
    """Run the demo until it is asked to end; raises `Fault` with what a person can mend."""
    # SIGHUP is a terminal that was closed; there is no configuration to read anew.
    stop.on_reload(stop.set)
    with state.ours_alone() as lock:
        state.write_configs(found)
        web = _service("web", state, "web", lock)
        storage = _service("storage", state, "storage", lock)
        cameras = [_service(camera.local, state, "capture", lock) for camera in found]
        say("starting web, storage and " + ", ".join(camera.title for camera in found))
        running = asyncio.ensure_future(_run(state, web, storage, cameras, found))
        asked = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Ctrl-C counts from the first moment, also while something starts.
            running.cancel()
            asked.cancel()
            await asyncio.wait({running, asked})
            say("\nending: cameras, storage, web")
            await asyncio.gather(*(camera.end() for camera in cameras))
            await storage.end()
            await web.end()
        if not running.cancelled():
            running.result()


async def _run(
    state: State, web: Service, storage: Service, cameras: list[Service], found: list[Camera]
) -> None:
    """Start everything in order, then keep it running, for ever."""
    await web.start()
    async with asyncio.TaskGroup() as group:
        for jid in (STORAGE, *(camera.jid for camera in found)):
            group.create_task(_make_token(state, jid))
    await storage.start()
    async with asyncio.TaskGroup() as group:
        for camera in cameras:
            group.create_task(camera.start())
    await _print_link(state)
    say(f"recordings: {state.folder / 'recordings'}   logs: {state.folder / 'log'}")
    say("Enter prints a fresh link. Ctrl-C ends the demo.")
    async with asyncio.TaskGroup() as group:
        for service in (web, storage, *cameras):
            group.create_task(service.keep())
        group.create_task(_links_on_enter(state))


def _service(name: str, state: State, command: str, lock: int) -> Service:
    return Service(name, [command, "--config", str(state.config(name))], state.log(name), lock)


async def _make_token(state: State, jid: str) -> None:
    """Give a device its token, by the command that an operator uses."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ucam.cli", "token", jid, "--config", str(state.config("web"))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise Fault(f"no token for {jid}: {errors.decode().strip()}")
    path = state.token(jid.partition("@")[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(output)


async def _print_link(state: State) -> None:
    """Ask for a login link as the page does, and read it from the mail; raises `Fault`."""
    before = set(state.outbox.glob("*.eml"))

    def ask() -> None:
        request = urllib.request.Request(  # noqa: S310 - our own server, http on loopback
            f"{state.url}/auth",
            data=b'{"email":"%s"}' % PERSON.encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - as above

    try:
        await asyncio.to_thread(ask)
    except OSError as error:
        raise Fault(f"{state.url} gives no link: {error}") from None
    for _ in range(100):
        await asyncio.sleep(0.1)
        for mail in set(state.outbox.glob("*.eml")) - before:
            if link := find_link(mail.read_bytes()):
                say(f"\n  {link}\n")
                return
    raise Fault(
        f"no mail came to {state.outbox} (an address gets three in 15 minutes); "
        f"{state.log('web')} may say more"
    )


def find_link(mail: bytes) -> str | None:
    """The login link in a mail's text."""
    body = email.message_from_bytes(mail, policy=mail_policy).get_body(("plain",))
    match = _LINK.search(body.get_content()) if body is not None else None
    return match[0] if match else None


async def _links_on_enter(state: State) -> None:
    if not sys.stdin or not sys.stdin.isatty():
        return
    loop = asyncio.get_running_loop()
    pressed = asyncio.Event()

    def read() -> None:
        if not sys.stdin.readline():
            loop.remove_reader(sys.stdin)  # end of input: nobody will press Enter any more
            return
        pressed.set()

    loop.add_reader(sys.stdin, read)
    try:
        while True:
            await pressed.wait()
            pressed.clear()
            try:
                await _print_link(state)
            except Fault as fault:
                say(str(fault))
    finally:
        loop.remove_reader(sys.stdin)
