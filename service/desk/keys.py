"""API keys of systems, for administrators: list them, make one, revoke one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Form, Path, Response
from fastapi.responses import RedirectResponse

from ...contract import TagtraceError
from ...linking.store import keys as rows
from ..access import Scope, keys
from .pages import AdministratorDesk, Desk, desk_router, link

router = desk_router()
DAYS = 365
"""Days that a new key lives, where nothing else is said."""
MOST_DAYS = 3650


@router.get("/keys")
def show_keys(desk: AdministratorDesk, revoked: str = "") -> Response:
    """All keys, without their secrets; ``revoked`` is the id of one that was just revoked."""
    return _page(desk, said=desk.texts("keys.done_revoke", id=revoked) if revoked else "")


@router.post("/keys")
def create_key(
    desk: AdministratorDesk,
    name: Annotated[str, Form(max_length=200)] = "",
    owner: Annotated[str, Form(max_length=200)] = "",
    scope: Annotated[list[Scope] | None, Form(max_length=len(Scope))] = None,
    days: Annotated[int, Form(ge=1, le=MOST_DAYS)] = DAYS,
) -> Response:
    """Make a key; the page shows it, once."""
    scopes = frozenset(scope or ())
    try:
        made = keys.create(desk.state.store, name, owner, scopes, days, desk.actor)
    except TagtraceError as error:
        given = {"name": name, "owner": owner, "scopes": scopes, "days": days}
        return _page(desk, wrong=desk.texts.said(str(error)), given=given, status=409)
    return _page(desk, shown=made)


@router.post("/keys/{key_id}/revoke")
def revoke_key(desk: AdministratorDesk, key_id: Annotated[str, Path(max_length=64)]) -> Response:
    """End a key at once."""
    desk.state.store.write(lambda session: rows.revoke_key(session, key_id), desk.actor)
    desk.state.known_keys.pop(key_id, None)
    return RedirectResponse(link("/desk/keys", revoked=key_id), 303)


def _page(
    desk: Desk,
    *,
    said: str = "",
    wrong: str = "",
    shown: keys.NewKey | None = None,
    given: Mapping[str, object] | None = None,
    status: int = 200,
) -> Response:
    with desk.state.store.read() as session:
        found = list(rows.list_keys(session))
    page = desk.page(
        "keys.html",
        status=status,
        found=found,
        now=datetime.now(UTC),
        scopes=list(Scope),
        given=given or {"name": "", "owner": "", "scopes": frozenset(), "days": DAYS},
        most_days=MOST_DAYS,
        said=said,
        wrong=wrong,
        shown=shown,
    )
    page.headers["Cache-Control"] = "no-store"
    return page
