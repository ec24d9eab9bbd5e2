"""When trouble is worth a mail: times are made up, nothing waits."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ucam.base.jid import JID
from ucam.web.alerts import GATHER_S, MAILS_PER_HOUR, SETTLE_S, Alerts, Kind, News, Subject

YARD, TILL = JID("yard@home.loc"), JID("till@shop.loc")
OFFLINE = Subject(YARD, Kind.OFFLINE)
AFTER_S = 120.0
STEP_S = 5.0


class World:
    """What is wrong now, observed every five seconds."""

    def __init__(self) -> None:
        self.alerts = Alerts(AFTER_S)
        self.now_s = 1000.0
        self.wrong: dict[Subject, str | None] = {OFFLINE: None}
        self.mails: list[tuple[float, tuple[News, ...]]] = []

    def go(self, seconds: float) -> list[tuple[News, ...]]:
        """Let time pass; the mails of that time."""
        before = len(self.mails)
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += STEP_S
            self.alerts.observe(self.wrong, self.now_s)
            if news := self.alerts.due(self.now_s):
                self.mails.append((self.now_s, news))
        return [news for _, news in self.mails[before:]]


def test_one_mail_when_it_lasts_and_one_when_it_is_well_again() -> None:
    world = World()
    assert world.go(600) == []
    world.wrong[OFFLINE] = "It is away."
    began_s = world.now_s + STEP_S
    assert world.go(AFTER_S) == []
    ((news,),) = world.go(2 * GATHER_S)
    assert news == News(OFFLINE, "It is away.", began_s, None)
    assert world.alerts.standing() == (news,)
    assert world.go(86400) == []
    last_bad_s = world.now_s
    world.wrong[OFFLINE] = None
    assert world.go(AFTER_S - STEP_S) == []
    ((ended,),) = world.go(3600)
    assert ended == News(OFFLINE, "It is away.", began_s, last_bad_s)
    assert world.go(86400) == []
    assert world.alerts.standing() == ()


def test_what_doesnt_last_makes_no_mail() -> None:
    world = World()
    for _ in range(50):
        world.wrong[OFFLINE] = "x"
        world.go(AFTER_S / 2)
        world.wrong[OFFLINE] = None
        world.go(2 * SETTLE_S)
    assert world.mails == []


def test_a_line_that_comes_and_goes_makes_one_mail() -> None:
    world = World()
    for _ in range(100):  # two hours and more
        world.wrong[OFFLINE] = "x"
        world.go(60)
        world.wrong[OFFLINE] = None
        world.go(SETTLE_S - STEP_S)
    assert len(world.mails) == 1
    # Well for less than `after` isn't well.
    world.wrong[OFFLINE] = "x"
    world.go(300)
    for _ in range(20):
        world.wrong[OFFLINE] = None
        world.go(AFTER_S - STEP_S)
        world.wrong[OFFLINE] = "x"
        world.go(60)
    assert len(world.mails) == 1


def test_what_happens_together_is_told_together() -> None:
    world = World()
    for number in range(10):
        world.wrong[Subject(JID(f"cam{number}@home.loc"), Kind.OFFLINE)] = "x"
        world.go(STEP_S if number % 5 == 0 else 0)
    (digest,) = world.go(600)
    assert len(digest) == 10
    for subject in world.wrong:
        world.wrong[subject] = None
    (again,) = world.go(600)
    assert len(again) == 10
    assert all(news.until_s is not None for news in again)


def test_never_more_than_so_many_an_hour_and_nothing_is_forgotten() -> None:
    world = World()
    subjects = [Subject(JID(f"cam{number}@home.loc"), Kind.OFFLINE) for number in range(40)]
    for subject in subjects:  # one after the other falls out
        world.wrong[subject] = "x"
        world.go(60)
    world.go(2 * 3600)
    times = [at_s for at_s, _ in world.mails]
    for at_s in times:
        assert sum(at_s <= other < at_s + 3600 for other in times) <= MAILS_PER_HOUR
    told = [news.subject for _, mail in world.mails for news in mail]
    assert sorted(told) == sorted(subjects)


def test_what_isnt_known_stays_as_it_was() -> None:
    world = World()
    disk = Subject(TILL, Kind.DISK)
    world.wrong[disk] = "The disk refuses."
    world.go(600)
    del world.wrong[disk]
    assert len(world.mails) == 1
    assert world.go(3600) == []
    assert [news.subject for news in world.alerts.standing()] == [disk]
    world.alerts.forget(frozenset({YARD}))
    assert world.alerts.standing() == ()
    assert world.go(3600) == []


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_each_trouble_is_told_begun_then_ended(seed: int) -> None:
    world, chance = World(), random.Random(seed)
    subjects = [Subject(JID(f"cam{number}@home.loc"), Kind.OFFLINE) for number in range(4)]
    for _ in range(60):
        subject = chance.choice(subjects)
        world.wrong[subject] = chance.choice([None, "x"])
        world.go(chance.choice([5, 30, 130, 400]))
    world.wrong.update(dict.fromkeys(subjects))
    world.go(3 * 3600)
    assert world.alerts.standing() == ()
    open_since: dict[Subject, float] = {}
    for at_s, mail in world.mails:
        for news in sorted(mail, key=lambda one: (one.since_s, one.until_s or at_s)):
            if news.until_s is None:
                assert news.subject not in open_since
                open_since[news.subject] = news.since_s
            else:
                assert news.until_s - news.since_s >= 0
                # Begun and ended in one line when its beginning had to wait.
                assert open_since.pop(news.subject, news.since_s) == news.since_s
    assert open_since == {}
