import json
import os
from pathlib import Path

import pytest
from joserfc.jwk import KeySet

from ucam.base.service import Fault
from ucam.base.tokens import AUDIENCE, Claims, Role, TokenError, Verifier, read_keys
from ucam.web.keys import (
    LONGEST_TOKEN_S,
    MAX_PREVIOUS,
    ROTATE_AFTER_S,
    KeyStore,
    TooSoonError,
)

ISSUER = "https://cams.example.com"


def claims(role: Role = "user") -> Claims:
    return Claims(
        iss=ISSUER,
        aud=AUDIENCE,
        sub="ann@example.com",
        role=role,
        loc=("home",),
        jti="1",
        iat=0,
        exp=100,
    )


def published(store: KeyStore) -> KeySet:
    """The keys as a verifier reads them from `/.well-known/jwks.json`."""
    return read_keys(json.dumps(store.jwks()))


def test_keys_are_made_once_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    first = KeyStore(tmp_path / "data", 0)
    token = first.sign(claims())
    again = KeyStore(tmp_path / "data", 50)
    assert again.sign(claims()) == token
    (file,) = (tmp_path / "data").glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_published_set_verifies_and_holds_nothing_private(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, 0)
    assert Verifier(ISSUER, lambda: published(store)).verify(store.sign(claims()), 1) == claims()
    keys = store.jwks()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert len({str(key["kid"]) for key in keys}) == 2


def test_no_token_fails_over_rotations(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, 0)
    kept_since_before = published(store)
    old = store.sign(claims())
    store.rotate(10)
    new = store.sign(claims())
    assert new != old
    for keys in (published(store), kept_since_before):  # a verifier may not have fetched since
        verifier = Verifier(ISSUER, lambda keys=keys: keys)  # type: ignore[misc]
        assert verifier.verify(old, 1) == verifier.verify(new, 1) == claims()
    store.rotate(20)
    after_two = Verifier(ISSUER, lambda: published(store))
    assert after_two.verify(old, 1) == after_two.verify(new, 1) == claims()
    # A key goes when nothing that it signed can live any more.
    store.rotate(10 + LONGEST_TOKEN_S)
    assert after_two.verify(new, 1) == claims()
    with pytest.raises(TokenError):
        after_two.verify(old, 1)


def test_other_processes_notice_a_rotation(tmp_path: Path) -> None:
    service, command = KeyStore(tmp_path, 0), KeyStore(tmp_path, 0)
    command.rotate(10)
    token = command.sign(claims())
    assert service.sign(claims()) == token
    assert service.jwks() == command.jwks()
    assert not service.rotate_when_due(ROTATE_AFTER_S)
    # Two that find it due rotate once.
    now_s = 10 + ROTATE_AFTER_S
    assert [service.rotate_when_due(now_s), command.rotate_when_due(now_s)] == [True, False]


def test_a_file_that_breaks_while_it_runs_is_told_once_and_the_keys_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = KeyStore(tmp_path, 0)
    token = store.sign(claims())
    (file,) = tmp_path.glob("*.json")
    file.write_text("{")
    assert [store.sign(claims()) for _ in range(3)] == [token] * 3
    assert caplog.text.count("signing keys not read anew") == 1


def test_rotations_that_would_take_keys_from_living_tokens_are_refused(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, 0)
    for second in range(MAX_PREVIOUS):
        store.rotate(second)
    with pytest.raises(TooSoonError):
        store.rotate(1000)
    store.rotate(LONGEST_TOKEN_S + 1)


def test_with_every_key_new_no_token_is_believed(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, 0)
    old = store.sign(claims())
    store.begin_anew(10)
    verifier = Verifier(ISSUER, lambda: published(store))
    with pytest.raises(TokenError):
        verifier.verify(old, 1)
    assert verifier.verify(store.sign(claims()), 1) == claims()


def test_replaced_keys_are_kept_without_their_private_part(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, 0)
    store.rotate(1)
    (file,) = tmp_path.glob("*.json")
    assert file.read_text().count('"d"') == 2


def test_rotation_is_due_after_the_longest_life_of_a_token(tmp_path: Path) -> None:
    store = KeyStore(tmp_path, 1000)
    assert not store.rotate_when_due(1000 + ROTATE_AFTER_S - 1)
    assert store.rotate_when_due(1000 + ROTATE_AFTER_S)
    assert not store.rotate_when_due(1000 + ROTATE_AFTER_S + 1)


@pytest.mark.parametrize("content", ["", "{}", '{"current": {}, "next": {}, "since_s": 0}'])
def test_a_broken_key_file_is_told_and_kept(tmp_path: Path, content: str) -> None:
    KeyStore(tmp_path, 0)
    (file,) = tmp_path.glob("*.json")
    file.write_text(content)
    with pytest.raises(Fault, match="backup"):
        KeyStore(tmp_path, 0)
    assert file.read_text() == content


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_keys_made_by_root_belong_to_the_folders_owner(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 1234, 1234)
    KeyStore(folder, 0)
    (file,) = folder.glob("*.json")
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 1234)


def test_a_data_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(Fault, match="data"):
        KeyStore(tmp_path / "data", 0)
