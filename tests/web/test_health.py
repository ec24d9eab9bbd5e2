from typing import Any

import pytest

from ucam.base.jid import JID
from ucam.web.alerts import Kind, Subject
from ucam.web.config import Location
from ucam.web.health import Presence, findings

CAM, DISK = JID("till@shop.loc"), JID("disk@shop.loc")
PLACES = {"shop": Location(devices=(CAM,), storage=DISK)}
WELL: dict[str, Any] = {
    "recording": "stored",
    "storage": "connected",
    "clock-offset": 0.02,
    "message": None,
}


def wrong(camera: dict[str, Any] | None, storage: dict[str, Any] | None) -> dict[Subject, str]:
    present = {
        jid: Presence(jid.local, status)
        for jid, status in ((CAM, camera), (DISK, storage))
        if status is not None
    }
    return {about: text for about, text in findings(PLACES, present).items() if text is not None}


def test_all_is_well() -> None:
    assert wrong(WELL, {"message": None}) == {}
    # Connected, and nothing said yet: there is nothing to complain about.
    assert wrong({}, {}) == {}


def test_away() -> None:
    found = wrong(None, None)
    assert set(found) == {Subject(CAM, Kind.OFFLINE), Subject(DISK, Kind.OFFLINE)}
    # Of a device that is away nothing else is known, neither good nor bad.
    every = findings(PLACES, {})
    assert set(every) == set(found)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"recording": "nothing", "message": "No camera."}, Kind.NOT_RECORDING, "No camera."),
        ({"recording": "nothing"}, Kind.NOT_RECORDING, "no picture"),
        (
            {"recording": "spooled", "storage": "away", "message": "Storage is away: no route."},
            Kind.STORAGE,
            "no route. The camera keeps",
        ),
        ({"recording": "spooled"}, Kind.STORAGE, "Storage confirms nothing"),
        ({"clock-offset": 7}, Kind.CLOCK, "7 s ahead"),
        ({"clock-offset": -3600.4}, Kind.CLOCK, "3600 s behind"),
        ({"clock-offset": float("nan")}, Kind.CLOCK, "time synchronisation"),
    ],
)
def test_a_camera_in_trouble(change: dict[str, Any], kind: Kind, words: str) -> None:
    ((about, text),) = wrong({**WELL, **change}, {}).items()
    assert about == Subject(CAM, kind)
    assert words in text


def test_a_disk_that_refuses() -> None:
    found = wrong(WELL, {"message": "The disk refuses\nto write."})
    assert found == {Subject(DISK, Kind.DISK): "The disk refuses to write."}


@pytest.mark.parametrize("junk", [{}, [], 5, True, "x" * 10_000, {"a": 1}, None])
def test_whatever_a_device_says_it_breaks_nothing(junk: Any) -> None:
    status = {"recording": junk, "storage": junk, "clock-offset": junk, "message": junk}
    for text in wrong(status, status).values():
        assert len(text) < 500
        assert text.isprintable()
