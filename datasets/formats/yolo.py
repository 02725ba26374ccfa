"""YOLO label folders: oriented boxes (class and four corners) and upright boxes (class, centre, width, height).

Layout: ``data.yaml`` (``path``, ``train``, ``val``, ``test``, ``names``), ``images/<split>/…`` and ``labels/<split>/…`` with one
text file per photo. Coordinates are shares of the width and the height, 0..1. The format is that of the Ultralytics docs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from ...contract import Quad, TagtraceError
from ..files import atomic_text, read_text
from ..photos import photo_size, place_photo
from ..truth import PhotoTruth
from .annotations import CLASS_NAMES, DEFAULT_RULE, AnnotatedPhoto, Annotation, LabelRule, annotate, class_number, to_quad

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
BOX_FIELDS, QUAD_FIELDS = 5, 9
TOLERANCE = 0.01
"""How far outside 0..1 a coordinate may lie (share of the side); it is moved to the edge. Ultralytics allows the same."""
DECIMALS = 6
"""Digits after the point: a hundredth of a pixel at 10,000 pixels."""

PhotoCopy = Literal["link", "copy", "none"]
"""How ``export_yolo`` puts the photos beside the labels: hard links (copies where the disk cannot), copies, or not at all."""


@dataclass(frozen=True, slots=True)
class YoloData:
    """A ``data.yaml``: its folder, the class names by number, and the photo folders (absolute) of each split."""

    root: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]


def format_label(annotation: Annotation, number: int, width: int, height: int, oriented: bool = True) -> str:
    """One line of a label file for an annotation in pixels; an upright box is the one around the quad."""
    shares = np.asarray(annotation.quad, dtype=np.float64) / (width, height)
    if oriented:
        values = shares.ravel()
    else:
        low, high = shares.min(axis=0), shares.max(axis=0)
        values = np.concatenate([(low + high) / 2, high - low])
    return " ".join([str(number), *(f"{v:.{DECIMALS}f}" for v in values)])


def _box_quad(values: Sequence[float]) -> Quad:
    x, y, w, h = values
    return ((x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y + h / 2), (x - w / 2, y + h / 2))


def parse_label(line: str, names: Sequence[str], width: int, height: int, where: str) -> Annotation:
    """The annotation, in pixels, of one line of a label file (five or nine fields). ``where`` begins the error messages."""
    fields = line.split()
    if len(fields) not in (BOX_FIELDS, QUAD_FIELDS):
        raise TagtraceError(f"{where}: expected {BOX_FIELDS} fields (upright) or {QUAD_FIELDS} (oriented), found {len(fields)}")
    if not fields[0].isdecimal():
        raise TagtraceError(f"{where}: the class must be a whole number from 0, found {fields[0]!r}")
    if int(fields[0]) >= len(names):
        raise TagtraceError(f"{where}: class {fields[0]} is not in data.yaml, which names 0 to {len(names) - 1}")
    try:
        values = [float(v) for v in fields[1:]]
    except ValueError as bad:
        raise TagtraceError(f"{where}: {bad}") from bad
    # "not <=" also catches NaN.
    if not all(-TOLERANCE <= v <= 1 + TOLERANCE for v in values):
        raise TagtraceError(f"{where}: coordinates are shares of the picture and must lie in 0..1: {' '.join(fields[1:])}")
    quad = _box_quad(values) if len(fields) == BOX_FIELDS else list(zip(values[::2], values[1::2], strict=True))
    pixels = np.clip(np.asarray(quad, dtype=np.float64), 0, 1) * (width, height)
    return Annotation(names[int(fields[0])], to_quad(pixels))


def read_labels(path: Path, names: Sequence[str], width: int, height: int) -> tuple[Annotation, ...]:
    """The annotations of one label file, in pixels; a missing file is a photo without annotations, as everywhere in YOLO."""
    if not path.exists():
        return ()
    lines = enumerate(read_text(path).splitlines(), 1)
    return tuple(parse_label(line, names, width, height, f"{path}:{i}") for i, line in lines if line.strip())


def _names(value: object, where: Path) -> tuple[str, ...]:
    if isinstance(value, dict) and sorted(value) == list(range(len(value))):
        value = [value[i] for i in range(len(value))]
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise TagtraceError(f"{where}: 'names' must be a list of class names, or numbers 0, 1, … with names; found {value!r}")
    return tuple(value)


def read_data(path: Path | str) -> YoloData:
    """Read ``data.yaml`` (or the one in a folder). A relative ``path`` in it is relative to the file.

    Raises TagtraceError that names the file (and line, where the YAML is broken) and the key.
    """
    path = Path(path)
    path = path / "data.yaml" if path.is_dir() else path
    try:
        data = yaml.safe_load(read_text(path))
    except yaml.MarkedYAMLError as bad:
        line = bad.problem_mark.line + 1 if bad.problem_mark else 1
        raise TagtraceError(f"{path}:{line}: is not YAML: {bad.problem}") from bad
    except yaml.YAMLError as bad:
        raise TagtraceError(f"{path}: is not YAML: {bad}") from bad
    if not isinstance(data, dict):
        raise TagtraceError(f"{path}: expected keys such as 'names' and 'train', found {data!r}")
    root = (path.parent / str(data.get("path") or ".")).resolve()
    splits: dict[str, tuple[Path, ...]] = {}
    for split in ("train", "val", "test"):
        folders = data.get(split)
        if folders:
            listed = folders if isinstance(folders, list) else [folders]
            splits[split] = tuple(root / str(folder) for folder in listed)
    if not splits:
        raise TagtraceError(f"{path}: names no photos: one of 'train', 'val' and 'test' must be a folder")
    return YoloData(root, _names(data.get("names"), path), splits)


def label_path(photo: Path) -> Path:
    """Where the labels of a photo lie: the last ``images`` in its path becomes ``labels`` and the suffix ``.txt``."""
    parts = list(photo.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read_yolo(path: Path | str, split: str) -> list[AnnotatedPhoto]:
    """The annotated photos of one split, by name; ``path`` is ``data.yaml`` or its folder.

    Sizes come from the photos, which must be there. ``file`` is relative to the root that ``data.yaml`` gives.
    Raises TagtraceError with the file and line of what is wrong.
    """
    data = read_data(path)
    if split not in data.splits:
        raise TagtraceError(f"{path}: has no split {split!r}; there are {', '.join(data.splits)}")
    found = []
    for folder in data.splits[split]:
        if not folder.is_dir():
            raise TagtraceError(f"{folder}: the folder of photos that {path} names for {split!r} is not there")
        for photo in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES):
            width, height = photo_size(photo)
            annotations = read_labels(label_path(photo), data.names, width, height)
            found.append(AnnotatedPhoto(os.path.relpath(photo, data.root), width, height, annotations))
    return found


def write_labels(
    photos: Iterable[AnnotatedPhoto], folder: Path, oriented: bool = True, names: tuple[str, ...] = CLASS_NAMES
) -> int:
    """Write a label file per photo into ``folder`` (made when missing), under the photo's name; returns how many."""
    count = 0
    for photo in photos:
        lines = [
            format_label(a, class_number(a.label, names, photo.file), photo.width, photo.height, oriented)
            for a in photo.annotations
        ]
        target = (folder / photo.file).with_suffix(".txt")
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_text(target) as out:
            out.writelines(line + "\n" for line in lines)
        count += 1
    return count


def write_data(folder: Path, splits: Iterable[str], names: tuple[str, ...] = CLASS_NAMES) -> Path:
    """Write ``data.yaml`` for ``images/<split>`` folders under ``folder``; it holds no absolute path, so the folder can move."""
    splits = list(splits)
    # Ultralytics refuses a file without both; a data set with one split then measures on it.
    have = {key: f"images/{key if key in splits else splits[0]}" for key in ("train", "val")}
    have.update({split: f"images/{split}" for split in splits})
    target = folder / "data.yaml"
    with atomic_text(target) as out:
        yaml.safe_dump({**have, "names": dict(enumerate(names))}, out, sort_keys=False, allow_unicode=True)
    return target


def _place(source: Path, target: Path, how: PhotoCopy) -> None:
    if how == "link":
        place_photo(source, target)
    elif how == "copy":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)


def export_yolo(
    photos: Iterable[PhotoTruth],
    photos_dir: Path,
    out: Path,
    split: str = "train",
    rule: LabelRule = DEFAULT_RULE,
    oriented: bool = True,
    photo_copy: PhotoCopy = "link",
) -> Path:
    """Write one split of the truth as a YOLO data set under ``out`` and return its ``data.yaml``.

    Called once per split, ``data.yaml`` names every split there is. Classes are ``CLASS_NAMES``; which lines are labelled is
    up to ``rule``. A photo without any gets an empty label file (it teaches what to leave alone).
    Raises TagtraceError when a photo is missing from ``photos_dir`` or its size is not that of the truth.
    """
    annotated = annotate(photos, rule)
    if not annotated:
        raise TagtraceError(f"{out}: there are no photos to export for the split {split!r}")
    if photo_copy != "none":
        for photo in annotated:
            source = photos_dir / photo.file
            found, said = photo_size(source), (photo.width, photo.height)
            if found != said:
                raise TagtraceError(f"{source}: is {found} pixels, but the truth says {said}: they do not match")
            _place(source, out / "images" / split / photo.file, photo_copy)
    write_labels(annotated, out / "labels" / split, oriented)
    there = [s for s in ("train", "val", "test") if s == split or (out / "labels" / s).is_dir()]
    return write_data(out, there if split in there else [*there, split])
