from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from ucam.storage.rotation import BLOCK, SMALLEST_CHUNK, Candidate, Ledger, blocks, choose

GB = 10**9
MINUTE_US = 60_000_000


def test_a_week_of_ten_cameras_never_crosses_maxspace() -> None:
    ledger = Ledger(maxspace=50 * GB, reserve=GB, fixed=5_000_000)
    kept: deque[Candidate] = deque()
    disk = 60 * GB
    deleted = 0
    for minute in range(7 * 24 * 60):
        for camera in range(10):
            chunk = minute * MINUTE_US + camera
            ledger.claim(chunk)
            size = 15_000_000 + (minute * 7919 + camera * 104_729) % 3_000_000
            free = disk - ledger.total
            short = ledger.shortage(chunk, size, free)
            if short:
                chosen = choose(short, kept)
                assert chosen is not None
                for candidate in chosen:
                    assert candidate is kept.popleft()
                    ledger.deleted(candidate.bytes)
                    deleted += 1
                assert ledger.shortage(chunk, size, disk - ledger.total) == 0
            ledger.grow(chunk, size)
            assert ledger.total <= 50 * GB
            ledger.written(chunk, size)
            ledger.close(chunk, size)
            kept.append(Candidate(chunk, size))
    assert deleted > 90_000
    assert ledger.total > 49.9 * GB, "what is allowed is used"
    assert ledger.closed == sum(blocks(candidate.bytes) for candidate in kept)


def test_what_is_reserved_counts_before_it_is_written() -> None:
    ledger = Ledger(maxspace=100 * BLOCK, reserve=0)
    assert ledger.claim(1)
    ledger.grow(1, 90 * BLOCK)
    assert ledger.claim(2)
    assert ledger.shortage(2, 11 * BLOCK, GB) == BLOCK
    ledger.written(1, 80 * BLOCK)
    assert ledger.shortage(2, 11 * BLOCK, GB) == BLOCK
    ledger.close(1, 80 * BLOCK)
    assert ledger.shortage(2, 11 * BLOCK, GB) == 0


def test_the_disk_keeps_its_reserve() -> None:
    ledger = Ledger(maxspace=None, reserve=GB)
    ledger.claim(1)
    ledger.claim(2)
    ledger.grow(1, 50 * BLOCK)
    free = GB + 80 * BLOCK
    # 50 blocks are promised to the first chunk and not yet written.
    assert ledger.shortage(2, 30 * BLOCK, free) == 0
    assert ledger.shortage(2, 31 * BLOCK, free) == BLOCK


def test_an_id_is_taken_once() -> None:
    ledger = Ledger(maxspace=None, reserve=0)
    assert ledger.claim(7)
    assert not ledger.claim(7)
    ledger.drop(7)
    assert ledger.claim(7)


def test_a_chunk_takes_a_fair_share() -> None:
    ledger = Ledger(maxspace=20_000_000, reserve=0)
    ledger.claim(1)
    assert ledger.chunk_limit() == 2_500_000
    for number in range(2, 11):
        ledger.claim(number)
    limit = ledger.chunk_limit()
    assert limit is not None
    assert 10 * limit <= 20_000_000 // 4
    assert Ledger(maxspace=1_000_000, reserve=0).chunk_limit() == SMALLEST_CHUNK
    assert Ledger(maxspace=None, reserve=0).chunk_limit() is None


def test_nothing_is_chosen_when_all_together_do_not_suffice() -> None:
    kept = [Candidate(1, BLOCK), Candidate(2, BLOCK)]
    assert choose(2 * BLOCK, kept) == kept
    assert choose(2 * BLOCK + 1, kept) is None
    assert choose(0, kept) == []


@given(st.lists(st.integers(1, 10**7), max_size=50), st.integers(0, 10**8))
def test_the_oldest_go_and_no_more_than_needed(sizes: list[int], short: int) -> None:
    kept = [Candidate(number, size) for number, size in enumerate(sizes)]
    chosen = choose(short, kept)
    if chosen is None:
        assert sum(blocks(size) for size in sizes) < short
        return
    assert chosen == kept[: len(chosen)]
    freed = [blocks(candidate.bytes) for candidate in chosen]
    assert sum(freed) >= short
    assert not freed or sum(freed[:-1]) < short
