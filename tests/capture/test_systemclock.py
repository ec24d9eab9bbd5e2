from ucam.capture.systemclock import SystemClock


def test_this_machine_has_a_boot_and_a_clock() -> None:
    clock = SystemClock()
    assert clock.boot == SystemClock().boot != "unknown"
    first, second = clock.read(), clock.read()
    assert first[0] < second[0]
    assert isinstance(first[2], bool)
