"""Fixtures of the storage's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.helpers import Store, Tokens, opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A storage's disk part without a limit."""
    with opened(tmp_path / "chunks") as found:
        yield found


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """An issuer of tokens."""
    return Tokens(tmp_path)
