"""Adverts that people have decided about, as they stand now, and those that nobody has: what labels are made from, and what
to label.

Only the words of people who sign in count; what a command line or a key wrote down is no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...contract import Advert, Analysis, IdentifierKind, Link, Outcome
from ..sightings import Key
from .clusters import clusters_of
from .loading import load_analysis, load_links
from .tables import AdvertRow, AnalysisRow, DecisionRow, PhotoRow
from .verdicts import Word

_PERSON = "person "
"""How the actor of a decision begins that a person who signed in made."""
_SHOWN = frozenset({Outcome.SAME, Outcome.MISREAD, Outcome.SIBLING})
_BATCH = 200
Contact = tuple[IdentifierKind, str]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledAdvert:
    """An advert of the latest analysis of a photo, with the word of a person that stands on it, if there is one.

    ``texts`` are the texts of its lines as the person wrote them, None where nobody wrote any; ``read`` those that the
    machine had read when the word was said. ``contacts`` are what the person says it holds. ``shop_id`` and ``cluster`` are
    "" for none.
    """

    key: Key
    advert: Advert
    word: Word | None = None
    decision: int | None = None
    at: datetime | None = None
    texts: tuple[str, ...] | None = None
    read: tuple[str, ...] | None = None
    contacts: tuple[Contact, ...] = ()
    shop_id: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhoto:
    """A photo with all adverts of its latest analysis. ``place`` is where its bytes lie (``PhotoFiles``), "" when nowhere."""

    sha256: str
    place: str
    analysis: Analysis
    adverts: tuple[LabelledAdvert, ...]


def decided_photos(session: Session, since: datetime | None = None) -> Iterator[LabelledPhoto]:
    """The photos with an advert on which a person's word stands (said at or after ``since``), in the order they came."""
    wanted = select(AnalysisRow.id).join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id)
    wanted = wanted.join(DecisionRow, DecisionRow.id == AdvertRow.decision_id).where(DecisionRow.actor.startswith(_PERSON))
    if since is not None:
        wanted = wanted.where(DecisionRow.at >= since)
    yield from _photos(session, wanted.where(AnalysisRow.latest).distinct().order_by(AnalysisRow.id))


def undecided_photos(session: Session) -> Iterator[LabelledPhoto]:
    """The photos on none of whose adverts a word stands, and whose bytes are kept, in the order they came."""
    said = select(AdvertRow.id).where(AdvertRow.analysis_id == AnalysisRow.id, AdvertRow.decision_id.is_not(None))
    wanted = select(AnalysisRow.id).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    wanted = wanted.where(AnalysisRow.latest, AnalysisRow.failure_code.is_(None), PhotoRow.place != "", ~said.exists())
    yield from _photos(session, wanted.order_by(AnalysisRow.id))


def _photos(session: Session, wanted: object) -> Iterator[LabelledPhoto]:
    numbers = list(session.scalars(wanted))  # type: ignore[call-overload]
    for start in range(0, len(numbers), _BATCH):
        for number in numbers[start : start + _BATCH]:
            yield _photo(session, number)
        session.expunge_all()


def _photo(session: Session, number: int) -> LabelledPhoto:
    analysis, links = load_analysis(session, number), load_links(session, number)
    kept = session.scalar(select(PhotoRow.place).where(PhotoRow.sha256 == analysis.sha256)) or ""
    rows = select(AdvertRow.number, DecisionRow).join(DecisionRow, DecisionRow.id == AdvertRow.decision_id)
    said = {place: row for place, row in session.execute(rows.where(AdvertRow.analysis_id == number))}  # noqa: C416
    keys = [(analysis.sha256, n) for n in range(len(analysis.adverts))]
    clusters = clusters_of(session, keys)
    adverts = tuple(
        _advert(key, advert, said.get(key[1]), links[key[1]], clusters.get(key, ""))
        for key, advert in zip(keys, analysis.adverts, strict=True)
    )
    return LabelledPhoto(analysis.sha256, kept, analysis, adverts)


def _advert(key: Key, advert: Advert, row: DecisionRow | None, links: Sequence[Link | None], cluster: str) -> LabelledAdvert:
    shops = [link.shop_id for link in links if link is not None and link.shop_id and link.outcome in _SHOWN]
    shop = shops[0] if shops else ""
    if row is None or not row.actor.startswith(_PERSON):
        return LabelledAdvert(key, advert, cluster=cluster)
    details = row.details
    texts, read = (tuple(map(str, details[name])) if name in details else None for name in ("texts", "read"))
    contacts = tuple((IdentifierKind(kind), str(value)) for kind, value in details.get("contacts", ()))
    return LabelledAdvert(key, advert, Word(row.verdict), row.id, row.at, texts, read, contacts, shop or "", cluster)
