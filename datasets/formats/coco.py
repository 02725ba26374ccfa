"""COCO annotation files: one JSON with ``images``, ``categories`` and ``annotations``.

Quads are written as a ``segmentation`` polygon of four corners, with the upright ``bbox`` and ``area`` that the format
asks for; the words stand in ``attributes`` (as CVAT writes them): ``text``, ``canonical``, ``kind``, ``legible``, and what else a
whole truth tells of a line. What it tells of the photo is the field ``tagtrace`` of the image.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry import Polygon

from ...contract import Quad, TagtraceError
from ..files import atomic_text, read_text
from .annotations import CLASS_NAMES, AnnotatedPhoto, Annotation, Complain, around, class_number, stop_at_first

ABOUT = "tagtrace"
"""The field of an image that holds what a whole truth tells of the photo."""
_WORDS = ("text", "canonical", "kind", "legible")


def _coco(photos: Sequence[AnnotatedPhoto], names: tuple[str, ...]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, photo in enumerate(photos, 1):
        image = {"id": number, "file_name": photo.file, "width": photo.width, "height": photo.height}
        images.append(image | ({ABOUT: dict(photo.about)} if photo.about else {}))
        for a in photo.annotations:
            corners = np.asarray(a.quad, dtype=np.float64)
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": class_number(a.label, names, photo.file) + 1,
                    "segmentation": [corners.ravel().tolist()],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": Polygon(corners).area,
                    "iscrowd": 0,
                    "attributes": {**a.more, "text": a.text, "canonical": a.canonical, "kind": a.kind, "legible": a.legible},
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
    return {"images": images, "categories": categories, "annotations": annotations}


def write_coco(path: Path | str, photos: Iterable[AnnotatedPhoto], names: tuple[str, ...] = CLASS_NAMES) -> int:
    """Write annotated photos as one COCO file, atomically; returns the number of annotations."""
    data = _coco(list(photos), names)
    with atomic_text(Path(path)) as out:
        # One entry per line keeps large files readable and easy to compare.
        out.write("{\n")
        for i, (key, entries) in enumerate(data.items()):
            body = ",\n".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries)
            out.write(f'{"," if i else ""}"{key}": [\n{body}\n]\n')
        out.write("}\n")
    return len(data["annotations"])


def _entries(data: object, key: str, path: Path) -> list[dict[str, Any]]:
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TagtraceError(f"{path}: is not a COCO file: {key!r} must be a list of objects")
    return entries


def _get(entry: dict[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        names = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise TagtraceError(f"{where}: field {key!r} must be {names}, found {json.dumps(value, default=repr)[:60]}")
    return value


def _points(values: object, where: str, key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        points = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as bad:
        raise TagtraceError(f"{where}: field {key!r} must be a flat list of x, y, …") from bad
    if not np.isfinite(points).all():
        raise TagtraceError(f"{where}: field {key!r} has a coordinate that is not finite")
    return points


def _quad(entry: dict[str, Any], where: str) -> Quad:
    """The quad of an annotation: its polygon (of several, the hull), or the upright box where there is none."""
    shape = entry.get("segmentation")
    if isinstance(shape, dict):
        raise TagtraceError(f"{where}: field 'segmentation' is a run-length mask: export polygons instead")
    if shape:
        points = np.concatenate([_points(part, where, "segmentation") for part in _get(entry, "segmentation", list, where)])
        if len(points) < 3:
            raise TagtraceError(f"{where}: field 'segmentation' needs at least three corners, found {len(points)}")
        return around(points)
    values = _points(_get(entry, "bbox", list, where), where, "bbox").ravel()
    if len(values) != 4:
        raise TagtraceError(f"{where}: field 'bbox' must be [x, y, width, height], found {len(values)} numbers")
    x, y, w, h = (float(v) for v in values)
    return ((x, y), (x + w, y), (x + w, y + h), (x, y + h))


def _annotation(entry: dict[str, Any], names: dict[int, str], where: str) -> Annotation:
    category = _get(entry, "category_id", int, where)
    if category not in names:
        raise TagtraceError(f"{where}: field 'category_id' is {category}, which 'categories' does not name")
    words = entry.get("attributes") or {}
    if not isinstance(words, dict):
        raise TagtraceError(f"{where}: field 'attributes' must be an object")
    text, canonical, kind = (str(words.get(key) or "") for key in ("text", "canonical", "kind"))
    more = {key: value for key, value in words.items() if key not in _WORDS}
    return Annotation(names[category], _quad(entry, where), text, canonical, kind, bool(words.get("legible", True)), more)


def read_coco(path: Path | str, complain: Complain = stop_at_first) -> list[AnnotatedPhoto]:
    """The annotated photos of a COCO file, in the order of its ``images``.

    A polygon of four corners is taken as it is; another becomes the smallest rotated rectangle around it. Raises
    TagtraceError with the file, and the line where it is not JSON, or the entry (``annotations[3]``) and field where it is not
    COCO; with another ``complain`` a wrong annotation is told to it and left out.
    """
    path = Path(path)
    try:
        data = json.loads(read_text(path))
    except json.JSONDecodeError as bad:
        raise TagtraceError(f"{path}:{bad.lineno}: is not JSON: {bad.msg} at column {bad.colno}") from bad
    names: dict[int, str] = {}
    for i, entry in enumerate(_entries(data, "categories", path)):
        where = f"{path}: categories[{i}]"
        names[_get(entry, "id", int, where)] = _get(entry, "name", str, where)
    images: dict[int, dict[str, Any]] = {}
    for i, entry in enumerate(_entries(data, "images", path)):
        where = f"{path}: images[{i}]"
        number = _get(entry, "id", int, where)
        if number in images:
            raise TagtraceError(f"{where}: field 'id': {number} is there twice")
        for key in ("width", "height"):
            if _get(entry, key, int, where) < 1:
                raise TagtraceError(f"{where}: field {key!r} must be at least 1")
        _get(entry, "file_name", str, where)
        images[number] = entry
    found: dict[int, list[Annotation]] = defaultdict(list)
    for i, entry in enumerate(_entries(data, "annotations", path)):
        where = f"{path}: annotations[{i}]"
        try:
            number = _get(entry, "image_id", int, where)
            if number not in images:
                raise TagtraceError(f"{where}: field 'image_id' is {number}, which 'images' does not name")
            found[number].append(_annotation(entry, names, where))
        except TagtraceError as error:
            complain(error)
    return [_photo(entry, found[number]) for number, entry in images.items()]


def _photo(entry: dict[str, Any], annotations: Sequence[Annotation]) -> AnnotatedPhoto:
    about = entry.get(ABOUT)
    known = about if isinstance(about, dict) else {}
    return AnnotatedPhoto(entry["file_name"], entry["width"], entry["height"], tuple(annotations), known)
