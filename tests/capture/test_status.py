from dataclasses import replace

from ucam import __version__
from ucam.capture.spool import Gap
from ucam.capture.status import Losses, State, outline, status_fields
from ucam.capture.trouble import NO_CLOCK

FINE = State(
    frames_advance=True,
    camera_fault=None,
    newest_us=1_795_325_402_000_000,
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
    chosen="source test (as configured), encoder x264enc (x264enc works)",
    audio=True,
    temperature_c=51.5,
    under_voltages=0,
    led="double blink",
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
        "chosen": "source test (as configured), encoder x264enc (x264enc works)",
        "audio": "recorded",
        "temperature": 51.5,
        "under-voltage": 0,
        "led": "double blink",
        "version": __version__,
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
    full = replace(FINE, spool_fault="/spool: No space left on device")
    assert full.message is not None
    assert full.message.startswith("The spool on disk can't be used (/spool: No space left")
    clock = replace(away, storage_fault=NO_CLOCK)
    assert clock.message is not None
    assert clock.message.startswith("Nothing is sent to storage: the clock of this camera isn't")
    blind = replace(away, frames_advance=False, camera_fault="camera test: no picture for 10 s")
    assert (blind.recording, blind.message) == ("nothing", "camera test: no picture for 10 s")


def test_what_is_not_confirmed_is_not_stored() -> None:
    assert replace(FINE, durable_us=None).recording == "spooled"
    assert FINE.newest_us is not None
    # An open connection, and a spool that was emptied: but nothing new is durable.
    late = replace(FINE, newest_us=FINE.newest_us + 8_000_000)
    assert late.recording == "spooled"
    # Before the clock is set nobody can say so.
    assert replace(FINE, newest_us=None).recording == "spooled"


def test_a_new_run_that_is_being_announced_is_no_trouble() -> None:
    between = replace(FINE, storage_connected=False, storage_fault=None)
    assert (between.recording, between.message) == ("stored", None)
    assert status_fields(between)["storage"] == "connected"


def test_what_is_wrong_beside_the_pictures_is_told_last() -> None:
    deaf = replace(FINE, audio=False, audio_fault="microphone alsa:x: no sound for 10 s")
    assert deaf.recording == "stored"
    assert deaf.message == "There is no sound: microphone alsa:x: no sound for 10 s."
    weak = replace(deaf, warning="The power supply is too weak.")
    assert weak.message == "The power supply is too weak."
    assert status_fields(deaf)["audio"] == "failed"


def test_what_was_lost_is_told_until_all_is_well_again() -> None:
    def gap(from_s: int, to_s: int) -> Gap:
        return Gap("run", from_s, to_s, from_s * 1_000_000, to_s * 1_000_000, "full")

    losses = Losses()
    assert losses.seconds([], True) == 0
    assert losses.seconds([gap(100, 110)], False) == 10
    assert losses.seconds([gap(100, 130)], False) == 30
    assert losses.seconds([gap(100, 130)], True) == 0
    # The next trouble counts from there, also where the gap only grew.
    assert losses.seconds([gap(100, 130)], False) == 0
    assert losses.seconds([gap(100, 135), gap(200, 202)], False) == 7
    assert losses.seconds([], True) == 0


def test_what_is_told_at_once() -> None:
    fields = status_fields(FINE)
    assert outline(fields) == outline(status_fields(replace(FINE, spool_s=2.5, spool_bytes=9)))
    assert outline(fields) != outline(status_fields(replace(FINE, viewers=())))
    away = replace(FINE, storage_connected=False, storage_fault="it hung up")
    assert outline(fields) != outline(status_fields(away))
