import json
import os
from pathlib import Path

import pytest

from storage.helpers import ISSUER, PLACE, Tokens
from ucam.base.service import Fault
from ucam.storage.access import Access, Denied, access_by_file

CAMERA = PLACE.jid


@pytest.fixture
def access(tokens: Tokens) -> Access:
    return access_by_file(tokens.keys_file, ISSUER, lambda: ("studio",))


async def test_a_device_records_under_its_own_name(access: Access, tokens: Tokens) -> None:
    place, claims = await access.publisher(CAMERA, tokens.issue(CAMERA, loc=("shop", "studio")))
    assert place == PLACE
    assert claims.role == "device"


@pytest.mark.parametrize(
    ("path", "sub", "role", "loc", "status"),
    [
        ("cam002@studio.loc", CAMERA, "device", ("studio",), 403),
        (CAMERA, CAMERA, "storage", ("studio",), 403),
        (CAMERA, CAMERA, "device", ("shop",), 403),
        (CAMERA, CAMERA, "device", (), 403),
        ("../../etc", CAMERA, "device", ("studio",), 403),
        (f"{CAMERA}/x", CAMERA, "device", ("studio",), 403),
    ],
)
async def test_others_do_not(
    access: Access,
    tokens: Tokens,
    path: str,
    sub: str,
    role: str,
    loc: tuple[str, ...],
    status: int,
) -> None:
    with pytest.raises(Denied) as denied:
        await access.publisher(path, tokens.issue(sub, role, loc))
    assert denied.value.status == status


async def test_expired_foreign_and_broken_tokens(
    access: Access, tokens: Tokens, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    for token in [
        tokens.issue(CAMERA, life_s=-1),
        Tokens(tmp_path / "other").issue(CAMERA),
        tokens.issue(CAMERA)[:-4] + "AAAA",
        "",
    ]:
        with pytest.raises(Denied) as denied:
            await access.publisher(CAMERA, token)
        assert denied.value.status == 401
        assert token == "" or token not in str(denied.value)


async def test_people_and_players_look_at_their_locations(access: Access, tokens: Tokens) -> None:
    for role in ("user", "player"):
        token = tokens.issue("owner@shop.loc", role, ("shop", "studio"))
        assert (await access.viewer(token))[0] == frozenset({"studio"})
    for role, loc in [("device", ("studio",)), ("user", ("shop",))]:
        with pytest.raises(Denied) as denied:
            await access.viewer(tokens.issue("owner@shop.loc", role, loc))
        assert denied.value.status == 403


@pytest.mark.parametrize(
    ("sub", "role", "loc"),
    [
        ("owner@shop.loc", "user", ("shop", "studio")),
        ("owner@shop.loc", "player", ("studio",)),
        (CAMERA, "player", ("studio",)),
        (CAMERA, "device", ("studio",)),
    ],
)
async def test_who_may_play_a_stream(
    access: Access, tokens: Tokens, sub: str, role: str, loc: tuple[str, ...]
) -> None:
    places, claims = await access.player(CAMERA, tokens.issue(sub, role, loc))
    assert places == (PLACE,)
    assert claims.sub == sub


@pytest.mark.parametrize(
    ("path", "sub", "role", "loc", "status"),
    [
        (CAMERA, "owner@shop.loc", "user", ("shop",), 404),
        (CAMERA, "cam002@studio.loc", "device", ("studio",), 404),
        ("../x", "owner@shop.loc", "user", ("studio",), 404),
        ("", "owner@shop.loc", "user", ("studio",), 404),
        ("index.sqlite", "owner@shop.loc", "user", ("studio",), 404),
    ],
)
async def test_who_may_not(
    access: Access,
    tokens: Tokens,
    path: str,
    sub: str,
    role: str,
    loc: tuple[str, ...],
    status: int,
) -> None:
    with pytest.raises(Denied) as denied:
        await access.player(path, tokens.issue(sub, role, loc))
    assert denied.value.status == status
    with pytest.raises(Denied) as denied:
        await access.player(path, tokens.issue(sub, role, loc, life_s=-1))
    assert denied.value.status == 401


async def test_new_keys_are_read_and_broken_ones_are_not(
    access: Access, tokens: Tokens, tmp_path: Path
) -> None:
    token = tokens.issue(CAMERA)
    tokens.keys_file.write_text("broken")
    os.utime(tokens.keys_file, ns=(1, 1))
    await access.publisher(CAMERA, token)
    successor = Tokens(tmp_path)
    os.utime(successor.keys_file, ns=(2, 2))
    await access.publisher(CAMERA, successor.issue(CAMERA))
    with pytest.raises(Denied):
        await access.publisher(CAMERA, token)


def test_without_keys_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="keys-file"):
        access_by_file(tmp_path / "absent.json", ISSUER, tuple)


async def test_what_the_file_revokes_opens_nothing_and_keeps_nothing_open(
    access: Access, tokens: Tokens
) -> None:
    token = tokens.issue(CAMERA)
    claims = await access.claims(token)
    assert access.withdrawn(claims) is None
    document = json.loads(tokens.keys_file.read_text())
    tokens.keys_file.write_text(json.dumps({**document, "revoked": [claims.jti]}))
    os.utime(tokens.keys_file, ns=(1, 1))
    assert access.withdrawn(claims) == "the token was revoked"
    with pytest.raises(Denied) as denied:
        await access.claims(token)
    assert denied.value.status == 401
