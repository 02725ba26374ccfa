"""The queue: one advert after the other, decided by single keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Form, Query, Response
from fastapi.responses import RedirectResponse

from ...linking.store.queue import Chosen, Entry, count_open, wall_of
from ...linking.store.report_tables import named_as
from ...linking.store.reviews import Review, Word, count_by
from ...linking.store.sights import near_clusters, resource_facts
from ...linking.store.verdicts import standing
from ..problems import ProblemError
from .advert_view import AdvertView, key_of, load_view, names_of
from .claims import bring_back, next_for, take
from .deciding import Said, contacts_in, decide, take_back_last
from .named_view import NamedView, is_named, load_named_view
from .pages import Desk, ExpertDesk, ReaderDesk, desk_router, link

router = desk_router()
SKIPPED_FOR = timedelta(hours=12)
"""So long a skipped advert is not shown to the same person again."""
MOST_CANDIDATES = 9
"""As many as there are digits to choose with."""
AHEAD = 3
"""Adverts whose pictures the browser asks for before they are shown: covering a photo takes a second."""
_MOST_TEXT = 2000
_SAYABLE = frozenset(Word) - {Word.UNDONE, Word.WAITED}
VERIFIED = "+"


@router.get("/queue")
def show_queue(desk: ReaderDesk, part: Chosen = Chosen.ALL, advert: str = "", done: str = "") -> Response:
    """The next advert, or the one that is named; ``done`` is the decision that led here from a page without scripts."""
    said = desk.texts(f"done.{done}") if done in _SAYABLE else ""
    return desk.page("queue.html", **_next(desk, part, advert) | {"message": said, "whole": True})


@router.post("/queue/decide")
def decide_one(
    desk: ExpertDesk,
    advert: Annotated[str, Form(max_length=80)],
    word: Annotated[str, Form(max_length=20)],
    part: Annotated[Chosen, Form()] = Chosen.ALL,
    why: Annotated[str, Form(max_length=_MOST_TEXT)] = "",
    other: Annotated[str, Form(max_length=80)] = "",
    seen: Annotated[int, Form()] = 0,
    text: Annotated[list[str] | None, Form(max_length=200)] = None,
) -> Response:
    """Do what the expert says, and show the next advert.

    ``word`` is a ``Word``, with ``+`` behind it where the resources were looked at, too; ``seen`` the last review that the page
    knew.
    """
    plain = word.removesuffix(VERIFIED)
    if plain not in _SAYABLE:
        raise ProblemError(422, "There is no such decision.")
    named = None
    with desk.state.store.read() as session:
        if is_named(advert):
            found = load_named_view(session, advert)
            key, named, standing = ("", 0), found.contact, _standing(found)
        else:
            key = key_of(advert)
            standing = _standing(load_view(session, key))
    if plain != Word.SKIPPED and standing is not None and standing.id > seen:
        raise ProblemError(409, desk.texts("queue.decided_meanwhile"), "decided")
    same = key_of(other) if other else None
    said = Said(key, Word(plain), word.endswith(VERIFIED), why, tuple(text or ()), same, named)
    decide(desk.state.store, desk.state.register, desk.actor, said)
    return _after(desk, part, desk.texts(f"done.{plain}"), done=plain)


@router.post("/queue/undo")
def undo_one(desk: ExpertDesk, part: Annotated[Chosen, Form()] = Chosen.ALL) -> Response:
    """Take the last decision back and show its advert again."""
    review = take_back_last(desk.state.store, desk.actor)
    said = desk.texts("done.undone", word=desk.texts(f"word.{review.word}"))
    name = f"{review.key[0]}-{review.key[1]}" if review.contact is None else named_as(*review.contact)
    return _after(desk, part, said, name)


@router.post("/queue/extract")
def extract(desk: ExpertDesk, text: Annotated[list[str], Form(max_length=200)]) -> Response:
    """The contacts in texts that are being typed, and whose they are."""
    contacts = contacts_in([line[:_MOST_TEXT] for line in text])
    with desk.state.store.read() as session:
        facts = resource_facts(session, contacts)
    found = [(kind, value, *facts.get((kind, value), ("", None))) for kind, value in contacts]
    return desk.page("part_extract.html", found=found)


@router.get("/queue/candidates")
def candidates(desk: ExpertDesk, advert: Annotated[str, Query(max_length=80)], part: Chosen = Chosen.ALL) -> Response:
    """Adverts that it may be the same as, to choose from by a digit."""
    with desk.state.store.read() as session:
        view = load_view(session, key_of(advert))
        found = near_clusters(session, view.key, MOST_CANDIDATES)
    whole = desk.request.headers.get("hx-request") != "true"
    page = "candidates.html" if whole else "part_candidates.html"
    return desk.page(page, view=view, found=found, part=part, standing=_standing(view))


def _after(desk: Desk, part: Chosen, message: str, advert: str = "", done: str = "") -> Response:
    if desk.request.headers.get("hx-request") != "true":
        return RedirectResponse(link("/desk/queue", part=part if part is not Chosen.ALL else "", advert=advert, done=done), 303)
    page = desk.page("part_queue.html", **_next(desk, part, advert) | {"message": message})
    page.headers["HX-Push-Url"] = link("/desk/queue", part=part if part is not Chosen.ALL else "")
    return page


def _next(desk: Desk, part: Chosen, advert: str) -> dict[str, Any]:
    """What the page of the queue shows."""
    now = datetime.now(UTC)
    since = now - SKIPPED_FOR
    store, settings = desk.state.store, desk.state.settings
    bring_back(store, settings)
    entries = next_for(store, settings, desk.actor, since, part, AHEAD, keep=desk.may_decide and not advert)
    with store.read() as session:
        counts = count_open(session, desk.actor, since)
        entry: Entry | None = entries[0] if entries and not advert else None
        name = advert or (entry.wall if entry is not None and entry.named else "")
        named = load_named_view(session, name) if is_named(name) else None
        view = None
        if named is None and (advert or entry is not None):
            view = load_view(session, key_of(advert) if entry is None else entry.key)
        following = [item for item in entries if not item.named and (view is None or item.key != view.key)][:AHEAD]
        done = count_by(session, desk.actor, now - timedelta(hours=1))
        names = names_of(session)
    shown = view if named is None else named
    if advert and desk.may_decide:
        take(store, settings, desk.actor, advert if view is None else wall_of(view.key, view.own.cluster))
    return {
        "view": view,
        "named": named,
        "name": shown.name if shown is not None else "",
        "entry": entry,
        "part": part,
        "parts": list(Chosen),
        "counts": counts,
        "done": done,
        "names": names,
        "standing": None if shown is None else _standing(shown),
        "following": following,
        "message": "",
    }


def _standing(view: AdvertView | NamedView) -> Review | None:
    """The decision on the advert's cluster, or on the contact, that stands, if any."""
    return max(standing(view.reviews).values(), key=lambda review: review.id, default=None)


__all__ = ["router"]
