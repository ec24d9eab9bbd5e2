from ucam.capture.watchdog import Watchdog


def fed(*moments: tuple[float, bool, int]) -> list[bool]:
    dog = Watchdog(1.0)
    return [dog.feeds(now_s, frames_advance=on, kept=kept) for now_s, on, kept in moments]


def test_fed_once_a_second_while_pictures_are_kept() -> None:
    assert fed((0, True, 1), (0.5, True, 8), (1, True, 16), (2.1, True, 31)) == [
        True,
        False,
        True,
        True,
    ]


def test_not_fed_without_pictures() -> None:
    assert fed((0, False, 1), (5, False, 1)) == [False, False]


def test_not_fed_when_nothing_is_kept_any_more() -> None:
    assert fed((0, True, 15), (1, True, 15), (9, True, 15), (10, True, 16)) == [
        True,
        False,
        False,
        True,
    ]
