"""Reporters' data: read by intake, with a reason that is logged; erased when the reporter asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from ...linking.store import reports
from ...linking.store import vault as rows
from .. import vault
from ..access import Principal, Role, allow
from ..problems import problems
from ..state import ServiceState, StateDep
from .decisions import Reason
from .register import missing

router = APIRouter(prefix="/v1/reports/{report_id}/reporter", tags=["reporters"])
ReportId = Annotated[str, Path(pattern=r"^[0-9a-f]{28}$")]
Intake = Annotated[Principal, allow(Role.INTAKE)]


class ReporterView(BaseModel):
    """What is known of who reported; all null for an anonymous report."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None


@router.post("/read", summary="Read who reported", responses=problems(401, 403, 404, 409, 413, 422, 429))
def read(state: StateDep, intake: Intake, report_id: ReportId, given: Reason) -> ReporterView:
    """Who reads it, when and why goes into the audit log before anything is shown."""
    _known(state, report_id)
    found = vault.read(state.store, state.settings, report_id, given.why, intake.actor)
    return ReporterView(**(found or {}))


@router.post("/erase", status_code=204, summary="Erase who reported", responses=problems(401, 403, 404, 413, 422, 429))
def erase(state: StateDep, intake: Intake, report_id: ReportId, given: Reason) -> None:
    """The report stays, anonymous. Done twice it changes nothing more."""
    _known(state, report_id)
    state.store.write(lambda session: rows.erase(session, report_id, given.why), intake.actor)


def _known(state: ServiceState, report_id: str) -> None:
    with state.store.read() as session:
        if reports.get_report(session, report_id) is None:
            raise missing("report", report_id)
