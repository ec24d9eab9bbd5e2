from pathlib import Path

import pytest

from storage.helpers import PLACE, START_US
from ucam.storage.database import Database, IndexFault
from ucam.storage.index import Index
from ucam.storage.records import Chunk, Durable

CHUNK = Chunk(START_US, PLACE, 60_000_000, 1000, "avc1.640015", 320, 240, "run1", 0, 9)
DURABLE = Durable("run1", 9, START_US)


async def test_from_coroutines_and_from_threads(tmp_path: Path) -> None:
    index = Index(tmp_path)
    index.open()
    await index.run(Database.add_chunk, CHUNK, DURABLE)
    assert index.call(Database.chunk, START_US) == CHUNK
    with pytest.raises(Exception, match="UNIQUE"):
        await index.run(Database.add_chunk, CHUNK, DURABLE)
    index.close()
    with pytest.raises(IndexFault):
        await index.run(Database.oldest, 1)
