"""Each fuzz target over its seeds and over what once was wrong, and a short run of the fuzzer."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fuzz import storage_targets
from fuzz.target import CORPUS, committed
from fuzz.targets import TARGETS
from ucam.rtsp.parser import Parser

# Calls of functions, C's included: a thousand to begin with, then so many a byte.
CALLS_TO_BEGIN, CALLS_A_BYTE = 3000, 8
LARGE = 60_000


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    storage_targets.close()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_once_was_wrong(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    assert seeds
    for data in (*seeds, *committed(name), b"", b"\0", b"\xff" * 50):
        target.run(data)


def test_each_corpus_belongs_to_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} <= set(TARGETS)


def calls(run: Callable[[], object]) -> int:
    """How many functions are called."""
    found = 0

    def count(_frame: object, event: str, _argument: Any) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize(
    "name", sorted(set(TARGETS) - {"recovery", "spool", "requests", "configuration"})
)
def test_work_grows_with_what_came_and_no_faster(name: str) -> None:
    """Not for `recovery`, `spool` and `requests`: theirs is what a start, or an answer, costs. Nor
    for `configuration`, which comes from the operator, and once.
    """
    target = TARGETS[name]
    for seed in (*target.seeds(), *committed(name)):
        target.run(seed)  # what is done once is done
        for times in (1, 16):
            data = (seed[:2] + times * seed[2:])[:LARGE]
            assert calls(partial(target.run, data)) < CALLS_TO_BEGIN + CALLS_A_BYTE * len(data)


def test_the_count_of_calls_sees_work_that_grows_faster() -> None:
    def quadratic(data: bytes) -> None:
        for end in range(len(data)):
            for _ in range(end // 100):
                len(data)

    assert calls(partial(quadratic, bytes(16_000))) > CALLS_TO_BEGIN + CALLS_A_BYTE * 16_000


def test_blanks_in_a_header_are_read_once() -> None:
    """A pattern that skipped them at both ends took 0.6 s for one head of 16 KB."""
    head = b"OPTIONS * RTSP/1.0\r\nX: a%bb\r\n\r\n"
    (found,) = Parser().feed(head.replace(b"%b", b" " * 15_000))
    assert getattr(found, "headers", None) == (("X", "a" + " " * 15_000 + "b"),)


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    """A second for each target; `make fuzz` takes hours."""
    pytest.importorskip("atheris", reason="atheris has wheels for 64-bit Intel and AMD alone")
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "--seconds", "1", "--folder", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": "tests:src", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| `") == len(TARGETS)
