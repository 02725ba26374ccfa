"""What is wrong with a data set, each thing named by file and line; a check never stops at the first.

``check_set`` looks at any format; the functions below it look at one side each. What is found is an error, when training or
measuring with it would be wrong, or a warning, when a person should look.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from shapely.geometry import Polygon, box

from ..contract import Quad, TagtraceError
from ..models.alphabet import to_alphabet
from .doubles import Double, DoubleSettings, Print, find_doubles, prints_of
from .files import read_text
from .formats.convert import Format, find_set, photos_of, read_set
from .formats.yolo import PHOTO_SUFFIXES, label_path, parse_label, read_data
from .photos import inside, photo_size
from .splitting import find_leaks
from .truth import CODE_KIND, LineTruth, PhotoTruth, parse_photo


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: how bad, a stable code, where (``file:line``, or a file), and what in words."""

    severity: Severity
    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity} [{self.code}]: {self.message}"


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """From where on something is worth a warning."""

    least_height_px: float = 5.0
    """Lines that are called legible and are less high, in pixels."""
    least_in_frame: float = 0.5
    """Lines that are called legible and of which less lies in the picture, as a share of their area."""
    doubles: DoubleSettings = field(default_factory=DoubleSettings)


DEFAULT = CheckSettings()
ERROR, WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """The outcome of a check: what is wrong, and what could be read in spite of it (photos by their line or entry)."""

    problems: tuple[Problem, ...]
    photos: tuple[PhotoTruth, ...]
    prints: Mapping[str, Print] = field(default_factory=dict)
    doubles: tuple[Double, ...] = ()

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(problem.severity is ERROR for problem in self.problems)


def check_set(
    path: Path | str,
    photos: Path | None = None,
    settings: CheckSettings = DEFAULT,
    *,
    pictures: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Checked:
    """Check one data set of any format.

    With ``pictures`` every photo is decoded: missing and damaged ones, wrong sizes, and doubles are found. ``progress`` is told
    the number of photos decoded. Raises TagtraceError only when ``path`` itself is missing or of no known format.
    """
    form, file = find_set(path)
    problems: list[Problem] = []
    listed = list(_read(file, form, photos, problems))
    try:
        folder = photos_of(file, form, photos)
    except TagtraceError as error:
        problems.append(_told(error, "unreadable"))
        return Checked(tuple(problems), tuple(photo for _, photo in listed))
    for where, photo in listed:
        problems += check_photo(photo, where, settings)
        problems += _check_file(photo, where, folder)
    prints: Mapping[str, Print] = {}
    doubles: list[Double] = []
    if pictures:
        prints, doubles = _check_pictures(listed, folder, settings, problems, progress)
    leaks = find_leaks([p for _, p in listed], {p.file: p.split for _, p in listed if p.split}, doubles)
    problems += [Problem(ERROR, "leak", str(file), leak) for leak in leaks]
    return Checked(tuple(problems), tuple(photo for _, photo in listed), prints, tuple(doubles))


def _told(error: TagtraceError, code: str) -> Problem:
    """A reader's error as a problem: readers begin with the place."""
    where, _, message = str(error).partition(": ")
    return Problem(ERROR, code, where, message or where)


def _read(file: Path, form: Format, photos: Path | None, problems: list[Problem]) -> Iterator[tuple[str, PhotoTruth]]:
    """The photos that can be read, each with its place."""
    if form is Format.TRUTH:
        yield from _read_lines(file, problems)
    elif form is Format.YOLO:
        yield from _read_yolo(file, problems)
    else:
        try:
            listed = read_set(file, form, photos, lambda error: problems.append(_told(error, "unreadable")))
        except TagtraceError as error:
            problems.append(_told(error, "unreadable"))
            return
        for photo in listed:
            yield f"{file} ({photo.file})", photo


def _read_lines(file: Path, problems: list[Problem]) -> Iterator[tuple[str, PhotoTruth]]:
    """The photos of a truth file, a broken line being a problem of its own."""
    seen: dict[str, int] = {}
    try:
        text = read_text(file)
    except TagtraceError as error:
        problems.append(_told(error, "unreadable"))
        return
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{file}:{number}"
        if not line.strip():
            continue
        try:
            photo = parse_photo(json.loads(line), where)
        except json.JSONDecodeError as bad:
            problems.append(Problem(ERROR, "json", where, f"is not JSON: {bad.msg} at column {bad.colno}"))
            continue
        except TagtraceError as error:
            problems.append(Problem(ERROR, "field", where, str(error).removeprefix(where).lstrip(":, ")))
            continue
        if photo.file in seen:
            problems.append(Problem(ERROR, "name-twice", where, f"{photo.file!r} stands in line {seen[photo.file]} already"))
            continue
        seen[photo.file] = number
        yield where, photo


def _read_yolo(file: Path, problems: list[Problem]) -> Iterator[tuple[str, PhotoTruth]]:
    """The photos of a YOLO folder; every line of every label file is looked at, and labels without a photo are named."""
    try:
        data = read_data(file)
    except TagtraceError as error:
        problems.append(_told(error, "unreadable"))
        return
    seen: set[Path] = set()
    for split, folders in data.splits.items():
        for folder in folders:
            if folder in seen:
                continue
            seen.add(folder)
            if not folder.is_dir():
                problems.append(Problem(ERROR, "no-folder", str(file), f"{folder}, named for {split!r}, is not there"))
                continue
            photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
            labels = {label_path(photo) for photo in photos}
            for photo in photos:
                _check_labels(label_path(photo), data.names, problems)
            stray = sorted(p for p in label_path(folder / "x").parent.rglob("*.txt") if p not in labels)
            problems += [Problem(WARNING, "no-photo", str(p), "labels of a photo that is not there") for p in stray]
    complaints: list[Problem] = []
    try:
        listed = read_set(file, Format.YOLO)
    except TagtraceError:  # what is wrong was named above; pictures that cannot be read are named here
        listed = []
        for folder in sorted(seen):
            for photo in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES) if folder.is_dir() else []:
                try:
                    width, height = photo_size(photo)
                    listed.append(PhotoTruth(file=str(photo.relative_to(data.root)), width=width, height=height))
                except TagtraceError as error:
                    complaints.append(_told(error, "not-a-picture"))
    problems += complaints
    yield from ((str(label_path(data.root / photo.file)), photo) for photo in listed)


def _check_labels(path: Path, names: Sequence[str], problems: list[Problem]) -> None:
    if not path.exists():
        return
    try:
        lines = read_text(path).splitlines()
    except TagtraceError as error:
        problems.append(_told(error, "unreadable"))
        return
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        if line.strip():
            seen[line.strip()] += 1
            try:
                parse_label(line, names, 1, 1, f"{path}:{number}")
            except TagtraceError as error:
                problems.append(_told(error, "label"))
            if seen[line.strip()] == 2:
                problems.append(Problem(WARNING, "label-twice", f"{path}:{number}", "the same box stands there already"))


def check_photo(photo: PhotoTruth, where: str, settings: CheckSettings = DEFAULT) -> list[Problem]:
    """What is wrong with the truth of one photo, without looking at the picture."""
    found: list[Problem] = []

    def tell(severity: Severity, code: str, message: str) -> None:
        found.append(Problem(severity, code, where, message))

    if photo.negative and photo.ads:
        tell(ERROR, "contradiction", f"{photo.file}: is called a photo without an advert, and has {len(photo.ads)}")
    if not photo.negative and not photo.ads:
        tell(WARNING, "contradiction", f"{photo.file}: has no advert, and is not called negative")
    for a, advert in enumerate(photo.ads):
        if not advert.lines:
            tell(WARNING, "no-lines", f"{photo.file}, ads[{a}]: has no line")
        for i, line in enumerate(advert.lines):
            _check_line(line, photo, f"{photo.file}, ads[{a}], lines[{i}]", settings, tell)
    for d, other in enumerate(photo.distractors):
        if problem := quad_problem(other.quad):
            tell(ERROR, "quad", f"{photo.file}, distractors[{d}]: {problem}")
        for i, line in enumerate(other.lines or ()):
            if problem := quad_problem(line.quad):
                tell(ERROR, "quad", f"{photo.file}, distractors[{d}], lines[{i}]: {problem}")
    return found


def _check_line(
    line: LineTruth, photo: PhotoTruth, what: str, settings: CheckSettings, tell: Callable[[Severity, str, str], None]
) -> None:
    if not line.text.strip():
        tell(ERROR if line.legible else WARNING, "empty-text", f"{what}: has no text")
    elif line.legible and line.kind != CODE_KIND and to_alphabet(line.text) is None:
        tell(WARNING, "alphabet", f"{what}: {line.text!r} has characters that the recogniser does not know")
    if not line.canonical.strip() and line.text.strip():
        tell(WARNING, "empty-canonical", f"{what}: has no canonical value")
    if problem := quad_problem(line.quad):
        tell(ERROR, "quad", f"{what}: {problem}")
        return
    shape = Polygon(line.quad)
    share = shape.intersection(box(0, 0, photo.width, photo.height)).area / shape.area
    if share <= 0:
        severity = ERROR if line.legible else WARNING
        tell(severity, "outside", f"{what}: lies outside of the picture ({photo.width} x {photo.height})")
    elif line.legible and share < settings.least_in_frame:
        tell(WARNING, "outside", f"{what}: is called legible, and {100 * (1 - share):.0f} % of it lie outside of the picture")
    if line.legible and line.height_px < settings.least_height_px:
        tell(WARNING, "small", f"{what}: is called legible at a height of {line.height_px:g} px")


def quad_problem(quad: Quad) -> str:
    """What is wrong with a quad by itself, or "": crossing sides, no area, or corners that run counter-clockwise."""
    shape = Polygon(quad)
    if not shape.is_valid:
        return "the sides of its quad cross each other; give the corners in their order"
    if shape.area < 1.0:
        return "its quad has no area"
    # y runs down, so clockwise is what shapely calls counter-clockwise.
    return "" if shape.exterior.is_ccw else "the corners of its quad run counter-clockwise; turn them round"


def _check_file(photo: PhotoTruth, where: str, folder: Path) -> list[Problem]:
    try:
        path = inside(folder, photo.file)
    except TagtraceError as error:
        return [Problem(ERROR, "name", where, str(error))]
    if not path.is_file():
        return [Problem(ERROR, "no-photo", where, f"{path}: the photo is not there")]
    try:
        size = photo_size(path)
    except TagtraceError as error:
        return [Problem(ERROR, "not-a-picture", where, str(error))]
    if size != (photo.width, photo.height):
        said = f"is {size[0]} x {size[1]} pixels, and the truth says {photo.width} x {photo.height}"
        return [Problem(ERROR, "size", where, f"{path}: {said}")]
    return []


def _check_pictures(
    listed: Sequence[tuple[str, PhotoTruth]],
    folder: Path,
    settings: CheckSettings,
    problems: list[Problem],
    progress: Callable[[int], None] | None,
) -> tuple[dict[str, Print], list[Double]]:
    place = {photo.file: where for where, photo in listed}
    known = {problem.where for problem in problems if problem.code in ("no-photo", "not-a-picture", "name")}
    paths = {photo.file: folder / photo.file for where, photo in listed if where not in known}
    prints, failed = prints_of(paths, settings.doubles, progress)
    problems += [Problem(ERROR, "not-a-picture", place[name], why) for name, why in failed.items()]
    doubles = find_doubles(prints, settings.doubles)
    for double in doubles:
        how = "the same file as" if double.exact else f"the same picture ({double.bits} bits apart) as"
        severity = ERROR if double.exact else WARNING
        problems.append(Problem(severity, "double", place[double.second], f"{double.second}: is {how} {double.first}"))
    return prints, doubles


def check_between(sets: Mapping[str, Checked], settings: DoubleSettings | None = None) -> list[Problem]:
    """What leaks between data sets that are splits of one (by name): walls, shops, contacts and pictures that two of them
    have."""
    renamed: list[PhotoTruth] = []
    of: dict[str, str] = {}
    prints: dict[str, Print] = {}
    for name, checked in sets.items():
        for photo in checked.photos:
            file = f"{name}: {photo.file}"
            renamed.append(replace(photo, file=file))
            of[file] = name
        prints |= {f"{name}: {file}": found for file, found in checked.prints.items()}
    doubles = [d for d in find_doubles(prints, settings or DoubleSettings()) if of[d.first] != of[d.second]]
    return [Problem(ERROR, "leak", " / ".join(sets), leak) for leak in find_leaks(renamed, of, doubles)]


def summary(problems: Iterable[Problem]) -> dict[str, int]:
    """How many problems there are of each code."""
    return dict(sorted(Counter(f"{problem.severity} {problem.code}" for problem in problems).items()))
