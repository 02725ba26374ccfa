"""The rows of analyses: adverts, readings, codes, identifiers and links, for any number of photos with a few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ...contract import SCHEMA_VERSION, Advert, Analysis, Flag, Identifier, IdentifierKind, Line, Link, Outcome
from ...models.logprobs import pack
from .resources import register
from .tables import AdvertRow, AnalysisRow, Base, CodeRow, IdentifierRow, LinkRow, ReadingRow, ShopRow
from .upserts import insert_many

_UNREGISTERED = frozenset({Flag.PROTECTED, Flag.UNSURE, Flag.OBSOLETE})
"""Identifiers with one of these flags do not become resources."""
_LEAST_LOG = -1e6
"""Stands for minus infinity, which JSON has no word for."""


@dataclass(frozen=True, slots=True)
class NewAnalysis:
    """An analysis that is to become a row: the number of its photo, and what ``analyses.made_by`` gives for it."""

    photo: int
    maker: str
    analysis: Analysis
    latest: bool = False


def add_analyses(session: Session, new: Sequence[NewAnalysis], settings: Mapping[str, Any]) -> list[int]:
    """Add analyses with their adverts, readings, codes and identifiers; gives the numbers of the analyses, in order."""
    now = datetime.now(UTC)
    made = _numbers(session, AnalysisRow, [_analysis_row(item, settings, now) for item in new], "photo_id", "made_by")
    numbers = [made[item.photo, item.maker] for item in new]
    adverts = [(number, i, a) for number, item in zip(numbers, new, strict=True) for i, a in enumerate(item.analysis.adverts)]
    rows = [{"analysis_id": number, "number": i, "quad": _quad(advert.quad)} for number, i, advert in adverts]
    ids = _numbers(session, AdvertRow, rows, "analysis_id", "number")
    placed = [(ids[number, i], advert) for number, i, advert in adverts]
    insert_many(session, ReadingRow, [_reading_row(n, i, line) for n, a in placed for i, line in enumerate(a.lines)])
    codes = [
        {"advert_id": n, "number": i, "quad": _quad(code.quad), "payload": code.payload, "format": code.format}
        for n, a in placed
        for i, code in enumerate(a.codes)
    ]
    insert_many(session, CodeRow, codes)
    insert_many(
        session, IdentifierRow, [identifier_values(n, i, item) for n, a in placed for i, item in enumerate(a.identifiers)]
    )
    return numbers


def add_links(session: Session, identifiers: Sequence[int], links: Sequence[Link], numbers: Mapping[Any, int]) -> None:
    """Add the links of identifiers (their numbers in the store); ``numbers`` are those of resources, by kind and value."""
    shops = _living(session, {link.shop_id for link in links if link.shop_id is not None})
    now = datetime.now(UTC)
    rows = [
        {
            "identifier_id": number,
            "resource_id": None if link.resource is None else numbers[link.resource.kind, link.resource.value],
            "shop_id": None if link.shop_id is None else shops.get(link.shop_id),
            "outcome": link.outcome.value,
            "probability": float(link.probability),
            "band": link.band.value,
            "reasons": list(link.reasons),
            "evidence": [[step.name, float(step.nats), step.text] for step in link.evidence],
            "at": now,
        }
        for number, link in zip(identifiers, links, strict=True)
    ]
    insert_many(session, LinkRow, rows)


def register_read(
    session: Session, identifiers: Sequence[Identifier], links: Sequence[Link]
) -> dict[tuple[IdentifierKind, str], int]:
    """Register the resources that links name, and those that identifiers are: all but protected, unsure and misread ones.

    ``links`` has one per identifier, or is empty. Gives the numbers of the resources.
    """
    named = {(link.resource.kind, link.resource.value) for link in links if link.resource is not None}
    own = {
        (item.kind, item.value)
        for i, item in enumerate(identifiers)
        if not _UNREGISTERED & set(item.flags) and not (links and links[i].outcome is Outcome.MISREAD)
    }
    return register(session, named | own, "read off a wall")


def identifiers_of(session: Session, analyses: Sequence[int]) -> list[int]:
    """The numbers of the identifiers of analyses, in the order of these, of adverts and of identifiers."""
    rows = select(AdvertRow.analysis_id, AdvertRow.number, IdentifierRow.number, IdentifierRow.id)
    rows = rows.join(IdentifierRow, IdentifierRow.advert_id == AdvertRow.id).where(AdvertRow.analysis_id.in_(analyses))
    places = {number: place for place, number in enumerate(analyses)}
    found = sorted((places[analysis], advert, item, number) for analysis, advert, item, number in session.execute(rows))
    return [number for *_, number in found]


def identifier_values(advert: int, number: int, item: Identifier) -> dict[str, Any]:
    """The columns of an identifier."""
    return {
        "advert_id": advert,
        "number": number,
        "kind": item.kind.value,
        "value": item.value,
        "raw": item.raw,
        "confidence": float(item.confidence),
        "alternatives": [[value, float(share)] for value, share in item.alternatives],
        "flags": [flag.value for flag in item.flags],
        "lines": list(item.lines),
        "codes": list(item.codes),
    }


def flat(adverts: Sequence[Advert]) -> list[Identifier]:
    """The identifiers of adverts, one behind the other."""
    return [item for advert in adverts for item in advert.identifiers]


def _numbers(session: Session, made: type[Base], rows: Sequence[dict[str, Any]], *key: str) -> dict[tuple[Any, ...], int]:
    """Insert rows and give the numbers they got, by the columns that tell them apart."""
    if not rows:
        return {}
    columns = [getattr(made, name) for name in (*key, "id")]
    found = session.execute(insert(made).returning(*columns), list(rows))
    return {tuple(row[:-1]): row[-1] for row in found}


def _analysis_row(item: NewAnalysis, settings: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    failure = item.analysis.failure
    return {
        "photo_id": item.photo,
        "made_by": item.maker,
        "models": [asdict(model) for model in item.analysis.models],
        "settings": dict(settings),
        "schema_version": SCHEMA_VERSION,
        "failure_code": None if failure is None else failure.code.value,
        "failure_message": None if failure is None else failure.message,
        "seconds": item.analysis.seconds,
        "stages": dict(item.analysis.stages),
        "at": now,
        "latest": item.latest,
    }


def _reading_row(advert: int, number: int, line: Line) -> dict[str, Any]:
    reading = line.reading
    return {
        "advert_id": advert,
        "number": number,
        "quad": _quad(line.quad),
        "line_confidence": float(line.confidence),
        "text": reading.text,
        "confidence": float(reading.confidence),
        "flipped": bool(reading.flipped),
        "alphabet": reading.alphabet,
        "log_probs": None if reading.log_probs is None else pack(reading.log_probs),
        "hypotheses": [[h.text, max(float(h.log_prob), _LEAST_LOG)] for h in reading.hypotheses],
        "chars": [[c.text, float(c.confidence), [[t, float(p)] for t, p in c.alternatives]] for c in reading.chars],
    }


def _quad(quad: Any) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in quad]


def _living(session: Session, shop_ids: set[str]) -> dict[str, str]:
    """The living shop behind each id; a shop that only a file knows is not among them. They stay as they are meanwhile."""
    rows = select(ShopRow.id, ShopRow.redirect).where(ShopRow.id.in_(shop_ids)).order_by(ShopRow.id).with_for_update(read=True)
    return {row.id: row.redirect or row.id for row in session.execute(rows)} if shop_ids else {}
