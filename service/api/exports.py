"""Exports for the blocking system."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from ...linking.life import ResourceState
from ...linking.store import audit, exporting
from ..access import Principal, Role, Scope, allow
from ..exports import FORMATS, write
from ..problems import problems
from ..state import StateDep

router = APIRouter(prefix="/v1/exports", tags=["exports"])
Reader = Annotated[Principal, allow(Role.ANALYST, Role.EXPERT, Scope.EXPORTS_READ)]
_State = Literal["verified", "sent", "blocked"]


def _described() -> dict[int | str, dict[str, Any]]:
    content = {
        item.media_type: {"schema": {"type": "string" if "csv" in item.media_type else "object"}} for item in FORMATS.values()
    }
    return {**problems(401, 403, 404, 422, 429), 200: {"description": "The resources.", "content": content}}


@router.get("/resources.{name}", summary="Resources for blocking", responses=_described(), response_class=Response)
def resources(
    state: StateDep,
    reader: Reader,
    name: Literal["csv", "json", "stix", "misp", "geojson"],
    states: Annotated[list[_State], Query(alias="state", min_length=1, max_length=3)] = ["verified"],  # noqa: B006
) -> Response:
    """Only resources that an expert has verified, each by its exact address: never a protected value, never a host that many
    share. What went out, and to whom, goes into the audit log."""
    now = datetime.now(UTC)
    wanted = [ResourceState(item) for item in states]
    with state.store.read() as session:
        rows = list(exporting.exported(session, wanted))
        places = list(exporting.places(session, [row.id for row in rows])) if name == "geojson" else []
    text = write(name, rows, places, now)
    details = {"format": name, "states": sorted(set(states)), "resources": [row.id for row in rows]}
    state.store.write(lambda session: audit.note(session, "resource.export", "resources", details), reader.actor)
    chosen = FORMATS[name]
    headers = {"Content-Disposition": f'attachment; filename="resources-{now:%Y%m%d-%H%M%S}{chosen.suffix}"'}
    return Response(text.encode("utf-8"), media_type=chosen.media_type, headers=headers)
