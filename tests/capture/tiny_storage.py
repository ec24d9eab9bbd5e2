"""A storage of a few lines: TLS, ucam's RTSP server side, access units in a list."""

import asyncio
import datetime
import hashlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ucam.capture.address import Address
from ucam.rtp.h264 import H264Depacketizer
from ucam.rtp.unit import Unit
from ucam.rtsp.client import Durable, format_durable
from ucam.rtsp.sdp import SessionDescription
from ucam.rtsp.server import Announced, Closed, Media, ParameterQuery, Recording, ServerConnection

JID = "cam001@studio.loc"


def make_certificate(folder: Path) -> tuple[Path, str]:
    """A self-signed certificate with its key in one file, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "storage")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "storage.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return path, "sha256:" + hashlib.sha256(der).hexdigest()


@dataclass
class TinyStorage:
    """What it got, by run: number → unit. `durable` follows by itself while `confirms`."""

    certificate: Path
    fingerprint: str
    units: dict[str, dict[int, Unit]] = field(default_factory=dict)
    sound: list[bytes] = field(default_factory=list)  # RTP packets
    sessions: list[SessionDescription] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    durable: Durable | None = None
    confirms: bool = True
    refuses: int | None = None
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port, self.fingerprint)

    async def until(self, run: str, number: int, limit_s: float = 30) -> None:
        """Wait for that access unit."""
        async with asyncio.timeout(limit_s):
            while number not in self.units.get(run, {}):
                self.news.clear()
                await self.news.wait()

    def cut(self) -> None:
        """The network goes."""
        for writer in self.writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            self.writers.remove(writer)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = ServerConnection(os.urandom(16))
        depacketizer = H264Depacketizer()
        run, number = "", 0
        while data := await reader.read(65_536):
            await self.awake.wait()
            for event in connection.receive(data):
                match event:
                    case Announced() if self.refuses:
                        connection.refuse(event, self.refuses, "not now")
                    case Announced():
                        assert event.path == JID
                        assert event.session.run is not None
                        run, number = event.session.run.run, event.session.run.first_number
                        self.sessions.append(event.session)
                        self.tokens.append(event.credentials.token)
                        depacketizer = H264Depacketizer(
                            parameter_sets=event.session.media[0].parameter_sets(),
                            ntp64_id=event.session.media[0].ntp64_id,
                        )
                        connection.accept(event)
                    case ParameterQuery():
                        connection.answer(event, {"durable-until": format_durable(self.durable)})
                    case Media():
                        for channel, packet in event.packets:
                            if channel == 0:
                                depacketizer.push(packet)
                            elif channel == 2:
                                self.sound.append(bytes(packet))
                    case Recording():
                        pass
                    case Closed():
                        writer.write(connection.data_to_send())
                        await writer.drain()
                        writer.close()
                        await writer.wait_closed()
                        return
                while (unit := depacketizer.pull()) is not None:
                    self._keep(run, number, unit)
                    number += 1
            writer.write(connection.data_to_send())
            await writer.drain()

    def _keep(self, run: str, number: int, unit: Unit) -> None:
        assert not unit.after_loss
        self.units.setdefault(run, {})[number] = unit
        if self.confirms:
            self.durable = Durable(run, number, unit.capture_utc_us or 0)
        self.news.set()


@asynccontextmanager
async def tiny_storage(folder: Path, port: int = 0) -> AsyncIterator[TinyStorage]:
    path, fingerprint = make_certificate(folder)
    storage = TinyStorage(path, fingerprint)
    storage.awake.set()
    async with listening(storage, port):
        yield storage


@asynccontextmanager
async def listening(storage: TinyStorage, port: int = 0) -> AsyncIterator[None]:
    """The same storage, up (again)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(storage.certificate)
    server = await asyncio.start_server(storage.serve, "127.0.0.1", port, ssl=context)
    storage.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        storage.cut()
        while storage.writers:
            await asyncio.sleep(0.01)
        await server.wait_closed()
