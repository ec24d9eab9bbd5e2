"""Write ui/src/protocol.gen.ts, the page's types of the room's messages, from the Python structs.

`--check` writes nothing and ends with status 1 when the file isn't what would be written.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import msgspec

from ucam.base.tokens import Role
from ucam.protocol import messages, status
from ucam.protocol.status import Recording, StatusFields

TARGET = Path(__file__).resolve().parent.parent / "ui" / "src" / "protocol.gen.ts"
FROM_SERVER = [
    messages.Welcome,
    messages.Connect,
    messages.Disconnect,
    messages.OfferMedia,
    messages.EndMedia,
    messages.Chat,
    messages.Error,
]
TO_SERVER = [
    messages.RequestMedia,
    messages.AnswerMedia,
    messages.EndMedia,
    messages.Locate,
    messages.Chat,
]
# Names that mean something else in a browser, or are clearer there.
NAMES = {
    "Error": "RoomError",
    "LocationInfo": "Location",
    "DeviceInfo": "LocationDevice",
    "SpoolDepth": "Spool",
}
# Enumerations that the page speaks of by name.
ALIASES = {"Role": get_args(Role), "Recording": get_args(Recording)}
# The server stamps every message that it carries.
STAMPED = {"OfferMedia"}
# The browser's own dictionaries: its rules for what may be absent hold.
BROWSERS_OWN = {"IceCandidate"}
HEADER = """// Made by `make types` from src/ucam/protocol; not edited by hand.
// The room's messages. Field names are those of the wire.
"""


def main() -> int:
    """Write or check; returns the exit status."""
    text = generate()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() == text:
            return 0
        print(f"{TARGET} is not what the messages say: run `make types`", file=sys.stderr)
        return 1
    TARGET.write_text(text)
    return 0


def generate() -> str:
    """The whole file."""
    roots = [*FROM_SERVER, *TO_SERVER, StatusFields]
    _, components = msgspec.json.schema_components(roots, ref_template="{name}")
    parts = [HEADER]
    for name, values in ALIASES.items():
        parts.append(f"export type {name} = {enumeration(values)};\n")
    for name in sorted(components):
        parts.append(interface(name, components[name]))
    parts.append(
        "export interface Status extends StatusFields {\n  type: 'Status';\n  from: string;\n}\n"
    )
    parts.append(union("MessageFromServer", [*FROM_SERVER, "Status"]))
    parts.append(union("MessageToServer", [*TO_SERVER]))
    return "\n".join(parts)


def interface(name: str, schema: dict[str, Any]) -> str:
    """One struct as an interface."""
    required = set(schema.get("required", ()))
    lines = [f"/** {schema['description'].strip().splitlines()[0]} */"]
    lines.append(f"export interface {NAMES.get(name, name)} {{")
    for key, value in schema["properties"].items():
        kind = text_of(value) if (name, key) != ("Peer", "status") else "StatusFields | null"
        optional = key not in required and not always_whole(name)
        if optional and name not in BROWSERS_OWN:
            kind = kind.removesuffix(" | null")  # left out rather than null
        if key == "from" and name in STAMPED:
            kind, optional = "string", False
        quoted = key if key.isidentifier() else f"'{key}'"
        lines.append(f"  {quoted}{'?' if optional else ''}: {kind};")
    return "\n".join([*lines, "}", ""])


def always_whole(name: str) -> bool:
    """Whether a struct is sent with every field, those with their default value included."""
    kind = getattr(messages, name, None) or getattr(status, name)
    return name not in BROWSERS_OWN and not kind.__struct_config__.omit_defaults


def enumeration(values: Iterable[str]) -> str:
    """The values as a union; by its name where it has one."""
    return " | ".join(f"'{value}'" for value in sorted(values))


def text_of(schema: dict[str, Any]) -> str:
    """A JSON Schema as a TypeScript type."""
    if "$ref" in schema:
        return NAMES.get(schema["$ref"], str(schema["$ref"]))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(text_of(part) for part in schema["anyOf"]))
    if "enum" in schema:
        for name, members in ALIASES.items():
            if set(schema["enum"]) == set(members):
                return name
        return enumeration(schema["enum"])
    match schema.get("type"):
        case "array":
            inner = text_of(schema["items"])
            return f"({inner})[]" if "|" in inner else f"{inner}[]"
        case "object":
            values = schema.get("additionalProperties")
            return f"Record<string, {text_of(values) if isinstance(values, dict) else 'unknown'}>"
        case "integer" | "number":
            return "number"
        case "string" | "boolean" | "null":
            return str(schema["type"])
    raise ValueError(f"no TypeScript for {schema}")


def union(name: str, members: list[Any]) -> str:
    """A tagged union of messages."""
    names = [member if isinstance(member, str) else member.__name__ for member in members]
    lines = "\n".join(f"  | {NAMES.get(member, member)}" for member in names)
    return f"export type {name} =\n{lines};\n"


if __name__ == "__main__":
    sys.exit(main())
