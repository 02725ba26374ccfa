"""A whole truth as annotations and back: which lines are of one advert, whose it is, and what is known of the photo.

``annotate`` gives a detector its labels and leaves out what it cannot learn; here nothing is left out, so that a truth can go to
a tool, be corrected there, and come back. What an annotation format cannot hold is lost on the way: ``losses`` counts it.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from shapely.geometry import Polygon

from ...contract import OTHER_TEXT, Quad, RegionKind, TagtraceError
from ...models import geometry
from ..truth import (
    CODE_KIND,
    LINE_KINDS,
    WORD_KIND,
    AdvertTruth,
    DistractorTruth,
    LineTruth,
    PhotoTruth,
    advert_from_json,
    distractor_from_json,
    parse_photo,
    photo_to_json,
)
from .annotations import AnnotatedPhoto, Annotation

GROUP = "group"
"""Name in ``Annotation.more``: the number of the advert, or of the other text, that a line is of; counted from 1."""
ADVERTS, OTHERS = "adverts", "others"
"""Names in ``AnnotatedPhoto.about``: what is known of each advert, and of each other text, apart from its lines."""
WALL, SHOP, STYLE = "wall_id", "shop_id", "style"
_OWN = ("text", "canonical", "kind", "quad", "legible")
_KNOWN_PHOTO = ("file", "width", "height", "ads", "distractors")
_WHOLE = "whole"
"""Marks the one annotation of a text that is no advert and whose lines the truth does not tell apart."""


def to_annotations(photo: PhotoTruth) -> AnnotatedPhoto:
    """A photo's truth as annotations, one per line and code, none left out and none clipped; ``to_truth`` brings it back."""
    plain = json.loads(photo_to_json(photo))
    found: list[Annotation] = []
    adverts, others = [], []
    for number, (advert, values) in enumerate(zip(photo.ads, plain["ads"], strict=True), 1):
        for line, held in zip(advert.lines, values.pop("lines"), strict=True):
            label = RegionKind.CODE.value if line.kind == CODE_KIND else RegionKind.LINE.value
            whose = {GROUP: number, WALL: advert.wall_id, SHOP: advert.shop_id, STYLE: advert.style}
            found.append(_annotation(label, line, held, whose))
        adverts.append(values)
    for number, (other, values) in enumerate(zip(photo.distractors, plain.get("distractors", []), strict=True), 1):
        lines = values.pop("lines", [])
        for line, held in zip(other.lines or (), lines, strict=True):
            found.append(_annotation(OTHER_TEXT, line, held, {GROUP: number, STYLE: other.kind}))
        if not other.lines:
            whose = {GROUP: number, STYLE: other.kind, _WHOLE: True}
            found.append(Annotation(OTHER_TEXT, other.quad, other.text, kind=WORD_KIND, more=whose))
        others.append(values)
    about = {name: value for name, value in plain.items() if name not in _KNOWN_PHOTO}
    return AnnotatedPhoto(photo.file, photo.width, photo.height, tuple(found), {**about, ADVERTS: adverts, OTHERS: others})


def _annotation(label: str, line: LineTruth, held: dict[str, Any], whose: dict[str, Any]) -> Annotation:
    more = {name: value for name, value in held.items() if name not in _OWN}
    return Annotation(label, line.quad, line.text, line.canonical, line.kind, line.legible, {**more, **whose})


def to_truth(photo: AnnotatedPhoto) -> PhotoTruth:
    """The truth of an annotated photo; what the annotations do not tell has the usual values.

    Lines with the same group are one advert; lines without one are an advert each. A line without a kind is a ``word``, and
    without a canonical value means what it says. The quad of an advert is kept where it still holds its lines, else it is
    drawn around them. Raises TagtraceError that names the photo and the field where a value cannot be read.
    """
    where = photo.file
    lines: dict[tuple[bool, str], list[Annotation]] = defaultdict(list)
    for place, annotation in enumerate(photo.annotations):
        group = annotation.more.get(GROUP)
        lines[annotation.label == OTHER_TEXT, f"{group}" if group else f"alone {place}"].append(annotation)
    adverts = [_advert(part, _held(photo, ADVERTS, group), where) for (other, group), part in lines.items() if not other]
    others = [_other(part, _held(photo, OTHERS, group), where) for (other, group), part in lines.items() if other]
    about = {name: value for name, value in photo.about.items() if name not in (ADVERTS, OTHERS)}
    if about.get("negative") and adverts:
        about["negative"] = False
    plain = {"file": photo.file, "width": photo.width, "height": photo.height, "ads": [], **about}
    known = parse_photo({"negative": not adverts, **plain}, where)
    return dataclasses.replace(known, ads=tuple(adverts), distractors=tuple(others))


def _held(photo: AnnotatedPhoto, name: str, group: str) -> Mapping[str, Any]:
    listed = photo.about.get(name)
    number = int(group) if group.isdecimal() else 0
    if not isinstance(listed, list) or not 1 <= number <= len(listed) or not isinstance(listed[number - 1], dict):
        return {}
    return dict(listed[number - 1])


def _line(annotation: Annotation, where: str) -> dict[str, Any]:
    code = annotation.label == RegionKind.CODE
    kind = CODE_KIND if code else annotation.kind if annotation.kind in LINE_KINDS - {CODE_KIND} else WORD_KIND
    names = (GROUP, WALL, SHOP, STYLE, _WHOLE)
    more = {name: value for name, value in annotation.more.items() if name not in names}
    if annotation.kind and annotation.kind not in LINE_KINDS:
        raise TagtraceError(
            f"{where}: a line has the kind {annotation.kind!r}; it must be one of {', '.join(sorted(LINE_KINDS))}"
        )
    return {
        "height_px": round(geometry.size(annotation.quad)[1], 1),
        **more,
        "text": annotation.text,
        "canonical": annotation.canonical or annotation.text,
        "kind": kind,
        "quad": annotation.quad,
        "legible": annotation.legible,
    }


def _advert(lines: Sequence[Annotation], held: Mapping[str, Any], where: str) -> AdvertTruth:
    whose = {name: str(lines[0].more.get(name) or held.get(name) or "") for name in (WALL, SHOP, STYLE)}
    plain = {**held, **whose, "quad": _around(lines, held), "lines": [_line(line, where) for line in lines]}
    return advert_from_json(plain, where)


def _other(lines: Sequence[Annotation], held: Mapping[str, Any], where: str) -> DistractorTruth:
    whole = bool(lines[0].more.get(_WHOLE)) and len(lines) == 1
    plain: dict[str, Any] = {**held, "kind": str(lines[0].more.get(STYLE) or held.get("kind") or "sign")}
    plain["quad"] = lines[0].quad if whole else _around(lines, held)
    if whole:
        plain["text"] = lines[0].text
    else:
        plain.setdefault("text", " ".join(line.text for line in lines))
        plain["lines"] = [_line(line, where) for line in lines]
    return distractor_from_json(plain, where)


def _around(lines: Sequence[Annotation], held: Mapping[str, Any]) -> Quad:
    """The quad that is known of an advert, where the middles of its lines lie in it; else one around its lines."""
    known = held.get("quad")
    if isinstance(known, list) and len(known) == 4:
        shape = Polygon(known).convex_hull.buffer(1.0)
        if all(shape.contains(Polygon(line.quad).centroid) for line in lines):
            return geometry.quad_of(known)
    if len(lines) == 1:
        return lines[0].quad
    return geometry.min_area_quad(np.concatenate([np.asarray(line.quad, dtype=np.float64) for line in lines]))


@dataclasses.dataclass(frozen=True, slots=True)
class LossSettings:
    """When two values are the same."""

    pixels: float = 0.51
    """Coordinates and heights that differ by less are the same: formats round."""


def losses(before: Iterable[PhotoTruth], after: Iterable[PhotoTruth], settings: LossSettings | None = None) -> dict[str, int]:
    """What a truth lost on its way through a format: how many values of each field are missing or changed, by its name.

    Names are ``photo.lat``, ``advert.style``, ``line.contrast``, ``other.kind``; ``advert``, ``line`` and ``other`` alone are
    things that are gone as a whole or came back otherwise grouped. Photos are compared by name, lines by their text and place.
    """
    settings = settings or LossSettings()
    held = {photo.file: photo for photo in after}
    found: Counter[str] = Counter()
    for photo in before:
        other = held.get(photo.file)
        if other is None:
            found["photo"] += 1
            continue
        _compare(found, "photo", _plain_photo(photo), _plain_photo(other), settings)
        _compare_parts(found, "advert", photo.ads, other.ads, settings)
        _compare_parts(found, "other", photo.distractors, other.distractors, settings)
    return {name: count for name, count in sorted(found.items()) if count}


def _plain_photo(photo: PhotoTruth) -> dict[str, Any]:
    plain = json.loads(photo_to_json(photo))
    return {name: value for name, value in plain.items() if name not in ("ads", "distractors", "file")}


def _compare_parts(
    found: Counter[str],
    name: str,
    before: Sequence[AdvertTruth | DistractorTruth],
    after: Sequence[AdvertTruth | DistractorTruth],
    settings: LossSettings,
) -> None:
    if len(before) != len(after):
        found[name] += abs(len(before) - len(after)) or 1
        if len(before) > len(after):
            lines = [sum(len(part.lines or ()) for part in parts) for parts in (before, after)]
            found["line"] += max(0, lines[0] - lines[1])
        return
    for old, new in zip(before, after, strict=True):
        first, second = _plain_part(old), _plain_part(new)
        lines_before, lines_after = first.pop("lines", []), second.pop("lines", [])
        _compare(found, name, first, second, settings)
        found["line"] += max(0, len(lines_before) - len(lines_after))
        for line, again in zip(lines_before, lines_after, strict=False):
            _compare(found, "line", line, again, settings)


def _plain_part(part: AdvertTruth | DistractorTruth) -> dict[str, Any]:
    """An advert, or another text, as JSON values."""
    if isinstance(part, AdvertTruth):
        whole = PhotoTruth(file="x", width=1, height=1, ads=(part,))
    else:
        whole = PhotoTruth(file="x", width=1, height=1, distractors=(part,))
    plain = json.loads(photo_to_json(whole))
    found: dict[str, Any] = (plain["ads"] or plain["distractors"])[0]
    return found


def _compare(found: Counter[str], name: str, before: Mapping[str, Any], after: Mapping[str, Any], settings: LossSettings) -> None:
    for key, value in before.items():
        # An empty value and a missing one say the same.
        if value in (None, "", [], {}) and after.get(key) in (None, "", [], {}):
            continue
        if not _alike(value, after.get(key), settings.pixels if key in ("quad", "height_px") else 1e-9):
            found[f"{name}.{key}"] += 1


def _alike(a: object, b: object, tolerance: float) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_alike(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(a, bool):
        return abs(a - b) <= tolerance
    return a == b
