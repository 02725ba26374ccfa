"""What follows from a person's word in the rows of an advert: its contacts and links are what the person says.

``identifiers`` and ``links`` always hold what counts now, so that tracks, exports, lists and statistics follow at once. Where a
word changes them, what the machine read is set aside (``read_identifiers``) and comes back when the word is taken back. A word
outlives the analysis that it was said of: in the photo's next one it stands on the advert at the same place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from ...contract import Advert, Band, Flag, IdentifierKind, Link, Outcome, Resource
from ...inference.identifiers.fold import latin_view
from ...models.geometry import iou
from ..sentences import say
from ..sightings import Key
from . import queue_rows
from .resources import register
from .tables import AdvertRow, AnalysisRow, DecisionRow, IdentifierRow, LinkRow, PhotoRow, ReadIdentifierRow, ResourceRow, ShopRow
from .tracks import follow
from .verdicts import SUBJECT, Review, Word, reviews_of_photo, standing

Contact = tuple[IdentifierKind, str]
LEFT_OUT = frozenset({Flag.PROTECTED, Flag.UNSURE, Flag.OBSOLETE})
"""Contacts with one of these flags are not confirmed with their advert."""
_SAYING = frozenset({Word.CONFIRMED, Word.CORRECTED})
_IDENTIFIER = ("kind", "value", "raw", "confidence", "alternatives", "flags", "lines", "codes")
_LINK = ("resource_id", "shop_id", "outcome", "probability", "band", "reasons", "evidence")


@dataclass(frozen=True, slots=True)
class RulingSettings:
    """When an advert of another analysis is the one that somebody spoke of."""

    same_place_iou: float = 0.3
    """Intersection over union of the two quads, from which on they are one inscription."""


def settle(session: Session, key: Key, links: Mapping[Contact, Link] | None = None) -> None:
    """Make the rows of an advert's photo what the words that stand say; ``links`` are those of contacts that a person typed."""
    settle_photo(session, key[0], links)
    follow(session, [key], datetime.now(UTC))


def settle_photo(session: Session, sha256: str, links: Mapping[Contact, Link] | None = None) -> None:
    """``settle`` for all adverts of the latest analysis of a photo, tracks apart."""
    rows = select(AdvertRow.id, AdvertRow.number, AdvertRow.quad, AdvertRow.decision_id)
    rows = rows.join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    rows = rows.where(PhotoRow.sha256 == sha256, AnalysisRow.latest).order_by(AdvertRow.number)
    adverts = [_Place(*row) for row in session.execute(rows)]
    placed = _placed(adverts, standing(reviews_of_photo(session, sha256)).values())
    for advert in adverts:
        review = placed.get(advert.id)
        wanted = None if review is None else review.id
        if advert.decision != wanted:
            restore(session, [advert.id])
            session.execute(update(AdvertRow).where(AdvertRow.id == advert.id).values(decision_id=wanted))
            if review is not None and review.word in _SAYING and "contacts" in review.details:
                _apply(session, advert.id, review, links or {})
    queue_rows.touch(session, photos=[sha256])


def settle_all(session: Session) -> None:
    """``settle_photo`` for every photo that somebody said something of."""
    rows = select(DecisionRow.photo_sha256).where(DecisionRow.subject == SUBJECT, DecisionRow.photo_sha256.is_not(None))
    for sha256 in list(session.scalars(rows.distinct().order_by(DecisionRow.photo_sha256))):
        settle_photo(session, str(sha256))


@dataclass(frozen=True, slots=True)
class _Place:
    """An advert of the latest analysis of a photo: its number in the store, that in the photo, and the word on it."""

    id: int
    number: int
    quad: Any
    decision: int | None


def _placed(adverts: Sequence[_Place], reviews: Iterable[Review]) -> dict[int, Review]:
    """The words by the adverts that they stand on: of two on one advert the later."""
    found: dict[int, Review] = {}
    for review in sorted(reviews, key=lambda item: item.id):
        same = next((advert for advert in adverts if advert.number == review.key[1]), None)
        quad = review.details.get("quad")
        if quad is not None and (same is None or same.decision != review.id):
            same = _at(adverts, quad, same)
        if same is not None:
            found[same.id] = review
    return found


def _at(adverts: Sequence[_Place], quad: Any, first: _Place | None) -> _Place | None:
    """The advert at a place: the one that is asked first where it lies there, else the one that lies there most."""
    shares = {advert.id: iou(quad, advert.quad) for advert in adverts}
    least = RulingSettings().same_place_iou
    if first is not None and shares[first.id] >= least:
        return first
    best = max(adverts, key=lambda advert: shares[advert.id], default=None)
    return best if best is not None and shares[best.id] >= least else None


def restore_analysis(session: Session, analysis_id: int) -> None:
    """Bring back all that the machine read in an analysis, until ``settle_photo`` applies what people say of it."""
    rows = select(AdvertRow.id).where(AdvertRow.analysis_id == analysis_id, AdvertRow.decision_id.is_not(None))
    said = list(session.scalars(rows))
    if said:
        restore(session, said)
        session.execute(update(AdvertRow).where(AdvertRow.id.in_(said)).values(decision_id=None))


def restore_advert(session: Session, key: Key) -> None:
    """Bring back what the machine read in an advert, before somebody says something new of it."""
    rows = select(AdvertRow.id).join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
    rows = rows.join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    rows = rows.where(PhotoRow.sha256 == key[0], AnalysisRow.latest, AdvertRow.number == key[1])
    said = list(session.scalars(rows.where(AdvertRow.decision_id.is_not(None))))
    if said:
        restore(session, said)
        session.execute(update(AdvertRow).where(AdvertRow.id.in_(said)).values(decision_id=None))


def restore(session: Session, adverts: Sequence[int]) -> None:
    """Bring back what the machine read in adverts (their numbers in the store) in place of what a person said."""
    session.flush()
    columns = (ReadIdentifierRow.advert_id, ReadIdentifierRow.number, ReadIdentifierRow.content, ReadIdentifierRow.link)
    held = session.execute(select(*columns).where(ReadIdentifierRow.advert_id.in_(adverts))).all()
    aside = {(row.advert_id, row.number) for row in held}
    now = select(IdentifierRow.id, IdentifierRow.flags, IdentifierRow.advert_id, IdentifierRow.number)
    gone = [
        row.id
        for row in session.execute(now.where(IdentifierRow.advert_id.in_(adverts)))
        if (row.advert_id, row.number) in aside or Flag.CORRECTED in row.flags
    ]
    _forget(session, gone)
    for row in held:
        _put(session, row.advert_id, row.number, row.content, _living(session, row.link))
    session.execute(delete(ReadIdentifierRow).where(ReadIdentifierRow.advert_id.in_(adverts)))


def pinned(
    session: Session, analysis_id: int, adverts: Sequence[Advert], links: Sequence[Sequence[Link]]
) -> Sequence[Sequence[Link]]:
    """Links of an analysis as they may be written: where a person's word on an advert says otherwise, the word counts."""
    rows = select(AdvertRow.number, DecisionRow.verdict, DecisionRow.details)
    rows = rows.join(DecisionRow, DecisionRow.id == AdvertRow.decision_id).where(AdvertRow.analysis_id == analysis_id)
    said = {number: (verdict, details) for number, verdict, details in session.execute(rows) if verdict in _SAYING}
    if not said:
        return links
    found = [list(group) for group in links]
    for number, (verdict, details) in said.items():
        for place, item in enumerate(adverts[number].identifiers):
            link = found[number][place]
            meant = None if link.resource is None else (link.resource.kind, link.resource.value)
            ruling = _overruled(verdict, details, (item.kind, item.value), link.outcome, meant)
            if ruling is not None:
                found[number][place] = _ruling_link(session, *ruling)
    return found


def _overruled(
    word: str, details: Mapping[str, Any], own: Contact, outcome: str, meant: Contact | None
) -> tuple[Outcome, Contact | None] | None:
    """What a link has to say instead by a person's word, or None where it agrees."""
    if word == Word.CONFIRMED and "links" not in details:
        return None
    said = {(kind, value): (Outcome(o), (IdentifierKind(k), str(v))) for kind, value, o, k, v in details.get("links", ())}
    ruling = said.get((own[0].value, own[1]))
    if ruling is None:
        return (Outcome.NEW, None) if outcome == Outcome.MISREAD else None
    agrees = (outcome, meant) == ruling or (outcome == Outcome.SAME and meant == own)
    return None if agrees else ruling


def _ruling_link(session: Session, outcome: Outcome, contact: Contact | None) -> Link:
    """The link that a person's word gives."""
    if contact is None:
        return Link(Outcome.NEW, 1.0, reasons=(say("person_says"),))
    rows = select(ResourceRow.shop_id).where(ResourceRow.kind == contact[0], ResourceRow.value == contact[1])
    shop = session.scalar(rows)
    resource = Resource(*contact, shop or "")
    return Link(outcome, 1.0, shop, resource, (say("person_says"),), band=Band.AUTOMATIC)


@dataclass(frozen=True, slots=True)
class _Read:
    """A contact of an advert as it stands in the rows: its number, its columns and those of its link, and what the link names."""

    id: int
    number: int
    content: Mapping[str, Any]
    link: Mapping[str, Any]
    named: Contact | None

    @property
    def own(self) -> Contact:
        """The contact as it was read."""
        return IdentifierKind(self.content["kind"]), self.content["value"]

    @property
    def meant(self) -> Contact:
        """The contact that it stands for: of a misread what it is a misread of."""
        return self.named if self.named is not None and self.link["outcome"] == Outcome.MISREAD else self.own

    @property
    def counts(self) -> bool:
        """Whether it is confirmed with its advert."""
        return not LEFT_OUT & set(self.content["flags"])


def _read(session: Session, advert: int) -> list[_Read]:
    rows = select(IdentifierRow, LinkRow, ResourceRow).outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    rows = rows.outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id).where(IdentifierRow.advert_id == advert)
    return [
        _Read(
            row.id,
            row.number,
            {name: getattr(row, name) for name in _IDENTIFIER},
            {} if link is None else {name: getattr(link, name) for name in _LINK},
            None if resource is None else (IdentifierKind(resource.kind), resource.value),
        )
        for row, link, resource in session.execute(rows.order_by(IdentifierRow.number))
    ]


def _apply(session: Session, advert: int, review: Review, links: Mapping[Contact, Link]) -> None:
    """Make the contacts of an advert those of a word; what they replace is set aside."""
    wanted = [(IdentifierKind(kind), str(value)) for kind, value in review.details["contacts"]]
    read = _read(session, advert)
    counted = [item for item in read if item.counts]
    kept = [item for item in counted if item.own in wanted or (item.meant in wanted and _confirmed(review, item.own))]
    missing = [contact for contact in wanted if all(contact not in (item.own, item.meant) for item in kept)]
    ruled = [(item, _ruled(session, item, review)) for item in kept]
    if not missing and len(kept) == len(counted) and all(item.link == link for item, link in ruled):
        return
    aside = [item for item in read if Flag.PROTECTED not in item.content["flags"]]
    if aside:
        rows = [{"advert_id": advert, "number": i.number, "content": dict(i.content), "link": dict(i.link)} for i in aside]
        session.execute(insert(ReadIdentifierRow), rows)
        _forget(session, [item.id for item in aside])
    for item, link in ruled:
        _put(session, advert, item.number, item.content, link)
    first = max((item.number for item in read), default=-1) + 1
    for number, contact in enumerate(missing, first):
        _put(session, advert, number, _typed(contact, review), _typed_link(session, contact, links))


def _confirmed(review: Review, own: Contact) -> bool:
    """Whether a word confirms what a contact is linked to, and not only what it is itself."""
    links = review.details.get("links")
    return review.word is Word.CONFIRMED and (links is None or any((kind, value) == own for kind, value, *_ in links))


def _ruled(session: Session, item: _Read, review: Review) -> Mapping[str, Any]:
    """The columns of the link that a contact has by a word: as they are where it agrees."""
    if not item.link:
        return item.link
    ruling = _overruled(review.word, review.details, item.own, item.link["outcome"], item.named)
    return item.link if ruling is None else _columns(session, _ruling_link(session, *ruling))


def _typed(contact: Contact, review: Review) -> dict[str, Any]:
    """The columns of a contact that a person typed; its lines are those whose texts have it."""
    texts = [latin_view(str(text)).replace(" ", "") for text in review.details.get("texts", ())]
    lines = [number for number, text in enumerate(texts) if contact[1].lower() in text]
    raw = str(review.details["texts"][lines[0]]) if lines else contact[1]
    flags = [Flag.CORRECTED.value]
    return dict(zip(_IDENTIFIER, (contact[0].value, contact[1], raw, 1.0, [], flags, lines, []), strict=True))


def _typed_link(session: Session, contact: Contact, links: Mapping[Contact, Link]) -> dict[str, Any]:
    """The columns of its link: as linking gave it, else the same as the resource where that is a shop's. It is no misread."""
    link = links.get(contact)
    if link is None or link.outcome is Outcome.MISREAD:
        shop = session.scalar(select(ResourceRow.shop_id).where(ResourceRow.kind == contact[0], ResourceRow.value == contact[1]))
        link = _ruling_link(session, Outcome.SAME if shop else Outcome.NEW, contact if shop else None)
    return _columns(session, link)


def _columns(session: Session, link: Link) -> dict[str, Any]:
    resource = None if link.resource is None else (link.resource.kind, link.resource.value)
    number = None if resource is None else register(session, [resource], "named by a link")[resource]
    evidence = [[step.name, float(step.nats), step.text] for step in link.evidence]
    said = (number, link.shop_id, link.outcome.value, float(link.probability), link.band.value, list(link.reasons), evidence)
    return _living(session, dict(zip(_LINK, said, strict=True)))


def _living(session: Session, link: Mapping[str, Any]) -> dict[str, Any]:
    """A link as it was, with the shop that its shop has become since."""
    if not link.get("shop_id"):
        return dict(link)
    shop = session.execute(select(ShopRow.id, ShopRow.redirect).where(ShopRow.id == link["shop_id"])).one_or_none()
    return {**link, "shop_id": None if shop is None else shop.redirect or shop.id}


def _put(session: Session, advert: int, number: int, content: Mapping[str, Any], link: Mapping[str, Any]) -> None:
    made = insert(IdentifierRow).values(advert_id=advert, number=number, **content).returning(IdentifierRow.id)
    row = session.execute(made).scalar_one()
    if link:
        session.execute(insert(LinkRow).values(identifier_id=row, at=datetime.now(UTC), **link))


def _forget(session: Session, numbers: Collection[int]) -> None:
    if numbers:
        session.execute(delete(LinkRow).where(LinkRow.identifier_id.in_(numbers)))
        session.execute(delete(IdentifierRow).where(IdentifierRow.id.in_(numbers)))
