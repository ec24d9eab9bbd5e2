"""`ucam token`."""

import time
from pathlib import Path

import pytest

from ucam.base.tokens import Claims, Verifier
from ucam.cli import main
from ucam.web.keys import KeyStore
from web.helpers import ANN, DISK, TILL, load_config, write_config


def claims_of(folder: Path, token: str) -> Claims:
    config = load_config(folder)
    keys = KeyStore(config.http.data_dir, 0).public
    return Verifier(config.http.public_url, lambda: keys).verify(token.strip(), time.time())


@pytest.mark.parametrize(
    ("arguments", "role", "days"),
    [
        ([TILL], "device", 30),
        ([DISK], "storage", 30),
        ([TILL, "--valid", "12h"], "device", 0.5),
        ([TILL, "--play"], "player", 30),
        ([ANN, "--play", "--valid", "90d"], "player", 90),
    ],
)
def test_tokens(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    role: str,
    days: float,
) -> None:
    path = write_config(tmp_path)
    assert main(["token", *arguments, "--config", str(path)]) == 0
    out, err = capsys.readouterr()
    claims = claims_of(tmp_path, out)
    assert (claims.sub, claims.role) == (arguments[0], role)
    assert "shop" in claims.loc
    assert claims.exp - claims.iat == days * 86400
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["eve@example.com"], "stands nowhere"),
        (["eve@example.com", "--play"], "stands nowhere"),
        (["nonsense"], "no JID"),
        ([f"{TILL}/resource"], "resource"),
        ([ANN], "logs in by mail"),
        ([TILL, "--valid", "400d"], "366d"),
    ],
)
def test_refusals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    path = write_config(tmp_path)
    assert main(["token", *arguments, "--config", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1
    # A mistyped file or name makes no keys.
    assert "--valid" in arguments or not (tmp_path / "data").exists()


def test_a_life_that_is_no_duration_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["token", TILL, "--config", str(write_config(tmp_path)), "--valid", "long"])
    assert ended.value.code == 2
    assert '"90s"' in capsys.readouterr().err
