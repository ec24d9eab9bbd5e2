"""`ucam invite`, `POST /enroll`, `ucam enroll`, `ucam tokens`: the whole way, as people go it."""

import asyncio
import json
import os
import re
import stat
from pathlib import Path

import cv2
import pytest

from ucam.base import config
from ucam.capture.config import CaptureConfig
from ucam.cli import main
from ucam.storage.config import StorageConfig
from ucam.web.invites import ALPHABET, LENGTH, TRIES_EACH, normal
from web.helpers import ANN, DISK, TILL, Running, ucam, write_config


async def invited(web: Running, jid: str) -> str:
    """A code, by the command that an operator uses."""
    status, out, err = await ucam("invite", jid, "--config", str(web.config_path))
    assert (status, err) == (0, "")
    match = re.search(rf"ucam enroll {re.escape(web.url)} (\S+)", out)
    assert match is not None
    assert "█" in out or "▀" in out  # the picture for a phone
    assert "15 minutes" in out
    return match[1]


async def test_a_camera_is_set_up_with_eight_letters(web: Running, tmp_path: Path) -> None:
    code = await invited(web, TILL)
    assert len(normal(code)) == LENGTH
    folder = tmp_path / "pi"
    status, out, err = await ucam(
        *("enroll", web.url, code, "--output", str(folder), "--no-start"),
        *("--name", 'The "till"', "--source", "test"),
    )
    assert (status, err) == (0, "")
    assert f"ucam capture --config {folder}/capture.toml" in out
    file = folder / "capture" / "token"
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = config.load(folder / "capture.toml", CaptureConfig)
    assert (settings.device.jid, settings.device.token_file) == (TILL, file)
    assert (settings.device.name, settings.video.source) == ('The "till"', "test")
    assert settings.spool.path == folder / "capture" / "spool"
    assert settings.web.url == web.url
    async with web.room(token) as camera:
        assert camera.jid.startswith(TILL)
    # Once, and never over what is there.
    status, _, err = await ucam("enroll", web.url, code, "--output", str(tmp_path / "other"))
    assert status == 1
    assert "not valid any more" in err
    code = await invited(web, TILL)
    status, _, err = await ucam("enroll", web.url, code, "--output", str(folder))
    assert status == 1
    assert "never overwritten" in err
    # That try has not used the code up.
    command = ("enroll", web.url, code, "--output", str(tmp_path / "other"), "--no-start")
    status, _, _ = await ucam(*command)
    assert status == 0


async def test_one_machine_may_be_a_storage_and_a_camera(web: Running, tmp_path: Path) -> None:
    for jid, service in ((DISK, "storage"), (TILL, "capture")):
        code = await invited(web, jid)
        command = ("enroll", web.url, code, "--output", str(tmp_path), "--no-start")
        status, _, err = await ucam(*command)
        assert (status, err) == (0, "")
        assert (tmp_path / f"{service}.toml").exists()


async def test_a_code_for_what_the_machine_is_already_stays_unused(
    web: Running, tmp_path: Path
) -> None:
    (tmp_path / "storage.toml").touch()
    code = await invited(web, DISK)
    status, _, err = await ucam("enroll", web.url, code, "--output", str(tmp_path))
    assert status == 1
    assert f"{tmp_path / 'storage.toml'} is there already" in err
    wrong = await web.http.post("/enroll", json={"code": code, "role": "device"})
    assert (wrong.status_code, wrong.json()["error"]["text"]) == (403, "this code is for a storage")
    assert (await web.http.post("/enroll", json={"code": code, "role": "storage"})).is_success


async def test_a_storage_is_set_up(web: Running, tmp_path: Path) -> None:
    code = await invited(web, DISK)
    # However somebody types it.
    typed = f" {code.lower().replace('-', ' ')} "
    status, out, _ = await ucam(
        "enroll", web.url + "/", typed, "--output", str(tmp_path / "s"), "--maxspace", "5GB"
    )
    assert status == 0
    assert "ucam storage --config" in out
    settings = config.load(tmp_path / "s" / "storage.toml", StorageConfig)
    assert settings.device.jid == DISK
    assert settings.storage.path == tmp_path / "s" / "storage" / "chunks"
    assert settings.storage.maxspace == 5_000_000_000


@pytest.mark.parametrize("kind", ["png", "svg"])
async def test_the_code_as_a_picture(web: Running, tmp_path: Path, kind: str) -> None:
    picture = tmp_path / f"code.{kind}"
    command = ("invite", TILL, "--config", str(web.config_path), "--picture", str(picture))
    status, out, err = await ucam(*command)
    assert (status, err) == (0, "")
    match = re.search(rf"(ucam enroll {re.escape(web.url)} \S+)", out)
    assert match is not None
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    if kind == "png":  # read by a reader that we did not write
        seen = cv2.imread(str(picture))
        assert seen is not None
        said, *_ = cv2.QRCodeDetector().detectAndDecode(seen)
        assert said == match[1]
    else:
        assert picture.read_bytes().startswith(b"<?xml")
    status, _, err = await ucam(*command)
    assert (status, "never overwritten" in err) == (1, True)


async def test_a_picture_of_another_kind_costs_no_code(web: Running, tmp_path: Path) -> None:
    command = ("invite", TILL, "--config", str(web.config_path), "--picture", f"{tmp_path}/x.jpg")
    status, out, err = await ucam(*command)
    assert (status, out) == (1, "")
    assert "FILE.png or FILE.svg" in err


@pytest.mark.parametrize(
    ("flags", "told"),
    [(("--source", "nothing"), "is not known"), (("--maxspace", "lots"), "write it as")],
)
async def test_a_wrong_flag_costs_no_code(
    web: Running, tmp_path: Path, flags: tuple[str, str], told: str
) -> None:
    code = await invited(web, TILL)
    output = ("--output", str(tmp_path / "x"))
    status, _, err = await ucam("enroll", web.url, code, *output, *flags)
    assert (status, told in err) == (1, True)
    assert (await web.http.post("/enroll", json={"code": code})).is_success


async def test_guessing_is_stopped_and_counts_for_one_network(web: Running) -> None:
    code = await invited(web, TILL)
    codes = ["BBBB-BBB" + letter for letter in ALPHABET[: TRIES_EACH.count]]
    answers = [await web.http.post("/enroll", json={"code": guess}) for guess in codes]
    assert {(a.status_code, a.content) for a in answers} == {(401, answers[0].content)}
    blocked = await web.http.post("/enroll", json={"code": code})
    assert blocked.status_code == 429
    assert int(blocked.headers["retry-after"]) == 900
    elsewhere = {"X-Forwarded-For": "198.51.100.7"}  # our own proxy says so
    assert (await web.http.post("/enroll", json={"code": code}, headers=elsewhere)).is_success


@pytest.mark.parametrize("code", ["", "x" * 10_000, "BCDF-GHJK\x00", "ÄÖÜ", "'; DROP TABLE"])
async def test_codes_that_are_none(web: Running, code: str) -> None:
    answer = await web.http.post("/enroll", json={"code": code})
    assert answer.status_code == 401


async def test_an_invitation_of_a_device_that_was_removed_opens_nothing(web: Running) -> None:
    code = await invited(web, TILL)
    text = web.config_path.read_text()
    web.config_path.write_text(text.replace(TILL, "other@shop.loc"))
    web.stop.reload()
    answer = await web.http.post("/enroll", json={"code": code})
    assert answer.status_code == 401
    revoked_too = await web.http.post("/enroll", json={"code": "BCDF-GHJK"})
    assert answer.content == revoked_too.content


async def test_tokens_are_listed_and_revoked_while_the_service_runs(web: Running) -> None:
    path = str(web.config_path)
    _, token, _ = await ucam("token", TILL, "--config", path)
    _, player, _ = await ucam("token", ANN, "--play", "--valid", "90d", "--config", path)
    _, listed, _ = await ucam("tokens", "--config", path)
    lines = listed.splitlines()
    assert len(lines) == 2
    assert all("by ucam token" in line and "never seen" in line for line in lines)
    (till,) = [line for line in lines if TILL in line]
    async with web.room(token.strip()) as visitor:
        status, out, _ = await ucam("tokens", "--revoke", till.split()[0], "--config", path)
        assert status == 0
        assert TILL in out
        assert await visitor.close_code() == 4401
    assert (await web.recycle(token.strip())).status_code == 401
    assert (await web.http.get("/.well-known/jwks.json")).json()["revoked"] == [till.split()[0]]
    # A player's token is used at storages alone: it is in the list all the same.
    _, listed, _ = await ucam("tokens", "--config", path)
    assert len(listed.splitlines()) == 1
    assert " player " in listed
    assert player.strip() not in listed
    status, _, err = await ucam("tokens", "--revoke", "nothing", "--config", path)
    assert status == 1
    assert "nothing" in err
    await web.log_in(ANN)
    _, listed, _ = await ucam("tokens", "--people", "--config", path)
    assert len(listed.splitlines()) == 2


async def test_what_was_made_and_revoked_stands_in_the_log(web: Running) -> None:
    path = str(web.config_path)
    await ucam("token", TILL, "--config", path)
    code = await invited(web, TILL)
    await web.http.post("/enroll", json={"code": code})
    _, listed, _ = await ucam("tokens", "--config", path)
    for line in listed.splitlines():
        await ucam("tokens", "--revoke", line.split()[0], "--config", path)
    (file,) = (web.folder / "data" / "audit").glob("*.jsonl")
    async with asyncio.timeout(20):
        while file.read_text().count('"token-revoked"') < 2:
            await asyncio.sleep(0.02)
    actions = [json.loads(line)["what"] for line in file.read_text().splitlines()]
    for what in ("token-made", "invited", "token-revoked"):
        assert what in actions
    assert code.replace("-", "") not in file.read_text().replace("-", "")


@pytest.mark.parametrize("jid", [ANN, "eve@example.com", "nonsense"])
def test_only_devices_are_invited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], jid: str
) -> None:
    path = write_config(tmp_path)
    assert main(["invite", jid, "--config", str(path)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [("http://127.0.0.1:1", "can't be reached"), ("nonsense", "write it as"), ("http://x/y", "as")],
)
async def test_enrolling_nowhere(tmp_path: Path, url: str, told: str) -> None:
    status, _, err = await ucam("enroll", url, "BCDF-GHJK", "--output", str(tmp_path))
    assert status == 1
    assert told in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_cannot_be_written_costs_no_code(web: Running, tmp_path: Path) -> None:
    code = await invited(web, TILL)
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    status, _, err = await ucam("enroll", web.url, code, "--output", str(folder))
    assert status == 1
    assert "can't be written" in err
