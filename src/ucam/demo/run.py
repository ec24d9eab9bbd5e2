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
_LINK = re.compile(r"https?://\S+/login#t=\S+")


class Service:
    """One service as a process: its readiness comes by systemd's protocol (sd_notify(3))."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self._arguments = [sys.executable, "-m", "ucam.cli", *arguments]
        self._log = log
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
                    # Ctrl-C is for the demo alone: it ends its services in order.
                    start_new_session=True,
                )
            await self._ready(ready)

    async def _ready(self, ready: socket.socket) -> None:
        assert self._process is not None
        loop = asyncio.get_running_loop()
        ended = asyncio.ensure_future(self._process.wait())
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while True:
                    told = asyncio.ensure_future(loop.sock_recv(ready, 4096))
                    await asyncio.wait({told, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if told.done() and b"READY=1" in told.result():
                        return
                    if ended.done():
                        told.cancel()
                        raise Fault(f"{self.name} ended at its start:\n{self.log_tail()}")
        except TimeoutError:
            raise Fault(
                f"{self.name} wasn't ready within {READY_WITHIN_S:.0f} s:\n{self.log_tail()}"
            ) from None
        finally:
            ended.cancel()

    async def keep(self, stop: Stop) -> None:
        """Start again whenever it ends by itself; returns when the demo is to end."""
        assert self._process is not None
        while not stop.is_set():
            ended = asyncio.ensure_future(self._process.wait())
            asked = asyncio.ensure_future(stop.wait())
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if not ended.done():
                ended.cancel()
                return
            say(f"{self.name} ended (status {ended.result()}); starting it again")
            with contextlib.suppress(Fault):
                await self.start()
            await stop.sleep(1)

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


def say(text: str) -> None:
    """A line for whoever started the demo."""
    print(text, flush=True)  # noqa: T201 - this program's voice


async def demo(state: State, found: list[Camera], stop: Stop) -> None:
    """Run the demo until it is asked to end; raises `Fault` with what a person can mend."""
    state.write_configs(found)
    web = _service("web", state, "web")
    storage = _service("storage", state, "storage")
    cameras = [_service(camera.local, state, "capture") for camera in found]
    say("starting web, storage and " + ", ".join(camera.title for camera in found))
    try:
        await web.start()
        await asyncio.gather(
            _make_token(state, STORAGE), *(_make_token(state, camera.jid) for camera in found)
        )
        await storage.start()
        await asyncio.gather(*(camera.start() for camera in cameras))
        await _print_link(state)
        say(f"recordings: {state.folder / 'recordings'}   logs: {state.folder / 'log'}")
        say("Enter prints a fresh link. Ctrl-C ends the demo.")
        async with asyncio.TaskGroup() as group:
            for service in (web, storage, *cameras):
                group.create_task(service.keep(stop))
            group.create_task(_links_on_enter(state, stop))
    finally:
        say("\nending: cameras, storage, web")
        await asyncio.gather(*(camera.end() for camera in cameras))
        await storage.end()
        await web.end()


def _service(name: str, state: State, command: str) -> Service:
    return Service(name, [command, "--config", str(state.config(name))], state.log(name))


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
    """Ask for a login link as the page does, and read it from the mail."""
    before = set(state.outbox.glob("*.eml"))

    def ask() -> None:
        request = urllib.request.Request(  # noqa: S310 - our own server, http on loopback
            f"{state.url}/auth",
            data=b'{"email":"%s"}' % PERSON.encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - as above

    await asyncio.to_thread(ask)
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


async def _links_on_enter(state: State, stop: Stop) -> None:
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
        while not stop.is_set():
            waiting = {asyncio.ensure_future(pressed.wait()), asyncio.ensure_future(stop.wait())}
            _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            if pressed.is_set():
                pressed.clear()
                try:
                    await _print_link(state)
                except (Fault, OSError) as error:
                    say(f"no link: {error}")
    finally:
        loop.remove_reader(sys.stdin)
