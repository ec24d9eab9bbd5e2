"""`ucam init`: what it writes is what `ucam web` and `ucam storage` start with, and logs in."""

import io
import itertools
import json
import re
import stat
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from support.site import Process, free_port, wait_until
from ucam.base import config
from ucam.base.units import Size
from ucam.cli import answers, main
from ucam.cli.written import Places
from ucam.storage.config import StorageConfig
from ucam.web.config import WebConfig

FLAGS = ("--email", "ann@example.com", "--outbox", "--location", "Harbour Street", "--yes")


def init(folder: Path, *flags: str) -> int:
    return main(["init", "--output", str(folder), *flags])


def settings(folder: Path) -> tuple[WebConfig, StorageConfig]:
    return (
        config.load(folder / "web.toml", WebConfig),
        config.load(folder / "storage.toml", StorageConfig),
    )


def test_what_it_wrote_runs_and_somebody_logs_in(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert init(tmp_path, *FLAGS, "--public-url", url, "--maxspace", "200MB") == 0
    # The one thing a test changes: two storages of one machine can't have one port.
    file = tmp_path / "storage.toml"
    file.write_text(file.read_text().replace("0.0.0.0:8322", f"127.0.0.1:{free_port()}"))
    web = Process("web", tmp_path, "web", "--config", f"{tmp_path}/web.toml")
    storage = Process("storage", tmp_path, "storage", "--config", f"{tmp_path}/storage.toml")
    web.start()
    try:
        storage.start()

        def post(body: dict[str, str]) -> bytes:
            request = urllib.request.Request(
                f"{url}/auth", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                return bytes(answer.read())

        post({"email": "ann@example.com"})
        mail = wait_until("a mail", lambda: list((tmp_path / "web" / "outbox").glob("*.eml")))[0]
        link = re.search(r"/login#t=(\S+)", mail.read_text())
        assert link is not None
        assert json.loads(post({"token": link[1]}))["token"].count(".") == 2
        # The storage has come in with the token that was made for it.
        seen = ["tokens", "--config", f"{tmp_path}/web.toml"]
        wait_until("the storage is in the room", lambda: "seen 20" in output(seen))
        assert list((tmp_path / "storage" / "chunks").glob("index.sqlite"))
    finally:
        assert (storage.end(), web.end()) == (0, 0)


def output(arguments: list[str]) -> str:
    return subprocess.check_output([sys.executable, "-m", "ucam.cli", *arguments], text=True)


def test_every_answer_stands_where_it_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password = tmp_path / "pw"
    password.write_text("secret\n")
    assert (
        init(
            tmp_path / "etc",
            *("--email", "Ann@Example.com", "--smtp", "smtps://ann@mail.example.com:465"),
            *("--smtp-password-file", str(password), "--public-url", "https://cams.example.com/"),
            *("--location", 'Café "Zwölf"', "--cameras", "2"),
            *("--storage-path", str(tmp_path / "disk"), "--maxspace", "500MB"),
        )
        == 0
    )
    web, storage = settings(tmp_path / "etc")
    assert web.userauth.allowed_emails == web.alerts.emails == ("ann@example.com",)
    assert web.smtp.password_file == password
    assert (web.sender.addr_spec, web.http.listen) == ("ann@example.com", "127.0.0.1:7070")
    (location,) = web.locations.values()
    assert (list(web.locations), location.title) == (["cafe-zwolf"], 'Café "Zwölf"')
    assert location.devices == ("cam001@cafe-zwolf.loc", "cam002@cafe-zwolf.loc")
    assert location.storage == storage.device.jid
    assert (storage.storage.path, storage.storage.maxspace) == (tmp_path / "disk", 500_000_000)
    assert storage.web.url == web.http.public_url == "https://cams.example.com"
    assert storage.device.token_file is not None
    assert stat.S_IMODE(storage.device.token_file.stat().st_mode) == 0o600
    told = capsys.readouterr().out
    assert "500MB keeps the last 17 minutes of 2 cameras" in told
    assert "ucam invite cam001@cafe-zwolf.loc" in told
    for name in ("web", "storage"):
        text = (tmp_path / "etc" / f"{name}.toml").read_text()
        assert text.count("#") > 5
        assert "secret" not in text


def test_asked_one_by_one_and_again_where_an_answer_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = (
        *("", "ann", "ann@example.com"),
        *("mail.example.com", "smtp://mail.example.com", "smtp+starttls://ann@mail.example.com"),
        *("cams.example.com", "http://cams.example.com", "https://cams.example.com"),
        *("???", "Yard", "none", "1"),
        *(__file__, "/proc/x", str(tmp_path / "disk"), "1MB", "90000TB", "lots", "300MB"),
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "pass word")
    assert init(tmp_path) == 0
    told = capsys.readouterr().out
    for said in (
        "'ann' is no address",
        "write it as smtp+starttls://",
        "to another machine write smtp+starttls://",
        "without TLS everybody on the way could log in as you; write https://cams.example.com",
        "has no letter from a to z",
        "a number from 1 to 100",
        "test_init.py is a file",
        "/proc has 0B free: that is too little",
        "is full after some seconds",
        "is more than the disk has: at most",
        "'lots' is not understood",
    ):
        assert said in told
    assert "pass word" not in told
    web, _ = settings(tmp_path)
    assert web.smtp.password_file == tmp_path / "web" / "smtp-password"
    assert (tmp_path / "web" / "smtp-password").read_text() == "pass word\n"
    assert stat.S_IMODE((tmp_path / "web" / "smtp-password").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "web").stat().st_mode) == 0o700


def test_answers_that_end_too_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("ann@example.com\n"))
    assert init(tmp_path) == 1
    assert "give the rest as flags" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["web.toml", "storage.toml", "storage/token", "web/smtp-password"])
def test_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    there = tmp_path / name
    there.parent.mkdir(exist_ok=True)
    there.write_text("mine")
    assert init(tmp_path, *FLAGS) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [there]
    assert there.read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--email", "ann"), "--email: 'ann' is no address"),
        (("--cameras", "0"), "--cameras: a number"),
        (("--maxspace", "1MB"), "--maxspace: 1MB is full"),
        (("--public-url", "ftp://x"), "--public-url: "),
        (("--smtp", "smtps://ann@mail.example.com"), "give --smtp-password-file"),
    ],
)
def test_a_wrong_flag_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], said: str
) -> None:
    defaults = ("--email", "ann@example.com", "--location", "Yard", "--yes")
    assert init(tmp_path, *defaults, *flags) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_web_machine_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path, *FLAGS, "--web-only") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["web.toml"]
    assert "ucam invite storage@harbour-street.loc" in capsys.readouterr().out


def test_a_disk_without_room_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writes = itertools.count()
    create = sys.modules["ucam.cli.written"].create
    monkeypatch.setattr(
        "ucam.cli.initial.create", lambda *a: full() if next(writes) == 1 else create(*a)
    )
    assert init(tmp_path, *FLAGS) == 1
    assert "nothing is written" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_systems_folders(tmp_path: Path) -> None:
    places = Places(tmp_path, Path("/var/lib/ucam"))
    assert places.written("web", "") == "/var/lib/ucam/web"
    assert places.path("storage", "token") == Path("/var/lib/ucam/storage/token")
    assert Places(tmp_path, None).path("capture", "token") == tmp_path / "capture" / "token"


def test_services_do_not_see_home(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="take a folder in /srv"):
        answers.storage_path("/home/ann/video", Places(tmp_path, Path("/var/lib/ucam")))
    path = str(tmp_path / "video")
    assert answers.storage_path(path, Places(tmp_path, Path("/var/lib/ucam"))) == path


@pytest.mark.parametrize(
    ("free", "suggested"),
    [(2_000_000_000_000, "1.799TB"), (12_000_000_000, "9.9GB"), (1_100_000_000, "100MB")],
)
def test_what_is_suggested(free: int, suggested: str) -> None:
    size = answers.suggested_maxspace(free)
    assert size == Size.parse(suggested)
    assert answers.maxspace(str(size), free) == size


def test_toml_of_any_title(tmp_path: Path) -> None:
    title = 'a"\\ \u00e9 [x] # = \u2028'.replace("\u2028", "'")
    assert init(tmp_path, *FLAGS[:3], "--location", title, "--yes") == 0
    written = tomllib.loads((tmp_path / "web.toml").read_text())
    assert next(iter(written["locations"].values()))["title"] == title
