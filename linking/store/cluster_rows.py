"""From sightings, bundles, clusters and events to rows, and back."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from ...contract import Flag, Identifier, IdentifierKind
from .. import wording
from ..bundles import Rule
from ..features import AdvertFeatures
from ..ledger import Event, EventKind
from ..pictures import hash_bands
from ..shelf import Bundle, Cluster, Facts, PaintState, Record, Target
from ..sightings import ANYWHERE, LOOSE, ClusterSettings, Contact, ContactEvidence, Key, Overpaint, Sighting, Traced, trace

FACTS = ("first_seen", "last_seen", "first_covered", "last_covered", "last_fresh")
_SIGN = 1 << 63
_WORDS = struct.Struct("<BI")
_WORDS_MARK = 0x57
"""The first byte of a row that holds words, too; features alone begin with their version."""


@lru_cache(maxsize=1 << 17)
def code(*parts: str | int) -> int:
    """A 64-bit number (signed) that stands for some words in an index."""
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def slot(look: Contact, area: int) -> int:
    """The number of a look in a coarse cell; 0 stands for no place."""
    return code(look[0], look[1], area)


def wall(look: Contact) -> int:
    """The number of a look wherever it is."""
    return code(look[0], look[1])


@lru_cache(maxsize=1 << 16)
def evidence_code(evidence: ContactEvidence) -> int:
    """The number of all that a sighting shows."""
    shown = [sorted(f"{kind} {value}" for kind, value in part) for part in (evidence.contacts, evidence.looks)]
    return code(*shown[0], "looks", *shown[1])


def signed(value: int) -> int:
    """64 bits as the signed number that databases keep."""
    return value - (1 << 64) if value >= _SIGN else value


def unsigned(value: int) -> int:
    """What ``signed`` was given."""
    return value + (1 << 64) if value < 0 else value


def band_number(band: int, bits: int) -> int:
    """One whole number for a band of a hash."""
    return band << 16 | bits


def hint_slot(hint: Contact, where: int) -> int:
    """The number of a hint in a coarse cell, or where the shelf says instead of one."""
    return code("hint", hint[0], hint[1], where)


def pictured(item: Traced) -> int:
    """0 without words and picture features, 1 with some, 2 with some and without a clear contact."""
    return 0 if not item.comparable else 1 if item.clear else 2


def sighting_row(record: Record) -> dict[str, Any]:
    """The row of ``sightings``."""
    item, sighting = record.traced, record.traced.sighting
    return {
        "id": record.number,
        "photo": sighting.photo,
        "advert": sighting.advert,
        "bundle": record.bundle,
        "spare": record.spare,
        "evidence": evidence_code(item.evidence),
        "spot": item.spot.cell if item.spot else None,
        "area": item.spot.area if item.spot else None,
        "pictured": pictured(item),
        "identifiers": [identifier_row(identifier) for identifier in sighting.identifiers],
        "shop_id": sighting.shop_id,
        "lat": sighting.lat,
        "lon": sighting.lon,
        "picture_hash": None if sighting.picture_hash is None else signed(sighting.picture_hash),
        "box": list(sighting.box),
        "taken_at": sighting.taken_at,
        "overpaint": sighting.overpaint,
    }


def look_rows(record: Record) -> list[dict[str, Any]]:
    """The rows of ``sighting_looks``: those of its looks unless it is spare, and those of its hints."""
    spot = record.traced.spot
    area = spot.area if spot else LOOSE
    rows: dict[int, int | None] = {}
    if not record.spare:
        rows |= {slot(look, area): wall(look) if spot else None for look in record.evidence.looks}
    rows |= {hint_slot(hint, where): None for hint in record.traced.hints for where in (area, ANYWHERE)}
    return [{"sighting": record.number, "wall": place, "slot": number} for number, place in rows.items()]


def band_rows(record: Record) -> list[dict[str, Any]]:
    """The rows of ``sighting_bands``."""
    value = record.traced.sighting.picture_hash
    bands = [] if value is None else hash_bands(value)
    return [{"band": band_number(*band), "hash": signed(value), "sighting": record.number} for band in bands if value is not None]


def feature_rows(record: Record) -> list[dict[str, Any]]:
    """The row of ``sighting_features``, where there are words or features: the length of the words, the words, the features."""
    sighting = record.traced.sighting
    if not record.traced.comparable:
        return []
    words = wording.to_bytes(sighting.words)
    features = b"" if sighting.features is None else sighting.features.to_bytes()
    return [{"sighting": record.number, "features": _WORDS.pack(_WORDS_MARK, len(words)) + words + features}]


def record_from(row: Any, settings: ClusterSettings) -> Record:
    """The record of a row of ``sightings``, without its words and picture features."""
    sighting = Sighting(
        photo=row.photo,
        advert=row.advert,
        identifiers=tuple(identifier_from(data) for data in row.identifiers),
        shop_id=row.shop_id,
        lat=row.lat,
        lon=row.lon,
        picture_hash=None if row.picture_hash is None else unsigned(row.picture_hash),
        box=(row.box[0], row.box[1], row.box[2], row.box[3]),
        taken_at=row.taken_at,
        overpaint=None if row.overpaint is None else Overpaint(row.overpaint),
    )
    return Record(trace(sighting, settings), row.id, row.bundle, row.spare)


def with_features(sighting: Sighting, data: bytes) -> Sighting:
    """A sighting with the words and features of its row of ``sighting_features``; older rows hold features alone, at times such
    as can no longer be compared."""
    words: tuple[wording.Spelt, ...] = ()
    if data[:1] == bytes([_WORDS_MARK]):
        _, length = _WORDS.unpack_from(data)
        words = wording.from_bytes(data[_WORDS.size : _WORDS.size + length])
        data = data[_WORDS.size + length :]
    return replace(sighting, words=words, features=AdvertFeatures.stored(data) if data else None)


def bundle_row(bundle: Bundle) -> dict[str, Any]:
    """The row of ``bundles``."""
    row = {name: getattr(bundle, name) for name in ("id", "component", "cluster", "ruled", "size")}
    return row | {"target": str(bundle.target)} | facts_columns(bundle.facts)


def bundle_from(row: Any) -> Bundle:
    """The bundle of a row."""
    return Bundle(row.id, row.component, row.cluster, Target(row.target), row.ruled, row.size, facts_from(row))


def cluster_row(cluster: Cluster) -> dict[str, Any]:
    """The row of ``clusters``."""
    row = {name: getattr(cluster, name) for name in ("id", "number", "into", "wall", "size")}
    return row | {"state": str(cluster.state)} | facts_columns(cluster.facts)


def cluster_from(row: Any) -> Cluster:
    """The cluster of a row."""
    return Cluster(row.id, row.number, row.into, row.wall, row.size, facts_from(row), PaintState(row.state))


def facts_columns(facts: Facts) -> dict[str, Any]:
    """Facts as columns."""
    return {name: getattr(facts, name) for name in FACTS}


def facts_from(row: Any) -> Facts:
    """Facts from the columns of a row."""
    return Facts(*(getattr(row, name) for name in FACTS))


def event_row(event: Event) -> dict[str, Any]:
    """The row of ``cluster_events``."""
    return {
        "number": event.number,
        "at": event.at,
        "actor": event.actor,
        "kind": str(event.kind),
        "cluster": event.cluster,
        "other": str(event.other),
        "sightings": [list(key) for key in event.sightings],
        "why": list(event.why),
    }


def event_from(row: Any) -> Event:
    """The event of a row."""
    keys = tuple((str(photo), int(advert)) for photo, advert in row.sightings)
    return Event(row.number, row.at, row.actor, EventKind(row.kind), row.cluster, row.other, keys, tuple(row.why))


def rule_row(rule: Rule) -> dict[str, Any]:
    """The row of ``cluster_rules``; the sightings of a rule are in order."""
    (a_photo, a_advert), (b_photo, b_advert) = rule.a, rule.b
    ends = {"a_photo": a_photo, "a_advert": a_advert, "b_photo": b_photo, "b_advert": b_advert}
    return ends | {"same": rule.same, "number": rule.number}


def rule_from(row: Any) -> Rule:
    """The rule of a row."""
    return Rule((row.a_photo, row.a_advert), (row.b_photo, row.b_advert), row.same, row.number)


def identifier_row(identifier: Identifier) -> list[Any]:
    """An identifier as JSON has it, exactly; ``SightingRow.identifiers`` says what is where."""
    return [
        str(identifier.kind),
        identifier.value,
        identifier.raw,
        identifier.confidence,
        [list(pair) for pair in identifier.alternatives],
        [str(flag) for flag in identifier.flags],
        list(identifier.lines),
        list(identifier.codes),
    ]


def identifier_from(data: Sequence[Any]) -> Identifier:
    """What ``identifier_row`` was given."""
    kind, value, raw, confidence, alternatives, flags, lines, codes = data
    return Identifier(
        IdentifierKind(kind),
        value,
        raw,
        confidence,
        tuple((str(text), float(share)) for text, share in alternatives),
        tuple(Flag(flag) for flag in flags),
        tuple(lines),
        tuple(codes),
    )


def key_of(row: Any) -> Key:
    """The key of a row of ``sightings``."""
    return (row.photo, row.advert)
