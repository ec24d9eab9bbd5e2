"""A camera's metrics in Prometheus' text format, on the address that `UCAM_METRICS` names.

The same facts as its Status. Off unless asked for: who can reach the address can read them.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from ucam import __version__
from ucam.base.service import Fault
from ucam.capture.status import State

_log = logging.getLogger(__name__)
VARIABLE = "UCAM_METRICS"
REQUEST_TIMEOUT_S = 5.0
MAX_HEAD_BYTES = 8192


class _Now(Collector):
    """What is true at one moment."""

    def __init__(self, state: State, counts: dict[str, int]) -> None:
        self._state = state
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks for them."""
        state = self._state
        info = InfoMetricFamily("ucam_capture", "version, camera and encoder")
        info.add_metric(
            [], {"version": __version__, "source": state.source, "encoder": state.encoder}
        )
        yield info
        yield _gauge("frames_advance", "1 while pictures come", state.frames_advance)
        yield _one_of("recording", "1 for what is true", state.recording, _RECORDING)
        yield _gauge("storage_connected", "1 while storage takes them", state.storage_reached)
        yield _gauge("web_connected", "1 while in the room", state.web_connected)
        yield _gauge("spool_bytes", "captured, and not confirmed", state.spool_bytes)
        yield _gauge("spool_seconds", "of it, from the oldest to the newest", state.spool_s)
        yield _gauge("lost_seconds", "dropped in the present trouble", state.lost_s)
        yield _gauge("viewers", "who watch live", len(state.viewers))
        for name, help_, value in (
            ("durable_timestamp_seconds", "time of the newest confirmed picture", _s(state)),
            ("clock_offset_seconds", "ahead of the web application", state.clock_offset_s),
            ("temperature_celsius", "of the processor", state.temperature_c),
            ("sound", "1 while the microphone works", state.audio),
        ):
            if value is not None:
                yield _gauge(name, help_, value)
        for name, count in self._counts.items():
            counter = CounterMetricFamily(f"ucam_capture_{name}", name.replace("_", " "))
            counter.add_metric([], count)
            yield counter
        if state.led is not None:
            yield _one_of("led", "1 for the pattern that it shows", state.led, ())


_RECORDING = ("stored", "spooled", "nothing")


def _s(state: State) -> float | None:
    return None if state.durable_us is None else state.durable_us / 1e6


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ucam_capture_{name}", help_, value=float(value))


def _one_of(name: str, help_: str, value: str, values: tuple[str, ...]) -> Metric:
    family = GaugeMetricFamily(f"ucam_capture_{name}", help_, labels=["is"])
    for each in values or (value,):
        family.add_metric([each], float(each == value))
    return family


def text(state: State, counts: dict[str, int]) -> bytes:
    """All of them. `counts`: counters by name, without `ucam_capture_` and `_total`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(state, counts))
    return generate_latest(registry)


def listen_address(value: str) -> tuple[str, int]:
    """`HOST:PORT` of the environment; raises `Fault`."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise Fault(f"{VARIABLE} is {value!r}: write it as 127.0.0.1:9322")
    return host.strip("[]"), int(port)


async def serve(address: tuple[str, int], page: Callable[[], bytes]) -> None:
    """Answer `GET /metrics` with `page()`, until cancelled. A port in use is told, not raised."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                found = head.startswith(b"GET /metrics ")
                body = page() if found else b"only /metrics is here\n"
                kind = CONTENT_TYPE_LATEST if found else "text/plain"
                status = "200 OK" if found else "404 Not Found"
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            _log.debug("a request for metrics that was none")
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(answer, *address, limit=MAX_HEAD_BYTES)
    except OSError as error:
        _log.error("metrics: %s:%d can't be used: %s", *address, error.strerror)
        return
    async with server:
        _log.info("metrics: http://%s:%d/metrics", *server.sockets[0].getsockname()[:2])
        await server.serve_forever()
