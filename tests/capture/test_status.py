from dataclasses import replace

from ucam.capture.status import State, outline, status_fields

FINE = State(
    frames_advance=True,
    camera_fault=None,
    storage_connected=True,
    storage_fault=None,
    durable_us=1_795_325_400_123_456,
    spool_bytes=50_000,
    spool_s=2.1,
    lost_s=0.0,
    viewers=("owner@example.com/page",),
    clock_offset_s=-0.0123,
    encoder="x264enc",
    source="test",
)


def test_all_fields_of_a_camera_that_records() -> None:
    assert status_fields(FINE) == {
        "recording": "stored",
        "durable-until": "2026-11-22T05:30:00.123456Z",
        "storage": "connected",
        "spool": {"bytes": 50_000, "seconds": 2.1},
        "viewers": ("owner@example.com/page",),
        "clock-offset": -0.012,
        "encoder": "x264enc",
        "source": "test",
        "message": None,
    }


def test_trouble_is_told_in_words_the_worst_first() -> None:
    away = replace(FINE, storage_connected=False, storage_fault="it hung up", spool_s=30.0)
    assert (away.recording, away.message) == ("spooled", "Storage is away: it hung up.")
    behind = replace(FINE, spool_s=30.0)
    assert (behind.recording, behind.message) == ("spooled", "Storage is 30 s behind.")
    lost = replace(away, lost_s=12.0)
    assert lost.message is not None
    assert "12 s are lost" in lost.message
    blind = replace(away, frames_advance=False, camera_fault="camera test: no picture for 10 s")
    assert (blind.recording, blind.message) == ("nothing", "camera test: no picture for 10 s")


def test_nothing_confirmed_yet_is_not_stored() -> None:
    assert replace(FINE, durable_us=None).recording == "spooled"


def test_what_is_told_at_once() -> None:
    fields = status_fields(FINE)
    assert outline(fields) == outline(status_fields(replace(FINE, spool_s=2.5, spool_bytes=9)))
    assert outline(fields) != outline(status_fields(replace(FINE, viewers=())))
    assert outline(fields) != outline(status_fields(replace(FINE, storage_connected=False)))
