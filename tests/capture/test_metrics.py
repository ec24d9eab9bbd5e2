import asyncio
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from capture.test_status import FINE
from ucam.base.service import Fault
from ucam.capture import metrics


def values(text: bytes) -> dict[str, float]:
    """`name{label}` → value, as Prometheus reads it."""
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_same_facts_as_the_status() -> None:
    state = replace(FINE, spool_s=3.5, under_voltages=2)
    found = values(metrics.text(state, {"pictures": 42, "under_voltages": 2}))
    assert found["ucam_capture_recording{stored}"] == 1
    assert found["ucam_capture_recording{spooled}"] == 0
    assert found["ucam_capture_spool_seconds{}"] == 3.5
    assert found["ucam_capture_pictures_total{}"] == 42
    assert found["ucam_capture_under_voltages_total{}"] == 2
    assert found["ucam_capture_temperature_celsius{}"] == 51.5
    assert found["ucam_capture_durable_timestamp_seconds{}"] == 1_795_325_400.123456
    assert found["ucam_capture_clock_offset_seconds{}"] == -0.0123
    assert found["ucam_capture_viewers{}"] == 1
    assert found["ucam_capture_led{double blink}"] == 1
    assert any(name.startswith("ucam_capture_info{") for name in found)


def test_what_is_not_known_is_left_out() -> None:
    blank = replace(FINE, durable_us=None, clock_offset_s=None, temperature_c=None, led=None)
    found = values(metrics.text(replace(blank, audio=None), {}))
    for name in ("durable_timestamp_seconds", "clock_offset_seconds", "temperature_celsius"):
        assert f"ucam_capture_{name}{{}}" not in found
    assert "ucam_capture_sound{}" not in found


@pytest.mark.parametrize("value", ["9322", ":9322", "localhost", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_that_is_none_stops_the_start(value: str) -> None:
    with pytest.raises(Fault, match="UCAM_METRICS"):
        metrics.listen_address(value)


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_it_is_served_and_nothing_else_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    address = metrics.listen_address("127.0.0.1:0")
    task = asyncio.create_task(metrics.serve(address, lambda: metrics.text(FINE, {})))
    async with asyncio.timeout(10):
        while "metrics: http" not in caplog.text:
            await asyncio.sleep(0.01)
    port = int(caplog.records[-1].getMessage().rpartition(":")[2].partition("/")[0])
    head, _, body = (await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert values(body)["ucam_capture_frames_advance{}"] == 1
    assert (await ask(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
    assert await ask(port, b"x" * 20_000 + b"\r\n\r\n") == b""
    # The port is taken: told, and the camera goes on.
    await metrics.serve(("127.0.0.1", port), lambda: b"")
    assert "can't be used" in caplog.text
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
