"""What experts say of adverts: confirmed, corrected, rejected, and the rest, in the store; and taking the last word back.

A word is never changed: taking it back is a further one, and then the one before it stands again. What the machine read stays
beside what a person says (``rulings``), and contacts and links follow at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ...contract import Advert, IdentifierKind, Link, Outcome, TagtraceError
from ..life import ResourceState
from ..sightings import Key
from .audit import actor_of, note
from .decisions import LinkDecision, Verdict, decide_link
from .loading import latest_with_links
from .protection import load_protection
from .queue_rows import touch
from .queue_walls import wall_at
from .report_tables import named_as
from .resources import confirm_verification, find, register, set_state
from .rulings import LEFT_OUT, restore_advert, settle
from .tables import DecisionRow, ResourceRow
from .verdicts import CLOSING, SUBJECT, SUBJECTS, Review, Word, not_taken_back, review_of, reviews_of, standing

Contact = tuple[IdentifierKind, str]
_MOST_IN = 400
BY = {Outcome.SAME: Verdict.SAME, Outcome.MISREAD: Verdict.MISREAD, Outcome.SIBLING: Verdict.SIBLING}
_SELLS = "sells"
"""What a person says of a resource that was looked at with an advert."""


def confirm(session: Session, key: Key, *, verify: bool = False, why: str = "") -> Review:
    """Say that the contacts of an advert and their links are right as they stand; ``verify`` also that its resources were looked
    at and sell.

    Contacts that are protected or too unsure to be reported are left out. Raises ``TagtraceError`` for an unknown advert.
    """
    advert, links = _advert(session, key)
    pairs = [(item, link) for item, link in zip(advert.identifiers, links, strict=True) if not LEFT_OUT & set(item.flags)]
    taken: list[Contact] = []
    ruled: list[list[str]] = []
    for item, link in pairs:
        own = (item.kind, item.value)
        meant = own
        if link is not None and link.resource is not None and link.outcome in BY:
            known = (link.resource.kind, link.resource.value)
            decide_link(session, LinkDecision(key[0], key[1], own, BY[link.outcome], known, why))
            ruled.append([own[0].value, own[1], link.outcome.value, known[0].value, known[1]])
            meant = known if link.outcome is Outcome.MISREAD else own
        taken.append(meant)
    taken = list(dict.fromkeys(taken))
    register(session, taken, "read off a wall, confirmed by a person")
    verified = verify_contacts(session, taken, key, why) if verify else []
    said = _shown(advert, links) | {"links": ruled, "contacts": plain(taken), "verified": plain(verified)}
    before = standing(reviews_of(session, [key])).get(key)
    if before is not None and "texts" in before.details:
        # What is confirmed is what a person had read, not what the machine had.
        kept = ("texts", "read", "read_contacts", "proposed")
        said |= {name: before.details[name] for name in kept if name in before.details}
    return record(session, key, Word.CONFIRMED, why, said)


def correct(
    session: Session,
    key: Key,
    texts: Sequence[str],
    contacts: Sequence[Contact],
    *,
    verify: bool = False,
    why: str = "",
    links: Mapping[Contact, Link] | None = None,
) -> Review:
    """Say what an advert really says: the texts of its lines, and the contacts in them (canonical).

    From now on these are its contacts, with ``links`` where linking gave some; what was read is set aside. Every contact that was
    read and is not among them counts as a misread of the one of its kind. Raises ``TagtraceError`` for an unknown advert, a wrong
    number of lines, or no contact at all.
    """
    # What the machine read is corrected, not what somebody said before.
    restore_advert(session, key)
    advert, read = _advert(session, key)
    if len(texts) != len(advert.lines):
        raise TagtraceError(f"{key[0][:12]}-{key[1]}: has {len(advert.lines)} lines, and {len(texts)} texts were given")
    protection = load_protection(session)
    meant = [contact for contact in dict.fromkeys(contacts) if not protection.covers(*contact)]
    if not meant:
        raise TagtraceError("the corrected text holds no contact that may be followed; correct it, or say that it is no advert")
    register(session, meant, "read off a wall by a person")
    for item in advert.identifiers:
        own = (item.kind, item.value)
        target = own if own in meant else next((contact for contact in meant if contact[0] == item.kind), None)
        if target is not None and not LEFT_OUT & set(item.flags):
            verdict = Verdict.SAME if target == own else Verdict.MISREAD
            decide_link(session, LinkDecision(key[0], key[1], own, verdict, target, why))
    verified = verify_contacts(session, meant, key, why) if verify else []
    said = _shown(advert, read) | {"texts": list(texts), "contacts": plain(meant), "verified": plain(verified)}
    return record(session, key, Word.CORRECTED, why, said, links)


def record(
    session: Session,
    key: Key,
    word: Word,
    why: str = "",
    details: Mapping[str, Any] | None = None,
    links: Mapping[Contact, Link] | None = None,
) -> Review:
    """Write a word down, and make the rows of the advert follow it. Clusters and resources are the caller's."""
    said = dict(details or {})
    if word in CLOSING:
        said |= _place(session, key, said.get("contacts", ()))
    row = DecisionRow(
        at=datetime.now(UTC),
        actor=actor_of(session),
        subject=SUBJECT,
        verdict=word,
        why=why.strip(),
        photo_sha256=key[0],
        advert=key[1],
        details=said,
    )
    session.add(row)
    session.flush()
    note(session, f"advert.{word}", f"advert {key[0]}-{key[1]}", {"why": row.why, **row.details})
    touch(session, named=_names(said))
    if word in CLOSING or word is Word.UNDONE:
        settle(session, key, links)
    else:
        touch(session, photos=[key[0]])
    return review_of(row)


def _names(details: Mapping[str, Any]) -> list[str]:
    """The names in the queue of the contacts of a word: who decides about an advert decides about what reports say of it, too."""
    return [named_as(str(kind), str(value)) for part in ("contacts", "read_contacts") for kind, value in details.get(part, ())]


def _place(session: Session, key: Key, contacts: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Where the advert lies in its photo, and what is known of all its sightings when it is decided about: what is seen on it
    later and is not among this is new."""
    found = latest_with_links(session, key[0])
    wall = wall_at(session, key)
    known = {(str(kind), str(value)) for kind, value in contacts} | (wall.known() if wall is not None else set())
    placed: dict[str, Any] = {"known": [list(contact) for contact in sorted(known)]}
    placed |= {"sightings": len(wall.adverts)} if wall is not None else {}
    if found is not None and 0 <= key[1] < len(found[0].adverts):
        placed["quad"] = [[float(x), float(y)] for x, y in found[0].adverts[key[1]].quad]
    return placed


def undo(session: Session, number: int) -> Review:
    """Take back a word: the one before it stands again, or the advert is open; links and verifications that came of it are taken
    back too.

    Only the last word on an advert can be taken back, and only by who gave it. Gives what was taken back. Joined clusters are the
    caller's to split. Raises ``TagtraceError`` where it cannot be done.
    """
    row = session.get(DecisionRow, number)
    if row is None or row.subject != SUBJECT or row.verdict == Word.UNDONE:
        raise TagtraceError("there is nothing to take back")
    review = review_of(row)
    if review.actor != actor_of(session):
        raise TagtraceError("only who decided can take a decision back; decide anew instead")
    kept = not_taken_back(reviews_of(session, [review.key]))
    # That somebody skipped it later says nothing of the advert.
    later = [item for item in kept if item.id > number and item.word is not Word.SKIPPED]
    if later or all(item.id != number for item in kept):
        raise TagtraceError("something was decided after this, or it was taken back already; decide anew instead")
    if review.word in (Word.CONFIRMED, Word.CORRECTED):
        _take_back(session, review)
    for kind, value in review.details.get("verified", ()):
        unverify(session, (IdentifierKind(kind), value), review)
    touch(session, named=_names(review.details))
    record(session, review.key, Word.UNDONE, "", {"undoes": number, "word": review.word})
    return review


def last_by(session: Session, actor: str) -> Review | None:
    """The last word of a person that can be taken back, or None."""
    rows = select(DecisionRow).where(DecisionRow.subject.in_(SUBJECTS), DecisionRow.actor == actor)
    undone: set[int] = set()
    for row in session.scalars(rows.order_by(DecisionRow.id.desc()).limit(_MOST_IN)):
        if row.verdict == Word.UNDONE:
            undone.add(int(row.details.get("undoes", 0)))
        elif row.id not in undone:
            return review_of(row)
    return None


def count_by(session: Session, actor: str, since: datetime) -> int:
    """How many adverts a person has decided since a moment; skipped and undone ones do not count."""
    rows = select(DecisionRow.verdict).where(
        DecisionRow.subject.in_(SUBJECTS), DecisionRow.actor == actor, DecisionRow.at >= since
    )
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


def _advert(session: Session, key: Key) -> tuple[Advert, Sequence[Link | None]]:
    """An advert as its rows have it, and its links. Raises ``TagtraceError`` for an unknown one."""
    found = latest_with_links(session, key[0])
    if found is None or not 0 <= key[1] < len(found[0].adverts):
        raise TagtraceError(f"{key[0][:12]}-{key[1]}: there is no such advert")
    return found[0].adverts[key[1]], found[1][key[1]]


def _shown(advert: Advert, links: Sequence[Link | None]) -> dict[str, Any]:
    """What was read and proposed when a word was said: how good that was is counted from this."""
    pairs = [(item, link) for item, link in zip(advert.identifiers, links, strict=True) if not LEFT_OUT & set(item.flags)]
    read = [(item.kind, item.value) for item, _ in pairs]
    proposed = [
        [item.kind.value, item.value, link.outcome.value, link.resource.kind.value, link.resource.value]
        for item, link in pairs
        if link is not None and link.resource is not None
    ]
    texts = [line.reading.text for line in advert.lines]
    return {"read": texts, "read_contacts": plain(list(dict.fromkeys(read))), "proposed": proposed}


def verify_contacts(session: Session, contacts: Sequence[Contact], key: Key | None, why: str) -> list[Contact]:
    """Write down that contacts sell, and take those that nobody has verified to ``verified``; gives them. They were looked at
    with an advert, or as reports name them (None)."""
    basis = f"looked at with advert {key[0][:12]}-{key[1]}" if key is not None else "looked at as reports name it"
    numbers = find(session, contacts)
    states = {
        row.id: row.state
        for row in session.execute(select(ResourceRow.id, ResourceRow.state).where(ResourceRow.id.in_(numbers.values())))
    }
    done = []
    for contact in dict.fromkeys(contacts):
        number = numbers[contact]
        session.add(_decision(actor_of(session), key, contact, number, why))
        if states[number] == ResourceState.IDENTIFIED:
            set_state(session, *contact, ResourceState.VERIFIED, basis)
            done.append(contact)
    session.flush()
    return done


def _decision(actor: str, key: Key | None, contact: Contact, resource: int, why: str) -> DecisionRow:
    return DecisionRow(
        at=datetime.now(UTC), actor=actor, subject="resource", verdict=_SELLS, why=why,
        photo_sha256=None if key is None else key[0], advert=None if key is None else key[1],
        identifier_kind=contact[0], identifier_value=contact[1], resource_id=resource, details={},
    )  # fmt: skip


def unverify(session: Session, contact: Contact, review: Review) -> None:
    """Back to ``identified``, unless somebody else's word still says that it sells; one that has gone further stays."""
    rows = select(ResourceRow.id).where(ResourceRow.kind == contact[0], ResourceRow.value == contact[1])
    number = session.scalar(rows.where(ResourceRow.state == ResourceState.VERIFIED))
    if number is None:
        return
    said = select(DecisionRow).where(DecisionRow.subject == "resource", DecisionRow.resource_id == number)
    words = list(session.scalars(said.order_by(DecisionRow.id)))
    undone = {int(row.details.get("undoes", 0)) for row in words if row.verdict == Word.UNDONE}
    others = [row for row in words if row.verdict == _SELLS and row.id not in undone]
    if others:
        confirm_verification(session, *contact, others[-1].actor, others[-1].id, review.actor)
    else:
        set_state(session, *contact, ResourceState.IDENTIFIED, "the verification was taken back by who gave it")


def _take_back(session: Session, review: Review) -> None:
    """Take back what was said of links and resources together with a review: by the same person, of the same advert, before it
    and after the review before it."""
    earlier = [item.id for item in reviews_of(session, [review.key]) if item.id < review.id]
    same = (DecisionRow.photo_sha256 == review.key[0], DecisionRow.advert == review.key[1])
    take_back_said(session, review, max(earlier, default=0), *same)


def take_back_said(session: Session, review: Review, after: int, *same: ColumnElement[bool]) -> None:
    """Take back what somebody said of links and resources between a decision and a review, of what the review is about."""
    rows = select(DecisionRow).where(
        DecisionRow.subject.in_(("link", "resource")),
        DecisionRow.actor == review.actor,
        DecisionRow.verdict != Word.UNDONE,
        DecisionRow.id.between(after + 1, review.id - 1),
        *same,
    )
    for row in list(session.scalars(rows)):
        session.add(
            DecisionRow(
                at=datetime.now(UTC), actor=actor_of(session), subject=row.subject, verdict=Word.UNDONE, why="taken back",
                photo_sha256=row.photo_sha256, advert=row.advert, identifier_kind=row.identifier_kind,
                identifier_value=row.identifier_value, resource_id=row.resource_id, shop_id=row.shop_id,
                details={"undoes": row.id},
            )
        )  # fmt: skip
    session.flush()


def plain(contacts: Sequence[Contact]) -> list[list[str]]:
    """Contacts as details hold them."""
    return [[kind.value, value] for kind, value in contacts]


__all__ = [
    "CLOSING",
    "SUBJECT",
    "Review",
    "Word",
    "add_shop_note",
    "confirm",
    "correct",
    "count_by",
    "last_by",
    "plain",
    "record",
    "reviews_of",
    "shop_notes",
    "take_back_said",
    "undo",
    "unverify",
    "verify_contacts",
]
