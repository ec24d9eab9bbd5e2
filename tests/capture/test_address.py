from pathlib import Path

import pytest

from ucam.capture.address import Address, AddressError, KnownStorage
from ucam.capture.config import Storage

PIN = "sha256:" + "ab" * 32


def announcement(url: str = "rtsps://10.0.0.2:8322", fingerprint: str = PIN) -> dict[str, object]:
    return {"storage": {"url": url, "fingerprint": fingerprint}, "bytes": 5}


def test_what_is_announced_is_kept_for_when_the_room_is_away(tmp_path: Path) -> None:
    known = KnownStorage(Storage(), tmp_path / "storage.json")
    assert known.address is None
    assert known.announce(announcement())
    assert not known.announce(announcement())
    again = KnownStorage(Storage(), tmp_path / "storage.json")
    assert again.address == known.address == Address("10.0.0.2", 8322, PIN)
    assert again.address is not None
    assert again.address.url == "rtsps://10.0.0.2:8322"


def test_the_configuration_wins_and_the_room_completes_it(tmp_path: Path) -> None:
    known = KnownStorage(Storage(url="rtsps://nas.local"), tmp_path / "s")
    assert known.address == Address("nas.local", 8322)
    assert known.announce(announcement())
    assert known.address == Address("nas.local", 8322, PIN)
    pinned = Storage(url="rtsps://nas.local:1234", fingerprint="SHA256:" + ":".join(["CD"] * 32))
    known = KnownStorage(pinned, tmp_path / "t")
    known.announce(announcement())
    assert known.address == Address("nas.local", 1234, "sha256:" + "cd" * 32)


def test_a_pin_in_the_configuration_is_not_replaced_by_the_room(tmp_path: Path) -> None:
    known = KnownStorage(Storage(fingerprint="sha256:" + "cd" * 32), tmp_path / "s")
    known.announce(announcement())
    assert known.address == Address("10.0.0.2", 8322, "sha256:" + "cd" * 32)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"storage": "connected"},
        announcement("http://10.0.0.2"),
        announcement("rtsps://u:p@10.0.0.2"),
        announcement("rtsps://"),
        announcement("rtsps://" + "a" * 64),
        announcement("rtsps://a..b"),
        announcement("rtsps://nas\0.local"),
        announcement("rtsps://h:99999"),
        announcement(fingerprint="md5:00"),
    ],
)
def test_nonsense_changes_nothing(tmp_path: Path, fields: dict[str, object]) -> None:
    known = KnownStorage(Storage(), tmp_path / "s")
    assert not known.announce(fields)
    assert known.address is None
    assert not (tmp_path / "s").exists()


def test_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("{")
    assert KnownStorage(Storage(), tmp_path / "s").address is None


def test_a_wrong_address_in_the_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="rtsps://"):
        KnownStorage(Storage(url="rtsp://nas"), tmp_path / "s")
