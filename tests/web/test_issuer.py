from pathlib import Path

import pytest

from ucam.base.config import ConfigError, WrongValueError
from ucam.base.jid import JID
from ucam.base.tokens import Verifier
from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from web.helpers import ANN, DISK, NOW_S, TILL, TOML, load_config


def test_a_devices_token_says_what_the_configuration_says(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    keys = KeyStore(config.http.data_dir, 0)
    issued = Issuer(keys, config).first_token(JID.parse(TILL), "device", NOW_S)
    claims = Verifier("http://127.0.0.1:7070", lambda: keys.public).verify(issued.token, NOW_S)
    assert (claims.sub, claims.role, claims.loc) == (TILL, "device", ("shop",))
    assert (claims.iat, claims.exp) == (NOW_S, NOW_S + 30 * 86400)
    assert claims == issued.claims


def test_lives(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    issuer = Issuer(KeyStore(config.http.data_dir, 0), config)
    disk = JID.parse(DISK)
    assert issuer.first_token(disk, "storage", NOW_S, 60).claims.exp == NOW_S + 60
    for validity_s in (0.0, 400 * 86400.0):
        with pytest.raises(WrongValueError, match="366d"):
            issuer.first_token(disk, "storage", NOW_S, validity_s)
    player = issuer.first_token(JID.parse(ANN), "player", NOW_S).claims
    assert (player.role, player.loc) == ("player", ("home", "shop"))


def test_a_life_that_outlasts_the_keys_is_refused(tmp_path: Path) -> None:
    text = TOML + '[deviceauth]\ntoken-validity = "400d"\n'
    with pytest.raises(ConfigError, match=r"toml:\d+: deviceauth\.token-validity: .*366d"):
        load_config(tmp_path, text=text)
