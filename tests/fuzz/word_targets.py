"""Texts of people, peers and operators: room messages, tokens, configuration, names."""

import base64
from collections.abc import Iterable
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from fuzz.target import Target
from ucam.base.config import ConfigError, Section, parse
from ucam.base.jid import JID, JIDError
from ucam.base.tokens import Claims, TokenError, Verifier, read_keys
from ucam.capture.config import CaptureConfig
from ucam.protocol import messages as room
from ucam.storage.config import StorageConfig
from ucam.storage.layout import Place, folder, part_path, read_name
from ucam.web.config import WebConfig

NOW_S = 1_795_325_400
CONFIG = Path(__file__).parents[2] / "config"
KINDS: tuple[tuple[str, type[Section]], ...] = (
    ("web", WebConfig),
    ("storage", StorageConfig),
    ("capture", CaptureConfig),
)
ISSUER = "https://cams.test"


def message(data: bytes) -> None:
    """A message of the room, or `ProtocolError`; what was read can be written and read again."""
    try:
        found = room.decode(data)
    except room.ProtocolError:
        return
    assert room.decode(room.encode(found), max_bytes=8 * room.MAX_MESSAGE_BYTES) == found


def _key(seed: int, kid: str) -> OKPKey:
    """A key pair that is the same each time: inputs hold its signatures."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    coded = [
        base64.urlsafe_b64encode(each).rstrip(b"=").decode()
        for each in (private.private_bytes_raw(), private.public_key().public_bytes_raw())
    ]
    return OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "d": coded[0], "x": coded[1], "kid": kid}
    )


KEY, OTHER = _key(1, "one"), _key(2, "one")
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "aud": "ucam",
    "sub": "cam001@studio.loc",
    "role": "device",
    "loc": ["studio"],
    "jti": "1",
    "iat": NOW_S - 10,
    "exp": NOW_S + 3600,
}
VERIFIER = Verifier(ISSUER, lambda: KeySet([KEY]))


def token(data: bytes) -> None:
    """A token that nobody signed is refused with `TokenError`; the signed one says what it said."""
    try:
        found = VERIFIER.verify(data.decode("latin-1"), NOW_S)
    except TokenError:
        return
    assert isinstance(found, Claims)
    assert (found.sub, found.role, found.exp) == ("cam001@studio.loc", "device", NOW_S + 3600)


def key_set(data: bytes) -> None:
    """A set of keys, or `TokenError`."""
    try:
        keys = read_keys(data)
    except TokenError:
        return
    assert keys.keys


def _tokens() -> list[bytes]:
    header: dict[str, object] = {"alg": "EdDSA", "kid": "one"}
    variants: list[tuple[dict[str, object], dict[str, object], OKPKey]] = [
        (header, CLAIMS, KEY),
        (header, CLAIMS, OTHER),
        ({**header, "kid": "two"}, CLAIMS, KEY),
        (header, {**CLAIMS, "exp": NOW_S - 1}, KEY),
        (header, {**CLAIMS, "sub": "../../etc"}, KEY),
    ]
    found = [
        jwt.encode(head, claims, key, algorithms=["EdDSA"]).encode()
        for head, claims, key in variants
    ]
    body = found[0].split(b".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').rstrip(b"=")
    return [*found, none + b"." + body + b"."]


def configuration(data: bytes) -> None:
    """A file of each kind, or `ConfigError`; its first byte says which."""
    name, kind = KINDS[data[0] % len(KINDS) if data else 0]
    try:
        parse(data[1:].decode(), kind, source=Path(f"{name}.toml"))
    except (ConfigError, UnicodeDecodeError):
        return


def _configurations() -> list[bytes]:
    return [
        bytes((place,)) + (CONFIG / f"{name}.toml").read_bytes()
        for place, (name, _) in enumerate(KINDS)
    ]


def path(data: bytes) -> None:
    """Whatever a location, a device and a file are called: paths stay where they belong."""
    text = data.decode("utf-8", "surrogateescape")
    location, _, name = text.partition("\n")
    try:
        jid = JID.parse(name)
        assert JID.parse(str(jid)) == jid
        assert JID.parse(name.swapcase().swapcase()).bare == jid.bare
        place = Place(location, str(jid.bare))
    except (JIDError, ValueError):
        pass
    else:
        where = folder(place, 0)
        assert len(where.parts) == 4
        assert not where.is_absolute()
        assert ".." not in where.parts
        assert not any(part.startswith(".") or "\0" in part for part in where.parts)
    named = read_name(name)
    if named is not None and named[1] is None and named[0] >= 0:
        assert part_path(Place("a", "b@c"), named[0]).name == name


def _messages() -> Iterable[bytes]:
    peer = room.Peer(
        jid="cam001@studio.loc/a",
        name="Front door",
        role="device",
        location="studio",
        capabilities=("live",),
    )
    found: list[room.AnyMessage] = [
        room.Welcome(jid="a@b/c", roster=(peer,), ice_servers=(), server_time="t", locations=()),
        room.RequestMedia(to="cam001@studio.loc", call="1", kind="live", from_="x"),
        room.OfferMedia(sdp="v=0"),
        room.AnswerMedia(
            to="a@b/c",
            call="1",
            ice=room.IceCandidate(candidate="candidate:1", sdp_mid="0", sdp_m_line_index=0),
        ),
        room.EndMedia(to="a@b/c", call="1", reason="over"),
        room.Chat(text="hello"),
        room.Status(fields={"recording": "stored", "spool": {"bytes": 1}}, from_="x"),
        room.Error(code="not-found", text="nobody", about="RequestMedia"),
    ]
    return [room.encode(each).encode() for each in found]


TARGETS = {
    "messages": Target(message, _messages),
    "tokens": Target(token, _tokens),
    "keys": Target(
        key_set,
        lambda: [b'{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"%s"}]}' % (b"A" * 43)],
    ),
    "configuration": Target(configuration, _configurations),
    "paths": Target(
        path,
        lambda: [
            b"studio\ncam001@studio.loc",
            b"..\n../../a@b",
            b"a\n20261122T053000.123456Z_60.033.mp4",
            b"a\n20261122T053100.156789Z.part",
        ],
    ),
}
