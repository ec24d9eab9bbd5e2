"""What the commands share that read and change what `ucam web` keeps, while it runs or not."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from ucam.base.config import WrongValueError
from ucam.base.jid import JIDError
from ucam.base.service import Fault
from ucam.cli.service import load_or_explain
from ucam.web import shared_keys
from ucam.web.audit import AuditLog
from ucam.web.config import WebConfig
from ucam.web.issuer import Issuer
from ucam.web.keys import KeyStore
from ucam.web.service import open_state
from ucam.web.sessions import Sessions
from ucam.web.state import State, StateAway

T = TypeVar("T")


class Office:
    """The parts of the web application that a command needs. `audit` is written at the end."""

    def __init__(self, config: WebConfig, keys: KeyStore, state: State, now_s: float) -> None:
        self.config = config
        self.state = state
        self.now_s = now_s
        self.issuer = Issuer(keys, config)
        self.sessions = Sessions(state, self.issuer)
        self.audit = AuditLog(config.http.data_dir, config.audit)


def in_office(
    command: str,
    path: Path,
    work: Callable[[Office], Awaitable[int]],
    check: Callable[[WebConfig], None] = lambda _config: None,
) -> int:
    """Run `work` with the configuration's state and keys; its exit status, 1 after a fault.

    `check` may raise a `Fault` first: a mistake leaves no keys in a folder that may be the wrong
    one.
    """
    config = load_or_explain(path, WebConfig)
    if config is None:
        return 1
    try:
        check(config)
        return asyncio.run(open_office(config, work, time.time()))
    except (Fault, JIDError, WrongValueError, StateAway) as error:
        print(f"ucam {command}: {error}", file=sys.stderr)
        return 1


async def open_office(config: WebConfig, work: Callable[[Office], Awaitable[T]], now_s: float) -> T:
    """What `work` answers; raises `Fault`, `StateAway` and what it raises."""
    state = open_state(config)
    try:
        keys = KeyStore(config.http.data_dir, now_s)
        if not config.state.url.is_sqlite:
            await shared_keys.share(keys, state, now_s)
        office = Office(config, keys, state, now_s)
        answer = await work(office)
        await office.audit.write_out()
        return answer
    finally:
        await state.close()
