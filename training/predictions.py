"""Predictions to be measured: one object per photo, and the JSON Lines file that keeps them.

The file is the ``predictions.jsonl`` that ``tagtrace score`` writes; other tools can write it too. Per line one object:
``file``, ``seconds``, ``lines`` (``quad``, ``text``, ``conf``), ``identifiers`` (``kind``, ``value``, ``conf``, ``shop_id``),
``ads`` (``quad``, ``cluster``, ``shop_cluster``); instead of ``ads``, ``cluster`` and ``shop_cluster`` may stand for the
whole photo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract import Analysis, Flag, Quad, TagtraceError
from ..datasets.files import read_json_lines


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A text line that was reported: its quad in pixels, its text and how sure the reader is (0 where it does not say)."""

    quad: Quad
    text: str
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class FoundIdentifier:
    """An identifier that was reported, and the known shop it was linked to."""

    kind: str
    value: str
    confidence: float = 0.0
    shop_id: str | None = None


@dataclass(frozen=True, slots=True)
class FoundAdvert:
    """An advert that was reported: where it is, and the clusters it was placed in (one physical advert; one shop)."""

    quad: Quad
    cluster: str | None = None
    shop_cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was reported for one photo. A photo with nothing in it, or that nobody reported, has empty lists."""

    file: str
    lines: tuple[FoundLine, ...] = ()
    identifiers: tuple[FoundIdentifier, ...] = ()
    adverts: tuple[FoundAdvert, ...] = ()
    cluster: str | None = None
    shop_cluster: str | None = None
    seconds: float | None = None


NOTHING = Prediction("")
_IN_WORDS = {"dict": "an object", "list": "a list", "str": "text"}


def _shape(value: object, name: str, kind: type[Any], where: str) -> Any:
    if not isinstance(value, kind):
        raise TagtraceError(f"{where}: {name} must be {_IN_WORDS[kind.__name__]}, found {str(value)[:40]!r}")
    return value


def _number(value: object, name: str, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TagtraceError(f"{where}: {name} must be a finite number, found {str(value)[:40]!r}")
    return float(value)


def _label(value: object) -> str | None:
    return None if value is None else str(value)


def _quad(value: object, name: str, where: str) -> Quad:
    try:
        a, b, c, d = ((float(x), float(y)) for x, y in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as bad:
        raise TagtraceError(f"{where}: {name} must be four corners [[x, y], …], found {str(value)[:40]!r}") from bad
    if not all(math.isfinite(v) for corner in (a, b, c, d) for v in corner):
        raise TagtraceError(f"{where}: {name} has a corner that is not finite")
    return (a, b, c, d)


def _entries(record: Mapping[str, Any], name: str, where: str) -> list[tuple[str, dict[str, Any]]]:
    entries = _shape(record.get(name) or [], name, list, where)
    return [(f"{where}, {name}[{i}]", _shape(e, "it", dict, f"{where}, {name}[{i}]")) for i, e in enumerate(entries)]


def parse_prediction(value: object, where: str) -> Prediction:
    """A prediction from one JSON value; ``where`` begins the message of the TagtraceError when something in it is wrong."""
    record = _shape(value, "a prediction", dict, where)
    lines = tuple(
        FoundLine(_quad(e.get("quad"), "quad", at), str(e.get("text") or ""), _number(e.get("conf"), "conf", at) or 0.0)
        for at, e in _entries(record, "lines", where)
    )
    identifiers = tuple(
        FoundIdentifier(
            _shape(e.get("kind"), "kind", str, at),
            _shape(e.get("value"), "value", str, at),
            _number(e.get("conf"), "conf", at) or 0.0,
            _label(e.get("shop_id")),
        )
        for at, e in _entries(record, "identifiers", where)
    )
    adverts = tuple(
        FoundAdvert(_quad(e.get("quad"), "quad", at), _label(e.get("cluster")), _label(e.get("shop_cluster")))
        for at, e in _entries(record, "ads", where)
    )
    return Prediction(
        file=Path(_shape(record.get("file"), "file", str, where)).name,
        lines=lines,
        identifiers=identifiers,
        adverts=adverts,
        cluster=_label(record.get("cluster")),
        shop_cluster=_label(record.get("shop_cluster")),
        seconds=_number(record.get("seconds"), "seconds", where),
    )


def read_predictions(path: Path | str) -> dict[str, Prediction]:
    """The predictions of a file by the name of the photo (without folders).

    Raises TagtraceError that names file and line when it cannot be read, something in it is wrong, or two lines are of one photo.
    """
    path = Path(path)
    found: dict[str, Prediction] = {}
    for number, value in read_json_lines(path):
        prediction = parse_prediction(value, f"{path}:{number}")
        if prediction.file in found:
            raise TagtraceError(f"{path}:{number}: there is a prediction for {prediction.file!r} already")
        found[prediction.file] = prediction
    return found


def prediction_of(analysis: Analysis) -> Prediction:
    """The prediction that an analysis amounts to, without links and clusters; a failed photo has nothing in it."""
    lines = (line for advert in analysis.adverts for line in advert.lines)
    identifiers = (i for advert in analysis.adverts for i in advert.identifiers if Flag.UNSURE not in i.flags)
    return Prediction(
        file=Path(analysis.name).name,
        lines=tuple(FoundLine(line.quad, line.reading.text, min(line.confidence, line.reading.confidence)) for line in lines),
        identifiers=tuple(FoundIdentifier(i.kind.value, i.value, i.confidence) for i in identifiers),
        adverts=tuple(FoundAdvert(advert.quad) for advert in analysis.adverts),
        seconds=analysis.seconds,
    )


def prediction_to_json(prediction: Prediction) -> dict[str, Any]:
    """One line of a predictions file; ``parse_prediction`` reads it."""
    return {
        "file": prediction.file,
        "seconds": prediction.seconds,
        "lines": [{"quad": line.quad, "text": line.text, "conf": line.confidence} for line in prediction.lines],
        "identifiers": [
            {"kind": i.kind, "value": i.value, "conf": i.confidence, "shop_id": i.shop_id} for i in prediction.identifiers
        ],
        "ads": [{"quad": ad.quad, "cluster": ad.cluster, "shop_cluster": ad.shop_cluster} for ad in prediction.adverts],
        **({"cluster": prediction.cluster} if prediction.cluster is not None else {}),
        **({"shop_cluster": prediction.shop_cluster} if prediction.shop_cluster is not None else {}),
    }
