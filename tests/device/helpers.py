"""A web application of a few lines: answers what a test says, remembers what was asked."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from joserfc import jwt
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry


@dataclass
class Asked:
    method: str
    path: str
    authorization: str | None


@dataclass
class TinyWeb:
    """`answer` gets each request and gives status and body."""

    answer: Callable[[Asked], tuple[int, bytes]]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        asked = Asked(method, path, lines.get("Authorization"))
        self.asked.append(asked)
        status, body = self.answer(asked)
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def tiny_web(answer: Callable[[Asked], tuple[int, bytes]]) -> AsyncIterator[TinyWeb]:
    web = TinyWeb(answer)
    server = await asyncio.start_server(web.handle, "127.0.0.1", 0)
    web.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield web


@dataclass
class Other:
    """Something on a port that is no web application."""

    url: str = ""
    asked: int = 0


@asynccontextmanager
async def speaking(words: bytes, drip: bytes = b"") -> AsyncIterator[Other]:
    """Says `words` to whoever asks, then `drip` again and again until the peer hangs up."""
    other, talks = Other(), set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            other.asked += 1
            writer.write(words)
            while drip:
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(talk(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        other.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield other
        await asyncio.gather(*talks)


def unsigned_token(
    issued_s: float,
    expires_s: float,
    subject: str = "cam001@studio.loc",
    location: str = "studio",
) -> str:
    """A token as a device reads its own: the signature is the others' business."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": subject, "iat": int(issued_s), "exp": int(expires_s), "loc": [location]}
    return f"{part({'alg': 'EdDSA'})}.{part(claims)}.c2ln"


def new_key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid}, private=True)


def public_set(*keys: OKPKey) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def signed_token(key: OKPKey, issuer: str, now_s: float) -> str:
    claims = {
        "iss": issuer,
        "aud": "ucam",
        "sub": "cam001@studio.loc",
        "role": "device",
        "loc": ["studio"],
        "jti": "1",
        "iat": int(now_s),
        "exp": int(now_s) + 60,
    }
    header = {"alg": "Ed25519", "kid": key.kid}
    return jwt.encode(header, claims, key, registry=JWSRegistry(algorithms=["Ed25519"]))
