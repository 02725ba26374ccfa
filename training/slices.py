"""The measures slice by slice (height, angle, style, script, light, …), and which characters are taken for which."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from ..datasets.truth import CODE_KIND, AdvertTruth, LineTruth, PhotoTruth
from ..models.geometry import angle
from .matching import PhotoMatch, distance, fold, found_identifiers, line_kind, scored_kinds, true_identifiers
from .metrics import ratio

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SliceSettings:
    """Borders between slices; a slice is named after what lies in it, lower border included."""

    height_px: tuple[float, ...] = (8, 12, 16, 24, 32, 48, 64, 96)
    """Heights of lines in pixels."""
    angle_deg: tuple[float, ...] = (10, 20, 30, 45, 60)
    """Angles of the camera to the wall, and of a line to the horizontal of the photo, in degrees without sign."""
    distance_m: tuple[float, ...] = (1, 2, 4, 8)
    """Distances of the camera, in metres."""
    length: tuple[float, ...] = (6, 10, 16, 24)
    """Characters of a line."""
    confusion_cer: float = 0.5
    """Readings with more errors per character than this are another text: their characters are not compared one by one."""


DEFAULT_SLICES = SliceSettings()

_Value = Callable[[PhotoTruth, AdvertTruth, LineTruth], str]


@dataclass(frozen=True, slots=True)
class Slice:
    """Legible lines and identifiers of one slice. ``of`` is what was sliced by (``height``), ``name`` the slice (``12-16 px``).

    ``found`` lines matched a prediction; of these, ``cer`` is the character error rate without case, ``cer_folded`` also without
    spaces and look-alikes, ``exact`` the share without an error of the latter kind. ``exact_identifiers`` of ``identifiers`` were
    reported rightly; one split over several lines belongs to the slice of its first line.
    """

    of: str
    name: str
    lines: int
    found: int
    recall: float | None
    cer: float | None
    cer_folded: float | None
    exact: float | None
    identifiers: int
    exact_identifiers: int
    identifier_recall: float | None


@dataclass(frozen=True, slots=True)
class PhotoSlice:
    """False alarms on the photos of one slice: false lines per photo, and the precision of the identifiers reported."""

    of: str
    name: str
    photos: int
    false_lines: int
    false_lines_per_photo: float
    reported: int
    precision: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a character was read as another; "" stands for none: inserted (``truth``) or left out (``read``).

    ``share`` is of all occurrences of the true character in compared lines, None for inserted ones.
    """

    truth: str
    read: str
    count: int
    share: float | None


def _bin(value: float | None, borders: Sequence[float], unit: str) -> str:
    if value is None:
        return UNKNOWN
    below = [border for border in borders if border <= value]
    above = [border for border in borders if border > value]
    if not above:
        return f"{below[-1]:g}+ {unit}"
    return f"{below[-1] if below else 0:g}-{above[0]:g} {unit}"


def script(text: str) -> str:
    """The alphabet of a text: ``latin``, ``cyrillic``, ``kazakh`` (with letters that Russian lacks), ``mixed`` or ``none``."""
    latin = re.search(r"[A-Za-z]", text)
    cyrillic = re.search(r"[Ѐ-ӿ]", text)
    if latin and cyrillic:
        return "mixed"
    if cyrillic:
        return "kazakh" if re.search(r"[ӘәҒғҚқҢңӨөҰұҮүҺһІі]", text) else "cyrillic"
    return "latin" if latin else "none"


def _absolute(value: float | None) -> float | None:
    return None if value is None else abs(value)


def line_dimensions(settings: SliceSettings = DEFAULT_SLICES) -> Mapping[str, _Value]:
    """What lines are sliced by, and the slice of a line."""

    def turned(line: LineTruth) -> float:
        return abs(angle(line.quad))

    return {
        "height": lambda p, a, x: _bin(x.height_px, settings.height_px, "px"),
        "tilt in photo": lambda p, a, x: _bin(turned(x), settings.angle_deg, "deg"),
        "yaw": lambda p, a, x: _bin(_absolute(p.yaw), settings.angle_deg, "deg"),
        "pitch": lambda p, a, x: _bin(_absolute(p.pitch), settings.angle_deg, "deg"),
        "roll": lambda p, a, x: _bin(_absolute(p.roll), settings.angle_deg, "deg"),
        "distance": lambda p, a, x: _bin(p.dist_m, settings.distance_m, "m"),
        "style": lambda p, a, x: a.style or UNKNOWN,
        "script": lambda p, a, x: script(x.text),
        "length": lambda p, a, x: _bin(len(x.text), settings.length, "characters"),
        "light": lambda p, a, x: p.light or UNKNOWN,
        "material": lambda p, a, x: p.material or UNKNOWN,
        "kind": lambda p, a, x: "code" if x.kind == CODE_KIND else line_kind(x),
        "evasion": lambda p, a, x: x.evasion or "plain",
        "difficulty": lambda p, a, x: p.difficulty or UNKNOWN,
    }


PHOTO_DIMENSIONS: Mapping[str, Callable[[PhotoTruth], str]] = {
    "shows": lambda p: "adverts" if not p.negative else p.negative_kind or "no advert",
    "light": lambda p: p.light or UNKNOWN,
    "material": lambda p: p.material or UNKNOWN,
    "difficulty": lambda p: p.difficulty or UNKNOWN,
}
"""What photos are sliced by to look at false alarms."""


def _order(name: str) -> tuple[float, str]:
    number = re.match(r"[\d.]+", name)
    return (float(number.group()) if number else float("inf"), name)


def _line_slice(of: str, name: str, n: Counter[str]) -> Slice:
    return Slice(
        of=of,
        name=name,
        lines=n["lines"],
        found=n["found"],
        recall=ratio(n["found"], n["lines"]),
        cer=ratio(n["errors"], n["chars"]),
        cer_folded=ratio(n["errors_folded"], n["chars_folded"]),
        exact=ratio(n["exact"], n["found"]),
        identifiers=n["identifiers"],
        exact_identifiers=n["hits"],
        identifier_recall=ratio(n["hits"], n["identifiers"]),
    )


def _count_lines(match: PhotoMatch, add: Callable[[AdvertTruth, LineTruth, Mapping[str, int]], None]) -> None:
    for advert, line in match.missed:
        add(advert, line, {"lines": 1})
    for pair in match.pairs:
        true, read = pair.truth.text.lower(), pair.found.text.lower()
        true_folded, read_folded = fold(true), fold(read)
        folded = min(len(true_folded), distance(true_folded, read_folded))
        count = {"lines": 1, "found": 1, "errors": distance(true, read), "chars": len(true)}
        count |= {"errors_folded": folded, "chars_folded": len(true_folded), "exact": int(folded == 0)}
        add(pair.advert, pair.truth, count)


def slice_lines(matches: Sequence[PhotoMatch], settings: SliceSettings = DEFAULT_SLICES) -> list[Slice]:
    """Every slice of every dimension that has a legible line or identifier, in the order of its values."""
    kinds = scored_kinds(match.photo for match in matches)
    dimensions = line_dimensions(settings)
    counts: dict[str, dict[str, Counter[str]]] = {of: {} for of in dimensions}
    for match in matches:

        def add(advert: AdvertTruth, line: LineTruth, numbers: Mapping[str, int], photo: PhotoTruth = match.photo) -> None:
            for of, value in dimensions.items():
                counts[of].setdefault(value(photo, advert, line), Counter()).update(numbers)

        _count_lines(match, add)
        reported = found_identifiers(match.prediction, kinds)
        for key, true in true_identifiers(match.photo, kinds).items():
            if true.legible:
                add(true.advert, true.lines[0], {"identifiers": 1, "hits": int(key in reported)})
    return [_line_slice(of, name, slices[name]) for of, slices in counts.items() for name in sorted(slices, key=_order)]


def slice_photos(matches: Sequence[PhotoMatch]) -> list[PhotoSlice]:
    """False alarms by what the photo shows, its light, its wall and its difficulty."""
    kinds = scored_kinds(match.photo for match in matches)
    out = []
    for of, value in PHOTO_DIMENSIONS.items():
        slices: dict[str, list[PhotoMatch]] = {}
        for match in matches:
            slices.setdefault(value(match.photo), []).append(match)
        for name in sorted(slices):
            part = slices[name]
            reported = [key in true_identifiers(m.photo, kinds) for m in part for key in found_identifiers(m.prediction, kinds)]
            false = sum(len(m.false) for m in part)
            precision = ratio(sum(reported), len(reported))
            out.append(PhotoSlice(of, name, len(part), false, false / len(part), len(reported), precision))
    return out


def confusions(pairs: Iterable[tuple[str, str]], settings: SliceSettings = DEFAULT_SLICES) -> list[Confusion]:
    """Which characters of the truth were read as which, from (truth, reading) pairs, most frequent first; without case."""
    counts: Counter[tuple[str, str]] = Counter()
    seen: Counter[str] = Counter()
    for truth, read in ((t.lower(), r.lower()) for t, r in pairs):
        if not truth or distance(truth, read) > settings.confusion_cer * len(truth):
            continue
        seen.update(truth)
        for edit in Levenshtein.editops(truth, read):
            true = "" if edit.tag == "insert" else truth[edit.src_pos]
            other = "" if edit.tag == "delete" else read[edit.dest_pos]
            counts[true, other] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(true, read, count, ratio(count, seen[true]) if true else None) for (true, read), count in ordered]
