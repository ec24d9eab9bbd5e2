"""JIDs: the one kind of name for cameras, storages and people.

A JID is `local@domain` (bare) or `local@domain/resource` (full; the resource tells connections
apart), after RFC 7622 but narrowed to what is also a mail address and a safe folder name:
ASCII, no leading dot, no slash inside a part.
"""

import re
from typing import Self

MAX_LENGTH = 320
_LOCAL = re.compile(r"[a-z0-9_+-](?:[a-z0-9._%+-]{0,62}[a-z0-9_+-])?")
_DOMAIN = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_RESOURCE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


class JIDError(ValueError):
    """A text that is no JID; the message says which part is wrong."""


class JID(str):
    """`local@domain[/resource]`, local and domain in lower case; a `str` that was checked."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Read a bare or full JID; raises `JIDError`."""
        if len(text) > MAX_LENGTH:
            raise JIDError(f"JID longer than {MAX_LENGTH} characters")
        address, slash, resource = text.partition("/")
        local, at, domain = address.lower().partition("@")
        if not at:
            raise JIDError(f"{text!r} is no JID: it has no @ (expected local@domain)")
        if not _LOCAL.fullmatch(local):
            raise JIDError(f"{text!r} is no JID: {local!r} before the @ is not a valid name")
        if len(domain) > 253 or not _DOMAIN.fullmatch(domain):
            raise JIDError(f"{text!r} is no JID: {domain!r} after the @ is not a valid domain")
        if slash and not _RESOURCE.fullmatch(resource):
            raise JIDError(f"{text!r} is no JID: {resource!r} after the / is not a valid resource")
        return super().__new__(cls, f"{local}@{domain}{slash}{resource}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a bare or full JID; raises `JIDError`."""
        return cls(text)

    @classmethod
    def parse_bare(cls, text: str) -> Self:
        """Read a bare JID; a resource is an error. Raises `JIDError`."""
        jid = cls(text)
        if jid.resource is not None:
            raise JIDError(f"{text!r} has a resource; a bare JID (local@domain) is wanted here")
        return jid

    @property
    def local(self) -> str:
        """What stands before the @."""
        return self.partition("@")[0]

    @property
    def domain(self) -> str:
        """What stands after the @, without a resource."""
        return self.bare.partition("@")[2]

    @property
    def resource(self) -> str | None:
        """What stands after the /, None in a bare JID."""
        return self.partition("/")[2] or None

    @property
    def bare(self) -> "JID":
        """The same name without its resource."""
        return self if self.resource is None else JID(self.partition("/")[0])

    def with_resource(self, resource: str) -> "JID":
        """The full JID of one connection of this name; raises `JIDError`."""
        return JID(f"{self.bare}/{resource}")
