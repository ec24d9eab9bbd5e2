"""Threads that write, shared by all cameras: each camera's jobs in order and never two at a time.

One thread does what is due, camera after camera. A thread for each costs twice as much: forty that
wake up together fight for the interpreter's lock, a hundred system calls a fragment. But a disk may
hang with one camera's file, and nobody else is to wait for that: what is still due after
`PATIENCE_S` gets another thread, and twice as many each time, until each camera has its own.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

PATIENCE_S = 0.05
IDLE_S = 2.0  # then a thread ends; the next job starts one


class _Job(NamedTuple):
    work: Callable[[], None]
    told: Callable[[Exception | None], None]
    at_once: bool


class Lane:
    """One camera's jobs. Made by `Lanes.lane`."""

    def __init__(self, lanes: "Lanes") -> None:
        self._lanes = lanes
        self.jobs: deque[_Job] = deque()  # bounded by who posts, by the bytes that wait
        self.due = False  # it waits for a thread, or has one
        self.since_s = 0.0

    def post(
        self,
        work: Callable[[], None],
        told: Callable[[Exception | None], None],
        *,
        at_once: bool = False,
    ) -> None:
        """Do `work` in a thread, after all that was posted before. Call it on the event loop.

        `told` is called there afterwards, with what `work` raised: within `PATIENCE_S`, or
        `at_once`, which wakes the event loop up for it.
        """
        self._lanes.post(self, _Job(work, told, at_once))


class Lanes:
    """All lanes of one event loop, and their threads."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()  # of all that follows, and of lanes' `due`
        self._waiting: deque[Lane] = deque()
        self._busy = 0  # threads at work
        self._idle = 0  # threads that wait at `_calls`, less those that were called already
        self._closed = False
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._done: deque[tuple[Callable[[Exception | None], None], Exception | None]] = deque()
        # Of the event loop alone:
        self._posted = False
        self._unfinished = 0
        self._look: asyncio.TimerHandle | None = None

    def lane(self) -> Lane:
        """For one more camera. Call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        return Lane(self)

    def close(self) -> None:
        """No thread waits for more work any longer."""
        with self._lock:
            self._closed = True
            waiting = self._idle
        self._summon(waiting)

    def post(self, lane: Lane, job: _Job) -> None:
        """See `Lane.post`."""
        self._unfinished += 1
        with self._lock:
            lane.jobs.append(job)
            if not lane.due:
                lane.due, lane.since_s = True, time.monotonic()
                self._waiting.append(lane)
        if not self._posted:
            self._posted = True
            # When all sockets that have something were read: then this thread leaves the
            # interpreter to the one that writes.
            assert self._loop is not None
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._posted = False
        with self._lock:
            # Whoever is at work may hang: it isn't left to them alone if another one has time.
            one = bool(self._waiting) and (bool(self._idle) or not self._busy)
        self._summon(int(one))
        if self._look is None and self._unfinished:
            self._look_later()

    def _summon(self, count: int) -> None:
        """So many threads more, those that wait first."""
        with self._lock:
            calls = min(count, self._idle)
            self._idle -= calls
            self._busy += count
        for _ in range(calls):
            self._calls.put(None)
        for _ in range(count - calls):
            threading.Thread(target=self._work, name="write").start()

    def _look_later(self) -> None:
        assert self._loop is not None
        self._look = self._loop.call_later(PATIENCE_S, self._look_after)

    def _look_after(self) -> None:
        """Tell what is done, help what waits."""
        self._look = None
        if self._unfinished > len(self._done):
            self._look_later()
        self._tell()
        with self._lock:
            if not self._waiting or time.monotonic() - self._waiting[0].since_s < PATIENCE_S:
                return
            more = max(1, min(self._busy, len(self._waiting)))
        self._summon(more)

    def _tell(self) -> None:
        while self._done:
            told, error = self._done.popleft()
            self._unfinished -= 1
            told(error)

    # In a thread

    def _work(self) -> None:
        while True:
            with self._lock:
                lane = self._waiting.popleft() if self._waiting else None
                if lane is None:
                    self._busy -= 1
                    if self._closed:
                        return
                    self._idle += 1
            if lane is not None:
                self._do_one(lane)
            elif not self._called():
                return

    def _called(self) -> bool:
        """Wait for work; false when none came for long."""
        try:
            self._calls.get(timeout=IDLE_S)
        except Empty:
            with self._lock:
                if self._idle:
                    self._idle -= 1
                    return False
            self._calls.get()  # all that wait have been called in this very moment
        return True

    def _do_one(self, lane: Lane) -> None:
        job, error = lane.jobs[0], None
        try:
            job.work()
        except Exception as raised:  # noqa: BLE001 - told to who posted it, who logs it
            error = raised
        with self._lock:
            lane.jobs.popleft()
            lane.due = bool(lane.jobs)
            if lane.due:
                # Behind the others: a camera that catches up doesn't keep them waiting.
                lane.since_s = time.monotonic()
                self._waiting.append(lane)
        self._done.append((job.told, error))
        if job.at_once or error is not None:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._tell)
