"""/schema: the resources as OpenAPI 3.1, made from the table that answers them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ucam.storage.playback.answers import Method

_PARAMETERS = {
    "from": "RFC 3339; absent: some time before `to`",
    "to": "RFC 3339; absent: now",
    "interval": "seconds between pictures",
    "bundle": "1: a tar of that MP4, the chunks and what proves them",
    "jid": "the camera's JID",
    "id": "the chunk's id: its start in microseconds since 1970",
}
_HEADERS = {
    "Range": "one range of bytes (RFC 9110)",
    "If-Range": "an ETag: the range only if it is still of this file, else all of it",
    "If-None-Match": "an ETag: 304 if it is still this file",
}
_TIMES = ("from", "to")


@dataclass(frozen=True, slots=True)
class Described:
    """A resource in words. `gives`: "json" or a media type; `query`: names of parameters;
    `ranges`: whether `Range` is understood; `https`: not on the data channel.
    """

    method: Method
    path: str
    summary: str
    gives: str
    query: tuple[str, ...] = ()
    ranges: bool = False
    https: bool = False


def document(resources: Iterable[Described]) -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, Any] = {}
    for resource in resources:
        paths.setdefault(resource.path, {})[resource.method.lower()] = _operation(resource)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ucam storage: recordings", "version": "1"},
        "paths": paths,
        "security": [{"bearer": []}, {"query": []}],
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
            "schemas": {"Problem": _PROBLEM},
        },
    }


_PROBLEM = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "text"],
            "properties": {"code": {"type": "string"}, "text": {"type": "string"}},
        }
    },
}


def _operation(resource: Described) -> dict[str, Any]:
    media = "application/json" if resource.gives == "json" else resource.gives
    shape = {"type": "object"} if resource.gives == "json" else {}
    good = {"description": resource.summary, "content": {media: {"schema": shape}}}
    answers: dict[str, Any] = {"200": good}
    if resource.ranges:
        answers["206"] = {**good, "description": "the range that was asked for"}
        answers["304"] = {"description": "as If-None-Match says, the client has it"}
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers["default"] = {"description": "what is wrong", "content": problem}
    parameters = [_parameter(name, "path") for name in re.findall(r"\{(\w+)\}", resource.path)]
    parameters += [_parameter(name, "query") for name in resource.query]
    if resource.ranges:
        parameters += [
            {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.items()
        ]
    return {
        "summary": resource.summary + (" (HTTPS only)" if resource.https else ""),
        "operationId": _name(resource),
        "parameters": parameters,
        "responses": answers,
    }


def _name(resource: Described) -> str:
    words = [word for word in re.split(r"[/.{}]+", resource.path) if word]
    return "-".join([resource.method.lower(), *words])


def _parameter(name: str, where: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if name in _TIMES:
        schema["format"] = "date-time"
    elif name in ("id", "interval"):
        schema = {"type": "integer"}
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": _PARAMETERS[name],
        "schema": schema,
    }
