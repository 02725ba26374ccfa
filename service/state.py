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
from .settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Made when the application starts, closed when it ends."""

    settings: ServiceSettings
    store: Store
    photos: PhotoFiles
    metrics: Metrics = field(default_factory=Metrics)


@contextmanager
def open_state(settings: ServiceSettings, metrics: Metrics) -> Iterator[ServiceState]:
    """Open what the settings name."""
    with Store.open(settings.store) as store:
        yield ServiceState(settings, store, PhotoFiles(settings.photos), metrics)


def state_of(request: Request) -> ServiceState:
    """The state of the application that a request came to (a dependency)."""
    return cast(ServiceState, request.app.state.service)


StateDep = Annotated[ServiceState, Depends(state_of)]
"""``state: StateDep`` in a route gives it the state."""
