"""Running the service in the foreground: the web server, and the workers that it starts."""

from __future__ import annotations

import uvicorn

from .app import create_app
from .settings import ServiceSettings, load_settings

STOP_S = 20
"""Time that requests have to end when the service is stopped."""


def serve(settings: ServiceSettings | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    chosen = settings or load_settings()
    uvicorn.Server(server_config(chosen)).run()


def server_config(settings: ServiceSettings) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_S,
    )
