"""How requests are refused: one JSON shape, `{"error": {"code", "text"}}`."""

import logging
from typing import Any

import msgspec
from litestar import Response
from litestar.connection import Request
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec

from ucam.web.state import StateAway

_log = logging.getLogger(__name__)


class ProblemText(msgspec.Struct):
    """`code` for programs, `text` for people."""

    code: str
    text: str


class Problem(msgspec.Struct):
    """Why a request was refused."""

    error: ProblemText


_STATUSES = {
    400: "the request is not right",
    401: "a token is missing, or opens nothing",
    403: "a token of another role",
    404: "absent, or not for who asks",
    413: "the body is too large",
    429: "too many tries; Retry-After says when",
    503: "the state of several processes can't be reached just now",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """What a route's document says of these refusals; every route may also answer 503."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=_STATUSES[status])
        for status in (*statuses, 503)
    }


class WrongRequest(HTTPException):
    """400: the request itself is not right."""

    status_code = 400


class Unauthorized(HTTPException):
    """401: this token opens nothing. `code` tells the page what to say."""

    status_code = 401

    def __init__(self, text: str, *, code: str = "login-again") -> None:
        super().__init__(detail=text)
        self.code = code


class Forbidden(HTTPException):
    """403: a token of another role."""

    status_code = 403


class NotHere(HTTPException):
    """404: absent, or not for whoever asks: which one isn't told."""

    status_code = 404


class TooManyRequests(HTTPException):
    """429: a limit over time; a quarter of an hour later it has passed."""

    status_code = 429

    def __init__(self, text: str) -> None:
        super().__init__(detail=text, headers={"Retry-After": "900"})


_CODES = {
    400: "bad-request",
    401: "login-again",
    403: "forbidden",
    404: "not-found",
    405: "wrong-method",
    413: "too-large",
    429: "too-many",
    503: "unavailable",
}


# Without a link of the page's own: it must read well where the page was never built.
_NOTHING_HERE = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Nothing here</title>
</head>
<body>
<h1>There is nothing here</h1>
<p>The address may be mistyped, or it was one that is gone.</p>
<p><a href="/">To your cameras</a></p>
</body>
</html>
"""


def refuse(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The answer for any refused request; a browser that looks for a page gets one."""
    if error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
        return Response(_NOTHING_HERE, status_code=404, media_type="text/html")
    code = error.code if isinstance(error, Unauthorized) else _CODES.get(error.status_code)
    headers = dict(error.headers or {})
    if error.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        {"error": {"code": code or "failed", "text": error.detail}},
        status_code=error.status_code,
        headers=headers,
        media_type="application/json",
    )


def nested(request: Request[Any, Any, Any], _error: RecursionError) -> Response[Any]:
    """400: a body nested so deeply that it can't be read."""
    return refuse(request, WrongRequest(detail="the body is nested too deeply"))


def away(request: Request[Any, Any, Any], error: StateAway) -> Response[Any]:
    """503: what several processes share can't be reached; it heals by itself."""
    _log.error("%s %s not answered: %s", request.method, request.url.path, error)
    text = "the application can't reach its memory just now; try again in a minute"
    return Response(
        {"error": {"code": "unavailable", "text": text}},
        status_code=503,
        headers={"Retry-After": "5"},
        media_type="application/json",
    )


def fail(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer when the fault is ours: told in the log, not to the asker."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Response(
        {"error": {"code": "failed", "text": "something went wrong here; the log says what"}},
        status_code=500,
        media_type="application/json",
    )
