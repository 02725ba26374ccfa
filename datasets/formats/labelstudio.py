"""Label Studio: tasks with transcribed regions, as its JSON export and import have them.

Both of its templates for reading text are read: shapes, labels and texts as results of their own that share an id
(`Rectangle`, `Polygon`, `Labels`, `TextArea` per region), and labelled shapes (`RectangleLabels`, `PolygonLabels`) with a
`TextArea`. Written are polygons of the first template; ``LABEL_CONFIG`` sets the project up. Coordinates are percents of the
picture.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from ...contract import Quad, RegionKind, TagtraceError
from ..files import atomic_text, read_text
from ..photos import photo_size
from .annotations import CLASS_NAMES, AnnotatedPhoto, Annotation, Complain, around, stop_at_first

LABEL_CONFIG = """<View>
  <Image name="image" value="$ocr" zoom="true" rotateControl="true"/>
  <Labels name="label" toName="image">
    <Label value="line"/>
    <Label value="code"/>
    <Label value="other"/>
  </Labels>
  <Polygon name="poly" toName="image" strokeWidth="2"/>
  <Rectangle name="bbox" toName="image" strokeWidth="2"/>
  <TextArea name="transcription" toName="image" perRegion="true" required="false" editable="true" maxSubmissions="1"/>
  <Choices name="legible" toName="image" perRegion="true">
    <Choice value="illegible"/>
  </Choices>
</View>
"""
"""The set-up of a project for these tasks."""
LOCAL_FILES = "/data/local-files/?d="
"""How Label Studio serves a folder of this machine (its setting ``LOCAL_FILES_SERVING_ENABLED``)."""
ABOUT, REGIONS, WAS = "tagtrace", "regions", "was"
_NAMES = {"text": "line", "handwriting": "line", "qr": "code", "barcode": "code", **{name: name for name in CLASS_NAMES}}
_LABELS = ("labels", "polygonlabels", "rectanglelabels")
_ILLEGIBLE = "illegible"
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")


def write_label_studio(
    path: Path | str, photos: Iterable[AnnotatedPhoto], address: str = LOCAL_FILES + "photos/", *, proposed: bool = False
) -> int:
    """Write tasks for Label Studio, atomically; returns how many.

    ``address`` stands before the name of each photo. ``proposed`` writes the regions as predictions that a person begins with,
    instead of as a person's annotations.
    """
    tasks = [_task(photo, address, proposed) for photo in photos]
    with atomic_text(Path(path)) as out:
        out.write("[\n" + ",\n".join(json.dumps(task, ensure_ascii=False, allow_nan=False) for task in tasks) + "\n]\n")
    return len(tasks)


def _task(photo: AnnotatedPhoto, address: str, proposed: bool) -> dict[str, Any]:
    result: list[dict[str, Any]] = []
    regions = {}
    for number, a in enumerate(photo.annotations, 1):
        name = f"r{number}"
        result += _results(a, name, photo)
        regions[name] = {**a.more, "canonical": a.canonical, "kind": a.kind, WAS: a.text}
    size = {"width": photo.width, "height": photo.height}
    held = {"file": photo.file, **size, "about": dict(photo.about), REGIONS: regions}
    group = {"result": result, **({"model_version": "tagtrace"} if proposed else {})}
    return {"data": {"ocr": address + photo.file, ABOUT: held}, "predictions" if proposed else "annotations": [group]}


def _results(a: Annotation, name: str, photo: AnnotatedPhoto) -> list[dict[str, Any]]:
    shares = np.asarray(a.quad, dtype=np.float64) / (photo.width, photo.height) * 100
    shape = {"points": shares.tolist(), "closed": True}
    frame = {"id": name, "to_name": "image", "original_width": photo.width, "original_height": photo.height, "image_rotation": 0}
    parts = [
        {**frame, "type": "polygon", "from_name": "poly", "value": shape},
        {**frame, "type": "labels", "from_name": "label", "value": {**shape, "labels": [a.label]}},
    ]
    if a.text:
        parts.append({**frame, "type": "textarea", "from_name": "transcription", "value": {**shape, "text": [a.text]}})
    if not a.legible:
        parts.append({**frame, "type": "choices", "from_name": "legible", "value": {**shape, "choices": [_ILLEGIBLE]}})
    return parts


def read_label_studio(path: Path | str, photos: Path | None = None, complain: Complain = stop_at_first) -> list[AnnotatedPhoto]:
    """The annotated photos of a JSON export, in the order of its tasks; only what people annotated, no predictions.

    Of several annotations of a task the last that was not cancelled counts; a task without one is left out. ``photos`` is where
    the size of a photo is looked up that has no region. A region whose text was changed has no canonical value and kind any more.
    Raises TagtraceError that names file, task and region; with another ``complain`` the region is told to it and left out.
    """
    path = Path(path)
    try:
        tasks = json.loads(read_text(path))
    except json.JSONDecodeError as bad:
        raise TagtraceError(f"{path}:{bad.lineno}: is not JSON: {bad.msg} at column {bad.colno}") from bad
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise TagtraceError(f"{path}: is no JSON export of Label Studio: export the project as JSON (not JSON-MIN)")
    found = []
    for number, task in enumerate(tasks):
        where = f"{path}: task {task.get('id', number)}"
        try:
            photo = _photo(task, where, photos, complain)
        except TagtraceError as error:
            complain(error)
            continue
        if photo is not None:
            found.append(photo)
    return found


def _photo(task: Mapping[str, Any], where: str, photos: Path | None, complain: Complain) -> AnnotatedPhoto | None:
    listed = [a for a in task.get("annotations") or task.get("completions") or () if isinstance(a, dict)]
    listed = [a for a in listed if not a.get("was_cancelled")]
    if not listed:
        return None
    result = max(enumerate(listed), key=lambda item: (str(item[1].get("updated_at") or ""), item[0]))[1].get("result") or []
    if not isinstance(result, list) or not all(isinstance(part, dict) for part in result):
        raise TagtraceError(f"{where}: field 'result' must be a list of objects")
    held = task["data"].get(ABOUT)
    held = held if isinstance(held, dict) else {}
    file = str(held.get("file") or "") or _file(task["data"], where)
    width, height = _size(result, held, photos, file, where)
    regions: dict[str, list[dict[str, Any]]] = {}
    for number, part in enumerate(result):
        regions.setdefault(str(part.get("id") or f"#{number}"), []).append(part)
    known = held.get(REGIONS)
    found = []
    for name, parts in regions.items():
        try:
            told = known.get(name) if isinstance(known, dict) else None
            region = _region(parts, width, height, told if isinstance(told, dict) else {}, f"{where}, region {name}")
        except TagtraceError as error:
            complain(error)
            continue
        if region is not None:
            found.append(region)
    about = held.get("about")
    return AnnotatedPhoto(file, width, height, tuple(found), about if isinstance(about, dict) else {})


def _file(data: Mapping[str, Any], where: str) -> str:
    """The name of the photo in a task's data: in ``ocr`` or ``image``, as a path, a URL, or as Label Studio serves it."""
    address = next((str(data[name]) for name in ("ocr", "image", "captioning", "photo") if data.get(name)), "")
    split = urlsplit(address)
    named = parse_qs(split.query).get("d", [split.path])[0]
    name = _UPLOAD.sub("", unquote(named).rpartition("/")[2]) if "/upload/" in named else unquote(named).rpartition("/")[2]
    if not name:
        raise TagtraceError(f"{where}: its data names no photo in 'ocr' or 'image'")
    return name


def _size(
    result: Sequence[Mapping[str, Any]], held: Mapping[str, Any], photos: Path | None, file: str, where: str
) -> tuple[int, int]:
    sizes = [(part.get("original_width"), part.get("original_height")) for part in result]
    for width, height in [*sizes, (held.get("width"), held.get("height"))]:
        if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
            return width, height
    if photos is None:
        raise TagtraceError(f"{where}: {file} has no region that tells its size; name the folder of the photos")
    return photo_size(photos / file)


def _region(
    parts: Sequence[Mapping[str, Any]], width: int, height: int, told: Mapping[str, Any], where: str
) -> Annotation | None:
    """The annotation of the results with one id, or None where they have no shape (a word on the whole picture)."""
    values = [part["value"] for part in parts if isinstance(part.get("value"), dict)]
    shape = next((value for value in values if "points" in value or "x" in value), None)
    if shape is None:
        return None
    labels = [str(label) for value in values for key in _LABELS for label in value.get(key) or ()]
    label = _NAMES.get(labels[0].lower()) if labels else RegionKind.LINE.value
    if label is None:
        raise TagtraceError(f"{where}: has the label {labels[0]!r}; known are {', '.join(sorted(_NAMES))}")
    texts = [value["text"] for value in values if "text" in value]
    text = " ".join(map(str, texts[0] if isinstance(texts[0], list) else [texts[0]])) if texts else ""
    legible = not any(_ILLEGIBLE in (value.get("choices") or ()) for value in values)
    same = told.get(WAS) == text
    more = {key: value for key, value in told.items() if key not in ("canonical", "kind", WAS)}
    canonical, kind = (str(told.get(key) or "") if same else "" for key in ("canonical", "kind"))
    return Annotation(label, _quad(shape, width, height, where), text, canonical, kind, legible, more)


def _quad(value: Mapping[str, Any], width: int, height: int, where: str) -> Quad:
    """The quad, in pixels, of a polygon, or of a rectangle that is turned clockwise around its top-left corner."""
    try:
        if "points" in value:
            points = np.asarray(value["points"], dtype=np.float64).reshape(-1, 2) / 100 * (width, height)
        else:
            x, y, w, h = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
            turn = math.radians(float(value.get("rotation") or 0.0))
            along = np.array([math.cos(turn), math.sin(turn)]) * w * width
            across = np.array([-math.sin(turn), math.cos(turn)]) * h * height
            corner = np.array([x * width, y * height])
            points = np.array([corner, corner + along, corner + along + across, corner + across])
    except (KeyError, TypeError, ValueError) as bad:
        raise TagtraceError(
            f"{where}: its shape cannot be read ({bad}); polygons have 'points', rectangles x, y, width, height"
        ) from bad
    if len(points) < 3 or not np.isfinite(points).all():
        raise TagtraceError(f"{where}: its shape needs at least three corners of finite numbers")
    return around(points)
