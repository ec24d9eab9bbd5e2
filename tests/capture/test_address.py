import asyncio
from pathlib import Path

import pytest

from ucam.capture import address as address_module
from ucam.capture.address import Address, AddressError, KnownStorage, has_aes_instructions
from ucam.capture.config import Storage
from ucam.storage import tls

PIN = "sha256:" + "ab" * 32


def announcement(url: str = "rtsps://10.0.0.2:8322", fingerprint: str = PIN) -> dict[str, object]:
    return {"storage": {"url": url, "fingerprint": fingerprint}, "bytes": 5}


def test_what_is_announced_is_kept_for_when_the_room_is_away(tmp_path: Path) -> None:
    known = KnownStorage(Storage(), tmp_path / "storage.json")
    assert known.address is None
    assert known.announce(announcement())
    assert not known.announce(announcement())
    known.keep()
    known.keep()
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
    known.keep()
    assert known.address is None
    assert not (tmp_path / "s").exists()


def test_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("{")
    assert KnownStorage(Storage(), tmp_path / "s").address is None


def test_a_wrong_address_in_the_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="rtsps://"):
        KnownStorage(Storage(url="rtsp://nas"), tmp_path / "s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu sse2 aes avx\n", True),
        ("flags\t\t: fpu sse2 avx\n", False),
        ("Features\t: half thumb neon vfpv4 lpae evtstrm crc32\n", False),  # a Pi 2, 3, 4
        ("Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n", True),  # a Pi 5
        ("model name : something else\n", True),
    ],
)
def test_aes_instructions_are_found(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\n" + text)
    assert has_aes_instructions(tmp_path / "cpuinfo") is expected


def test_without_cpuinfo_nothing_is_changed(tmp_path: Path) -> None:
    assert has_aes_instructions(tmp_path / "nowhere")


@pytest.mark.parametrize("aes", [True, False])
async def test_without_aes_instructions_storage_is_spoken_to_in_chacha20(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aes: bool
) -> None:
    """A real handshake with the context of a real storage."""
    monkeypatch.setattr(address_module, "has_aes_instructions", lambda: aes)
    cert, key = tls.ensure_certificate(tmp_path, "storage@studio.loc")
    context = tls.server_context(cert, key)
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        address = Address("127.0.0.1", port, tls.fingerprint(cert))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=address.tls())
        cipher, version, _ = writer.get_extra_info("cipher")
        assert address.check(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.close()
    if aes:
        assert version == "TLSv1.3"
    else:
        assert (cipher, version) == ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2")
