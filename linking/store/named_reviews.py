"""What experts say of contacts that reports name and no photo shows: the same words as of adverts, on contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, Outcome, TagtraceError
from ..life import ResourceState
from .audit import actor_of, note
from .decisions import LinkDecision, Verdict, decide_link
from .protection import load_protection
from .queue_named import Named, load_named
from .queue_rows import touch
from .report_tables import ReportContactRow, ReportRow, named_as
from .resources import find, register, set_state
from .reviews import BY, Contact, plain, take_back_said, unverify, verify_contacts
from .tables import DecisionRow, IdentifierRow, ResourceRow
from .verdicts import NAMED_SUBJECT, Review, Word, not_taken_back, review_of

SAYABLE = frozenset({Word.CONFIRMED, Word.CORRECTED, Word.REJECTED, Word.NOT_ADVERT, Word.SKIPPED})
"""Words that can be said of a contact without a picture."""
_NO_TARGET = "an expert says that it is no target"
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Telling:
    """A report that names a contact, and its words; nothing of it is about the reporter."""

    id: str
    at: datetime
    web: tuple[str, ...]
    text: str
    address: str


def get_named(session: Session, name: str) -> Named | None:
    """The contact that the queue knows by a name, or None."""
    return next(iter(load_named(session, [name])), None)


def tellings(session: Session, name: str) -> list[Telling]:
    """The newest reports that name a contact."""
    rows = select(ReportRow).where(ReportRow.id.in_(select(ReportContactRow.report_id).where(ReportContactRow.named == name)))
    found = session.scalars(rows.order_by(ReportRow.id.desc()).limit(_MOST_TOLD))
    return [Telling(row.id, row.received_at, tuple(map(str, row.web)), row.text, row.address) for row in found]


def reviews_of_contact(session: Session, contact: Contact) -> list[Review]:
    """What was said of a contact, the oldest first."""
    same = (DecisionRow.identifier_kind == contact[0], DecisionRow.identifier_value == contact[1])
    rows = select(DecisionRow).where(DecisionRow.subject == NAMED_SUBJECT, *same)
    return [review_of(row) for row in session.scalars(rows.order_by(DecisionRow.id))]


def review_numbered(session: Session, number: int) -> Review | None:
    """The word with a number; None where it is not on a contact, or takes one back."""
    row = session.get(DecisionRow, number)
    return review_of(row) if row is not None and row.subject == NAMED_SUBJECT and row.verdict != Word.UNDONE else None


def confirm_named(session: Session, contact: Contact, *, verify: bool = False, why: str = "") -> Review:
    """Say that a contact and its link are right as they stand; ``verify`` also that it was looked at and sells.

    Raises ``TagtraceError`` for one that no report names, or that is protected.
    """
    item = _named(session, contact)
    meant, known, outcome = contact, _linked(item), item.link.get("outcome")
    if known is not None and outcome in set(BY):
        decide_link(session, LinkDecision(None, None, contact, BY[Outcome(outcome)], known, why))
        meant = known if outcome == Outcome.MISREAD else contact
    return _take(session, contact, Word.CONFIRMED, [meant], verify, why)


def correct_named(session: Session, contact: Contact, meant: Sequence[Contact], text: str, *, verify: bool, why: str) -> Review:
    """Say what a contact really is: those that a person typed. Raises ``TagtraceError`` where that is none."""
    _named(session, contact)
    protection = load_protection(session)
    wanted = [item for item in dict.fromkeys(meant) if not protection.covers(*item)]
    if not wanted:
        raise TagtraceError("the corrected text holds no contact that may be followed; correct it, or say that it is no advert")
    register(session, wanted, "named in a report")
    target = next((item for item in wanted if item[0] == contact[0]), None)
    if target is not None and target != contact:
        decide_link(session, LinkDecision(None, None, contact, Verdict.MISREAD, target, why))
    return _take(session, contact, Word.CORRECTED, wanted, verify, why, {"texts": [text]})


def refuse_named(session: Session, contact: Contact, word: Word, why: str = "") -> Review:
    """Say that nothing can be done with a contact, or that it is no advert. A resource of no shop that only reports brought
    here is rejected with it."""
    _named(session, contact)
    number = find(session, [contact]).get(contact)
    row = None if number is None else session.get_one(ResourceRow, number)
    shown = exists().where(IdentifierRow.kind == contact[0], IdentifierRow.value == contact[1])
    only_told = row is not None and row.shop_id is None and row.state == ResourceState.IDENTIFIED
    details: dict[str, Any] = {"contacts": []}
    if only_told and not session.scalar(select(shown)):
        set_state(session, *contact, ResourceState.REJECTED, why.strip() or _NO_TARGET)
        details["rejected"] = plain([contact])
    return _record(session, contact, word, why, details)


def skip_named(session: Session, contact: Contact) -> Review:
    """Leave a contact for later."""
    return _record(session, contact, Word.SKIPPED, "", {})


def undo_named(session: Session, review: Review) -> Review:
    """Take back a word on a contact, with what came of it; as ``reviews.undo`` does for adverts."""
    assert review.contact is not None
    contact = review.contact
    if review.actor != actor_of(session):
        raise TagtraceError("only who decided can take a decision back; decide anew instead")
    said = reviews_of_contact(session, contact)
    kept = not_taken_back(said)
    later = [item for item in kept if item.id > review.id and item.word is not Word.SKIPPED]
    if later or all(item.id != review.id for item in kept):
        raise TagtraceError("something was decided after this, or it was taken back already; decide anew instead")
    if review.word in (Word.CONFIRMED, Word.CORRECTED):
        own = [contact, *((IdentifierKind(kind), str(value)) for kind, value in review.details.get("contacts", ()))]
        values = DecisionRow.identifier_value.in_([value for _, value in own])
        after = max((item.id for item in said if item.id < review.id), default=0)
        take_back_said(session, review, after, DecisionRow.photo_sha256.is_(None), values)
    for kind, value in review.details.get("verified", ()):
        unverify(session, (IdentifierKind(kind), value), review)
    for kind, value in review.details.get("rejected", ()):
        rejected = (IdentifierKind(kind), str(value))
        row = session.get_one(ResourceRow, find(session, [rejected])[rejected])
        if row.state == ResourceState.REJECTED:
            set_state(session, *rejected, ResourceState.IDENTIFIED, "the rejection was taken back by who gave it")
    _record(session, contact, Word.UNDONE, "", {"undoes": review.id, "word": review.word})
    return review


def _named(session: Session, contact: Contact) -> Named:
    item = get_named(session, named_as(*contact))
    if item is None:
        raise TagtraceError(f"{contact[0]} {contact[1]}: no report names it")
    if load_protection(session).covers(*contact):
        raise TagtraceError(f"{contact[0]} {contact[1]}: is protected (official or shared); it needs no decision")
    return item


def _linked(item: Named) -> Contact | None:
    """The listed resource that it is linked to."""
    kind, value = item.link.get("kind"), item.link.get("value")
    return None if kind is None or value is None else (IdentifierKind(kind), str(value))


def _take(
    session: Session, contact: Contact, word: Word, meant: Sequence[Contact], verify: bool, why: str,
    more: Mapping[str, Any] | None = None,
) -> Review:  # fmt: skip
    register(session, meant, "named in a report")
    verified = verify_contacts(session, meant, None, why) if verify else []
    details = {"contacts": plain(meant), "read_contacts": plain([contact]), "verified": plain(verified), **(more or {})}
    return _record(session, contact, word, why, details)


def _record(session: Session, contact: Contact, word: Word, why: str, details: Mapping[str, Any]) -> Review:
    number = find(session, [contact]).get(contact)
    row = DecisionRow(
        at=datetime.now(UTC), actor=actor_of(session), subject=NAMED_SUBJECT, verdict=word, why=why.strip(),
        identifier_kind=contact[0], identifier_value=contact[1], resource_id=number, details=dict(details),
    )  # fmt: skip
    session.add(row)
    session.flush()
    note(session, f"contact.{word}", f"{contact[0]} {contact[1]}", {"why": row.why, **row.details})
    touch(session, named=[named_as(*contact)])
    return review_of(row)
