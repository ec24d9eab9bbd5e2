"""A real redis-server on a free port, with a password, that a test may stop and start again."""

import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "a-pass/word with:signs"
_QUOTED = "a-pass%2Fword%20with%3Asigns"
START_S = 20.0


class RedisServer:
    """One server; its data stay in memory, but for what `stop` saves into `folder`.

    `certificate`: a PEM file with its key, for a server that speaks TLS alone.
    """

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = int(sock.getsockname()[1])
        self._folder = folder
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address for web.toml, password included."""
        scheme = "redis" if self._certificate is None else "rediss"
        return f"{scheme}://:{_QUOTED}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._folder.mkdir(exist_ok=True)
        config = f"""
            bind 127.0.0.1
            {self._listen()}
            requirepass "{PASSWORD}"
            dir "{self._folder}"
            save 3600 1
            appendonly yes
            appendfsync always
            loglevel warning
        """
        self._process = subprocess.Popen(
            ["redis-server", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(config.encode())
        deadline_s = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, "redis-server has ended"
            assert time.monotonic() < deadline_s, "redis-server doesn't answer"
            time.sleep(0.05)

    def _listen(self) -> str:
        if self._certificate is None:
            return f"port {self.port}"
        return (
            f"port 0\ntls-port {self.port}\ntls-auth-clients no\n"
            f'tls-cert-file "{self._certificate}"\ntls-key-file "{self._certificate}"'
        )

    def _reach(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=1)
        if self._certificate is None:
            return plain
        context = ssl.create_default_context(cafile=self._certificate)
        context.check_hostname = False  # it may be in another's name, for a test
        return context.wrap_socket(plain)

    def _answers(self) -> bool:
        try:
            with self._reach() as sock:
                sock.sendall(f'AUTH "{PASSWORD}"\r\nPING\r\n'.encode())
                heard = b""
                while piece := sock.recv(100):
                    heard += piece
                    if b"+PONG" in heard:
                        return True
                return False
        except OSError:
            return False

    def stop(self) -> None:
        """End it; what it holds is saved for the next `start`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=20)
            self._process = None

    def kill(self) -> None:
        """As a power cut does; what it answered is in its journal."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """It hangs: connections stand, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It answers again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(folder: Path, certificate: Path | None = None) -> Iterator[RedisServer]:
    """A server that runs, ended at the end. `certificate`: see `RedisServer`."""
    server = RedisServer(folder / "redis", certificate)
    server.start()
    try:
        yield server
    finally:
        if server._process is not None:
            server.go_on()
        server.stop()
