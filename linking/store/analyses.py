"""Analyses in the store: what was seen in a photo, and how its identifiers link. Put twice, they are there once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ...contract import SCHEMA_VERSION, Advert, Analysis, Link
from .analysis_rows import NewAnalysis, add_analyses, add_links, flat, identifier_values, identifiers_of, register_read
from .audit import note
from .loading import load_analysis
from .queue_rows import touch
from .rulings import pinned, restore_analysis, settle_photo
from .tables import AdvertRow, AnalysisRow, DecisionRow, IdentifierRow, LinkRow, PhotoRow
from .upserts import insert_missing, insert_new

_IDENTIFIER = ("advert_id", "number", "kind", "value", "raw", "confidence", "alternatives", "flags", "lines", "codes")
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Put:
    """Number of the analysis, and whether it is new or was there already."""

    analysis_id: int
    new: bool


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What is known of a photo beside its analysis: where its bytes lie (``PhotoFiles``), their number, its perceptual hash."""

    place: str = ""
    size: int | None = None
    picture_hash: int | None = None


def made_by(analysis: Analysis, settings: Mapping[str, Any]) -> str:
    """SHA-256 over models, settings and schema version: two analyses of a photo with the same makers are the same."""
    models = sorted((model.task, model.name, model.sha256) for model in analysis.models)
    makers = {"models": models, "settings": dict(settings), "schema": SCHEMA_VERSION}
    text = json.dumps(makers, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def is_analysed(session: Session, sha256: str, maker: str) -> bool:
    """Whether a photo was analysed by these makers (``made_by``) without a failure."""
    rows = select(AnalysisRow.id).join(PhotoRow, PhotoRow.id == AnalysisRow.photo_id)
    rows = rows.where(PhotoRow.sha256 == sha256, AnalysisRow.made_by == maker, AnalysisRow.failure_code.is_(None))
    return session.scalar(rows) is not None


def put_analysis(
    session: Session,
    analysis: Analysis,
    links: Sequence[Sequence[Link]] = (),
    settings: Mapping[str, Any] | None = None,
    facts: PhotoFacts | None = None,
) -> Put:
    """Keep the analysis of a photo, and the links of its adverts' identifiers (one list per advert, one link per identifier).

    One by the same models with the same settings is there already: then nothing changes but what other photos decide with it:
    its identifiers and links. A failed one is replaced by one that succeeded. The analysis put last is the photo's latest, but
    a failure never takes the place of what was seen.
    Identifiers become resources unless they are protected, unsure or misreads.
    """
    settings = dict(settings or {})
    photo = _photo(session, analysis, facts or PhotoFacts())
    maker = made_by(analysis, settings)
    held = session.scalars(select(AnalysisRow).where(AnalysisRow.photo_id == photo, AnalysisRow.made_by == maker)).one_or_none()
    if held is not None and held.failure_code is not None and analysis.failure is None:
        session.delete(held)
        session.flush()
        held = None
    new = held is None
    row = held if held is not None else _added(session, NewAnalysis(photo, maker, analysis), settings)
    # The links are those of what the machine read; what people said of it comes over it again below.
    restore_analysis(session, row.id)
    _make_latest(session, row)
    if links and not new:
        _read_again(session, row.id, analysis.adverts)
    if links or new:
        put_links(session, row.id, analysis.adverts, links)
    settle_photo(session, analysis.sha256)
    if new:
        _note(session, analysis, maker)
    return Put(row.id, new)


def _added(session: Session, new: NewAnalysis, settings: Mapping[str, Any]) -> AnalysisRow:
    session.flush()
    (number,) = add_analyses(session, [new], settings)
    return session.get_one(AnalysisRow, number)


def put_analyses(
    session: Session,
    photos: Sequence[tuple[Analysis, Sequence[Sequence[Link]], PhotoFacts]],
    settings: Mapping[str, Any],
) -> None:
    """``put_analysis`` for many photos, each once, with the links of its adverts; those new to the store go in together."""
    ordered = sorted(photos, key=lambda item: item[0].sha256)
    fresh = _fresh_photos(session, {analysis.sha256: _known(analysis, facts) for analysis, _, facts in ordered})
    makers: dict[Any, str] = {}
    together = [item for item in ordered if item[0].sha256 in fresh]
    new = []
    for analysis, _, _ in together:
        # Working this out takes as long as all the rest: it says the same of all photos by the same models.
        maker = makers.get(analysis.models) or makers.setdefault(analysis.models, made_by(analysis, settings))
        new.append(NewAnalysis(fresh[analysis.sha256], maker, analysis, latest=True))
    numbers = add_analyses(session, new, settings)
    read = [item for analysis, _, _ in together for item in flat(analysis.adverts)]
    found = [link for _, links, _ in together for group in links for link in group]
    add_links(session, identifiers_of(session, numbers), found, register_read(session, read, found))
    touch(session, photos=fresh)
    for item in new:
        _note(session, item.analysis, item.maker)
    for analysis, links, facts in ordered:
        if analysis.sha256 not in fresh:
            put_analysis(session, analysis, links, settings, facts)


def _fresh_photos(session: Session, known: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Add the photos that the store does not have and give their numbers; those that people have spoken of are left out."""
    spoken = select(DecisionRow.photo_sha256).where(DecisionRow.photo_sha256.in_(known))
    left_out = set(session.scalars(spoken))
    rows = [{"sha256": sha256, **said} for sha256, said in known.items() if sha256 not in left_out]
    return {sha256: number for sha256, number in insert_new(session, PhotoRow, rows, PhotoRow.sha256, PhotoRow.id)}  # noqa: C416


def _photo(session: Session, analysis: Analysis, facts: PhotoFacts) -> int:
    """The number of the photo, locked; what was unknown of it is filled in, what is known stays."""
    known = _known(analysis, facts)
    insert_missing(session, PhotoRow, [{"sha256": analysis.sha256, **known}])
    locked = select(PhotoRow).where(PhotoRow.sha256 == analysis.sha256).with_for_update()
    row = session.scalars(locked.execution_options(populate_existing=True)).one()
    # A place has two numbers: they are taken together or not at all.
    placed = row.lat is not None
    for name, value in known.items():
        if value not in (None, "", 0) and getattr(row, name) in (None, "", 0) and not (placed and name in ("lat", "lon")):
            setattr(row, name, value)
    return row.id


def _known(analysis: Analysis, facts: PhotoFacts) -> dict[str, Any]:
    """The columns of a photo."""
    return {
        "name": analysis.name,
        "place": facts.place,
        "size": facts.size,
        "width": analysis.width,
        "height": analysis.height,
        "picture_hash": None if facts.picture_hash is None else f"{facts.picture_hash:016x}",
        "taken_at": analysis.taken_at,
        "lat": analysis.lat,
        "lon": analysis.lon,
        "report_id": analysis.report_id,
        "received_at": datetime.now(UTC),
    }


def _note(session: Session, analysis: Analysis, maker: str) -> None:
    failure = None if analysis.failure is None else analysis.failure.code.value
    found = {"adverts": len(analysis.adverts), "failure": failure, "made_by": maker}
    note(session, "analysis.put", f"photo {analysis.sha256}", found)


def _read_again(session: Session, analysis_id: int, adverts: Sequence[Advert]) -> None:
    """Give the adverts of an analysis these identifiers: read together with further photos, they may be others than before."""
    rows = select(AdvertRow.id, AdvertRow.number).where(AdvertRow.analysis_id == analysis_id)
    numbers = {number: row for row, number in session.execute(rows)}
    for number, advert in enumerate(adverts[: len(numbers)]):
        held = select(IdentifierRow).where(IdentifierRow.advert_id == numbers[number]).order_by(IdentifierRow.number)
        before = list(session.scalars(held))
        now = [identifier_values(numbers[number], place, item) for place, item in enumerate(advert.identifiers)]
        if [{name: getattr(row, name) for name in _IDENTIFIER} for row in before] == now:
            continue
        session.execute(delete(LinkRow).where(LinkRow.identifier_id.in_([row.id for row in before])))
        for row in before:
            session.delete(row)
        session.flush()
        session.add_all(IdentifierRow(**values) for values in now)
        session.flush()


def _make_latest(session: Session, row: AnalysisRow) -> None:
    others = select(AnalysisRow).where(AnalysisRow.photo_id == row.photo_id, AnalysisRow.latest)
    latest = session.scalars(others).one_or_none()
    if latest is row or (latest is not None and latest.failure_code is None and row.failure_code is not None):
        return
    if latest is not None:
        # First the old one goes: at no moment has a photo two.
        latest.latest = False
        session.flush()
    row.latest = True
    session.flush()


def put_links(session: Session, analysis_id: int, adverts: Sequence[Advert], links: Sequence[Sequence[Link]]) -> None:
    """Replace the links of an analysis by these, and register the resources that its identifiers are. A person's word on an
    advert counts for more than a link.

    ``adverts`` are those of the analysis; ``links`` has one list per advert with one link per identifier, or is empty.
    """
    read = flat(adverts)
    found = [link for group in links for link in group]
    if links and ([len(a.identifiers) for a in adverts] != [len(group) for group in links]):
        raise ValueError(f"{len(found)} links for {len(read)} identifiers: there is one per identifier, grouped by adverts")
    if links:
        found = [link for group in pinned(session, analysis_id, adverts, links) for link in group]
    numbers = register_read(session, read, found)
    if not links:
        return
    ids = identifiers_of(session, [analysis_id])
    session.execute(delete(LinkRow).where(LinkRow.identifier_id.in_(ids)))
    add_links(session, ids, found, numbers)


def relink(session: Session, analysis_id: int, adverts: Sequence[Advert], links: Sequence[Sequence[Link]]) -> bool:
    """``put_links`` where the links say something else than before; gives whether they did."""
    rows = select(LinkRow.outcome, LinkRow.shop_id, LinkRow.resource_id, LinkRow.probability, LinkRow.band)
    rows = rows.join(IdentifierRow, IdentifierRow.id == LinkRow.identifier_id).join(
        AdvertRow, AdvertRow.id == IdentifierRow.advert_id
    )
    rows = rows.where(AdvertRow.analysis_id == analysis_id).order_by(AdvertRow.number, IdentifierRow.number)
    before = [tuple(row) for row in session.execute(rows)]
    put_links(session, analysis_id, adverts, links)
    after = [tuple(row) for row in session.execute(rows)]
    if before != after:
        photo = select(PhotoRow.sha256).join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id)
        touch(session, photos=session.scalars(photo.where(AnalysisRow.id == analysis_id)))
        note(session, "analysis.relink", f"analysis {analysis_id}", {"links": len(after)})
    return before != after


def iter_latest(session: Session) -> Iterator[tuple[int, Analysis]]:
    """Number and content of every photo's latest analysis that succeeded, in the order they came: for linking them again."""
    last = 0
    while True:
        part = select(AnalysisRow.id).where(AnalysisRow.id > last, AnalysisRow.latest, AnalysisRow.failure_code.is_(None))
        ids = list(session.scalars(part.order_by(AnalysisRow.id).limit(_BATCH)))
        if not ids:
            return
        for number in ids:
            yield number, load_analysis(session, number)
        last = ids[-1]
        session.flush()
        session.expunge_all()


def forget_photo(session: Session, sha256: str, why: str) -> bool:
    """Take a photo and all its analyses out of the store (a reporter asked, the purpose is reached); the log says that it was.

    Gives whether it was there. The bytes in ``PhotoFiles`` and the sightings in clusters are their own owners' to remove.
    """
    row = session.scalars(select(PhotoRow).where(PhotoRow.sha256 == sha256).with_for_update()).one_or_none()
    if row is None:
        return False
    touch(session, photos=[sha256])
    session.execute(delete(PhotoRow).where(PhotoRow.id == row.id))
    session.expire_all()
    note(session, "photo.forget", f"photo {sha256}", {"why": why})
    return True


def set_photo_place(session: Session, sha256: str, place: str, size: int) -> None:
    """Remember where the bytes of a photo lie (``PhotoFiles.url``) and how many they are."""
    session.execute(update(PhotoRow).where(PhotoRow.sha256 == sha256).values(place=place, size=size))
    note(session, "photo.place", f"photo {sha256}", {"place": place, "size": size})
