import time
from pathlib import Path

import msgspec

from capture.test_service import configuration
from capture.tiny_storage import tiny_storage
from device.helpers import tiny_web, unsigned_token
from ucam.capture import doctor
from ucam.capture.config import Led as LedConfig
from ucam.capture.doctor import Finding, examine
from ucam.cli import main


async def findings(folder: Path, port: int, source: str = "test") -> dict[str, Finding]:
    config = configuration(folder, port, source=source)
    return {finding.what: finding async for finding in examine(config)}


async def test_a_healthy_machine(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(unsigned_token(0, time.time() + 1000))
    async with tiny_web(lambda _: (200, b"ok")) as web, tiny_storage(tmp_path) as storage:
        (tmp_path / "token.storage.json").write_text(
            f'{{"url": "{storage.address.url}", "fingerprint": "{storage.fingerprint}"}}'
        )
        found = await findings(tmp_path, int(web.url.rpartition(":")[2]))
    for what in ("elements", "camera", "encoder", "token", "web", "storage"):
        assert found[what].good, found[what]


async def test_each_trouble_comes_with_what_to_do(tmp_path: Path) -> None:
    async with tiny_storage(tmp_path) as storage:
        (tmp_path / "token.storage.json").write_text(
            f'{{"url": "{storage.address.url}", "fingerprint": "sha256:{"0" * 64}"}}'
        )
        found = await findings(tmp_path, 1, source="file:/nowhere.mp4")
    bad = {what: finding.text for what, finding in found.items() if finding.good is False}
    assert set(bad) == {"camera", "token", "web", "storage"}
    assert "no file" in bad["camera"]
    assert "ucam token" in bad["token"]
    assert "another certificate" in bad["storage"]


def test_the_command_prints_a_line_a_check(capsys, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(doctor, "ELEMENTS", {"nosuchelement": "some-package"})
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "BAD   elements: missing: nosuchelement; apt install some-package"
    assert len(lines) == 5


async def test_a_pin_is_named_and_left_alone(tmp_path: Path) -> None:
    config = configuration(tmp_path, 1)
    config = msgspec.structs.replace(config, led=LedConfig(gpio=17))
    found = {finding.what: finding async for finding in examine(config)}
    assert found["LED"].good is None
    assert "GPIO 17" in found["LED"].text
