"""Shops: the list, and the case file of one with its resources, sightings, graph and notes."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Form, Query, Response
from fastapi.responses import RedirectResponse

from ...contract import IdentifierKind, TagtraceError
from ...linking.graph import build_graph, to_svg
from ...linking.store import lists, resources
from ...linking.store import shops as rows
from ...linking.store.reviews import add_shop_note, shop_notes
from ...linking.store.sights import Sight, find_sights
from ...linking.store.walls import adverts_of_shop, owners_of
from ..problems import ProblemError
from .advert_view import names_of
from .pages import ExpertDesk, ReaderDesk, desk_router, link
from .plots import Bar, bars

router = desk_router()
PAGE = 100
MOST_SIGHTINGS = 500
_SHOWN = 24
_GRAPH_ADVERTS = 60
_WEEKS = 26
"""Weeks of the time line."""
_MOST_NOTE = 4000


@router.get("/shops")
def list_shops(desk: ReaderDesk, q: Annotated[str, Query(max_length=200)] = "", after: str = "") -> Response:
    """Shops by id; ``q`` is a part of an id, a name or a resource."""
    with desk.state.store.read() as session:
        found = lists.shops(session, q.strip() or None, after or None, PAGE + 1)
    more = link("/desk/shops", q=q, after=found[PAGE - 1][0]) if len(found) > PAGE else ""
    return desk.page("shops.html", found=found[:PAGE], q=q, more=more)


@router.get("/shops/{shop_id}")
def show_shop(desk: ReaderDesk, shop_id: str) -> Response:
    """The case file of a shop. An id that was merged leads to the living one."""
    with desk.state.store.read() as session:
        try:
            shop = rows.get_shop(session, shop_id)
        except TagtraceError as error:
            raise ProblemError(404, str(error), "no-shop") from error
        held = list(resources.list_resources(session, shop_id=shop.id))
        lives = {(record.kind, record.value): resources.events(session, record.kind, record.value) for record in held}
        numbers = resources.find(session, list(lives))
        sights = find_sights(session, shop_id=shop.id, limit=MOST_SIGHTINGS)
        notes = shop_notes(session, shop.id)
        names = names_of(session)
    if shop.id != shop_id:
        return RedirectResponse(link(f"/desk/shops/{shop.id}"), 303)
    own = {(record.kind, record.value) for record in held}
    painted = Counter(contact for sight in sights for contact in set(sight.contacts))
    beside = [(kind, value, count) for (kind, value), count in painted.most_common() if (kind, value) not in own]
    return desk.page(
        "shop.html",
        shop=shop,
        held=held,
        lives=lives,
        numbers=numbers,
        painted=painted,
        beside=beside,
        sights=sights,
        shown=sights[:_SHOWN],
        walls=len({sight.cluster or sight.key for sight in sights}),
        notes=notes,
        names=names,
        timeline=_timeline(sights, desk.texts("shop.timeline")),
    )


@router.get("/shops/{shop_id}/graph.svg")
def show_graph(desk: ReaderDesk, shop_id: str) -> Response:
    """The graph of a shop: its resources, the walls that show them, what is painted beside, stencils."""
    with desk.state.store.read() as session:
        shop = rows.get_shop(session, shop_id)
        adverts = adverts_of_shop(session, shop.id, _GRAPH_ADVERTS)
        own = {(record.kind, record.value) for record in resources.list_resources(session, shop_id=shop.id)}
        shown: set[tuple[IdentifierKind, str]] = own | {contact for advert in adverts for contact in advert.contacts}
        owners = owners_of(session, shown)
        ids = sorted({shop.id, *owners.values()})
        graph = build_graph({number: rows.get_shop(session, number).name for number in ids}, owners, adverts)
    headers = {"Content-Security-Policy": "default-src 'none'", "Cache-Control": "private, no-store"}
    return Response(to_svg(graph), media_type="image/svg+xml", headers=headers)


@router.post("/shops/{shop_id}/notes")
def add_note(desk: ExpertDesk, shop_id: str, note: Annotated[str, Form(max_length=_MOST_NOTE)]) -> Response:
    """Keep a note on a shop."""

    def change(session: object) -> str:
        living = rows.resolve(session, shop_id)  # type: ignore[arg-type]
        add_shop_note(session, living, note)  # type: ignore[arg-type]
        return living

    living = desk.state.store.write(change, desk.actor)
    return RedirectResponse(link(f"/desk/shops/{living}") + "#notes", 303)


def _timeline(sights: list[Sight], title: str) -> str:
    """Sightings per week up to the newest one, as a picture."""
    if not sights:
        return ""
    last = _monday(max(sight.at for sight in sights))
    weeks = [last - timedelta(weeks=n) for n in range(_WEEKS - 1, -1, -1)]
    counts = Counter(_monday(sight.at) for sight in sights)
    return bars([Bar(week.strftime("%d.%m"), counts[week]) for week in weeks], title)


def _monday(at: datetime) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())
