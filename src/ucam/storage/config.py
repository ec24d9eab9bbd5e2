"""storage.toml, as structs. Every key stands in docs/configuration.md."""

from pathlib import Path

from ucam.base.config import Section
from ucam.base.jid import JID
from ucam.base.units import ChunkSize, Listen, Size, WebUrl


class Device(Section, kw_only=True, frozen=True):
    jid: JID
    token_file: Path | None = None
    location: str | None = None


class Web(Section, kw_only=True, frozen=True):
    url: WebUrl | None = None
    keys_file: Path | None = None
    issuer: str | None = None


class Rtsps(Section, kw_only=True, frozen=True):
    listen: Listen = Listen("0.0.0.0:8322")
    cert: Path | None = None
    key: Path | None = None


class Storage(Section, kw_only=True, frozen=True):
    path: Path
    maxspace: Size | None = None
    reserve: Size = Size.parse("1GB")
    chunk_size: ChunkSize = ChunkSize.parse("60s")


class Http(Section, kw_only=True, frozen=True):
    listen: Listen


class StorageConfig(Section, kw_only=True, frozen=True):
    device: Device
    web: Web
    storage: Storage
    rtsps: Rtsps = Rtsps()
    http: Http | None = None

    def __post_init__(self) -> None:
        web, device = self.web, self.device
        if (web.url is None) == (web.keys_file is None):
            raise ValueError(
                "[web] needs either url or, for a storage that stands alone, keys-file"
            )
        if web.url is not None and device.token_file is None:
            raise ValueError("[device] needs token-file (`ucam token` prints what goes in)")
        if web.keys_file is not None and (web.issuer is None or device.location is None):
            raise ValueError("keys-file also needs [web] issuer and [device] location")
        if (self.rtsps.cert is None) != (self.rtsps.key is None):
            raise ValueError("[rtsps] cert and key go together")
