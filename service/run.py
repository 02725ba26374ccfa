"""Running the service in the foreground: the web server, the workers that it starts, and the sending of webhooks."""

from __future__ import annotations

import gc
import signal
from contextlib import ExitStack

import uvicorn

from ..linking.store import Store
from ..scoring.heap import bound_heap
from . import logs
from .app import create_app
from .jobs.supervisor import Supervisor
from .settings import ServiceSettings, load_settings
from .slow import protocol
from .webhooks.deliver import Deliverer

_GARBAGE = 50_000
"""New objects between two looks for garbage; with Python's 700, a request of a few thousand objects has several."""
STOP_S = 20
"""Time that requests have to end when the service is stopped."""


def serve(settings: ServiceSettings | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    chosen = settings or load_settings()
    bound_heap()
    server = uvicorn.Server(server_config(chosen))
    with ExitStack() as opened:
        store = opened.enter_context(Store.open(chosen.store, durable=True))
        opened.enter_context(Supervisor(chosen, chosen.workers))
        opened.enter_context(Deliverer(chosen, store))
        # What is there by now stays: looking through it again and again for garbage stops all threads.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        server.run()


def work(settings: ServiceSettings, workers: int) -> None:
    """Only read what others take in, and send webhooks, until Ctrl-C or SIGTERM."""
    logs.configure(settings.log_level, pretty=settings.development)
    with ExitStack() as opened:
        store = opened.enter_context(Store.open(settings.store, durable=True))
        supervisor = opened.enter_context(Supervisor(settings, workers))
        opened.enter_context(Deliverer(settings, store))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.wait()


def server_config(settings: ServiceSettings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=protocol(settings.header_timeout_s),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_S,
    )
