"""Numbers for Prometheus: those of this process, and those of the queue, which the store is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ..linking.store import Store, jobs, measures, reports, webhooks
from ..linking.store.drift import seen_since
from ..scoring.drift import PHOTO, Reference, drift, find_reference
from .settings import ServiceSettings

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

    def watch(self, store: Store, settings: ServiceSettings) -> None:
        """Also tell what the store knows: the queue, what worker processes measured, and how far that is from the reference."""
        self.registry.register(_StoreNumbers(store))
        reference = find_reference(settings.drift_reference)
        if reference is not None:
            self.registry.register(_Drift(store, reference, settings.drift_days, settings.drift_photos))

    def text(self) -> bytes:
        """All numbers in the form that Prometheus reads."""
        return generate_latest(self.registry)


class _StoreNumbers(Collector):
    """Asks the store each time: all processes that share it give the same numbers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the store before it is wanted."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The numbers now."""
        with self._store.read() as session:
            counts = {
                "jobs": jobs.count_jobs(session),
                "reports": reports.count_reports(session),
                "webhooks": webhooks.count_webhooks(session),
            }
            oldest = jobs.oldest_waiting(session)
            found = measures.histograms(session)
        for name, states in counts.items():
            gauge = GaugeMetricFamily(f"tagtrace_{name}", f"How many {name} stand where.", labels=["state"])
            for state, count in states.items():
                gauge.add_metric([state], count)
            yield gauge
        waited = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
        yield GaugeMetricFamily("tagtrace_oldest_job_seconds", "How long the oldest waiting job has been waiting.", waited)
        for name, labels in found.items():
            yield _histogram(name, labels)


class _Drift(Collector):
    """How far what the models saw of late lies from what they saw in validation; the same in every process."""

    def __init__(self, store: Store, reference: Reference, days: int, least: int) -> None:
        self._store = store
        self._reference = reference
        self._days = timedelta(days=days)
        self._least = least

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the store before it is wanted."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The index of each measure, while enough photos were seen to tell."""
        with self._store.read() as session:
            seen = seen_since(session, (datetime.now(UTC) - self._days).date())
        photos = sum(seen.get(PHOTO, {}).values())
        yield GaugeMetricFamily("tagtrace_drift_photos", "Photos that were seen in the window of the drift.", photos)
        told = "Population stability index of what the models saw, against the reference: 0.1 is noticeable, 0.25 is much."
        gauge = GaugeMetricFamily("tagtrace_drift", told, labels=["measure"])
        if photos >= self._least:
            for measure, index in sorted(drift(self._reference, seen).items()):
                gauge.add_metric([measure], index)
        yield gauge


def _histogram(name: str, labels: dict[str, list[tuple[float, int, float]]]) -> Metric:
    family = HistogramMetricFamily(f"tagtrace_{name}", f"Measured by workers: {name.replace('_', ' ')}.", labels=["of"])
    for label, buckets in labels.items():
        below, rows = 0, []
        for bound, count, _ in buckets:
            below += count
            if bound < measures.INFINITE:
                rows.append((str(bound), float(below)))
        rows.append(("+Inf", float(below)))
        family.add_metric([label], rows, sum(total for _, _, total in buckets))
    return family
