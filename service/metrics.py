"""Numbers for Prometheus: those of this process, and those of the queue, which the store is asked for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The numbers of one application; each application has its own, so that tests do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tagtrace_requests", "Requests by method, route and status.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "tagtrace_request_seconds", "Time of requests.", ["method", "route"], buckets=_SECONDS, registry=self.registry
        )

    def text(self) -> bytes:
        """All numbers in the form that Prometheus reads."""
        return generate_latest(self.registry)
