"""``/v1/jobs``: the queue, and the jobs that were set aside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from ...linking.store import jobs as rows
from ...linking.store import reports as report_rows
from ...linking.store.jobs import JobState
from ...linking.store.reports import ReportState, now_utc
from ..access import Principal, Role, allow
from ..problems import problems
from ..state import StateDep

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
Administrator = Annotated[Principal, allow(Role.ADMINISTRATOR)]
_MOST = 2**31 - 1


class JobView(BaseModel):
    """One job."""

    id: int
    kind: str
    report_id: str
    state: str
    priority: int
    attempts: int
    worker: str
    error: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class JobPage(BaseModel):
    """Some jobs, the oldest first."""

    items: list[JobView]
    next: int | None = Field(description="Give it as `cursor` for the page after this one.")


@router.get("", summary="List jobs; state=aside for those that a person has to look at", responses=problems(401, 403, 422, 429))
def list_jobs(
    state: StateDep,
    who: Administrator,
    job_state: Annotated[JobState | None, Query(alias="state")] = None,
    cursor: Annotated[int, Query(ge=0, le=_MOST)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobPage:
    """With the error of their last attempt."""
    with state.store.read() as session:
        found = rows.list_jobs(session, job_state, cursor, limit + 1)
        page = found[:limit]
        items = [JobView(**{name: getattr(row, name) for name in JobView.model_fields}) for row in page]
        return JobPage(items=items, next=page[-1].id if len(found) > limit else None)


@router.post("/{job}/again", summary="Try a job again that was set aside", responses=problems(401, 403, 409, 422, 429))
def again(job: Annotated[int, Path(ge=1, le=_MOST)], state: StateDep, who: Administrator) -> JobView:
    """409 for a job that was not set aside."""

    def change(session: Any) -> JobView:
        report = rows.try_again(session, job, now_utc())
        report_rows.set_report_state(session, report, ReportState.RECEIVED, now_utc())
        row = rows.get_job(session, report)
        return JobView(**{name: getattr(row, name) for name in JobView.model_fields})

    return state.store.write(change, who.actor)
