"""The words of experts on adverts, as the store keeps them, and which of them stands.

A review is a decision with the subject ``advert``. It is never changed: taking it back is a further one, and then the one before
it stands again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from ...contract import IdentifierKind
from ..sightings import Key
from .tables import DecisionRow

SUBJECT: Final = "advert"
NAMED_SUBJECT: Final = "contact"
"""Of words on a contact that reports name, which no photo shows."""
SUBJECTS: Final = (SUBJECT, NAMED_SUBJECT)
_MOST_IN = 400


class Word(StrEnum):
    """What a person says of an advert."""

    CONFIRMED = "confirmed"
    """It is an advert, and its contacts and links are right."""
    CORRECTED = "corrected"
    """It is an advert, and says something else than was read."""
    REJECTED = "rejected"
    """It may be an advert, and nothing can be done with it."""
    NOT_ADVERT = "not_advert"
    SAME_AS = "same_as"
    """Another sighting of an advert that is known: their clusters are one."""
    ANOTHER_PHOTO = "another_photo"
    """It cannot be read; the reporter is asked for another photo."""
    WAITED = "waited"
    """No other photo came in time. The desk says it itself, and the advert is in the queue again."""
    SKIPPED = "skipped"
    UNDONE = "undone"
    """The word before this one was taken back."""


DECIDING: Final = frozenset({Word.CONFIRMED, Word.CORRECTED, Word.REJECTED, Word.NOT_ADVERT})
"""Words after which an advert is decided about."""
CLOSING: Final = DECIDING | {Word.ANOTHER_PHOTO, Word.WAITED}
"""Words that stand on an advert until the next of them. One that waits for another photo comes back when there is one, or when
none came in time."""


@dataclass(frozen=True, slots=True)
class Review:
    """One word of a person on an advert (photo and number), or on a contact that reports name; then its key is ``("", 0)``."""

    id: int
    at: datetime
    actor: str
    word: Word
    key: Key
    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    contact: tuple[IdentifierKind, str] | None = None


def review_of(row: DecisionRow) -> Review:
    """The review that a row is."""
    key = (str(row.photo_sha256 or ""), int(row.advert or 0))
    named = row.subject == NAMED_SUBJECT
    contact = (IdentifierKind(str(row.identifier_kind)), str(row.identifier_value)) if named else None
    return Review(row.id, row.at, row.actor, Word(row.verdict), key, row.why, row.details, contact)


def reviews_of(session: Session, keys: Collection[Key]) -> list[Review]:
    """What was said of some adverts, the oldest first."""
    wanted, found = sorted(set(keys)), []
    for start in range(0, len(wanted), _MOST_IN):
        part = tuple_(DecisionRow.photo_sha256, DecisionRow.advert).in_(wanted[start : start + _MOST_IN])
        found += list(session.scalars(select(DecisionRow).where(DecisionRow.subject == SUBJECT, part)))
    return [review_of(row) for row in sorted(found, key=lambda row: row.id)]


def reviews_of_photo(session: Session, sha256: str) -> list[Review]:
    """What was said of the adverts of a photo, the oldest first."""
    rows = select(DecisionRow).where(DecisionRow.subject == SUBJECT, DecisionRow.photo_sha256 == sha256)
    return [review_of(row) for row in session.scalars(rows.order_by(DecisionRow.id))]


def not_taken_back(reviews: Iterable[Review]) -> list[Review]:
    """The words that were not taken back, in their order; ``reviews`` are the oldest first and may be of several adverts."""
    kept: dict[int, Review] = {}
    for review in reviews:
        if review.word is Word.UNDONE:
            kept.pop(int(review.details.get("undoes", 0)), None)
        else:
            kept[review.id] = review
    return list(kept.values())


def standing(reviews: Sequence[Review]) -> dict[Key, Review]:
    """Of each advert the word that stands: the last that closes it and was not taken back."""
    return {review.key: review for review in not_taken_back(reviews) if review.word in CLOSING}
