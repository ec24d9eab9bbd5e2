import json
import logging

import pytest

from ucam.base import log
from ucam.base.times import parse_utc


@pytest.mark.parametrize(
    "text",
    [
        "GET /ws?auth=eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "rtsps://x/cam@y?token=SECRET/streamid=0",
        "Authorization: Bearer SECRET",
        "Authorization: Basic SECRET",
    ],
)
def test_no_secret_reaches_the_log(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        log.setup("test")
        logging.getLogger("x").warning("got %s", text)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    printed = capsys.readouterr().err
    assert "got" in printed
    assert "SECRET" not in printed
    assert "eyJzdWIiOiJ4In0" not in printed


def test_a_json_log_on_wish(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UCAM_LOG", "json")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        log.setup("storage")
        logging.getLogger("x").warning("two\nlines and ?token=SECRET")
        try:
            raise ValueError("Bearer SECRET")
        except ValueError:
            logging.getLogger("x").exception("failed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["message"] == "two\nlines and ?token=…"
    assert (first["service"], first["level"], first["logger"]) == ("storage", "WARNING", "x")
    assert parse_utc(first["time"])
    assert "ValueError" in second["exception"]
    assert "SECRET" not in second["exception"]
