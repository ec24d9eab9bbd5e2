"""What devices say of themselves in `Status`. Others may add fields; a reader keeps what it knows.

Times are RFC 3339 in UTC.
"""

from typing import Literal

from ucam.protocol.messages import Record


class Durable(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Up to when a camera's recording would survive a power cut."""

    durable_until: str | None = None


class SpoolDepth(Record, frozen=True, kw_only=True):
    """What a camera keeps because storage hasn't confirmed it."""

    bytes: int
    seconds: float


class StorageAddress(Record, frozen=True, kw_only=True):
    """Where cameras push to: `rtsps://HOST:PORT`, and the certificate's `sha256:HEX`."""

    url: str
    fingerprint: str


Recording = Literal["stored", "spooled", "nothing"]


class StatusFields(Record, frozen=True, kw_only=True):
    """A camera's and a storage's fields; each sends its own.

    `recording`: a camera's state, or a storage's cameras (bare JID → durable until).
    `storage`: whether a camera reaches its storage, or a storage's own address.
    `sealed`: of a storage's cameras the newest link of the chain that seals their recordings, as
    NUMBER-DIGEST (its first 32 digits). `viewers`: full JIDs. `clock_offset`: seconds. `chosen`:
    which camera and encoder, and why. `audio`: of a camera with a microphone. `temperature`: °C.
    `under_voltage`: how often the power was too weak since the start. `led`: the pattern it shows.
    `message`: a plain sentence when something is wrong. `https`: where a storage's recordings can
    be had in its network, if it has a certificate that browsers may believe.
    """

    recording: Recording | dict[str, Durable] | None = None
    durable_until: str | None = None
    sealed: dict[str, str] | None = None
    storage: Literal["connected", "away"] | StorageAddress | None = None
    spool: SpoolDepth | None = None
    viewers: tuple[str, ...] | None = None
    clock_offset: float | None = None
    encoder: str | None = None
    source: str | None = None
    chosen: str | None = None
    audio: Literal["recorded", "failed"] | None = None
    temperature: float | None = None
    under_voltage: int | None = None
    led: str | None = None
    version: str | None = None
    message: str | None = None
    bytes: int | None = None
    maxspace: int | None = None
    https: str | None = None
