"""What the pages show of a contact that reports name: as it was sent, its proposal, the words of reports, decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...contract import Band, Evidence, Flag, Identifier, IdentifierKind, Link, Outcome, Resource
from ...linking.store.named_reviews import Telling, get_named, reviews_of_contact, tellings
from ...linking.store.report_tables import NAMED, named_as
from ...linking.store.reviews import Review
from ..problems import ProblemError
from .advert_view import ContactView, contacts_view

Session = Any


@dataclass(frozen=True, slots=True)
class NamedView:
    """Everything on the page of a contact without a picture. Addresses and words of reports are plain text, never links."""

    name: str
    contact: tuple[IdentifierKind, str]
    raw: str
    """As the newest report says it."""
    item: ContactView
    reports: tuple[Telling, ...]
    count: int
    """Of reports that name it; ``reports`` are the newest of them."""
    reviews: tuple[Review, ...]

    @property
    def events(self) -> tuple[tuple[datetime, str, str, str], ...]:
        """Time, person, what, why; the newest first."""
        return tuple((item.at, item.actor, f"word.{item.word}", item.why) for item in reversed(self.reviews))


def is_named(name: str) -> bool:
    """Whether a name is that of a contact, and not of an advert."""
    return name.startswith(NAMED)


def load_named_view(session: Session, name: str) -> NamedView:
    """A contact with everything around it. Raises ``ProblemError`` 404 for one that no report names."""
    found = get_named(session, name)
    if found is None:
        raise ProblemError(404, "There is no such contact.", "no-contact")
    kind = IdentifierKind(found.kind)
    flags = tuple(Flag(flag) for flag in found.content["flags"])
    item = Identifier(kind, found.value, found.content["raw"], float(found.content["confidence"]), flags=flags)
    (view,) = contacts_view(session, [item], [_link(found.link)])
    said = reviews_of_contact(session, (kind, found.value))
    told = tellings(session, name)
    return NamedView(name, (kind, found.value), item.raw, view, tuple(told), found.reports, tuple(said))


def find_named_view(session: Session, kind: IdentifierKind, value: str) -> NamedView | None:
    """``load_named_view`` by kind and value; None for a contact that no report names."""
    name = named_as(kind, value)
    return None if get_named(session, name) is None else load_named_view(session, name)


def _link(link: dict[str, Any]) -> Link | None:
    if not link:
        return None
    shop = link["shop_id"]
    meant = None
    if link["kind"] is not None and link["value"] is not None:
        meant = Resource(IdentifierKind(link["kind"]), link["value"], shop or "", link["shop_name"])
    steps = tuple(Evidence(step["name"], step["nats"], step["text"]) for step in link["evidence"])
    probability, reasons = float(link["probability"]), tuple(link["reasons"])
    return Link(Outcome(link["outcome"]), probability, shop, meant, reasons, steps, Band(link["band"]))
