"""The JSON form of an analysis, versioned: what ``results.jsonl`` holds, written and read back.

The form is published as ``assets/results.schema.json``. Numbers are rounded to what they mean: 0.01 pixels, six decimals of a
probability, milliseconds.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from typing import Any, TypeAlias

from ..contract import (
    SCHEMA_VERSION,
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
    Placement,
    Quad,
    Reading,
    Resource,
)
from ..models.alphabet import ALPHABET
from ..models.logprobs import pack, unpack

Json: TypeAlias = dict[str, Any]
_LEAST_LOG = -1e6
"""Stands for minus infinity, which JSON has no word for."""


@dataclass(frozen=True, slots=True, eq=False)
class AdvertResult:
    """An advert with its links (one per identifier, in order) and its clusters."""

    advert: Advert
    links: tuple[Link, ...]
    placement: Placement


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """Everything that is written about one photo. ``adverts`` are those of ``analysis``, in order."""

    analysis: Analysis
    picture_hash: int | None
    adverts: tuple[AdvertResult, ...]

    def under(self, analysis: Analysis) -> PhotoResult:
        """The same result for a file of the same bytes, with the name, place and time that ``analysis`` has."""
        return replace(self, analysis=replace(analysis, adverts=self.analysis.adverts))


def schema() -> Json:
    """The JSON Schema of one line of ``results.jsonl``."""
    text = (resources.files(__package__) / "assets" / "results.schema.json").read_text(encoding="utf-8")
    loaded: Json = json.loads(text)
    return loaded


def dump(value: object) -> str:
    """One line of JSON; letters of every alphabet stay readable."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def result_to_json(result: PhotoResult, settings: Mapping[str, object]) -> Json:
    """One line of ``results.jsonl``: the analysis, the settings it was made with, links and clusters."""
    record = analysis_to_json(result.analysis, result.picture_hash)
    record["settings"] = dict(settings)
    for advert, found in zip(record["adverts"], result.adverts, strict=True):
        advert["cluster"] = found.placement.cluster
        advert["shop_cluster"] = found.placement.shop_cluster
        advert["cluster_reasons"] = list(found.placement.reasons)
        for identifier, link in zip(advert["identifiers"], found.links, strict=True):
            identifier["link"] = link_to_json(link)
    return record


def analysis_to_json(analysis: Analysis, picture_hash: int | None, *, evidence: bool = False) -> Json:
    """The JSON form of an analysis without links and clusters.

    With ``evidence`` the log-probabilities of the readings are in it too (packed, base64): linking needs them, readers of results
    do not.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "file": analysis.name,
        "sha256": analysis.sha256,
        "width": analysis.width,
        "height": analysis.height,
        "taken_at": None if analysis.taken_at is None else time_to_json(analysis.taken_at),
        "lat": _rounded(analysis.lat, 7),
        "lon": _rounded(analysis.lon, 7),
        "report_id": analysis.report_id,
        "picture_hash": None if picture_hash is None else f"{picture_hash:016x}",
        "failure": None if analysis.failure is None else {"code": analysis.failure.code, "message": analysis.failure.message},
        "models": [{"task": model.task, "name": model.name, "sha256": model.sha256} for model in analysis.models],
        "seconds": round(analysis.seconds, 3),
        "stages": {name: round(seconds, 3) for name, seconds in analysis.stages},
        "adverts": [_advert_to_json(advert, evidence) for advert in analysis.adverts],
    }


def analysis_from_json(record: Mapping[str, Any]) -> tuple[Analysis, int | None]:
    """The analysis and the picture hash of a record made by ``analysis_to_json`` or ``result_to_json``.

    Raises ``ValueError``, ``TypeError`` or ``LookupError`` for anything else.
    """
    if record["schema_version"].split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise ValueError(f"records of version {record['schema_version']} cannot be read, only {SCHEMA_VERSION}")
    failure, taken_at, picture_hash = record["failure"], record["taken_at"], record["picture_hash"]
    analysis = Analysis(
        name=record["file"],
        sha256=record["sha256"],
        width=record["width"],
        height=record["height"],
        adverts=tuple(_advert_from_json(advert) for advert in record["adverts"]),
        failure=None if failure is None else Failure(FailureCode(failure["code"]), failure["message"]),
        models=tuple(ModelInfo(model["task"], model["name"], model["sha256"]) for model in record["models"]),
        taken_at=None if taken_at is None else datetime.fromisoformat(taken_at),
        lat=record["lat"],
        lon=record["lon"],
        report_id=record["report_id"],
        seconds=record["seconds"],
        stages=tuple(record["stages"].items()),
    )
    return analysis, None if picture_hash is None else int(picture_hash, 16)


def link_to_json(link: Link) -> Json:
    """The JSON form of a link to a shop."""
    resource = link.resource
    return {
        "outcome": link.outcome,
        "probability": _share(link.probability),
        "shop_id": link.shop_id,
        "resource": None if resource is None else {"kind": resource.kind, "value": resource.value},
        "reasons": list(link.reasons),
        "band": link.band,
        "evidence": [{"name": step.name, "nats": round(step.nats, 4), "text": step.text} for step in link.evidence],
    }


def link_from_json(record: Mapping[str, Any]) -> Link:
    """The link of a record made by ``link_to_json``; the name of the shop is not in it. Raises as ``analysis_from_json``."""
    known, shop = record["resource"], record["shop_id"]
    return Link(
        outcome=Outcome(record["outcome"]),
        probability=record["probability"],
        shop_id=shop,
        resource=None if known is None else Resource(IdentifierKind(known["kind"]), known["value"], shop or ""),
        reasons=tuple(record["reasons"]),
        evidence=tuple(Evidence(step["name"], step["nats"], step["text"]) for step in record["evidence"]),
        band=Band(record["band"]),
    )


def time_to_json(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC with seconds, ``2026-07-20T22:39:23Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def quad_to_json(quad: Quad) -> list[list[float]]:
    """Four corners [x, y], to a hundredth of a pixel."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in quad]


def _advert_to_json(advert: Advert, evidence: bool) -> Json:
    return {
        "quad": quad_to_json(advert.quad),
        "lines": [_line_to_json(line, evidence) for line in advert.lines],
        "codes": [{"payload": code.payload, "format": code.format, "quad": quad_to_json(code.quad)} for code in advert.codes],
        "identifiers": [_identifier_to_json(identifier) for identifier in advert.identifiers],
    }


def _advert_from_json(record: Mapping[str, Any]) -> Advert:
    return Advert(
        quad=_quad(record["quad"]),
        lines=tuple(_line_from_json(line) for line in record["lines"]),
        codes=tuple(Code(code["payload"], code["format"], _quad(code["quad"])) for code in record["codes"]),
        identifiers=tuple(_identifier_from_json(identifier) for identifier in record["identifiers"]),
    )


def _line_to_json(line: Line, evidence: bool) -> Json:
    reading = line.reading
    record = {
        "quad": quad_to_json(line.quad),
        "confidence": _share(line.confidence),
        "text": reading.text,
        "reading_confidence": _share(reading.confidence),
        "flipped": bool(reading.flipped),
        "hypotheses": [{"text": h.text, "log_prob": round(max(float(h.log_prob), _LEAST_LOG), 4)} for h in reading.hypotheses],
        "chars": [
            {
                "text": char.text,
                "confidence": _share(char.confidence),
                "alternatives": [[text, _share(share)] for text, share in char.alternatives],
            }
            for char in reading.chars
        ],
    }
    if evidence and reading.log_probs is not None and reading.alphabet == ALPHABET:
        record["log_probs"] = b64encode(pack(reading.log_probs)).decode("ascii")
    return record


def _line_from_json(record: Mapping[str, Any]) -> Line:
    reading = Reading(
        text=record["text"],
        confidence=record["reading_confidence"],
        hypotheses=tuple(Hypothesis(item["text"], item["log_prob"]) for item in record["hypotheses"]),
        chars=tuple(Char(c["text"], c["confidence"], tuple((t, p) for t, p in c["alternatives"])) for c in record["chars"]),
        flipped=record["flipped"],
    )
    packed = record.get("log_probs")
    if packed is not None:
        reading = replace(reading, log_probs=unpack(b64decode(packed, validate=True)), alphabet=ALPHABET)
    return Line(_quad(record["quad"]), record["confidence"], reading)


def _identifier_to_json(identifier: Identifier) -> Json:
    return {
        "kind": identifier.kind,
        "value": identifier.value,
        "raw": identifier.raw,
        "confidence": _share(identifier.confidence),
        "alternatives": [{"value": value, "probability": _share(share)} for value, share in identifier.alternatives],
        "flags": [str(flag) for flag in identifier.flags],
        "lines": list(identifier.lines),
        "codes": list(identifier.codes),
    }


def _identifier_from_json(record: Mapping[str, Any]) -> Identifier:
    return Identifier(
        kind=IdentifierKind(record["kind"]),
        value=record["value"],
        raw=record["raw"],
        confidence=record["confidence"],
        alternatives=tuple((item["value"], item["probability"]) for item in record["alternatives"]),
        flags=tuple(Flag(flag) for flag in record["flags"]),
        lines=tuple(record["lines"]),
        codes=tuple(record["codes"]),
    )


def _quad(corners: Sequence[Sequence[float]]) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), 6)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
