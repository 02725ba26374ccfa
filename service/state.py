"""What the routes of one application share: settings, store, photos, numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from ..linking.store import Store
from ..linking.store.photos import PhotoFiles
from .metrics import Metrics
from .reports.uploads import Gate
from .reports.writer import IntakeWriter, StoreReporter
from .settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Made when the application starts, closed when it ends."""

    settings: ServiceSettings
    store: Store
    photos: PhotoFiles
    writer: IntakeWriter
    gate: Gate
    metrics: Metrics = field(default_factory=Metrics)


@contextmanager
def open_state(settings: ServiceSettings, metrics: Metrics) -> Iterator[ServiceState]:
    """Open what the settings name."""
    with Store.open(settings.store, durable=True) as store, IntakeWriter(store, settings, reporter_keeper(settings)) as writer:
        yield ServiceState(settings, store, PhotoFiles(settings.photos), writer, Gate.make(settings), metrics)


def reporter_keeper(settings: ServiceSettings) -> StoreReporter | None:
    """What keeps reporters' names and phones (``store_reporter``); None: they are not kept."""
    return None


def state_of(request: Request) -> ServiceState:
    """The state of the application that a request came to (a dependency)."""
    return cast(ServiceState, request.app.state.service)


StateDep = Annotated[ServiceState, Depends(state_of)]
"""``state: StateDep`` in a route gives it the state."""
