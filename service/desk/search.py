"""The search of the desk: shops, resources, adverts. Cyrillic and Kazakh look-alikes count as the Latin ones."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from ...contract import IdentifierKind
from ...inference.identifiers.fold import latin_view
from ...linking.asked import parse
from ...linking.store import lists
from ...linking.store.sights import find_sights, find_text
from .pages import ReaderDesk, desk_router

router = desk_router()
_MOST = 30
_SHA256 = re.compile(r"[0-9a-f]{64}")


@router.get("/search")
def search(desk: ReaderDesk, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """What fits the words, the same contact first."""
    words = q.strip()
    if _SHA256.fullmatch(words):
        return RedirectResponse(f"/desk/adverts/{words}-0", 303)
    if not words:
        return desk.page("search.html", q=q, resources=[], shops=[], sights=[])
    contacts: list[tuple[IdentifierKind, str]] = list(parse(words).contacts)
    with desk.state.store.read() as session:
        found = lists.resources(session, states=(), kind=None, shop=None, text=words, after=None, limit=_MOST)
        shops = lists.shops(session, words, None, _MOST)
        # SQLite knows upper and lower case of Latin letters only.
        for other in sorted({latin_view(words), words.lower(), words.upper(), words.title()} - {words}):
            shops += [shop for shop in lists.shops(session, other, None, _MOST) if shop not in shops]
        keys = find_text(session, words, _MOST)
        sights = find_sights(session, keys=keys) if keys else []
    exact = set(contacts)
    found.sort(key=lambda item: ((IdentifierKind(item.kind), item.value) not in exact, item.kind, item.value))
    return desk.page("search.html", q=q, resources=found, shops=shops, sights=sights)
