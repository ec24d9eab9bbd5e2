"""Which recordings came later than they were made, by what the chain says: when each chunk was
sealed. A chunk that was recovered after a power cut was sealed late without having come late.
"""

from collections.abc import Sequence

from ucam.base.times import parse_utc
from ucam.storage.chain import RECORDED, ChainError, Link, parse
from ucam.storage.database import Database
from ucam.storage.evidence import lines_of_chunks
from ucam.storage.layout import Place, read_name
from ucam.storage.records import Chunk

# A chunk is sealed when the next one begins; a little later is only a slow network.
LATE_US = 60_000_000
# Of a longer window nobody sees it, and a month has 20 MB of links.
MOST_WINDOW_US = 2 * 86_400_000_000


def arrived_later(
    database: Database, place: Place, chunks: Sequence[Chunk], window: tuple[int, int]
) -> list[tuple[int, int]]:
    """Stretches in µs, one for each chunk. In the index's thread."""
    if window[1] - window[0] > MOST_WINDOW_US:
        return []
    by_start = {chunk.id: chunk for chunk in chunks}
    found = []
    for line in lines_of_chunks(database, place, [*by_start]):
        try:
            link, _ = parse(line)
        except ChainError:
            continue  # `ucam verify` tells
        if not isinstance(link, Link) or link.kind != RECORDED:
            continue
        name = read_name(link.path.rpartition("/")[2])
        chunk = by_start.get(name[0]) if name else None
        if chunk is not None and parse_utc(link.sealed) - chunk.end_us > LATE_US:
            found.append((chunk.id, chunk.end_us))
    return found
