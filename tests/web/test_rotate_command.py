"""`ucam web rotate-keys`, beside a service that runs on the same folder."""

import asyncio
import sys
from pathlib import Path

import pytest

from ucam.cli import main
from web.helpers import ANN, TILL, Running, write_config


async def rotate(web: Running, *options: str) -> None:
    command = [sys.executable, "-m", "ucam.cli", "web", "rotate-keys", *options]
    process = await asyncio.create_subprocess_exec(*command, "--config", str(web.config_path))
    assert await process.wait() == 0


async def test_a_rotation_costs_no_request(web: Running) -> None:
    token, device = await web.log_in(ANN), web.device_token(TILL)
    before = (await web.http.get("/.well-known/jwks.json")).json()["keys"]
    async with web.room(device) as visitor:
        for _ in range(2):
            await rotate(web)
            answer = await web.recycle(token)
            assert answer.status_code == 200
            token = answer.json()["token"]
        after = (await web.http.get("/.well-known/jwks.json")).json()["keys"]
        assert {key["kid"] for key in before} < {key["kid"] for key in after}
        async with web.room(token):
            await visitor.hear()  # the device stayed
    async with web.room(device):
        pass
    (log,) = (web.folder / "data" / "audit").glob("*.jsonl")
    assert log.read_text().count('"keys-rotated"') == 2


async def test_when_a_key_was_stolen_every_token_ends(web: Running) -> None:
    token, device = await web.log_in(ANN), web.device_token(TILL)
    await rotate(web, "--distrust-old")
    assert (await web.recycle(token)).status_code == 401
    assert (await web.recycle(device)).status_code == 401
    await web.log_in(ANN)


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_config(tmp_path))
    assert main(["web", "--distrust-old", "--config", path]) == 2
    with pytest.raises(SystemExit):
        main(["web", "rotate", "--config", path])
    capsys.readouterr()
