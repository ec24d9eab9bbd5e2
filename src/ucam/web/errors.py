"""How requests are refused: one JSON shape, `{"error": {"code", "text"}}`."""

import logging
from typing import Any

from litestar import Response
from litestar.connection import Request
from litestar.exceptions import HTTPException

from ucam.web.state import StateAway

_log = logging.getLogger(__name__)


class WrongRequest(HTTPException):
    """400: the request itself is not right."""

    status_code = 400


class Unauthorized(HTTPException):
    """401: this token opens nothing. `code` tells the page what to say."""

    status_code = 401

    def __init__(self, text: str, *, code: str = "login-again") -> None:
        super().__init__(detail=text)
        self.code = code


_CODES = {
    400: "bad-request",
    401: "login-again",
    403: "forbidden",
    404: "not-found",
    405: "wrong-method",
    413: "too-large",
    503: "unavailable",
}


def refuse(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """The answer for any refused request."""
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
