"""The application: middleware, routes, errors. Nothing happens at import time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from .. import __version__
from . import analyse, description, health, logs, problems, tracks
from .api.routers import ROUTERS as api_routers
from .desk.routers import ROUTERS as desk_routers
from .jobs import routes as jobs
from .metrics import Metrics
from .open311 import forms as open311
from .open311.routers import ROUTERS as open311_routers
from .reports import bulk
from .reports import routes as reports
from .requests import BodyBounds, RequestFrame
from .settings import ServiceSettings, load_settings
from .state import open_state
from .webhooks import routes as webhooks

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    reports.router,
    bulk.router,
    analyse.router,
    tracks.router,
    jobs.router,
    webhooks.router,
    *api_routers,
    *desk_routers,
    *open311_routers,
)
"""Every router of the service. A new one is added here and nowhere else."""
_ABOUT = """Takes in citizens' reports of drug adverts on walls, reads the photos, and says which known shops they lead to.
A machine reads; a person decides. Send an API key as `Authorization: Bearer …`."""


def create_app(settings: ServiceSettings | None = None) -> FastAPI:
    """The service as an ASGI application; ``settings`` come from environment and file where none are given.

    Raises ``TagtraceError`` for settings that are wrong or unsafe. The store is opened when the application starts.
    """
    chosen = settings or load_settings()
    logs.configure(chosen.log_level, pretty=chosen.development)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with open_state(chosen, metrics) as state:
            app.state.service = state
            yield

    app = FastAPI(
        title="tagtrace",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    problems.install(app, {open311.PREFIX: open311.errors})
    for router in ROUTERS:
        app.include_router(router)
    description.complete(app, ROUTERS, chosen)
    app.add_middleware(BodyBounds, settings=chosen)
    app.add_middleware(RequestFrame, metrics=metrics)
    return app
