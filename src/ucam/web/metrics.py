"""`/metrics` for Prometheus. What counts events is declared here and counted where they happen;
gauges are asked for at each look.

Only for who may look: addresses in `http.metrics`, and never through a proxy.
"""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get
from litestar.connection import Request
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ucam.web.config import Http, Networks, networks
from ucam.web.errors import problems

# Of this process: several of one web application are asked one by one.
REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "ucam_web_requests", "HTTP requests answered", ["method", "status"], registry=REGISTRY
)
EVENTS = Counter(
    "ucam_web_events", "entries of the audit log, written or not", ["what"], registry=REGISTRY
)
MAILS = Counter("ucam_web_mails", "mails by what became of them", ["fate"], registry=REGISTRY)
WEBHOOKS = Counter(
    "ucam_web_webhooks", "webhooks by what became of them", ["fate"], registry=REGISTRY
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
# Headers by which a proxy says for whom it asks.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

# Litestar writes the character set behind every text/….
_FORMAT = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")

Gauges = Callable[[], Mapping[str, tuple[str, float]]]
"""Name → what it says, and its value now."""


def count_request(method: str, status: int) -> None:
    """Count one answer; methods that nobody has heard of are one label."""
    REQUESTS.labels(method if method in _METHODS else "other", str(status)).inc()


class _Now(Collector):
    """Gauges of one moment."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks for them."""
        for name, (text, value) in self._gauges().items():
            yield GaugeMetricFamily(name, text, value=value)


def routes(http: Http, gauges: Gauges) -> list[HTTPRouteHandler]:
    """The handlers of this module."""
    allowed = networks("metrics", http.metrics)
    site = urlsplit(http.public_url).hostname or ""

    @get(
        "/metrics",
        summary="For Prometheus, from this machine",
        tags=["operation"],
        media_type="text/plain",
        responses=problems(404),
    )
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        if not may_look(request, allowed, site):
            raise NotFoundException("there is nothing here")
        registry = CollectorRegistry()
        registry.register(_Now(gauges))
        body = generate_latest(REGISTRY) + generate_latest(registry)
        return Response(body, media_type=_FORMAT)

    return [metrics]


def may_look(request: Request[Any, Any, Any], allowed: Networks, site: str) -> bool:
    """Whether the peer's address is allowed, and the peer asks for itself.

    A reverse proxy on this machine has an allowed address, but asks for strangers: it says so in a
    header, or leaves the public name in `Host`.
    """
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:  # half an IPv6 address
        return False
    if host == site and not _is_loopback(site):
        return False
    try:
        peer = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return any(peer in network for network in allowed)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
