import logging

import pytest

from ucam.base import log


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
