import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from ucam.base.config import ConfigError
from ucam.base.jid import JID
from ucam.web.config import Ice
from ucam.web.ice import TURN_VALIDITY_S, IceServers

ANN = JID.parse("ann@example.com/tab")


def test_stun_alone_needs_no_credentials() -> None:
    (server,) = IceServers(("stun:stun.example.com",), (), None).for_peer(ANN, 0)
    assert (server.urls, server.username, server.credential) == (
        ("stun:stun.example.com",),
        None,
        None,
    )


def test_turn_credentials_are_coturns(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("north\n")
    config = Ice(turn=("turn:turn.example.com:3478?transport=udp",), turn_secret_file=secret)
    (server,) = IceServers.of(config).for_peer(ANN, 1000.9)
    assert server.username == f"{1000 + TURN_VALIDITY_S}:ann@example.com"
    digest = hmac.new(b"north", server.username.encode(), hashlib.sha1).digest()
    assert server.credential == base64.b64encode(digest).decode()


def test_a_missing_secret_is_told_with_its_file(tmp_path: Path) -> None:
    config = Ice(turn=("turn:t",), turn_secret_file=tmp_path / "none")
    with pytest.raises(ConfigError, match="none"):
        IceServers.of(config)
    (tmp_path / "none").write_text(" \n")
    with pytest.raises(ConfigError, match="empty"):
        IceServers.of(config)
