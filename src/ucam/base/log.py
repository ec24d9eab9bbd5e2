"""Logging of a service: to standard error, one line an event, nothing secret in it.

With `UCAM_LOG=json` in the environment each line is a JSON object, for programs that collect logs.
"""

import json
import logging
import os
import re
import sys

from ucam.base.times import format_utc

FORMAT_VARIABLE = "UCAM_LOG"

# The last line of defence: a JWT or a login link that slipped into a message is blacked out.
_SECRETS = re.compile(
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"
    r"|(?<=[?&]auth=)[^&\s\"']+|(?<=[?&]token=)[^&\s\"']+"
    r"|(?<=Bearer )\S+|(?<=Basic )\S+"
)


class _Redact(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _SECRETS.sub("…", super().format(record))


class _Json(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": format_utc(round(record.created * 1e6)),
            "service": self._service,
            "level": record.levelname,
            "logger": record.name,
            "message": _SECRETS.sub("…", record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = _SECRETS.sub("…", self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def setup(service: str, level: int = logging.INFO) -> None:
    """Send this process's log to standard error; systemd's journal adds time and unit there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These log every connection at INFO, addresses with query strings included.
    for noisy in ("aiortc", "aioice", "websockets", "uvicorn.access", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _formatter(service: str) -> logging.Formatter:
    if os.environ.get(FORMAT_VARIABLE) == "json":
        return _Json(service)
    return _Redact(f"%(asctime)s {service} %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
