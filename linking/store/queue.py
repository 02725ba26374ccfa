"""The queue of the experts: one entry per cluster that nobody has decided about, what matters first.

A cluster is all sightings of one physical advert, so nobody reads the same advert twice. What matters is a shop that nobody
knows yet, an advert that is seen often, and a reading in doubt; what is known and clear comes last.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, String, Subquery, and_, case, cast, func, literal_column, or_, select
from sqlalchemy.orm import Session

from ...contract import Band, Outcome
from ..sightings import Key
from .cluster_tables import BundleRow, SightingRow
from .reviews import CLOSING, SUBJECT, Word
from .tables import AdvertRow, AnalysisRow, DecisionRow, IdentifierRow, LinkRow, PhotoRow, ReadingRow


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What matters how much; the order is by the sum."""

    new_weight: float = 4.0
    """For a contact that no listed shop has."""
    seen_weight: float = 2.0
    """For an advert that is seen ``seen_most`` times; in proportion for fewer."""
    seen_most: int = 10
    doubt_weight: float = 1.5
    """For a contact that was read with no confidence at all, or a link that a person has to look at."""
    silent_weight: float = -2.0
    """For an advert without any contact: there is little to decide."""
    known_weight: float = -1.0
    """For one whose every link is automatic."""


class Chosen(StrEnum):
    """A part of the queue."""

    ALL = "all"
    NEW = "new"
    SEEN_OFTEN = "often"
    DOUBTFUL = "doubtful"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Entry:
    """A cluster to decide about, and its clearest advert. ``cluster`` is "" for an advert that is in none."""

    key: Key
    cluster: str
    seen: int
    new: bool
    doubt: float
    """0 for read and linked surely, 1 for not at all."""
    silent: bool
    score: float


def next_entries(
    session: Session,
    actor: str,
    since: datetime,
    *,
    chosen: Chosen = Chosen.ALL,
    without: Collection[str] = (),
    limit: int = 10,
    settings: QueueSettings | None = None,
) -> list[Entry]:
    """The next entries for a person: without what they skipped after ``since`` and without the clusters ``without``."""
    walls = _walls(actor, since, settings or QueueSettings())
    rows = select(walls).where(_part(walls, chosen, settings or QueueSettings()))
    if without:
        rows = rows.where(walls.c.wall.not_in(list(without)))
    rows = rows.order_by(walls.c.score.desc(), walls.c.first).limit(limit)
    found = list(session.execute(rows))
    clearest = _clearest(session, [row.wall for row in found])
    return [
        Entry(
            clearest[row.wall],
            "" if row.wall.startswith(_ALONE) else row.wall,
            int(row.seen),
            bool(row.new),
            float(row.doubt),
            bool(row.silent),
            float(row.score),
        )
        for row in found
    ]


def count_open(session: Session, actor: str, since: datetime, settings: QueueSettings | None = None) -> dict[Chosen, int]:
    """How many entries each part of the queue has for a person."""
    settings = settings or QueueSettings()
    walls = _walls(actor, since, settings)
    parts = [func.count(case((_part(walls, part, settings), 1))) for part in Chosen]
    return dict(zip(Chosen, map(int, session.execute(select(*parts)).one()), strict=True))


_ALONE = "-"
"""Begins the name of an advert that is in no cluster; no cluster's id begins so."""


def wall_of(key: Key, cluster: str) -> str:
    """The name under which the queue knows a cluster, or an advert that is in none."""
    return cluster or f"{_ALONE}{key[0]}-{key[1]}"


def _wall() -> ColumnElement[str]:
    # Literals and no parameters: PostgreSQL has to see that what is grouped by is what is selected.
    dash: ColumnElement[str] = literal_column(f"'{_ALONE}'", String)
    return func.coalesce(BundleRow.cluster, dash + PhotoRow.sha256 + dash + cast(AdvertRow.number, String))


def _adverts(*columns: Any) -> Select[Any]:
    rows = select(*columns).select_from(AdvertRow).join(AnalysisRow, AnalysisRow.id == AdvertRow.analysis_id)
    rows = rows.join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    rows = rows.outerjoin(SightingRow, and_(SightingRow.photo == PhotoRow.sha256, SightingRow.advert == AdvertRow.number))
    return rows.outerjoin(BundleRow, BundleRow.id == SightingRow.bundle).where(AnalysisRow.latest)


def _walls(actor: str, since: datetime, settings: QueueSettings) -> Subquery:
    """Every open cluster with what orders it."""
    last = select(DecisionRow.photo_sha256, DecisionRow.advert, func.max(DecisionRow.id).label("id"))
    last = last.where(DecisionRow.subject == SUBJECT, DecisionRow.verdict.not_in((Word.SKIPPED, Word.SAME_AS)))
    latest = last.group_by(DecisionRow.photo_sha256, DecisionRow.advert).subquery()
    closing = select(DecisionRow.photo_sha256, DecisionRow.advert, DecisionRow.verdict, DecisionRow.at)
    said = closing.join(latest, latest.c.id == DecisionRow.id).where(DecisionRow.verdict.in_(CLOSING)).subquery()
    skipped = select(DecisionRow.photo_sha256, DecisionRow.advert, func.max(DecisionRow.id).label("id"))
    skipped = skipped.where(DecisionRow.subject == SUBJECT, DecisionRow.actor == actor, DecisionRow.at >= since)
    passed = skipped.group_by(DecisionRow.photo_sha256, DecisionRow.advert).subquery()
    skips = select(DecisionRow.photo_sha256, DecisionRow.advert).join(passed, passed.c.id == DecisionRow.id)
    skip = skips.where(DecisionRow.verdict == Word.SKIPPED).subquery()
    doubt = case((LinkRow.band == Band.REVIEW, 1.0), else_=1.0 - IdentifierRow.confidence)
    final = case((said.c.verdict != Word.ANOTHER_PHOTO, 1), else_=0)
    columns = _adverts(
        _wall().label("wall"),
        func.min(AdvertRow.id).label("first"),
        func.count(AdvertRow.id.distinct()).label("seen"),
        func.max(case((LinkRow.outcome == Outcome.NEW, 1), else_=0)).label("new"),
        func.max(func.coalesce(doubt, 0.0)).label("doubt"),
        func.min(case((IdentifierRow.id.is_(None), 1), else_=0)).label("silent"),
        func.max(case((LinkRow.band == Band.AUTOMATIC, 0), else_=1)).label("unknown"),
        func.max(final).label("closed"),
        func.max(said.c.at).label("asked_at"),
        func.max(PhotoRow.received_at).label("newest"),
        func.count(skip.c.photo_sha256).label("skips"),
    )
    columns = columns.outerjoin(IdentifierRow, IdentifierRow.advert_id == AdvertRow.id)
    columns = columns.outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    for part in (said, skip):
        columns = columns.outerjoin(part, and_(part.c.photo_sha256 == PhotoRow.sha256, part.c.advert == AdvertRow.number))
    walls = columns.group_by(_wall()).subquery()
    waiting = and_(walls.c.asked_at.is_not(None), walls.c.newest <= walls.c.asked_at)
    often = case((walls.c.seen > settings.seen_most, settings.seen_most), else_=walls.c.seen)
    score = (
        settings.new_weight * walls.c.new
        + settings.seen_weight * cast(often, Float) / settings.seen_most
        + settings.doubt_weight * walls.c.doubt
        + settings.silent_weight * walls.c.silent
        + settings.known_weight * (1 - walls.c.unknown)
    )
    chosen = select(walls.c.wall, walls.c.first, walls.c.seen, walls.c.new, walls.c.doubt, walls.c.silent, score.label("score"))
    return chosen.where(walls.c.closed == 0, ~waiting, walls.c.skips == 0).subquery()


_DOUBT = 0.2
_OFTEN = 2


def _part(walls: Subquery, chosen: Chosen, settings: QueueSettings) -> ColumnElement[bool]:
    """The condition of a part of the queue."""
    return {
        Chosen.ALL: walls.c.seen > 0,
        Chosen.NEW: walls.c.new == 1,
        Chosen.SEEN_OFTEN: walls.c.seen >= _OFTEN,
        Chosen.DOUBTFUL: and_(walls.c.silent == 0, walls.c.doubt >= _DOUBT),
        Chosen.SILENT: walls.c.silent == 1,
    }[chosen]


def _clearest(session: Session, walls: Collection[str]) -> dict[str, Key]:
    """Of each cluster the advert that shows most, most surely: the most contacts, then the surest text."""
    surest = select(ReadingRow.advert_id, func.sum(ReadingRow.confidence).label("n")).group_by(ReadingRow.advert_id).subquery()
    shown = select(IdentifierRow.advert_id, func.sum(IdentifierRow.confidence).label("n"))
    contacts = shown.group_by(IdentifierRow.advert_id).subquery()
    rows = _adverts(_wall(), PhotoRow.sha256, AdvertRow.number, func.coalesce(contacts.c.n, 0.0), func.coalesce(surest.c.n, 0.0))
    rows = rows.outerjoin(surest, surest.c.advert_id == AdvertRow.id)
    rows = rows.outerjoin(contacts, contacts.c.advert_id == AdvertRow.id)
    rows = rows.where(or_(*(_is(wall) for wall in walls))) if walls else rows.where(AdvertRow.id < 0)
    best: dict[str, tuple[tuple[float, float, str, int], Key]] = {}
    for wall, sha256, number, sure, text in session.execute(rows):
        rank = (-float(sure), -float(text), sha256, number)
        if wall not in best or rank < best[wall][0]:
            best[wall] = (rank, (sha256, number))
    return {wall: key for wall, (_, key) in best.items()}


def _is(wall: str) -> ColumnElement[bool]:
    if not wall.startswith(_ALONE):
        return BundleRow.cluster == wall
    sha256, _, number = wall[len(_ALONE) :].rpartition("-")
    return and_(PhotoRow.sha256 == sha256, AdvertRow.number == int(number))
