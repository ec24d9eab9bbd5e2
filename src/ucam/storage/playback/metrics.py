"""/metrics: Prometheus' text format. What counts events is declared where they happen; here is what
is asked for at each look, of the cameras that this viewer may see.
"""

from collections.abc import Iterator

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ucam.storage.playback import cameras
from ucam.storage.playback.answers import Answer, Request
from ucam.storage.playback.library import Library

MEDIA_TYPE = "text/plain"


class _Camera(msgspec.Struct, rename="kebab"):
    jid: str
    location: str
    bytes: int
    days_kept: float
    days_left: float | None = None


class _Cameras(msgspec.Struct):
    cameras: list[_Camera]


class _Now(Collector):
    """Gauges of one moment."""

    def __init__(self, library: Library, request: Request, kept: list[_Camera]) -> None:
        self._library = library
        self._request = request
        self._kept = kept

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks for them."""
        recorder = self._library.recorder
        yield _gauge("ucam_storage_streams", "cameras that are being recorded", recorder.count)
        yield _gauge(
            "ucam_storage_bytes",
            "what the folder holds, reservations included",
            recorder.space.total,
        )
        if recorder.space.limit is not None:
            yield _gauge("ucam_storage_maxspace_bytes", "what it may hold", recorder.space.limit)
        yield _gauge(
            "ucam_storage_unfinished_chunks",
            "chunks that the disk did not let close yet",
            recorder.unfinished,
        )
        yield _gauge(
            "ucam_storage_trouble",
            "1 if something went wrong within the last half minute",
            recorder.trouble() is not None,
        )
        yield self._lag()
        labels = ["camera", "location"]
        size = GaugeMetricFamily("ucam_storage_camera_bytes", "what is kept of it", labels=labels)
        days = GaugeMetricFamily("ucam_storage_days_kept", "first to last", labels=labels)
        left = None
        for camera in self._kept:
            size.add_metric([camera.jid, camera.location], camera.bytes)
            days.add_metric([camera.jid, camera.location], camera.days_kept)
            left = camera.days_left
        yield size
        yield days
        if left is not None:
            yield _gauge("ucam_storage_days_left", "until the oldest goes, at this rate", left)

    def _lag(self) -> Metric:
        lag = GaugeMetricFamily(
            "ucam_storage_durable_lag_seconds",
            "age of the newest picture that survives a power cut",
            labels=["camera", "location"],
        )
        now_us = self._library.now_us()
        for place, durable in sorted(self._library.recorder.durable_now().items()):
            if place.location in self._request.locations and self._library.recorder.recording(
                place
            ):
                lag.add_metric([place.jid, place.location], (now_us - durable.utc_us) / 1e6)
        return lag


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric([], float(value))
    return family


async def metrics(library: Library, request: Request) -> Answer:
    """Everything, for one look of Prometheus."""
    listed = await cameras.cameras(library, request)
    assert isinstance(listed.body, bytes)
    kept = msgspec.json.decode(listed.body, type=_Cameras).cameras
    now = CollectorRegistry()
    now.register(_Now(library, request, kept))
    text = generate_latest(REGISTRY) + generate_latest(now)
    return Answer(200, {"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"}, text)
