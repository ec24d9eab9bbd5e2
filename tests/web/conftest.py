from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from web.helpers import Running, running


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Running]:
    """A web application that runs."""
    async with running(tmp_path) as web:
        yield web
