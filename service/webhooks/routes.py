"""``/v1/webhooks``: what was sent to intake systems, and what could not be delivered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from ...linking.store import webhooks as rows
from ...linking.store.reports import now_utc
from ..access import Principal, Role, Scope, allow
from ..problems import problems
from ..reports.routes import owner_seen
from ..state import StateDep

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
Reader = Annotated[Principal, allow(Role.ADMINISTRATOR, Role.INTAKE, Scope.WEBHOOKS_READ)]
_MOST = 2**31 - 1


class WebhookView(BaseModel):
    """One message."""

    number: int
    id: str
    report_id: str
    url: str
    event: dict[str, Any]
    state: str = Field(description="waiting, sending, delivered or dead.")
    attempts: int
    status: int | None
    error: str
    created_at: datetime
    ended_at: datetime | None


class WebhookPage(BaseModel):
    """Some messages, the oldest first."""

    items: list[WebhookView]
    next: int | None = Field(description="Give it as `cursor` for the page after this one.")


@router.get("", summary="List webhooks; state=dead for dead letters", responses=problems(401, 403, 422, 429))
def list_webhooks(
    state: StateDep,
    reader: Reader,
    message_state: Annotated[Literal["waiting", "sending", "delivered", "dead"] | None, Query(alias="state")] = None,
    cursor: Annotated[int, Query(ge=0, le=_MOST)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> WebhookPage:
    """Those of the reports that the caller may see."""
    with state.store.read() as session:
        owner = owner_seen(reader)
        found = rows.list_webhooks(session, state=message_state, owner=owner, after=cursor, limit=limit + 1)
        page = found[:limit]
        return WebhookPage(items=[_view(row) for row in page], next=page[-1].id if len(found) > limit else None)


@router.post("/{number}/again", summary="Send a dead letter again", responses=problems(401, 403, 409, 422, 429))
def send_again(number: Annotated[int, Path(ge=1, le=_MOST)], state: StateDep, reader: Reader) -> WebhookView:
    """Once the other side works again; 409 for a message that is not dead."""
    owner = owner_seen(reader)
    return state.store.write(lambda session: _view(rows.send_again(session, number, owner, now_utc())), reader.actor)


def _view(row: Any) -> WebhookView:
    same = {name: getattr(row, name) for name in WebhookView.model_fields if name not in ("number", "id")}
    return WebhookView(number=row.id, id=row.message, **same)
