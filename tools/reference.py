"""The reference pages of docs/, made from the code when the site is built: the room's messages from
their structs, the HTTP resources of web and storage from the OpenAPI that they serve themselves.
"""

import asyncio
import json
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import httpx
import msgspec

from ucam.base import config as configuration
from ucam.protocol import messages, status
from ucam.protocol.status import StatusFields
from ucam.storage.playback import schema
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.library import Library
from ucam.web.config import WebConfig
from ucam.web.service import Web, open_state

Schema = dict[str, Any]
# Enough to make the application's routes; nothing of it is started.
WEB_TOML = """
[http]
public-url = "http://127.0.0.1"
data-dir = "{}"
[userauth]
allowed-emails = []
[smtp]
outbox = "outbox"
"""
METHODS = ("get", "put", "post", "delete")


def room_schema() -> Schema:
    """The room's messages as JSON Schema, one definition each."""
    kinds = [kind for kind in get_args(messages.AnyMessage) if kind is not messages.Status]
    _, components = msgspec.json.schema_components(
        [*kinds, StatusFields], ref_template="#/$defs/{name}"
    )
    # A Status is an open set of fields beside `type` and `from`.
    fields = components.pop("StatusFields")
    tag = {"type": {"enum": ["Status"]}, "from": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
    components["Status"] = {
        **fields,
        "title": "Status",
        "properties": {**tag, **fields["properties"]},
        "required": ["type"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The messages of ucam's room",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in get_args(messages.AnyMessage)],
        "$defs": components,
    }


def web_openapi() -> Schema:
    """What `ucam web` answers at /schema/openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "web.toml"
        path.write_text(WEB_TOML.format(folder))
        return asyncio.run(_ask_web(configuration.load(path, WebConfig)))


async def _ask_web(config: WebConfig) -> Schema:
    logging.getLogger("httpx").setLevel(logging.WARNING)
    state = open_state(config)
    try:
        app = Web(config, state, {}, time.time()).app
        transport = httpx.ASGITransport(app=cast("Any", app))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.get("/schema/openapi.json")
            return cast("Schema", answer.raise_for_status().json())
    finally:
        await state.close()


def storage_openapi() -> Schema:
    """What `ucam storage` answers at /schema: made of its table of routes, so no disk is needed."""
    nothing = cast("Any", None)
    library = Library(
        Path(), nothing, nothing, on_device=lambda _place: None, now_us=lambda: time.time_ns()
    )
    return schema.document([route.described for route in Handler(library).routes])


def room_page(room: Schema) -> str:
    """The messages and their parts as Markdown, messages first."""
    parts = room["$defs"]
    names = [one["$ref"].rpartition("/")[2] for one in room["oneOf"]]
    lines = ["## Messages", ""]
    for name in names:
        lines += _struct(name, parts[name], whole=_sent_whole(name))
    lines += ["## Parts of messages", ""]
    for name in sorted(set(parts) - set(names)):
        lines += _struct(name, parts[name], whole=_sent_whole(name))
    return "\n".join(lines)


def _sent_whole(name: str) -> bool:
    """Whether a struct is sent with every field, those with their default value included."""
    kind = getattr(messages, name, None) or getattr(status, name)
    # A browser's own dictionary: what it leaves out is absent.
    return name != "IceCandidate" and not kind.__struct_config__.omit_defaults


def _struct(name: str, struct: Schema, *, whole: bool) -> Iterator[str]:
    yield from (f"### {name}", "")
    if "description" in struct:
        yield from (_plain(struct["description"]), "")
    fields = {key: value for key, value in struct.get("properties", {}).items() if key != "type"}
    if not fields:
        yield from (f"{_sentence(kind_of(struct))}" if "anyOf" in struct else "No fields.", "")
        return
    required = set(fields) if whole else set(struct.get("required", ()))
    yield from ("| field | type | |", "| --- | --- | --- |")
    for key, value in fields.items():
        null = " or null" if whole and _nullable(value) else ""
        needed = "always" if key in required else "may be absent"
        yield f"| `{key}` | {kind_of(value)}{null} | {needed} |"
    yield ""


def _nullable(value: Schema) -> bool:
    return any(one.get("type") == "null" for one in value.get("anyOf", ()))


def openapi_page(document: Schema) -> str:
    """Each operation of an OpenAPI document as Markdown, then the bodies that they name."""
    lines: list[str] = []
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                lines += _operation(method, path, operations[method])
    if document["components"].get("schemas"):
        lines += ["## Bodies", ""]
    for name, body in document["components"].get("schemas", {}).items():
        lines += _struct(name, body, whole=False)
    return "\n".join(lines)


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield from (f"## `{method.upper()} {path}`", "")
    for text in (operation.get("summary"), operation.get("description")):
        if text:
            yield from (_sentence(_plain(text)), "")
    if operation.get("parameters"):
        yield from ("| parameter | in | type | |", "| --- | --- | --- | --- |")
        for one in operation["parameters"]:
            needed = "always" if one.get("required") else "may be absent"
            words = _cell(one.get("description", ""))
            yield (
                f"| `{one['name']}` | {one['in']} | {kind_of(one['schema'])} | "
                f"{needed}{'; ' + words if words else ''} |"
            )
        yield ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Takes `{media}`: {kind_of(content['schema'])}"
        yield ""
    yield from ("| answer | content | |", "| --- | --- | --- |")
    for code, answer in sorted(operation["responses"].items()):
        media = ", ".join(_media(name, one) for name, one in answer.get("content", {}).items())
        yield f"| {code} | {media} | {_cell(answer.get('description', ''))} |"
    yield ""


def _media(name: str, content: Schema) -> str:
    named = "$ref" in content.get("schema", {})
    return f"`{name}`: {kind_of(content['schema'])}" if named else f"`{name}`"


def kind_of(kind: Schema) -> str:
    """A JSON Schema in a few words; parts of messages as links to where they stand."""
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    choices = kind.get("anyOf") or kind.get("oneOf")
    if choices:
        named = [kind_of(one) for one in choices if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(named)) or "null"
    if "enum" in kind:
        return " or ".join(f"`{value}`" for value in kind["enum"])
    match kind.get("type"):
        case "array":
            return f"list of {kind_of(kind.get('items', {}))}"
        case "object" if "properties" in kind:
            fields = ", ".join(f"`{key}`" for key in kind["properties"])
            return f"an object with {fields}"
        case "object":
            values = kind.get("additionalProperties")
            return f"object of {kind_of(values)}" if isinstance(values, dict) else "object"
        case None:
            return "anything"
        case list() as several:
            return " or ".join(str(one) for one in several if one != "null")
        case name:
            return f"{name} ({kind['format']})" if "format" in kind else str(name)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def files() -> dict[str, str]:
    """The documents for machines: name in the site → JSON."""
    documents = {
        "reference/room.schema.json": room_schema(),
        "reference/web.openapi.json": web_openapi(),
        "reference/storage.openapi.json": storage_openapi(),
    }
    return {name: json.dumps(document, indent=1) for name, document in documents.items()}
