import logging

import pytest

from ucam.storage.progress import ProgressBar


def test_what_is_done_in_a_moment_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bar = ProgressBar("reading")
    for done in range(101):
        bar(done, 100)
    assert not caplog.records


def test_without_a_terminal_it_says_a_line_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    bar = ProgressBar("reading")
    for done in range(101):
        now[0] += 0.1
        bar(done, 100)
    texts = [record.getMessage() for record in caplog.records]
    assert [text.rpartition(",")[2] for text in texts] == [" 10 %", " 61 %", " 100 %"]


def test_a_terminal_gets_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = ProgressBar("reading")
    now[0] = 2
    bar(50, 100)
    bar(100, 100)
    shown = capsys.readouterr().err
    assert f"[{'#' * 20}{' ' * 20}]  50 %" in shown
    assert shown.endswith(f"[{'#' * 40}] 100 %\n")
