"""The oracle can fail: each kind of damage that it is there for."""

from collections.abc import Callable
from typing import Any

import pytest

from faults.chain import FRAME_US, Stored, assert_whole


def whole() -> list[Stored]:
    first = [Stored("a", n, n, n * FRAME_US) for n in range(20)]
    return first + [Stored("b", n, n, (30 + n) * FRAME_US) for n in range(20)]


def changed(place: int, **values: Any) -> list[Stored]:
    stored = whole()
    stored[place] = stored[place]._replace(**values)
    return stored


DAMAGES: dict[str, Callable[[], list[Stored]]] = {
    "one is missing": lambda: whole()[:7] + whole()[8:],
    "one is missing, and the numbers don't say so": lambda: [
        item._replace(number=n, utc_us=n * FRAME_US)
        for n, item in enumerate(whole()[:7] + whole()[8:20])
    ],
    "one is there twice": lambda: whole()[:8] + whole()[7:],
    "two are in the wrong order": lambda: [*whole()[:7], whole()[8], whole()[7], *whole()[9:]],
    "the first is missing": lambda: whole()[1:],
    "a run is in two parts": lambda: [*whole(), *whole()[:20]],
    "runs are in the wrong order": lambda: whole()[20:] + whole()[:20],
    "a picture can't be read": lambda: changed(5, counter=None),
    "a time goes back": lambda: changed(5, utc_us=0),
    "a time is late": lambda: changed(19, utc_us=25 * FRAME_US),
}


def test_what_is_whole_passes() -> None:
    assert_whole(whole())


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_fails(damage: str) -> None:
    with pytest.raises(AssertionError):
        assert_whole(DAMAGES[damage]())
