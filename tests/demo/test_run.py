"""The demo's ways out. What it shows when all goes well, the browser tests see."""

import asyncio
import os
from pathlib import Path

import pytest

from ucam.base.service import Fault, Stop
from ucam.cli import main
from ucam.demo import run
from ucam.demo.files import State, free_port
from ucam.demo.run import Service, demo, find_link


def state(folder: Path) -> State:
    return State(folder, free_port(0), free_port(0))


async def test_a_stop_counts_while_the_services_still_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = Stop()
    asyncio.get_running_loop().call_later(0.05, stop.reload)  # SIGHUP: the terminal was closed
    async with asyncio.timeout(10):
        await demo(state(tmp_path), [], stop)
    told = capsys.readouterr().out
    assert "ending" in told
    assert "login" not in told


async def test_a_service_that_ends_at_its_start_is_told_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    lock = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(Fault, match=r"x: ended at its start(.|\n)*can't be read"):
            await Service("x", ["web", "--config", str(tmp_path / "no.toml")], log, lock).start()
    finally:
        os.close(lock)


async def test_a_service_that_is_never_ready_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "READY_WITHIN_S", 0.01)
    lock = os.open(tmp_path, os.O_RDONLY)
    service = Service("x", ["web", "--config", str(tmp_path)], tmp_path / "x.log", lock)
    try:
        with pytest.raises(Fault, match="not ready in"):
            await service.start()
    finally:
        await service.end()
        os.close(lock)


def test_the_link_is_found_in_a_mail() -> None:
    mail = b"Subject: x\nContent-Type: text/plain\n\nHello\nhttp://127.0.0.1:1/login#t=abc_-\n"
    assert find_link(mail) == "http://127.0.0.1:1/login#t=abc_-"
    assert find_link(b"Subject: x\n\nnothing\n") is None


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", f"--port={port}"])
    assert ended.value.code == 2
    assert "is no port" in capsys.readouterr().err


def test_a_fault_of_the_demo_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "--state", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("ucam demo: the folder")
