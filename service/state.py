"""What the routes of one application share: settings, store, photos, numbers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from ..linking.store import Store
from ..linking.store.keys import Key
from ..linking.store.photos import PhotoFiles
from . import vault
from .analyser import Analyser
from .gate import Gate
from .metrics import Metrics
from .rate import RateLimit
from .register import Register
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
    key_rate: RateLimit
    register: Register
    analyser: Analyser
    analysing: asyncio.Semaphore
    unknown_forms: asyncio.Semaphore
    metrics: Metrics = field(default_factory=Metrics)
    known_keys: dict[str, tuple[float, Key]] = field(default_factory=dict)
    """Keys by id, with the monotonic time until which they need no other look."""
    known_keys_lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def open_state(settings: ServiceSettings, metrics: Metrics) -> Iterator[ServiceState]:
    """Open what the settings name."""
    with (
        Store.open(settings.store, durable=True) as store,
        IntakeWriter(store, settings, reporter_keeper(settings)) as writer,
        closing(Gate.make(settings)) as gate,
    ):
        metrics.watch(store, settings)
        register = Register(store, settings.register_refresh_s)
        yield ServiceState(
            settings=settings,
            store=store,
            photos=PhotoFiles(settings.photos),
            writer=writer,
            gate=gate,
            key_rate=RateLimit(settings.key_rate_per_minute, settings.key_burst),
            register=register,
            analyser=Analyser(settings, register),
            analysing=asyncio.Semaphore(settings.analyse_at_once),
            unknown_forms=asyncio.Semaphore(settings.open311_unknown_forms),
            metrics=metrics,
        )


def reporter_keeper(settings: ServiceSettings) -> StoreReporter | None:
    """What keeps reporters' names and phones (``store_reporter``); None: they are not kept."""
    return vault.keeper(settings)


def state_of(request: Request) -> ServiceState:
    """The state of the application that a request came to."""
    return cast(ServiceState, request.app.state.service)


async def _state(request: Request) -> ServiceState:
    # FastAPI would run a plain function in a thread.
    return state_of(request)


StateDep = Annotated[ServiceState, Depends(_state)]
"""``state: StateDep`` in a route gives it the state."""
