"""`ucam storage`: everything put together, from the first look at the disk to the last row."""

import asyncio
import fcntl
import logging
import os
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ucam.base import service
from ucam.base.config import load
from ucam.base.service import Fault, Stop
from ucam.device.keys import RemoteKeys
from ucam.device.token import TokenFileError, TokenStore
from ucam.storage import tls
from ucam.storage.access import Access, access_by_file
from ucam.storage.config import StorageConfig
from ucam.storage.database import Database, IndexFault
from ucam.storage.disk import Disk
from ucam.storage.evidence import heads
from ucam.storage.index import Index
from ucam.storage.ingest import IngestServer
from ucam.storage.inspection import Inspector
from ucam.storage.layout import Place
from ucam.storage.playback.handler import Handler
from ucam.storage.playback.http import HttpApi, HttpServer
from ucam.storage.playback.late import LatePeers
from ucam.storage.playback.library import Library
from ucam.storage.progress import ProgressBar
from ucam.storage.recorder import Recorder
from ucam.storage.recovery import Recovered, recover, set_aside_if_damaged
from ucam.storage.room import StorageRoom, status_fields
from ucam.storage.rotation import Ledger, NoSpace
from ucam.storage.sealing import Sealer, ensure_key, public_keys
from ucam.storage.space import Space

_log = logging.getLogger(__name__)
TICK_S = 0.5
CHAINS_S = 10.0
KEYS_CACHE = "jwks.json"
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


@dataclass(slots=True)
class _Disk:
    """What stands on the disk, opened."""

    index: Index
    space: Space
    recorder: Recorder
    inspector: Inspector | None  # when there are too many chunks to look at before recording
    heads: dict[Place, str] = field(default_factory=dict)  # of the chains, as they were lately


async def serve(config: StorageConfig, stop: Stop) -> None:
    """Record and play back until `stop`; then everything received is on the disk.

    Raises `Fault` when something is wrong that a person can mend.
    """
    state = state_folder(config)
    certificate = _certificate(config, state)
    # Alone in the folder before anything in it is touched: two would destroy each other's index.
    with alone_in(config.storage.path):
        kept = await asyncio.to_thread(_open, config, state)
        try:
            await _serve(config, stop, kept, state, certificate)
        finally:
            if kept.inspector is not None:
                await asyncio.to_thread(kept.inspector.stop)
            await kept.index.run(lambda _database: kept.space.sealer.flush())
            await asyncio.to_thread(kept.index.close)


async def _serve(
    config: StorageConfig,
    stop: Stop,
    kept: _Disk,
    state: Path,
    certificate: tls.Certificate,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        # Cancelled at the end; what they wait for never ends by itself.
        lasting: list[asyncio.Task[None]] = []
        tokens = _tokens(config)
        if tokens is not None:
            lasting.append(tasks.create_task(tokens.run()))
        keys = None if tokens is None else RemoteKeys(str(config.web.url), state / KEYS_CACHE)
        if keys is not None:
            lasting.append(tasks.create_task(keys.run()))
        access = _access(config, tokens, keys)
        ingest = IngestServer(kept.recorder, access, tasks)
        await kept.recorder.remember_absences()
        port = await ingest.listen(config.rtsps.listen, certificate.context)
        http: HttpServer | None = None
        room = _room(
            config, tokens, kept, port, certificate, lambda: _https(config, certificate, http)
        )
        if room is not None and keys is not None:
            room.on_tokens_changed = keys.changed
            access.is_listed = room.is_listed
        library = Library(
            config.storage.path,
            kept.index,
            kept.recorder,
            on_device=room.on_device if room is not None else lambda _place: None,
            now_us=lambda: time.time_ns() // 1000,
        )
        handler = Handler(library)
        if room is not None:
            room.peers = LatePeers(handler, room.say, tasks)
            lasting.append(tasks.create_task(room.run()))
        if config.http is not None:
            api = HttpApi(handler, access, origin=config.web.issuer or str(config.web.url))
            http = HttpServer(api, config.http.listen, certificate.context)
            tasks.create_task(http.run())
        lasting.append(tasks.create_task(_tick(ingest, kept.recorder)))
        lasting.append(tasks.create_task(_chains(kept)))
        stop.on_reload(lambda: certificate.reload(datetime.now(UTC)))
        stop.on_reload(lambda: _reload(config, stop.config_path, kept, tokens, tasks))
        shown = certificate.fingerprint
        _log.info("listening on rtsps://%s:%d (%s)", config.rtsps.listen.host, port, shown)
        certificate.warn(datetime.now(UTC))
        service.ready(f"port {port}")
        try:
            await stop.wait()
        finally:
            if room is not None and room.peers is not None:
                await room.peers.close()
            if http is not None:
                http.stop()
            await ingest.close()
            await kept.recorder.stop()
            for task in lasting:
                task.cancel()
    _log.info("stopped; everything that was received is on the disk")


async def _chains(kept: _Disk) -> None:
    """The heads of all chains, as the room is told them; and what rotation has taken, into files
    that outlive the index.
    """
    while True:
        try:
            await kept.index.run(lambda _database: kept.space.sealer.flush())
            kept.heads = await kept.index.run(heads)
        except sqlite3.Error as error:
            _log.warning("the index doesn't say how far recordings are sealed: %s", error)
        await asyncio.sleep(CHAINS_S)


async def _tick(ingest: IngestServer, recorder: Recorder) -> None:
    feed_s = service.watchdog_interval_s()
    fed_s = 0.0
    while True:
        await asyncio.sleep(TICK_S)
        ingest.tick()
        recorder.tick()
        if feed_s is not None and time.monotonic() - fed_s >= feed_s / 2:
            # The index's thread answers: the disk isn't stuck.
            await recorder.check()
            service.watchdog()
            fed_s = time.monotonic()


def _reload(
    config: StorageConfig,
    path: Path | None,
    kept: _Disk,
    tokens: TokenStore | None,
    tasks: asyncio.TaskGroup,
) -> None:
    """Take over `maxspace`, `reserve` and `chunk-size`, and read the token anew.

    Raises what says why nothing was changed.
    """
    if path is None:
        return
    new = load(path, StorageConfig)
    if tokens is not None:
        tokens.reload()
    same = (new.device, new.web, new.rtsps, new.http, new.storage.path)
    if same != (config.device, config.web, config.rtsps, config.http, config.storage.path):
        _log.warning("of %s only maxspace, reserve and chunk-size change without a restart", path)
    kept.recorder.set_chunk_size(*_chunk_size(new))
    maxspace = new.storage.maxspace
    kept.space.set_limits(None if maxspace is None else int(maxspace), int(new.storage.reserve))
    tasks.create_task(_trim(kept.space))


async def _trim(space: Space) -> None:
    try:
        await asyncio.to_thread(space.trim)
    except NoSpace as error:
        _log.error("the new maxspace can't be kept: %s", error)
        return
    _log.info("reloaded: %.1f MB kept", space.total / 1e6)


# What stands before the service


def state_folder(config: StorageConfig) -> Path:
    """Where certificate and keys are kept: beside the token; alone, beside the recordings."""
    token_file = config.device.token_file
    return token_file.parent if token_file is not None else config.storage.path.parent


def _certificate(config: StorageConfig, state: Path) -> tls.Certificate:
    cert, key = config.rtsps.cert, config.rtsps.key
    if cert is None or key is None:
        try:
            cert, key = tls.ensure_certificate(state, config.device.jid.domain)
        except OSError as error:
            raise Fault(f"no certificate can be made in {state}: {error.strerror}") from None
    try:
        return tls.Certificate(cert, key)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise Fault(f"certificate {cert} with key {key} can't be used: {error}") from None


def _tokens(config: StorageConfig) -> TokenStore | None:
    if config.device.token_file is None or config.web.url is None:
        return None
    try:
        return TokenStore(config.device.token_file, config.web.url)
    except TokenFileError as error:
        raise Fault(str(error)) from None


def _access(config: StorageConfig, tokens: TokenStore | None, keys: RemoteKeys | None) -> Access:
    web = config.web
    if tokens is not None and keys is not None:
        store = tokens
        return Access(keys.verify, lambda: store.life.locations, keys.verifier.is_revoked)
    assert web.keys_file is not None
    assert web.issuer is not None
    assert config.device.location is not None
    location = config.device.location
    return access_by_file(web.keys_file, web.issuer, lambda: (location,))


def _https(
    config: StorageConfig, certificate: tls.Certificate, http: HttpServer | None
) -> str | None:
    """Where browsers may get recordings, once it can be told: no browser believes the certificate
    that is made here.
    """
    name = None if config.rtsps.cert is None else certificate.served_name
    if http is None or http.port is None or name is None:
        return None
    return f"https://{name}:{http.port}"


def _room(
    config: StorageConfig,
    tokens: TokenStore | None,
    kept: _Disk,
    port: int,
    certificate: tls.Certificate,
    https: Callable[[], str | None],
) -> StorageRoom | None:
    if config.web.url is None or tokens is None:
        return None
    listen = config.rtsps.listen

    def status() -> dict[str, Any]:
        host = listen.host
        if host in WILDCARDS:
            # The address that reaches the web reaches the local network, too.
            host = room.connection.local_address or "localhost"
        return status_fields(
            address=(host, port),
            fingerprint=certificate.fingerprint,
            durable_us={
                place.jid: durable.utc_us
                for place, durable in kept.recorder.durable_now().items()
                if kept.recorder.recording(place)
            },
            sealed={place.jid: head for place, head in kept.heads.items()},
            size=kept.space.total,
            maxspace=kept.space.limit,
            message=kept.recorder.trouble() or certificate.trouble(datetime.now(UTC)),
            https=https(),
        )

    room = StorageRoom(config.web.url, tokens, config.device.jid, status)
    return room


def _make_durable(folder: Path) -> None:
    """Make a folder and what is missing above it, each name synced."""
    above = folder
    while not above.exists():
        above = above.parent
    Disk().make_folders(above, folder.relative_to(above))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the storage's folder; raises `Fault` when another process does, or it can't be made."""
    try:
        _make_durable(folder.absolute())
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Fault(f"[storage] path = {str(folder)!r}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise Fault(f"{folder} is in use by another ucam storage") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _open(config: StorageConfig, state: Path) -> _Disk:
    """The index, the disk compared with it and mended, room made. Blocks."""
    root, disk = config.storage.path, Disk()
    sealer = _sealer(root, state)
    index = Index(root)
    try:
        if told := set_aside_if_damaged(root):
            _log.error("%s", told)
        index.open()
        progress = ProgressBar("reading what is kept")
        found: Recovered = index.call(
            lambda database: recover(root, database, disk, sealer, progress)
        )
        for sentence in found.told:
            _log.warning("%s", sentence)
        space = _space(config, index, disk, sealer, found)
        chunk_us, chunk_bytes = _chunk_size(config)
        recorder = Recorder(root, index, space, disk, chunk_us=chunk_us, chunk_bytes=chunk_bytes)
        inspector = None
        if not found.compared:
            inspector = Inspector(root, index, space, disk)
            inspector.start()
        return _Disk(index, space, recorder, inspector)
    except IndexFault as fault:
        index.close()
        raise Fault(str(fault)) from None
    except OSError as error:
        index.close()
        raise Fault(f"{root} can't be used: {error}") from None
    except BaseException:
        index.close()
        raise


def _sealer(root: Path, state: Path) -> Sealer:
    try:
        return Sealer(root, ensure_key(state), public_keys(state))
    except OSError as error:
        raise Fault(f"no key that signs recordings can be kept in {state}: {error}") from None
    except ValueError as error:
        raise Fault(f"the key that signs recordings can't be read: {error}") from None


def _chunk_size(config: StorageConfig) -> tuple[int | None, int | None]:
    """Microseconds or bytes."""
    size = config.storage.chunk_size
    return (
        None if size.duration is None else round(size.duration * 1e6),
        None if size.size is None else int(size.size),
    )


def _space(
    config: StorageConfig, index: Index, disk: Disk, sealer: Sealer, found: Recovered
) -> Space:
    root, maxspace = config.storage.path, config.storage.maxspace
    ledger = Ledger(
        maxspace=None if maxspace is None else int(maxspace),
        reserve=int(config.storage.reserve),
        closed=found.closed,
    )
    space = Space(
        *(root, index, ledger, disk, sealer),
        folders=found.folders,
        foreign=found.foreign_bytes,
    )
    try:
        space.trim()
    except NoSpace as error:
        raise Fault(
            f"[storage] maxspace = {str(maxspace)!r} is less than what is in {root} and is not"
            f" recordings: {error}"
        ) from None
    kept = index.call(Database.cameras)
    _log.info("%d cameras, %.1f MB kept in %s", len(kept), ledger.closed / 1e6, root)
    return space
