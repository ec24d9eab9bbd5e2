from ucam.capture import calllimit
from ucam.capture.calllimit import CallLimit

EVE, BOB = "eve@example.com", "bob@example.com"


def test_a_burst_and_then_one_each_second() -> None:
    limit = CallLimit(burst=3, each_s=1.0)
    assert [limit.allows(EVE, 10.0) for _ in range(5)] == [True, True, True, False, False]
    assert limit.allows(BOB, 10.0)  # another one's haste is not his
    assert not limit.allows(EVE, 10.9)
    assert limit.allows(EVE, 11.0)
    assert not limit.allows(EVE, 11.5)
    assert [limit.allows(EVE, 100.0) for _ in range(4)] == [True, True, True, False]


def test_a_thousand_a_minute_become_one_a_second() -> None:
    limit = CallLimit(burst=12, each_s=1.0)
    begun = sum(limit.allows(EVE, number * 0.06) for number in range(1000))
    assert begun in (71, 72)


def test_who_has_not_called_for_long_is_forgotten() -> None:
    limit = CallLimit(burst=2, each_s=1.0)
    for number in range(3 * calllimit.MAX_PEOPLE):
        assert limit.allows(f"person{number}@example.com", number * 0.01)
    assert len(limit._full_at_s) <= calllimit.MAX_PEOPLE + 1
