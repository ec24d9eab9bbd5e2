"""Who may do what at a storage: a matrix of every RTSP method, every resource of playback, and
everything that can be wrong with a token.

The rows come from the state table and from the handler's routes; one without a policy fails.
"""

import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from socket import create_connection

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.helpers import ISSUER, START_US, Store, Tokens, recorder
from storage.process import CAMERA, StorageProcess
from support.forged import claims_of, control, forged, part, signed
from ucam.rtsp.states import METHODS
from ucam.storage.access import access_by_file
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.http import HttpApi
from ucam.storage.playback.library import Library

OTHER = "cam002@studio.loc"
PERSON = "owner@shop.loc"
ABSENT = "nobody@studio.loc"
SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    b"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:streamid=0\r\n"
)

# What each method asks for at a connection's beginning: "open": nothing, and it does nothing;
# "session": what only who was let in has, so always 455; "publish": a device's own token; "ask":
# the same; "play": to see the device.
METHOD_POLICIES = {
    "OPTIONS": "open",
    "SET_PARAMETER": "open",
    "TEARDOWN": "open",
    "GET_PARAMETER": "ask",
    "ANNOUNCE": "publish",
    "DESCRIBE": "play",
    "SETUP": "session",
    "RECORD": "session",
    "PLAY": "session",
    "PAUSE": "session",
}
ASKS = ("ask", "publish", "play")

# Each for people and players of a location; what changes something for people alone. Named is what
# must be theirs: the location, a camera in it, a chunk of one.
RESOURCE_POLICIES = {
    ("GET", "/cameras"): "location",
    ("GET", "/cameras/{jid}/timeline"): "camera",
    ("GET", "/cameras/{jid}/chunks"): "camera",
    ("GET", "/chunks/{id}"): "chunk",
    ("GET", "/cameras/{jid}/thumbnails"): "camera",
    ("GET", "/cameras/{jid}/sheet"): "camera",
    ("GET", "/cameras/{jid}/export"): "camera",
    ("GET", "/cameras/{jid}/hls.m3u8"): "camera",
    ("GET", "/cameras/{jid}/live.mp4"): "camera",
    ("GET", "/cameras/{jid}/protect"): "camera",
    ("PUT", "/cameras/{jid}/protect"): "camera",
    ("DELETE", "/cameras/{jid}/protect"): "camera",
    ("GET", "/metrics"): "location",
    ("GET", "/schema"): "location",
}


class Issuer(Tokens):
    """As `Tokens`, and its key for the forger."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.jwk = {name: str(value) for name, value in self._key.as_dict(private=True).items()}

    def revoked(self, sub: str, role: str = "device") -> str:
        """A token that the key set takes back."""
        token = self.issue(sub, role)
        document = json.loads(self.keys_file.read_text())
        document.setdefault("revoked", []).append(claims_of(token)["jti"])
        self.keys_file.write_text(json.dumps(document))
        return token

    def wrong(self, sub: str, role: str) -> dict[str, str]:
        """What opens nothing, by what is wrong with it."""
        good = self.issue(sub, role)
        assert control(good, self.jwk)
        return {**forged(good, self.jwk), "revoked": self.revoked(sub, role)}


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


# RTSP


@pytest.fixture
def storage(tmp_path: Path, issuer: Issuer) -> Iterator[StorageProcess]:
    # The key set takes its tokens back before the storage reads it.
    found = StorageProcess(tmp_path, issuer)
    found.start()
    yield found
    found.stop()


def rtsp(
    storage: StorageProcess, method: str, tokens: tuple[str, ...], jid: str = CAMERA, way: str = ""
) -> tuple[int, str]:
    """The status of one request on a connection of its own, and what else it says."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    uri = f"rtsps://127.0.0.1:{storage.port}/{jid}"
    lines = ["CSeq: 1"]
    for number, token in enumerate(tokens):
        if way == "query" or (way == "both" and number):
            uri += f"{'&' if '?' in uri else '?'}token={token}"
        elif way == "basic":
            lines.append(f"Authorization: Basic {basic(token)}")
        elif token:
            lines.append(f"Authorization: Bearer {token}")
    body = {"ANNOUNCE": SDP, "GET_PARAMETER": b"durable-until\r\n"}.get(method, b"")
    if body:
        kind = "application/sdp" if method == "ANNOUNCE" else "text/parameters"
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    if method == "SETUP":
        lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
    head = "\r\n".join([f"{method} {uri} RTSP/1.0", *lines, "", ""]).encode()
    with (
        create_connection(("127.0.0.1", storage.port), 20) as sock,
        context.wrap_socket(sock) as tls,
    ):
        tls.sendall(head + body)
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := tls.recv(65_536)):
            answer += piece
    status, _, rest = answer.decode().partition("\r\n")
    return int(status.split()[1]), status + re.sub(r"(Session|Date): .*\r\n", "", rest)


def basic(token: str) -> str:
    import base64

    return base64.b64encode(f"user:{token}".encode()).decode()


def kept(storage: StorageProcess) -> set[str]:
    """The files of the storage, but for SQLite's own."""
    return {
        str(path) for path in storage.root.rglob("*") if "-wal" not in str(path) and path.is_file()
    }


def test_every_method_has_a_policy() -> None:
    assert set(METHODS) == set(METHOD_POLICIES)


def test_the_matrix_of_methods_and_tokens(storage: StorageProcess, issuer: Issuer) -> None:
    before = kept(storage)
    device, viewer = issuer.wrong(CAMERA, "device"), issuer.wrong(PERSON, "user")
    cells = 0
    for method, policy in METHOD_POLICIES.items():
        wrong = viewer if policy == "play" else device
        plain = rtsp(storage, method, ())[0]
        for name, token in wrong.items():
            for way in ("bearer", "basic", "query") if policy in ASKS else ("bearer",):
                status, told = rtsp(storage, method, (token,), way=way)
                cell, cells = f"{method} by {way}, {name}", cells + 1
                if policy in ("open", "session"):
                    assert status == plain == (200 if policy == "open" else 455), cell
                else:
                    assert status == 401, cell
                    assert "Bearer" in told, cell
                    assert "Digest" not in told, cell
                assert not token or token not in told, cell
    print(f"\n{cells} cells")
    assert kept(storage) == before
    # The forger signs as the issuer does: what is right is let in.
    good = control(issuer.issue(CAMERA), issuer.jwk)
    assert rtsp(storage, "ANNOUNCE", (good,))[0] == 200
    for token in (*device.values(), *viewer.values(), good):
        assert not token or token not in storage.log.read_text()


def test_tokens_that_are_good_elsewhere(storage: StorageProcess, issuer: Issuer) -> None:
    before = kept(storage)
    elsewhere = ("shop",)
    for token in (
        issuer.issue(OTHER),  # device A for device B
        issuer.issue(CAMERA, "user"),
        issuer.issue(CAMERA, "player"),
        issuer.issue(CAMERA, "storage"),
        issuer.issue(PERSON, "user"),
        issuer.issue(CAMERA, "device", elsewhere),
        issuer.issue(CAMERA, "device", ()),
    ):
        for method in ("ANNOUNCE", "GET_PARAMETER"):
            assert rtsp(storage, method, (token,))[0] == 403, claims_of(token)
    assert kept(storage) == before
    # To who may not see it, a device that isn't there, isn't sending, or isn't for them is one.
    unseen = {
        rtsp(storage, "DESCRIBE", (token,), jid)
        for token, jid in (
            (issuer.issue(PERSON, "user"), ABSENT),
            (issuer.issue(PERSON, "user"), CAMERA),  # it sends nothing now
            (issuer.issue(PERSON, "user", elsewhere), CAMERA),
            (issuer.issue(PERSON, "player", elsewhere), CAMERA),
            (issuer.issue(OTHER), CAMERA),
            (issuer.issue(OTHER, "device", elsewhere), CAMERA),
            (issuer.issue(PERSON, "user"), "no%20jid"),
        )
    }
    assert len(unseen) == 1
    assert unseen.pop()[0] == 404


def test_two_tokens_that_disagree(storage: StorageProcess, issuer: Issuer) -> None:
    one, other = issuer.issue(CAMERA), issuer.issue(OTHER)
    for way in ("bearer", "basic", "query", "both"):
        for pair in ((one, other), (other, one), (one, "garbage")):
            for method in ("ANNOUNCE", "DESCRIBE", "GET_PARAMETER"):
                assert rtsp(storage, method, pair, way=way)[0] == 400, (way, method)
        assert rtsp(storage, "GET_PARAMETER", (one, one), way=way)[0] == 200


# Playback


@pytest.fixture
def library(store: Store) -> Library:
    store.record(50)
    return Library(
        store.root,
        store.index,
        recorder(store),
        on_device=lambda _place: None,
        now_us=lambda: START_US + 60_000_000,
    )


def test_every_resource_has_a_policy(library: Library) -> None:
    routes = {(r.described.method, r.described.path) for r in Handler(library).routes}
    assert routes == RESOURCE_POLICIES.keys()


def client(library: Library, issuer: Issuer) -> httpx.AsyncClient:
    access = access_by_file(issuer.keys_file, ISSUER, lambda: ("studio",))
    transport = httpx.ASGITransport(HttpApi(Handler(library), access))
    return httpx.AsyncClient(transport=transport, base_url="https://storage.local")


def address(path: str, jid: str = CAMERA, chunk: int = START_US) -> str:
    return path.replace("{jid}", jid).replace("{id}", str(chunk))


async def test_the_matrix_of_resources_and_tokens(
    library: Library, issuer: Issuer, store: Store
) -> None:
    wrong = issuer.wrong(PERSON, "user")
    before = sorted(store.root.rglob("*"))
    protected = await spans(library, issuer)
    async with client(library, issuer) as http:
        cells = 0
        for method, path in RESOURCE_POLICIES:
            for name, token in wrong.items():
                bearer = {"Authorization": f"Bearer {token}"} if token else {}
                for headers, query in ((bearer, {}), ({}, {"token": token})):
                    answer = await http.request(
                        method, address(path), headers=headers, params=query
                    )
                    cell, cells = f"{method} {path}, {name}", cells + 1
                    assert answer.status_code == 401, cell
                    assert answer.headers["www-authenticate"] == "Bearer", cell
                    assert not token or token not in answer.text, cell
            for role in ("device", "storage"):
                token = issuer.issue(CAMERA, role)
                answer = await http.request(
                    method, address(path), headers={"Authorization": f"Bearer {token}"}
                )
                assert answer.status_code == 403, (method, path, role)
            one, other = issuer.issue(PERSON, "user"), issuer.issue(PERSON, "player")
            answer = await http.request(
                method,
                address(path),
                headers={"Authorization": f"Bearer {one}"},
                params={"token": other},
            )
            assert answer.status_code == 400, (method, path)
    print(f"\n{cells} cells")
    assert sorted(store.root.rglob("*")) == before
    assert await spans(library, issuer) == protected


async def spans(library: Library, issuer: Issuer) -> str:
    async with client(library, issuer) as http:
        token = issuer.issue(PERSON, "user")
        path = address("/cameras/{jid}/protect")
        answer = await http.get(path, headers={"Authorization": f"Bearer {token}"})
        return str(answer.json()["protected"])  # its limit moves with the disk's free space


async def test_a_camera_that_is_absent_or_forbidden(library: Library, issuer: Issuer) -> None:
    """A person of another location is told nothing; of this one's, absent cameras are absent."""
    async with client(library, issuer) as http:
        for method, path in RESOURCE_POLICIES:
            answers = set()
            for token in (
                issuer.issue(PERSON, "user", ("shop",)),
                issuer.issue(PERSON, "player", ("shop",)),
                issuer.issue(PERSON, "user", ()),
            ):
                for jid, chunk in ((CAMERA, START_US), (ABSENT, 7)):
                    answer = await http.request(
                        method,
                        address(path, jid, chunk),
                        headers={"Authorization": f"Bearer {token}"},
                    )
                    answers.add((answer.status_code, answer.content))
            assert len(answers) == 1, (method, path)
            assert answers.pop()[0] == 403


async def test_players_change_nothing(library: Library, issuer: Issuer) -> None:
    async with client(library, issuer) as http:
        token = issuer.issue(PERSON, "player")
        before = await spans(library, issuer)
        for method, path in RESOURCE_POLICIES:
            if method == "GET":
                continue
            window = {"from": "2026-11-22T05:00:00Z", "to": "2026-11-22T06:00:00Z"}
            answer = await http.request(
                method, address(path), headers={"Authorization": f"Bearer {token}"}, params=window
            )
            assert answer.status_code == 403
        assert await spans(library, issuer) == before


def test_the_forger_forges(issuer: Issuer) -> None:
    """What it signs with the issuer's key is the issuer's, but for what it says is wrong."""
    good = issuer.issue(CAMERA)
    assert claims_of(control(good, issuer.jwk)) == claims_of(good)
    own = Ed25519PrivateKey.generate()
    assert signed({}, {}, own) != signed({}, {"a": 1}, own)
    assert part(b"\xff") == "_w"
