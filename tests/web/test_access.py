from pathlib import Path

import pytest

from ucam.base.jid import JID
from ucam.base.tokens import Role
from ucam.web.access import Party
from web.helpers import ANN, BOB, DISK, TILL, TOML, YARD, access


def party(jid: str, role: Role = "user") -> Party:
    return Party(JID.parse(jid), role)


@pytest.mark.parametrize(
    ("jid", "role", "locations"),
    [
        (ANN, "user", ("home", "shop")),
        (BOB, "user", ("shop",)),
        (YARD, "device", ("home",)),
        (DISK, "storage", ("shop",)),
        (ANN, "player", ("home", "shop")),
        (TILL, "player", ("shop",)),
        # A role that the configuration doesn't give to that name opens nothing.
        (DISK, "device", ()),
        (TILL, "storage", ()),
        (TILL, "user", ()),
        ("eve@example.com", "user", ()),
        ("eve@example.com", "player", ()),
    ],
)
def test_locations(tmp_path: Path, jid: str, role: Role, locations: tuple[str, ...]) -> None:
    rules = access(tmp_path)
    assert rules.locations_of(party(jid, role)) == locations
    assert rules.admits(party(jid, role)) is bool(locations)


def test_parties_see_each_other_by_a_location_they_share(tmp_path: Path) -> None:
    rules = access(tmp_path)
    assert rules.shared(party(ANN), party(BOB)) == ("shop",)
    assert rules.shared(party(BOB), party(YARD, "device")) == ()
    assert rules.shared(party(YARD, "device"), party(TILL, "device")) == ()


def test_an_address_that_is_allowed_but_sees_nothing_may_come_in(tmp_path: Path) -> None:
    text = TOML.replace('storage = "disk@shop.loc"', 'users = ["ann@example.com"]')
    rules = access(tmp_path, text)
    assert rules.admits(party(BOB))
    assert rules.locations_of(party(BOB)) == ()
    assert rules.shared(party(BOB), party(BOB)) == ()


def test_the_role_of_a_name(tmp_path: Path) -> None:
    rules = access(tmp_path)
    names = (ANN, TILL, DISK, "eve@example.com")
    roles = [rules.role_of(JID.parse(name)) for name in names]
    assert roles == ["user", "device", "storage", None]
