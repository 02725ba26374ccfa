"""What experts say of adverts: confirmed, corrected, rejected, and the rest, in the store; and taking the last word back.

A review is a decision with the subject ``advert``. It is never changed: taking it back is a further one, which opens the advert
again. The reading of the machine stays as it was beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from ...contract import Flag, Identifier, IdentifierKind, Link, Outcome, TagtraceError
from ..life import ResourceState
from ..sightings import Key
from .audit import actor_of, note
from .decisions import LinkDecision, Verdict, decide_link
from .loading import latest_analysis, load_links
from .protection import load_protection
from .resources import find, register, set_state
from .tables import AnalysisRow, DecisionRow, PhotoRow, ResourceRow

Contact = tuple[IdentifierKind, str]
SUBJECT: Final = "advert"
_MOST_IN = 400
_BY = {Outcome.SAME: Verdict.SAME, Outcome.MISREAD: Verdict.MISREAD, Outcome.SIBLING: Verdict.SIBLING}


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
    SKIPPED = "skipped"
    UNDONE = "undone"
    """The word before this one was taken back."""


CLOSING: Final = frozenset({Word.CONFIRMED, Word.CORRECTED, Word.REJECTED, Word.NOT_ADVERT, Word.ANOTHER_PHOTO})
"""Words after which an advert is not in the queue. One that waits for another photo comes back when there is one."""


@dataclass(frozen=True, slots=True)
class Review:
    """One word of a person on an advert (photo and number)."""

    id: int
    at: datetime
    actor: str
    word: Word
    key: Key
    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def confirm(session: Session, key: Key, *, verify: bool = False, why: str = "") -> Review:
    """Say that the contacts of an advert and their links are right; ``verify`` also that its resources were looked at and sell.

    Contacts that are protected or too unsure to be reported are left out. Raises ``TagtraceError`` for an unknown advert.
    """
    identifiers, links = _read(session, key)
    taken: list[Contact] = []
    for item, link in zip(identifiers, links, strict=True):
        own = (item.kind, item.value)
        meant = own
        if link is not None and link.resource is not None and link.outcome in _BY:
            known = (link.resource.kind, link.resource.value)
            decide_link(session, LinkDecision(key[0], key[1], own, _BY[link.outcome], known, why))
            meant = known if link.outcome is Outcome.MISREAD else own
        taken.append(meant)
    register(session, taken, "read off a wall, confirmed by a person")
    verified = _verify(session, taken, key) if verify else []
    return record(session, key, Word.CONFIRMED, why, {"contacts": _plain(taken), "verified": _plain(verified)})


def correct(
    session: Session, key: Key, texts: Sequence[str], contacts: Sequence[Contact], *, verify: bool = False, why: str = ""
) -> Review:
    """Say what an advert really says: the texts of its lines, and the contacts in them (canonical).

    Every contact that was read and is not among them counts as a misread of the one of its kind. Raises ``TagtraceError`` for an
    unknown advert, a wrong number of lines, or no contact at all.
    """
    analysis = latest_analysis(session, key[0])
    if analysis is None or not 0 <= key[1] < len(analysis.adverts):
        raise TagtraceError(f"{key[0][:12]}-{key[1]}: there is no such advert")
    lines = analysis.adverts[key[1]].lines
    if len(texts) != len(lines):
        raise TagtraceError(f"{key[0][:12]}-{key[1]}: has {len(lines)} lines, and {len(texts)} texts were given")
    protection = load_protection(session)
    meant = [contact for contact in dict.fromkeys(contacts) if not protection.covers(*contact)]
    if not meant:
        raise TagtraceError("the corrected text holds no contact that may be followed; correct it, or say that it is no advert")
    register(session, meant, "read off a wall by a person")
    for item in _followed(analysis.adverts[key[1]].identifiers):
        own = (item.kind, item.value)
        target = own if own in meant else next((contact for contact in meant if contact[0] == item.kind), None)
        if target is not None:
            verdict = Verdict.SAME if target == own else Verdict.MISREAD
            decide_link(session, LinkDecision(key[0], key[1], own, verdict, target, why))
    verified = _verify(session, meant, key) if verify else []
    said = {"texts": list(texts), "read": [line.reading.text for line in lines]}
    return record(session, key, Word.CORRECTED, why, said | {"contacts": _plain(meant), "verified": _plain(verified)})


def record(session: Session, key: Key, word: Word, why: str = "", details: Mapping[str, Any] | None = None) -> Review:
    """Write a word down, without any of its consequences."""
    row = DecisionRow(
        at=datetime.now(UTC),
        actor=actor_of(session),
        subject=SUBJECT,
        verdict=word,
        why=why.strip(),
        photo_sha256=key[0],
        advert=key[1],
        details=dict(details or {}),
    )
    session.add(row)
    session.flush()
    note(session, f"advert.{word}", f"advert {key[0]}-{key[1]}", {"why": row.why, **row.details})
    return _review(row)


def undo(session: Session, number: int) -> Review:
    """Take back a word: the advert is open again, links and verifications that came of it are taken back too.

    Only the last word on an advert can be taken back, and only by who gave it. Gives what was taken back. Joined clusters are the
    caller's to split. Raises ``TagtraceError`` where it cannot be done.
    """
    row = session.get(DecisionRow, number)
    if row is None or row.subject != SUBJECT or row.verdict == Word.UNDONE:
        raise TagtraceError("there is nothing to take back")
    review = _review(row)
    if review.actor != actor_of(session):
        raise TagtraceError("only who decided can take a decision back; decide anew instead")
    history = reviews_of(session, [review.key])
    if not history or history[-1].id != number:
        raise TagtraceError("something was decided after this; decide anew instead")
    for kind, value in review.details.get("verified", ()):
        _unverify(session, (IdentifierKind(kind), value))
    if review.word in (Word.CONFIRMED, Word.CORRECTED):
        _forget_links(session, review)
    record(session, review.key, Word.UNDONE, "", {"undoes": number, "word": review.word})
    return review


def reviews_of(session: Session, keys: Collection[Key]) -> list[Review]:
    """What was said of some adverts, the oldest first."""
    wanted, found = sorted(set(keys)), []
    for start in range(0, len(wanted), _MOST_IN):
        part = tuple_(DecisionRow.photo_sha256, DecisionRow.advert).in_(wanted[start : start + _MOST_IN])
        found += list(session.scalars(select(DecisionRow).where(DecisionRow.subject == SUBJECT, part)))
    return [_review(row) for row in sorted(found, key=lambda row: row.id)]


def last_by(session: Session, actor: str) -> Review | None:
    """The last word of a person that can be taken back, or None."""
    rows = select(DecisionRow).where(DecisionRow.subject == SUBJECT, DecisionRow.actor == actor)
    undone: set[int] = set()
    for row in session.scalars(rows.order_by(DecisionRow.id.desc()).limit(_MOST_IN)):
        if row.verdict == Word.UNDONE:
            undone.add(int(row.details.get("undoes", 0)))
        elif row.id not in undone:
            return _review(row)
    return None


def count_by(session: Session, actor: str, since: datetime) -> int:
    """How many adverts a person has decided since a moment; skipped and undone ones do not count."""
    rows = select(DecisionRow.verdict).where(DecisionRow.subject == SUBJECT, DecisionRow.actor == actor, DecisionRow.at >= since)
    words = list(session.scalars(rows))
    return sum(word not in (Word.SKIPPED, Word.UNDONE) for word in words) - sum(word == Word.UNDONE for word in words)


def add_shop_note(session: Session, shop_id: str, text: str) -> None:
    """Keep a note on a shop. Raises ``TagtraceError`` for an empty one."""
    if not text.strip():
        raise TagtraceError("a note needs words")
    session.add(
        DecisionRow(
            at=datetime.now(UTC), actor=actor_of(session), subject="shop", verdict="note", why=text.strip(), shop_id=shop_id,
            details={},
        )
    )  # fmt: skip
    note(session, "shop.note", shop_id, {"note": text.strip()})


def shop_notes(session: Session, shop_id: str) -> list[tuple[datetime, str, str, str]]:
    """Time, person, verdict (``note``, ``merge``, ``split``) and words of what was decided and noted on a shop, newest first."""
    rows = select(DecisionRow.at, DecisionRow.actor, DecisionRow.verdict, DecisionRow.why)
    rows = rows.where(DecisionRow.subject == "shop", DecisionRow.shop_id == shop_id).order_by(DecisionRow.id.desc())
    return [(at, actor, verdict, why) for at, actor, verdict, why in session.execute(rows)]


def _read(session: Session, key: Key) -> tuple[list[Identifier], list[Link | None]]:
    """The contacts of an advert that may be followed, and their links."""
    number = session.scalar(
        select(AnalysisRow.id)
        .join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        .where(PhotoRow.sha256 == key[0], AnalysisRow.latest)
    )
    analysis = None if number is None else latest_analysis(session, key[0])
    if number is None or analysis is None or not 0 <= key[1] < len(analysis.adverts):
        raise TagtraceError(f"{key[0][:12]}-{key[1]}: there is no such advert")
    identifiers = analysis.adverts[key[1]].identifiers
    kept = set(map(id, _followed(identifiers)))
    pairs = [
        pair for pair in zip(identifiers, load_links(session, number)[key[1]], strict=True) if id(pair[0]) in kept
    ]  # fmt: skip
    return [item for item, _ in pairs], [link for _, link in pairs]


def _followed(identifiers: Sequence[Identifier]) -> list[Identifier]:
    return [item for item in identifiers if not {Flag.PROTECTED, Flag.UNSURE, Flag.OBSOLETE} & set(item.flags)]


def _verify(session: Session, contacts: Sequence[Contact], key: Key) -> list[Contact]:
    """Take those that nobody has verified to ``verified``; gives them."""
    numbers = find(session, contacts)
    states = {
        row.id: row.state
        for row in session.execute(select(ResourceRow.id, ResourceRow.state).where(ResourceRow.id.in_(numbers.values())))
    }
    done = []
    for contact in dict.fromkeys(contacts):
        if states[numbers[contact]] == ResourceState.IDENTIFIED:
            set_state(session, *contact, ResourceState.VERIFIED, f"looked at with advert {key[0][:12]}-{key[1]}")
            done.append(contact)
    return done


def _unverify(session: Session, contact: Contact) -> None:
    """Back to ``identified``, by the steps that a life knows; one that has gone further stays."""
    rows = select(ResourceRow.state).where(ResourceRow.kind == contact[0], ResourceRow.value == contact[1])
    if session.scalar(rows) == ResourceState.VERIFIED:
        set_state(session, *contact, ResourceState.REJECTED, "the verification was taken back by who gave it")
        set_state(session, *contact, ResourceState.IDENTIFIED, "the verification was taken back by who gave it")


def _forget_links(session: Session, review: Review) -> None:
    """Take back the verdicts on links that came with a review: those of the same person, advert and moment."""
    rows = select(DecisionRow).where(
        DecisionRow.subject == "link",
        DecisionRow.photo_sha256 == review.key[0],
        DecisionRow.advert == review.key[1],
        DecisionRow.actor == review.actor,
        DecisionRow.id < review.id,
    )
    earlier = [item.id for item in reviews_of(session, [review.key]) if item.id < review.id]
    since = max(earlier, default=0)
    for row in list(session.scalars(rows.where(DecisionRow.id > since))):
        session.add(
            DecisionRow(
                at=datetime.now(UTC), actor=actor_of(session), subject="link", verdict="undone", why="taken back",
                photo_sha256=row.photo_sha256, advert=row.advert, identifier_kind=row.identifier_kind,
                identifier_value=row.identifier_value, resource_id=row.resource_id, shop_id=row.shop_id, details={},
            )
        )  # fmt: skip


def _review(row: DecisionRow) -> Review:
    return Review(
        row.id, row.at, row.actor, Word(row.verdict), (str(row.photo_sha256), int(row.advert or 0)), row.why, row.details
    )


def _plain(contacts: Sequence[Contact]) -> list[list[str]]:
    return [[kind.value, value] for kind, value in contacts]
