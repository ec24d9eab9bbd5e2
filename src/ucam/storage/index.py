"""The index in a thread of its own: SQLite blocks, and a connection belongs to one thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from ucam.storage.database import Database, IndexFault
from ucam.storage.layout import INDEX

P = ParamSpec("P")
R = TypeVar("R")


class Index:
    """`Database` in a thread of its own.

    `run` is for coroutines, `call` for other threads. Jobs queue without a bound, but each of
    the callers (one lane a publisher, a bounded number of requests) waits for its answer.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="index")
        self._database: Database | None = None

    def open(self) -> None:
        """Open or create; raises `IndexFault`. Blocks."""
        self._database = self._thread.submit(Database, self._folder / INDEX).result()

    def submit(
        self, method: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> "Future[R]":
        """Put one `Database` method in the queue."""
        if self._database is None:
            raise IndexFault("the index is not open")
        return self._thread.submit(method, self._database, *args, **kwargs)

    def call(
        self, method: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run one `Database` method and wait, from a thread that isn't the event loop's."""
        return self.submit(method, *args, **kwargs).result()

    async def run(
        self, method: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run one `Database` method, from a coroutine."""
        return await asyncio.wrap_future(self.submit(method, *args, **kwargs))

    def close(self) -> None:
        """Finish what is queued and close. Blocks."""
        if self._database is not None:
            self.call(Database.close)
            self._database = None
        self._thread.shutdown()
