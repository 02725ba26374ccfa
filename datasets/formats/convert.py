"""From one annotation format to another, through the truth; the format of what is read is known by its content."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ...contract import TagtraceError
from ..files import atomic_text, read_text
from ..photos import inside, photos_folder, place_photo
from ..truth import PhotoTruth, read_truth, write_truth
from .annotations import Complain, stop_at_first
from .coco import read_coco, write_coco
from .cvat import LABELS, read_cvat, write_cvat
from .labelstudio import LABEL_CONFIG, LOCAL_FILES, read_label_studio, write_label_studio
from .whole import losses, to_annotations, to_truth
from .yolo import export_yolo, read_data, read_yolo


class Format(StrEnum):
    """The annotation formats."""

    TRUTH = "truth"
    YOLO = "yolo"
    COCO = "coco"
    LABEL_STUDIO = "label-studio"
    CVAT = "cvat"


FILES = {
    Format.TRUTH: "truth.jsonl",
    Format.YOLO: "data.yaml",
    Format.COCO: "annotations.json",
    Format.LABEL_STUDIO: "label-studio.json",
    Format.CVAT: "annotations.xml",
}
"""The file of each format in a folder that ``write_set`` writes."""
_HEAD = 4096
"""Characters from the beginning of a file by which its format is known."""


def find_set(path: Path | str) -> tuple[Format, Path]:
    """The format of a file or folder, by its content, and the file that holds the annotations.

    Raises TagtraceError that names it when it is missing or of no known format.
    """
    path = Path(path)
    if path.is_dir():
        held = [path / name for name in FILES.values() if (path / name).is_file()]
        if not held:
            raise TagtraceError(f"{path}: holds none of {', '.join(FILES.values())}; name the file of the annotations")
        path = held[0]
    if path.suffix in (".yaml", ".yml"):
        return Format.YOLO, path
    text = read_text(path)
    head = text[:_HEAD].lstrip()
    if head.startswith("<"):
        return Format.CVAT, path
    if head.startswith("["):
        return Format.LABEL_STUDIO, path
    if head.startswith("{"):
        try:
            first = json.loads(head.split("\n", 1)[0])
        except ValueError:
            return (Format.TRUTH if path.suffix == ".jsonl" else Format.COCO), path
        return (Format.COCO if isinstance(first, dict) and "images" in first else Format.TRUTH), path
    if not head and path.suffix == ".jsonl":
        return Format.TRUTH, path
    raise TagtraceError(f"{path}: is none of {', '.join(Format)}: it begins with {head[:20]!r}")


def read_set(
    path: Path | str, form: Format | None = None, photos: Path | None = None, complain: Complain = stop_at_first
) -> list[PhotoTruth]:
    """The truth of any format (a file, or the folder that holds it), the format by its content where it is not said.

    YOLO tells neither texts nor adverts: each box is an advert of one line without words; ``split`` is set. ``photos`` is where
    the photos lie, for formats that need them. Raises TagtraceError with file and line; ``complain`` as for the single readers.
    """
    path = Path(path)
    found, file = (form, path / FILES[form] if path.is_dir() else path) if form is not None else find_set(path)
    if found is Format.TRUTH:
        return read_truth(file)
    if found is Format.COCO:
        return [to_truth(photo) for photo in read_coco(file, complain)]
    if found is Format.LABEL_STUDIO:
        return [to_truth(photo) for photo in read_label_studio(file, photos_folder(file, photos), complain)]
    if found is Format.CVAT:
        return [to_truth(photo) for photo in read_cvat(file, complain)]
    splits = read_data(file).splits
    # One folder may stand for two splits: Ultralytics wants both.
    seen: set[tuple[Path, ...]] = set()
    listed: list[PhotoTruth] = []
    for split, folders in splits.items():
        if folders not in seen:
            named = folders[0].name if folders[0].name in splits else split
            listed += [replace(to_truth(photo), split=named) for photo in read_yolo(file, split)]
            seen.add(folders)
    return listed


def photos_of(path: Path | str, form: Format, photos: Path | None = None) -> Path:
    """The folder below which a data set names its photos."""
    path = Path(path)
    return (photos or read_data(path).root) if form is Format.YOLO else photos_folder(path, photos)


@dataclass(frozen=True, slots=True)
class Written:
    """What ``write_set`` wrote: the file, how many photos, and what of the truth the format does not hold (see ``losses``)."""

    file: Path
    photos: int
    lost: dict[str, int]


def write_set(
    photos: Sequence[PhotoTruth], form: Format, out: Path, source: Path | None = None, address: str = LOCAL_FILES + "photos/"
) -> Written:
    """Write a truth in a format into the folder ``out``, read it again, and tell what was lost.

    ``source`` is the folder of the photos: they are put beside (hard links where the disk can); without it only annotations are
    written. YOLO needs the photos, and has a folder per ``split``. ``address`` is for Label Studio (``write_label_studio``).
    Raises TagtraceError when a photo is missing or something cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{out}: cannot be made: {bad.strerror or bad}") from bad
    file = out / FILES[form]
    if form is Format.YOLO:
        return _write_yolo(photos, out, source)
    if form is Format.TRUTH:
        write_truth(file, photos)
    elif form is Format.COCO:
        write_coco(file, map(to_annotations, photos))
    elif form is Format.CVAT:
        write_cvat(file, map(to_annotations, photos))
        _write(out / "cvat-labels.json", LABELS)
    else:
        write_label_studio(file, map(to_annotations, photos), address)
        _write(out / "label-studio.xml", LABEL_CONFIG)
    if source is not None:
        for photo in photos:
            place_photo(inside(source, photo.file), inside(out / "photos", photo.file))
    again = read_set(file, form, out / "photos")
    return Written(file, len(photos), losses(photos, again))


def _write(path: Path, text: str) -> None:
    with atomic_text(path) as out:
        out.write(text)


def _write_yolo(photos: Sequence[PhotoTruth], out: Path, source: Path | None) -> Written:
    if source is None:
        raise TagtraceError(f"{out}: YOLO needs the photos; name their folder")
    by_split: dict[str, list[PhotoTruth]] = {}
    for photo in photos:
        split = photo.split if photo.split in ("train", "val", "test") else "train"
        by_split.setdefault(split, []).append(photo)
    for split, part in by_split.items():
        file = export_yolo(part, source, out, split)
    again = [replace(photo, file=os.path.relpath(photo.file, f"images/{photo.split}")) for photo in read_set(file, Format.YOLO)]
    return Written(file, len(photos), losses(photos, again))
