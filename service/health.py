"""Is it alive, is it ready, and its numbers."""

from __future__ import annotations

from typing import Literal

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel

from ..contract import TagtraceError
from .access import PUBLIC
from .metrics import MEDIA_TYPE
from .problems import ProblemError, problems
from .state import StateDep

router = APIRouter(tags=["health"])
_log = structlog.get_logger(__name__)


class Health(BaseModel):
    """The answer of both health routes."""

    status: Literal["ok"] = "ok"


@router.get("/health/live", dependencies=[PUBLIC], summary="Whether the process runs", responses=problems())
async def live() -> Health:
    """Answers as long as the process takes requests, whatever else is broken."""
    return Health()


@router.get("/health/ready", dependencies=[PUBLIC], summary="Whether requests can be served", responses=problems(503))
def ready(state: StateDep) -> Health:
    """Answers 503 while the store cannot be reached or has another schema."""
    try:
        if state.store.version() is None:
            raise ProblemError(503, "The store is not set up.", "not-ready")
    except TagtraceError as error:
        # What exactly is wrong with it is for the operator, and anybody may ask here.
        _log.error("store not ready", why=str(error))
        raise ProblemError(503, "The store cannot be reached.", "not-ready", {"Retry-After": "10"}) from error
    return Health()


@router.get(
    "/metrics",
    dependencies=[PUBLIC],
    summary="Numbers for Prometheus",
    responses={**problems(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
def metrics(state: StateDep) -> Response:
    """Counts and times only: nothing in it is about a report or a person. Keep it inside your network."""
    return Response(state.metrics.text(), media_type=MEDIA_TYPE)
