"""A TURN client (RFC 8656) over UDP, as far as a test needs one, and a coturn of its own."""

import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COOKIE = 0x2112A442
ALLOCATE, SEND, DATA, CREATE_PERMISSION = 0x003, 0x016, 0x017, 0x008
USERNAME, INTEGRITY, ERROR, PEER, PAYLOAD = 0x0006, 0x0008, 0x0009, 0x0012, 0x0013
REALM, NONCE, RELAYED, FAMILY, TRANSPORT = 0x0014, 0x0015, 0x0016, 0x0017, 0x0019
FINGERPRINT = 0x8028
UDP, TCP = 17, 6

Address = tuple[str, int]


class Refused(Exception):  # noqa: N818 - an answer
    """The server answered with this error code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class TurnClient:
    """One allocation at `server`, once `allocate` has made it."""

    def __init__(self, server: Address, user: str, password: str) -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.settimeout(5)
        self._socket.connect(server)
        self._user, self._password = user, password
        self._realm = self._nonce = b""

    def close(self) -> None:
        self._socket.close()

    def allocate(self, *, transport: int = UDP, family: int | None = None) -> Address:
        """The relayed address. `family` 1: IPv4, 2: IPv6."""
        wanted = [(TRANSPORT, struct.pack("!B3x", transport))]
        if family is not None:
            wanted.append((FAMILY, struct.pack("!B3x", family)))
        answer, transaction = self._ask(ALLOCATE, wanted)
        return _read_address(answer[RELAYED], transaction)

    def permit(self, host: str, port: int = 9) -> None:
        """Ask that this peer may be reached."""
        transaction = os.urandom(12)
        peer = (PEER, _address((host, port), transaction))
        self._ask(CREATE_PERMISSION, [peer], transaction)

    def send(self, peer: Address, payload: bytes) -> None:
        """Send through the relay."""
        transaction = os.urandom(12)
        attributes = [(PEER, _address(peer, transaction)), (PAYLOAD, payload)]
        self._socket.send(_message(SEND | 0x0010, transaction, attributes))

    def receive(self) -> bytes:
        """What came through the relay."""
        while True:
            kind, attributes, _ = _parse(self._socket.recv(4096))
            if kind == DATA | 0x0010:
                return attributes[PAYLOAD]

    def _ask(
        self, method: int, attributes: list[tuple[int, bytes]], transaction: bytes | None = None
    ) -> tuple[dict[int, bytes], bytes]:
        for _ in range(2):  # the first answer gives realm and nonce
            transaction = transaction or os.urandom(12)
            credentials = [
                (USERNAME, self._user.encode()),
                (REALM, self._realm),
                (NONCE, self._nonce),
            ]
            key = hashlib.md5(
                f"{self._user}:{self._realm.decode()}:{self._password}".encode()
            ).digest()
            with_key = [*attributes, *credentials] if self._nonce else attributes
            self._socket.send(_message(method, transaction, with_key, key if self._nonce else None))
            kind, answer, _ = _parse(self._socket.recv(4096))
            if kind == method | 0x0100:
                return answer, transaction
            _, number, code = struct.unpack_from("!HBB", answer[ERROR])
            code += (number & 7) * 100
            if code == 401 and not self._nonce:
                self._realm, self._nonce = answer[REALM], answer[NONCE]
                continue
            raise Refused(code)
        raise Refused(401)


def _message(
    kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], key: bytes | None = None
) -> bytes:
    body = b"".join(
        struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)
        for name, value in attributes
    )

    def head(length: int) -> bytes:
        return struct.pack("!HHI", kind, length, COOKIE) + transaction

    if key is not None:
        digest = hmac.new(key, head(len(body) + 24) + body, hashlib.sha1).digest()
        body += struct.pack("!HH", INTEGRITY, 20) + digest
    check = zlib.crc32(head(len(body) + 8) + body) ^ 0x5354554E
    body += struct.pack("!HHI", FINGERPRINT, 4, check)
    return head(len(body)) + body


def _parse(data: bytes) -> tuple[int, dict[int, bytes], bytes]:
    kind, length, _ = struct.unpack_from("!HHI", data)
    attributes, at = {}, 20
    while at < 20 + length:
        name, size = struct.unpack_from("!HH", data, at)
        attributes[name] = data[at + 4 : at + 4 + size]
        at += 4 + size + (-size % 4)
    return kind, attributes, data[8:20]


def _mask(transaction: bytes) -> bytes:
    return struct.pack("!I", COOKIE) + transaction


def _address(address: Address, transaction: bytes) -> bytes:
    ip = ipaddress.ip_address(address[0])
    packed = bytes(a ^ b for a, b in zip(ip.packed, _mask(transaction), strict=False))
    family = 1 if ip.version == 4 else 2
    return struct.pack("!xBH", family, address[1] ^ (COOKIE >> 16)) + packed


def _read_address(value: bytes, transaction: bytes) -> Address:
    (port,) = struct.unpack_from("!xxH", value)
    packed = bytes(a ^ b for a, b in zip(value[4:], _mask(transaction), strict=False))
    return str(ipaddress.ip_address(packed)), port ^ (COOKIE >> 16)


@contextmanager
def coturn(folder: Path, config: str, server: Address) -> Iterator[Path]:
    """A turnserver with this configuration, which listens at `server`; its log."""
    path, log = folder / "turnserver.conf", folder / "turnserver.log"
    path.write_text(f"{config}\nuserdb={folder}/turndb\n")
    command = ["turnserver", "-c", str(path), "--log-file", "stdout", "--pidfile", "/dev/null"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        deadline_s = time.monotonic() + 20
        while not _answers(server):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
        yield log
    finally:
        process.terminate()
        process.wait(20)


def _answers(server: Address) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(server)
        try:
            sock.send(_message(ALLOCATE, os.urandom(12), [(TRANSPORT, struct.pack("!B3x", UDP))]))
            return bool(sock.recv(4096))
        except OSError:
            time.sleep(0.05)
            return False
