"""The register: resources with their states, steps of their lives, proposals that take two people, and bulk export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form, Query, Response
from fastapi.responses import RedirectResponse

from ...contract import IdentifierKind
from ...linking.life import BLOCKING, STEPS, ResourceState
from ...linking.store import audit, exporting, lists, proposals, resources
from ...linking.store.proposals import Action, ProposalState
from ...linking.store.protection import load_protection
from ...linking.store.sights import find_sights
from ...linking.store.tracks import follow_resource
from ..exports import FORMATS, write
from ..problems import ProblemError
from .advert_view import Session, names_of
from .named_view import find_named_view
from .pages import Desk, ExpertDesk, ReaderDesk, desk_router, link

router = desk_router()
PAGE = 100
MOST_EXPORTED = 10_000
_MOST_WORDS = 2000
_SHOWN = 24
States = Annotated[list[ResourceState] | None, Query()]


@router.get("/register")
def show_register(
    desk: ReaderDesk,
    state: States = None,
    kind: Annotated[str, Query(max_length=32)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    after: int = 0,
) -> Response:
    """Resources, filtered and page by page, with the proposals that wait for a second person."""
    chosen = IdentifierKind(kind) if kind in set(IdentifierKind) else None
    with desk.state.store.read() as session:
        found = lists.resources(
            session, states=state or (), kind=chosen, shop=None, text=q.strip() or None, after=after or None, limit=PAGE + 1
        )
        counts = resources.count_by_state(session)
        waiting = proposals.list_proposals(session, ProposalState.OPEN, None, PAGE)
        names = names_of(session)
    pairs = [("state", str(item)) for item in state or ()] + [("kind", kind), ("q", q)]
    more = f"/desk/register?{_query([*pairs, ('after', str(found[PAGE - 1].id))])}" if len(found) > PAGE else ""
    return desk.page(
        "register.html",
        found=found[:PAGE],
        counts=counts,
        states=list(ResourceState),
        kinds=list(IdentifierKind),
        chosen=set(state or ()),
        kind=kind,
        q=q,
        more=more,
        formats=list(FORMATS),
        waiting=waiting,
        names=names,
    )


@router.post("/register/export")
def export(
    desk: ReaderDesk,
    form: Annotated[str, Form(max_length=16)] = "csv",
    number: Annotated[list[int] | None, Form(max_length=MOST_EXPORTED)] = None,
) -> Response:
    """The chosen resources as a file for the blocking system: what may be exported of them, and nothing else."""
    if form not in FORMATS:
        raise ProblemError(422, f"There is no format {form}; choose from: {', '.join(FORMATS)}.")
    wanted, now = set(number or ()), datetime.now(UTC)
    with desk.state.store.read() as session:
        rows = [row for row in exporting.exported(session, exporting.EXPORTABLE) if row.id in wanted]
        places = list(exporting.places(session, [row.id for row in rows])) if form == "geojson" else []
    if not rows:
        raise ProblemError(409, desk.texts("register.nothing_to_export"))
    details = {"format": form, "resources": [row.id for row in rows]}
    desk.state.store.write(lambda session: audit.note(session, "resource.export", "resources", details), desk.actor)
    chosen = FORMATS[form]
    headers = {"Content-Disposition": f'attachment; filename="resources-{now:%Y%m%d-%H%M%S}{chosen.suffix}"'}
    return Response(write(form, rows, places, now).encode("utf-8"), media_type=chosen.media_type, headers=headers)


@router.get("/resources/{kind}/{value:path}")
def show_resource(desk: ReaderDesk, kind: str, value: str) -> Response:
    """One resource: its life, the steps that are open, where it was seen."""
    known = _kind(desk, kind)
    with desk.state.store.read() as session:
        life = resources.events(session, known, value)
        sights = find_sights(session, contact=(known, value), limit=PAGE)
        facts = resources.find(session, [(known, value)])
        item = next(iter(_one(session, facts[known, value])), None) if facts else None
        protected = load_protection(session).covers(known, value)
        names = names_of(session)
        named = find_named_view(session, known, value)
        waiting = [row for row in proposals.list_proposals(session, ProposalState.OPEN, None, PAGE) if row.value == value]
    if item is None and not sights and named is None:
        raise ProblemError(404, desk.texts("resource.unknown"), "no-resource")
    steps = [] if item is None else sorted(STEPS[ResourceState(item.state)], key=list(ResourceState).index)
    steps = [step for step in steps if not (protected and step in BLOCKING)]
    return desk.page(
        "resource.html",
        kind=known,
        value=value,
        item=item,
        life=life,
        sights=sights[:_SHOWN],
        named=named,
        count=len(sights),
        protected=protected,
        steps=steps,
        names=names,
        waiting=waiting,
    )


@router.post("/resources/step")
def take_step(
    desk: ExpertDesk,
    kind: Annotated[str, Form(max_length=32)],
    value: Annotated[str, Form(max_length=_MOST_WORDS)],
    state: Annotated[ResourceState, Form()],
    basis: Annotated[str, Form(max_length=_MOST_WORDS)] = "",
    order_number: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Take a resource a step further. Sending it for blocking is only proposed: a second person approves."""
    known, now = _kind(desk, kind), datetime.now(UTC)

    def change(session: Session) -> None:
        if state is ResourceState.SENT:
            proposals.propose(session, Action.SEND, known, value, basis, now)
            return
        resources.set_state(session, known, value, state, basis, order_number)
        follow_resource(session, known, value, now)

    desk.state.store.write(change, desk.actor)
    return RedirectResponse(link(f"/desk/resources/{known}/{value}"), 303)


@router.post("/proposals/{number}")
def decide_proposal(
    desk: ExpertDesk, number: int, word: Annotated[str, Form(pattern="^(approve|decline)$")], why: Annotated[str, Form()] = ""
) -> Response:
    """Approve what somebody else proposed, or decline it."""
    now = datetime.now(UTC)

    def change(session: Session) -> tuple[str, str]:
        if word == "approve":
            row = proposals.approve(session, number, now)
            follow_resource(session, IdentifierKind(row.kind), row.value, now)
        else:
            row = proposals.decline(session, number, why, now)
        return row.kind, row.value

    kind, value = desk.state.store.write(change, desk.actor)
    return RedirectResponse(link(f"/desk/resources/{kind}/{value}"), 303)


def _one(session: Session, number: int) -> list[lists.ListedResource]:
    return lists.resources(session, states=(), kind=None, shop=None, text=None, number=number, after=None, limit=1)


def _kind(desk: Desk, kind: str) -> IdentifierKind:
    if kind not in set(IdentifierKind):
        raise ProblemError(404, desk.texts("resource.unknown"), "no-resource")
    return IdentifierKind(kind)


def _query(pairs: list[tuple[str, str]]) -> str:
    return urlencode([pair for pair in pairs if pair[1]])
