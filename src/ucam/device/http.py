"""Two small requests to the web application, in a thread: devices need no HTTP library for them."""

import asyncio
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

import msgspec

from ucam.device.trouble import explain

# For each step on the socket, and for a body that comes drop by drop.
TIMEOUT_S = 5.0
LONGEST_BODY_S = 15.0
MAX_BODY_BYTES = 1_000_000


class WebUnavailable(Exception):  # noqa: N818 - a state of the world, not a mistake
    """The web application can't be reached, or answers nonsense; worth another try later."""


class WebRefused(Exception):  # noqa: N818 - what the web application decided
    """The web application answered with a status that isn't success."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the web application answered {status}")
        self.status = status


async def request(
    url: str, *, method: str = "GET", bearer: str | None = None, json: object = None
) -> bytes:
    """The body of a successful answer to a request, `json` its own body if it has one; raises
    `WebUnavailable` or `WebRefused`."""
    body = None if json is None else msgspec.json.encode(json)
    return await asyncio.to_thread(_request, url, method, bearer, body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the Bearer token to wherever it points."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


def _request(url: str, method: str, bearer: str | None, body: bytes | None) -> bytes:
    if urlsplit(url).scheme not in ("http", "https"):
        raise WebUnavailable(f"{url} is no http(s) address")
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    wanted = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - checked
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(wanted, timeout=TIMEOUT_S) as answer:
            return _read_body(answer, url)
    except urllib.error.HTTPError as error:
        error.close()
        raise WebRefused(error.code) from None
    except HTTPException as error:
        raise WebUnavailable(f"{url} answered no HTTP ({type(error).__name__})") from None
    except urllib.error.URLError as error:
        cause = error.reason if isinstance(error.reason, OSError) else error
        raise WebUnavailable(explain(cause, url)) from None
    except (OSError, ValueError) as error:
        raise WebUnavailable(explain(error, url)) from None


def _read_body(answer: HTTPResponse, url: str) -> bytes:
    # A thread that waits for a web application without end would hold up the end of the process.
    until_s = time.monotonic() + LONGEST_BODY_S
    body = b""
    while piece := answer.read1(65_536):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise WebUnavailable(f"{url} answered more than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > until_s:
            raise WebUnavailable(f"{url} didn't come to an end in {LONGEST_BODY_S:.0f} s")
    return body
