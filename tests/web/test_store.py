import sqlite3
from pathlib import Path

import pytest

from ucam.base.jid import JID
from ucam.base.service import Fault
from ucam.web.members import Known
from ucam.web.store import Store

YARD, TILL = JID.parse("yard@home.loc"), JID.parse("till@shop.loc")


def test_devices_are_remembered_over_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.remember_devices({YARD: Known("Yard", 1), TILL: Known("Till", 2)})
    store.remember_devices({YARD: Known("Back yard", 3)})
    store.close()
    store = Store(tmp_path)
    assert store.devices() == {YARD: Known("Back yard", 3), TILL: Known("Till", 2)}
    store.close()


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    insert, row = "INSERT INTO devices VALUES (?, ?, ?)", ("yard@home.loc", "Yard", 1)
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as db:
        db.executemany(insert, [row, row])
    assert store.devices() == {}
    store.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    database = sqlite3.connect(tmp_path / "web.sqlite")
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(Fault, match="newer"):
        Store(tmp_path)


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "web.sqlite").write_bytes(b"something else " * 1000)
    with pytest.raises(Fault, match=r"web\.sqlite"):
        Store(tmp_path)
