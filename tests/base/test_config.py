import re
from pathlib import Path

import pytest

from ucam.base.config import ConfigError, Section, load, parse
from ucam.capture.config import CaptureConfig
from ucam.storage.config import StorageConfig
from ucam.web.config import WebConfig

ROOT = Path(__file__).parent.parent.parent
KINDS: dict[str, type[Section]] = {
    "web": WebConfig,
    "storage": StorageConfig,
    "capture": CaptureConfig,
}


@pytest.mark.parametrize("name", KINDS)
def test_the_sample_files_load(name: str) -> None:
    load(ROOT / "config" / f"{name}.toml", KINDS[name])


def changed(name: str, old: str, new: str) -> str:
    text = (ROOT / "config" / f"{name}.toml").read_text()
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("web", '"2h"', '"2x"', "userauth.token-validity: '2x' is not understood: .*\"90s\""),
        ("web", "public-url", "publicurl", "http.publicurl: unknown key .*public-url"),
        ("web", "https://cams.example.com", "cams", "http.public-url: 'cams' is not usable"),
        ("web", '"cam001@studio.loc"', '"cam001"', r"locations.studio.devices\[0\]: 'cam001' is"),
        ("web", "smtp+starttls", "imap", "smtp.url: write it as smtp"),
        ("web", "title =", "titel =", "locations.studio.titel: unknown key"),
        ("web", "Europe/Lisbon", "Mars/One", "locations.studio.timezone: 'Mars/One'"),
        ("web", '"30d"\n\n[smtp]', '"900d"\n\n[smtp]', "deviceauth.token-validity: a token lives"),
        ("web", 'example.com"   ', 'example.com:99999"   ', "http.public-url: .* not usable"),
        ("web", "https://cams", "https://me:secret@cams", "http.public-url: .* not usable"),
        (
            "web",
            's = ["cam001@studio.loc"',
            's = ["owner@example.com", "x@y"',
            "studio.devices: .* a person",
        ),
        ("web", '"cam001@', '"cam002@', "studio.devices: .* stands in studio already"),
        ("web", "locations.studio]", 'locations."a b"]', "locations.a b: a location's name"),
        ("storage", '"500GB"', "500", "storage.maxspace: 500 is not understood"),
        ("storage", "[rtsps]", "[rtsp]", "rtsp: unknown key"),
        ("capture", "width = 1280", "width = 0", "video.width: Expected `int` >= 16"),
        ("capture", '"auto"\nwidth', '"webcam"\nwidth', "video: source: 'webcam' is not known"),
        ("capture", 'name = "ACT"', 'name = "ACT"\ngpio = 17', "led: a camera has one LED"),
        ("capture", "max-viewers", "max_viewers", "live.max_viewers: unknown key"),
    ],
)
def test_errors_name_file_line_and_key(name: str, old: str, new: str, said: str) -> None:
    text = changed(name, old, new)
    line = next(
        number for number, line in enumerate(text.splitlines(), 1) if new.split("\n")[0] in line
    )
    with pytest.raises(ConfigError) as error:
        parse(text, KINDS[name], source=Path("x.toml"))
    message = str(error.value)
    assert re.search(said, message), message
    told = re.match(r"x\.toml:(\d+): ", message)
    assert told, message
    # The line of the key, or that of the table when it is about several keys.
    assert int(told[1]) <= line


def test_a_required_key_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"x\.toml:1: http\.data-dir: this key is required"):
        parse('[http]\npublic-url = "https://x"\n', WebConfig, source=Path("x.toml"))


def test_a_broken_file_says_where() -> None:
    with pytest.raises(ConfigError, match="not valid TOML.*line 1"):
        parse("[http\n", WebConfig, source=Path("x.toml"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load(tmp_path / "none.toml", WebConfig)


def test_relative_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    class Kind(Section, kw_only=True, frozen=True):
        place: Path

    (tmp_path / "x.toml").write_text('place = "outbox"\n')
    assert load(tmp_path / "x.toml", Kind).place == tmp_path / "outbox"


def test_a_state_that_is_neither_a_file_nor_redis_is_told() -> None:
    text = changed("web", "[ice]", '[state]\nurl = "postgres://x"\n[ice]')
    with pytest.raises(ConfigError, match=r'x\.toml:\d+: state\.url: .*"sqlite"'):
        parse(text, WebConfig, source=Path("x.toml"))


def test_a_device_stands_in_one_location() -> None:
    text = changed(
        "web",
        "[locations.studio]\n",
        '[locations.a]\ndevices = ["cam001@studio.loc"]\n[locations.studio]\n',
    )
    with pytest.raises(ConfigError, match="studio.devices: cam001@studio.loc stands in a"):
        parse(text, WebConfig, source=Path("x.toml"))


def test_a_storage_that_stands_alone_needs_keys_issuer_and_location() -> None:
    text = changed("storage", 'url = "https://cams.example.com"', 'keys-file = "k.json"')
    with pytest.raises(ConfigError, match="issuer"):
        parse(text, StorageConfig, source=Path("x.toml"))
