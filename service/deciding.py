"""What the API and the review desk share of deciding: how typed contacts link, and what follows from a decision or its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..contract import Advert, Identifier, IdentifierKind, Link
from ..linking.shops import link_advert
from ..linking.sightings import Key
from ..linking.store import named_reviews, reports, reviews
from ..linking.store.reviews import Review, Word
from ..linking.store.tracks import follow_resource
from .joining import part_adverts
from .register import Register

Session = Any
Contact = tuple[IdentifierKind, str]
_POINT = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def links_of(register: Register, contacts: Sequence[Contact]) -> dict[Contact, Link]:
    """How contacts that a person typed stand to the register: they are read surely, so none is a misread."""
    wanted = list(dict.fromkeys(contacts))
    typed = tuple(Identifier(kind, value, value, 1.0) for kind, value in wanted)
    return dict(zip(wanted, link_advert(Advert(_POINT, identifiers=typed), register.shops()), strict=True))


def take_back(session: Session, number: int, now: datetime) -> Review:
    """Take a decision about an advert or a named contact back, with what came of it. Raises ``TagtraceError``
    where it cannot be taken back."""
    named = named_reviews.review_numbered(session, number)
    if named is not None:
        review = named_reviews.undo_named(session, named)
        follow_contacts(session, review, now)
        return review
    review = reviews.undo(session, number)
    if review.word is Word.SAME_AS:
        part_adverts(session, review, now)
    if review.word is Word.ANOTHER_PHOTO:
        tell_reports(session, review.key, "another_photo_not_needed", now)
    follow_contacts(session, review, now)
    return review


def follow_contacts(session: Session, review: Review, now: datetime) -> None:
    """Bring the blocking tracks of all adverts that show the contacts of a decision to where those stand."""
    named = [*review.details.get("contacts", ()), *review.details.get("read_contacts", ())]
    for kind, value in sorted({(str(kind), str(value)) for kind, value in named}):
        follow_resource(session, IdentifierKind(kind), value, now)


def tell_reports(session: Session, key: Key, event: str, now: datetime) -> None:
    """Write down on the reports that show an advert, and tell their systems, that another photo is wanted, or no longer."""
    for report in reports.reports_showing(session, key[0]):
        reports.add_event(session, report.id, event, {"advert": key[1]}, now)
        reports.announce(session, report, {"event": f"report.{event}", "photo": key[0], "advert": key[1]}, now)
