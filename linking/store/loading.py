"""From rows back to the shared words: an analysis with everything that linking and reading together need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...contract import (
    Advert,
    Analysis,
    Band,
    Char,
    Code,
    Evidence,
    Failure,
    FailureCode,
    Flag,
    Hypothesis,
    Identifier,
    IdentifierKind,
    Line,
    Link,
    ModelInfo,
    Outcome,
    Quad,
    Reading,
    Resource,
)
from ...models.logprobs import unpack
from ..sightings import Key
from .tables import AdvertRow, AnalysisRow, CodeRow, IdentifierRow, LinkRow, PhotoRow, ReadingRow, ResourceRow, ShopRow

_MOST_IN = 500
"""Most values in one IN list."""


def load_analysis(session: Session, analysis_id: int) -> Analysis:
    """The analysis with this number; log-probabilities as ``models.logprobs`` kept them. ``KeyError`` for an unknown number."""
    found = session.execute(
        select(AnalysisRow, PhotoRow).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id).where(AnalysisRow.id == analysis_id)
    ).one_or_none()
    if found is None:
        raise KeyError(analysis_id)
    row, photo = found
    failure = None
    if row.failure_code is not None:
        failure = Failure(FailureCode(row.failure_code), row.failure_message or "")
    return Analysis(
        name=photo.name,
        sha256=photo.sha256,
        width=photo.width,
        height=photo.height,
        adverts=_adverts(session, analysis_id),
        failure=failure,
        models=tuple(ModelInfo(model["task"], model["name"], model["sha256"]) for model in row.models),
        taken_at=photo.taken_at,
        lat=photo.lat,
        lon=photo.lon,
        report_id=photo.report_id,
        seconds=row.seconds,
        stages=tuple(row.stages.items()),
    )


def latest_analysis(session: Session, sha256: str) -> Analysis | None:
    """The latest analysis of a photo, or None for a photo that the store does not know."""
    number = session.scalar(
        select(AnalysisRow.id)
        .join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
        .where(PhotoRow.sha256 == sha256, AnalysisRow.latest)
    )
    return None if number is None else load_analysis(session, number)


def latest_analyses(session: Session) -> Iterator[Analysis]:
    """The latest analysis of every photo, in the order in which they were made; loaded one by one."""
    for number in session.scalars(select(AnalysisRow.id).where(AnalysisRow.latest).order_by(AnalysisRow.id)).all():
        yield load_analysis(session, number)
        session.expunge_all()


def latest_with_links(session: Session, sha256: str) -> tuple[Analysis, tuple[tuple[Link | None, ...], ...]] | None:
    """The latest analysis of a photo with its links (see ``load_links``), or None for a photo that has none."""
    wanted = select(AnalysisRow.id).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    number = session.scalar(wanted.where(PhotoRow.sha256 == sha256, AnalysisRow.latest))
    return None if number is None else (load_analysis(session, number), load_links(session, number))


def load_links(session: Session, analysis_id: int) -> tuple[tuple[Link | None, ...], ...]:
    """The links of an analysis: per advert one per identifier, None where an identifier was not linked yet."""
    rows = select(AdvertRow.number, LinkRow, ResourceRow, ShopRow.name).select_from(IdentifierRow)
    rows = rows.join(AdvertRow, AdvertRow.id == IdentifierRow.advert_id).outerjoin(
        LinkRow, LinkRow.identifier_id == IdentifierRow.id
    )
    rows = rows.outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id).outerjoin(
        ShopRow, ShopRow.id == ResourceRow.shop_id
    )
    rows = rows.where(AdvertRow.analysis_id == analysis_id).order_by(AdvertRow.number, IdentifierRow.number)
    count = len(list(session.scalars(select(AdvertRow.id).where(AdvertRow.analysis_id == analysis_id))))
    links: list[list[Link | None]] = [[] for _ in range(count)]
    for number, row, resource, name in session.execute(rows):
        links[number].append(None if row is None else link_from_row(row, resource, name or ""))
    return tuple(map(tuple, links))


def link_from_row(row: LinkRow, resource: ResourceRow | None, name: str) -> Link:
    """The link of a row, with the resource that it names and the name of that resource's shop."""
    known = None
    if resource is not None:
        known = Resource(IdentifierKind(resource.kind), resource.value, resource.shop_id or "", name, resource.status)
    evidence = tuple(Evidence(step, nats, text) for step, nats, text in row.evidence)
    return Link(Outcome(row.outcome), row.probability, row.shop_id, known, tuple(row.reasons), evidence, Band(row.band))


def clearest_adverts(
    session: Session, clusters: Mapping[str, Sequence[Key]], most: int
) -> dict[str, list[tuple[Key, Advert, int | None]]]:
    """Of the adverts of each cluster (by photo and number) the ``most`` that show most text most surely, with picture hashes.

    Adverts without log-probabilities are left out: they give nothing to read together. The order of the keys does not matter.
    """
    photos = sorted({photo for keys in clusters.values() for photo, _ in keys})
    ranks: dict[Key, tuple[float, int, int | None]] = {}
    for start in range(0, len(photos), _MOST_IN):
        shown = func.sum(ReadingRow.confidence * func.length(ReadingRow.text))
        rows = select(PhotoRow.sha256, AdvertRow.number, AdvertRow.id, PhotoRow.picture_hash, shown)
        rows = rows.join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id).join(
            AdvertRow, AdvertRow.analysis_id == AnalysisRow.id
        )
        rows = rows.join(ReadingRow, ReadingRow.advert_id == AdvertRow.id)
        rows = rows.where(PhotoRow.sha256.in_(photos[start : start + _MOST_IN]), AnalysisRow.latest)
        rows = rows.where(ReadingRow.log_probs.is_not(None))
        rows = rows.group_by(PhotoRow.sha256, AdvertRow.number, AdvertRow.id, PhotoRow.picture_hash)
        for sha256, number, advert, picture_hash, clarity in session.execute(rows):
            ranks[sha256, number] = (float(clarity), advert, None if picture_hash is None else int(picture_hash, 16))
    chosen = {
        name: sorted((key for key in set(keys) if key in ranks), key=lambda key: (-round(ranks[key][0], 6), key))[:most]
        for name, keys in clusters.items()
    }
    wanted = sorted({ranks[key][1] for keys in chosen.values() for key in keys})
    loaded: dict[int, Advert] = {}
    for start in range(0, len(wanted), _MOST_IN):
        rows_of = select(AdvertRow).where(AdvertRow.id.in_(wanted[start : start + _MOST_IN]))
        loaded |= _loaded(session, list(session.scalars(rows_of)))
    return {name: [(key, loaded[ranks[key][1]], ranks[key][2]) for key in keys] for name, keys in chosen.items() if keys}


def _adverts(session: Session, analysis_id: int) -> tuple[Advert, ...]:
    rows = select(AdvertRow).where(AdvertRow.analysis_id == analysis_id).order_by(AdvertRow.number)
    return tuple(_loaded(session, list(session.scalars(rows))).values())


def _loaded(session: Session, adverts: Sequence[AdvertRow]) -> dict[int, Advert]:
    """The adverts of some rows by the numbers of the rows, in order."""
    ids = [advert.id for advert in adverts]
    lines: dict[int, list[Line]] = {number: [] for number in ids}
    codes: dict[int, list[Code]] = {number: [] for number in ids}
    identifiers: dict[int, list[Identifier]] = {number: [] for number in ids}
    for reading in session.scalars(select(ReadingRow).where(ReadingRow.advert_id.in_(ids)).order_by(ReadingRow.number)):
        lines[reading.advert_id].append(_line(reading))
    for code in session.scalars(select(CodeRow).where(CodeRow.advert_id.in_(ids)).order_by(CodeRow.number)):
        codes[code.advert_id].append(Code(code.payload, code.format, _quad(code.quad)))
    for item in session.scalars(select(IdentifierRow).where(IdentifierRow.advert_id.in_(ids)).order_by(IdentifierRow.number)):
        identifiers[item.advert_id].append(_identifier(item))
    return {a.id: Advert(_quad(a.quad), tuple(lines[a.id]), tuple(codes[a.id]), tuple(identifiers[a.id])) for a in adverts}


def _line(row: ReadingRow) -> Line:
    reading = Reading(
        text=row.text,
        confidence=row.confidence,
        hypotheses=tuple(Hypothesis(text, log_prob) for text, log_prob in row.hypotheses),
        chars=tuple(Char(text, share, tuple((t, p) for t, p in others)) for text, share, others in row.chars),
        log_probs=None if row.log_probs is None else unpack(row.log_probs),
        alphabet=row.alphabet,
        flipped=row.flipped,
    )
    return Line(_quad(row.quad), row.line_confidence, reading)


def _identifier(row: IdentifierRow) -> Identifier:
    return Identifier(
        IdentifierKind(row.kind),
        row.value,
        row.raw,
        row.confidence,
        tuple((value, share) for value, share in row.alternatives),
        tuple(Flag(flag) for flag in row.flags),
        tuple(row.lines),
        tuple(row.codes),
    )


def _quad(points: list[Any]) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in points)
    return (a, b, c, d)
