"""Logging of a service: to standard error, one line an event, nothing secret in it."""

import logging
import re
import sys

# The last line of defence: a JWT or a login link that slipped into a message is blacked out.
_SECRETS = re.compile(
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"
    r"|(?<=[?&]auth=)[^&\s\"']+|(?<=[?&]token=)[^&\s\"']+"
    r"|(?<=Bearer )\S+|(?<=Basic )\S+"
)


class _Redact(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _SECRETS.sub("…", super().format(record))


def setup(service: str, level: int = logging.INFO) -> None:
    """Send this process's log to standard error; systemd's journal adds time and unit there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Redact(f"%(asctime)s {service} %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These log every connection at INFO, addresses with query strings included.
    for noisy in ("aiortc", "aioice", "websockets", "uvicorn.access", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
