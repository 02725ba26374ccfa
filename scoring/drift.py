"""Whether photos look to the models as those did that they were judged on: a reference, and how far what comes in lies from it.

A measure is a histogram over photos, lines or contacts: how many lines a photo has, how sure they were read, in which letters,
which contacts were found. Two are compared by the population stability index: below 0.1 they are alike, above 0.25 they are not.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..contract import Analysis, TagtraceError
from ..models.registry import default_folder

REFERENCE_NAME = "reference.json"
PHOTO = "photo"
"""The measure that counts photos: with adverts, without, or failed."""
_SHARES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_COUNTS = (0, 1, 2, 3, 4, 6, 9, 14)
_KAZAKH = frozenset("әғқңөұүһіӘҒҚҢӨҰҮҺІ")
_SMOOTH = 0.5
"""Added to every bucket: one that is empty on one side alone does not count as infinitely strange."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Histograms (measure, bucket, count) of validation photos, and the models that read them (name, SHA-256)."""

    source: str
    photos: int
    models: Mapping[str, str]
    measures: Mapping[str, Mapping[str, int]]


def seen_in(analysis: Analysis) -> Iterator[tuple[str, str]]:
    """What one analysis adds to the measures: pairs of measure and bucket."""
    if analysis.failure is not None:
        yield PHOTO, "failed"
        return
    yield PHOTO, "adverts" if analysis.adverts else "none"
    lines = [line for advert in analysis.adverts for line in advert.lines]
    yield "lines", _bucket(len(lines), _COUNTS)
    for line in lines:
        yield "line_confidence", _bucket(line.reading.confidence, _SHARES)
        yield "script", script_of(line.reading.text)
    for advert in analysis.adverts:
        for item in advert.identifiers:
            yield "identifier_kind", str(item.kind)
            yield "identifier_confidence", _bucket(item.confidence, _SHARES)


def script_of(text: str) -> str:
    """The letters of a line: latin, cyrillic, kazakh (with a letter that Russian has not), mixed, or none."""
    latin = any("a" <= char.lower() <= "z" for char in text)
    cyrillic = any("\u0400" <= char <= "\u04ff" for char in text)
    if latin and cyrillic:
        return "mixed"
    if cyrillic:
        return "kazakh" if _KAZAKH & set(text) else "cyrillic"
    return "latin" if latin else "none"


def count(analyses: Iterable[Analysis]) -> dict[str, dict[str, int]]:
    """The measures of many analyses."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for analysis in analyses:
        for measure, bucket in seen_in(analysis):
            counted[measure][bucket] += 1
    return {measure: dict(sorted(buckets.items())) for measure, buckets in sorted(counted.items())}


def stability(expected: Mapping[str, int], found: Mapping[str, int]) -> float:
    """The population stability index of two histograms over the same buckets: 0 for equal shares, larger the farther apart."""
    buckets = expected.keys() | found.keys()
    shares = []
    for counted in (expected, found):
        total = sum(counted.values()) + _SMOOTH * len(buckets)
        shares.append({bucket: (counted.get(bucket, 0) + _SMOOTH) / total for bucket in buckets})
    return sum((shares[1][bucket] - shares[0][bucket]) * math.log(shares[1][bucket] / shares[0][bucket]) for bucket in buckets)


def drift(reference: Reference, found: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """The index of each measure of the reference that anything was found of."""
    return {name: stability(buckets, found[name]) for name, buckets in reference.measures.items() if found.get(name)}


def write_reference(path: Path, reference: Reference) -> None:
    """Keep a reference as JSON."""
    content = {
        "source": reference.source,
        "photos": reference.photos,
        "models": dict(reference.models),
        "measures": {name: dict(buckets) for name, buckets in reference.measures.items()},
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def find_reference(named: str = "") -> Reference | None:
    """The reference in the file ``named``, else that of the models in use; None where those have none."""
    if named:
        return read_reference(Path(named))
    path = default_folder() / REFERENCE_NAME
    return read_reference(path) if path.is_file() else None


def read_reference(path: Path) -> Reference:
    """A reference from its file. Raises ``TagtraceError`` that names the file where it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        measures = {
            str(name): {str(bucket): int(n) for bucket, n in buckets.items()} for name, buckets in content["measures"].items()
        }
        models = {str(name): str(sha256) for name, sha256 in content["models"].items()}
        return Reference(str(content["source"]), int(content["photos"]), models, measures)
    except OSError as error:
        raise TagtraceError(f"{path}: cannot be read ({error.strerror}); make it with `tagtrace models reference`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TagtraceError(f"{path}: is no reference ({error!r}); make it again with `tagtrace models reference`") from error


def _bucket(value: float, bounds: tuple[float, ...]) -> str:
    place = bisect_left(bounds, value)
    return f"<={bounds[place]:g}" if place < len(bounds) else f">{bounds[-1]:g}"
