"""Two models on the same photos: what each finds, how fast it is, and whether the difference is more than chance.

``compare`` is all of it; ``compare_predictions`` does without running models, for predictions that are there. Differences are
always B minus A.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import Resource, TagtraceError
from ..datasets.files import atomic_text
from ..datasets.truth import PhotoTruth, read_truth
from ..linking.shops import load_shops
from ..models.registry import ModelFile, Task, resolve
from .benchmark import machine
from .compare_counts import CLUSTERS, MEASURES, Measure, count_clusters, count_measures, group_photos, slice_by_group
from .compare_speed import Speed, SpeedSettings, measure_speed, speed_of_predictions
from .compare_stats import Counts, Difference, StatisticsSettings, cluster_difference, difference_of
from .matching import match_all
from .predictions import Prediction, read_predictions
from .runs import manifest_of
from .slices import Slice, SliceSettings

JSON_FILE, MARKDOWN_FILE, PLOT_FILE = "comparison.json", "comparison.md", "comparison.png"


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """How two models are compared."""

    statistics: StatisticsSettings = field(default_factory=StatisticsSettings)
    slices: SliceSettings = field(default_factory=SliceSettings)
    speed: SpeedSettings = field(default_factory=SpeedSettings)
    workers: int = 0
    """Processes that score; 0 is one per processor core."""
    limit: int = 0
    """Only the first so many photos of each data set; 0: all."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side: a detector and a recogniser, or predictions that are there already."""

    name: str
    detector: ModelFile | None = None
    recogniser: ModelFile | None = None
    predictions: Path | None = None

    @property
    def models(self) -> tuple[ModelFile, ...]:
        """The models that it is made of; none for predictions."""
        return tuple(model for model in (self.detector, self.recogniser) if model is not None)


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Photos with their truth, and the shops that were known."""

    name: str
    photos_dir: Path
    photos: Sequence[PhotoTruth]
    shops: Sequence[Resource] = ()
    shops_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A measure of both sides; ``count`` is what it is a share of (identifiers, lines, characters, photos) in A and B."""

    measure: Measure
    result: Difference
    count: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ComparedSlice:
    """One slice of the lines: exact identifiers of legible ones with the difference, and what else is known of both sides."""

    of: str
    name: str
    lines: int
    identifiers: int
    recall: Difference
    lines_found: tuple[float | None, float | None]
    cer: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The outcome; see ``to_json`` and ``compare_text`` for forms to keep."""

    a: Contestant
    b: Contestant
    data: tuple[DataSet, ...]
    data_sha256: str
    photos: int
    empty_photos: int
    groups: int
    measures: tuple[Compared, ...]
    by_data: Mapping[str, tuple[Compared, ...]]
    slices: tuple[ComparedSlice, ...]
    speed: Speed | None
    settings: CompareSettings

    def measure(self, name: str) -> Difference:
        """The result of a measure by its name. Raises KeyError where it was not measured."""
        return next(entry.result for entry in self.measures if entry.measure.name == name)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "a": _side(self.a),
            "b": _side(self.b),
            "data": [{"name": part.name, "photos": len(part.photos)} for part in self.data],
            "data_sha256": self.data_sha256,
            "photos": self.photos,
            "empty_photos": self.empty_photos,
            "groups": self.groups,
            "measures": {entry.measure.name: _plain(entry) for entry in self.measures},
            "by_data": {name: {e.measure.name: _plain(e) for e in listed} for name, listed in self.by_data.items()},
            "slices": [asdict(part) for part in self.slices],
            "speed": asdict(self.speed) if self.speed else None,
            "settings": asdict(self.settings),
            "machine": machine(),
        }


def contestant(text: str) -> Contestant:
    """One side from words: a model (name in the registry or ONNX file), ``DETECTOR+RECOGNISER``, or a predictions file (.jsonl).

    The other part of a single model is the one in use. Raises TagtraceError where something is missing or two are of one task.
    """
    if text.endswith(".jsonl"):
        if not Path(text).is_file():
            raise TagtraceError(f"{text}: there is no such predictions file")
        return Contestant(text, predictions=Path(text))
    from .export import find_model

    found: dict[Task, ModelFile] = {}
    for name in text.split("+"):
        model = find_model(name.strip())
        if model.task not in (Task.DETECTOR, Task.RECOGNISER):
            raise TagtraceError(f"{name}: is a {model.task}; a detector or a recogniser can be compared")
        if model.task in found:
            raise TagtraceError(f"{text}: names two of one task, {model.task}; give one detector and one recogniser")
        found[model.task] = model
    for task in (Task.DETECTOR, Task.RECOGNISER):
        found.setdefault(task, resolve(task))
    return Contestant(text, found[Task.DETECTOR], found[Task.RECOGNISER])


def data_set(truth: Path, photos: Path | None = None, shops: Path | None = None, limit: int = 0) -> DataSet:
    """Photos and truth from a ``truth.jsonl`` (or its folder); the photos lie in ``photos`` beside it where none are named."""
    base = truth if truth.is_dir() else truth.parent
    folder = photos or (base / "photos" if (base / "photos").is_dir() else base)
    shown = read_truth(truth)[: limit or None]
    if not shown:
        raise TagtraceError(f"{truth}: has no photos; there is nothing to compare on")
    # its file, not its folder: by that the manifest of a comparison is made
    file = truth / "truth.jsonl" if truth.is_dir() else truth
    return DataSet(str(file), folder, shown, load_shops(shops).resources if shops is not None else (), shops)


def compare(
    a: str | Contestant,
    b: str | Contestant,
    data: Sequence[DataSet],
    out: Path,
    settings: CompareSettings | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Comparison:
    """Score the photos of all data sets with both sides, measure, and write JSON, Markdown and a plot to ``out``.

    Raises TagtraceError where a model, a photo or a prediction is missing.
    """
    from .compare_text import write_comparison

    settings = settings or CompareSettings()
    sides = [side if isinstance(side, Contestant) else contestant(side) for side in (a, b)]
    out.mkdir(parents=True, exist_ok=True)
    found_a, found_b = (
        [_predictions(side, which, part, out, settings, progress) for part in data]
        for side, which in zip(sides, "ab", strict=True)
    )
    if all(side.models for side in sides):
        progress("measuring the speed of both, in turn")
        photos = [part.photos_dir / photo.file for part in data for photo in part.photos]
        speed = measure_speed(sides[0].models, sides[1].models, photos, settings.speed, settings.statistics)
    else:
        speed = speed_of_predictions(_joined(found_a), _joined(found_b), settings.statistics)
    result = compare_predictions(sides[0], sides[1], data, found_a, found_b, settings, speed)
    write_comparison(result, out)
    return result


def compare_predictions(
    a: Contestant,
    b: Contestant,
    data: Sequence[DataSet],
    found_a: Sequence[Mapping[str, Prediction]],
    found_b: Sequence[Mapping[str, Prediction]],
    settings: CompareSettings | None = None,
    speed: Speed | None = None,
) -> Comparison:
    """Compare predictions (per data set, by photo name) of two sides with the truth."""
    settings = settings or CompareSettings()
    photos = [photo for part in data for photo in part.photos]
    groups, number = _groups(data)
    by_data = {}
    for place, part in enumerate(data) if len(data) > 1 else ():
        own, count = _groups([part])
        by_data[part.name] = _measure([part], [found_a[place]], [found_b[place]], own, count, settings)
    manifest = manifest_of([Path(part.name) for part in data if Path(part.name).is_file()])[0]
    return Comparison(
        a,
        b,
        tuple(data),
        manifest,
        len(photos),
        sum(photo.negative for photo in photos),
        number,
        _measure(data, found_a, found_b, groups, number, settings),
        by_data,
        _slices(data, found_a, found_b, groups, number, settings),
        speed,
        settings,
    )


def _groups(data: Sequence[DataSet]) -> tuple[list[list[int]], int]:
    """The group of every photo per data set, and how many there are: walls of two data sets are different ones."""
    out: list[list[int]] = []
    number = 0
    for part in data:
        own = [number + group for group in group_photos(part.photos)]
        out.append(own)
        number = max(own, default=number - 1) + 1
    return out, number


def _measure(
    data: Sequence[DataSet],
    found_a: Sequence[Mapping[str, Prediction]],
    found_b: Sequence[Mapping[str, Prediction]],
    groups: Sequence[Sequence[int]],
    number: int,
    settings: CompareSettings,
) -> tuple[Compared, ...]:
    totals: list[dict[str, Counts]] = []
    pairs = []
    for found in (found_a, found_b):
        matches = [match_all(part.photos, predictions) for part, predictions in zip(data, found, strict=True)]
        total = {measure.name: np.zeros((number, 2)) for measure in MEASURES}
        for part, own, listed in zip(data, groups, matches, strict=True):
            for name, counts in count_measures(listed, own, number, part.shops).items():
                total[name] += counts
        totals.append(total)
        # clusters of two data sets may have the same names, so they are counted where there is one
        pairs.append(count_clusters(matches[0], groups[0], number) if len(data) == 1 else None)
    out = []
    for measure in MEASURES:
        a, b = (total[measure.name] for total in totals)
        counted = int(a[:, 1].sum()), int(b[:, 1].sum())
        if any(counted):
            out.append(Compared(measure, difference_of(a, b, settings.statistics), counted))
    if pairs[0] is not None and pairs[1] is not None:
        adverts = sum(any(line.legible for line in advert.lines) for photo in data[0].photos for advert in photo.ads)
        out.append(Compared(CLUSTERS, cluster_difference(pairs[0], pairs[1], settings.statistics), (adverts, adverts)))
    return tuple(out)


def _slices(
    data: Sequence[DataSet],
    found_a: Sequence[Mapping[str, Prediction]],
    found_b: Sequence[Mapping[str, Prediction]],
    groups: Sequence[Sequence[int]],
    number: int,
    settings: CompareSettings,
) -> tuple[ComparedSlice, ...]:
    members = [group for own in groups for group in own]
    wholes: list[Mapping[tuple[str, str], Slice]] = []
    counts: list[Mapping[tuple[str, str], Counts]] = []
    for found in (found_a, found_b):
        matches = [m for part, own in zip(data, found, strict=True) for m in match_all(part.photos, own)]
        whole, per_group = slice_by_group(matches, members, number, settings.slices)
        wholes.append(whole)
        counts.append(per_group)
    out = []
    for key, a in wholes[0].items():
        b = wholes[1].get(key)
        if b is not None:
            recall = difference_of(counts[0][key], counts[1][key], settings.statistics)
            found_lines = a.recall, b.recall
            out.append(ComparedSlice(*key, a.lines, a.identifiers, recall, found_lines, (a.cer_folded, b.cer_folded)))
    return tuple(out)


def _predictions(
    side: Contestant, which: str, part: DataSet, out: Path, settings: CompareSettings, progress: Callable[[str], None]
) -> Mapping[str, Prediction]:
    """What a side reports for a data set: read from its file, or scored."""
    names = {Path(photo.file).name for photo in part.photos}
    if side.predictions is not None:
        known = {name: value for name, value in read_predictions(side.predictions).items() if name in names}
        if not known:
            raise TagtraceError(f"{side.predictions}: has no prediction for any photo of {part.name}")
        return known
    from ..scoring.run import ScoreRequest, score_photos
    from ..scoring.settings import ScoreSettings

    paths = tuple(part.photos_dir / photo.file for photo in part.photos)
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise TagtraceError(f"{missing[0]}: there is no such photo ({len(missing)} are missing); check the folder of the photos")
    assert side.detector is not None and side.recogniser is not None
    progress(f"{which}: scoring {len(paths)} photos of {part.name} with {side.name}")
    folder = out / f"scored_{which}" / f"{zlib.crc32(part.name.encode()):08x}"
    chosen = ScoreSettings(detector=str(side.detector.path), recogniser=str(side.recogniser.path))
    wanted = ("predictions",)
    request = ScoreRequest(paths, folder, None, part.shops_file, formats=wanted, workers=settings.workers, settings=chosen)
    for name, failure in score_photos(request).failures:
        progress(f"{name}: {failure.message}")
    return read_predictions(folder / "predictions.jsonl")


def _joined(found: Sequence[Mapping[str, Prediction]]) -> dict[str, Prediction]:
    return {f"{place}/{name}": value for place, part in enumerate(found) for name, value in part.items()}


def _side(side: Contestant) -> dict[str, Any]:
    models = [{"task": m.task.value, "name": m.name, "sha256": m.sha256} for m in side.models]
    return {"name": side.name, "models": models, "predictions": str(side.predictions) if side.predictions else None}


def _plain(entry: Compared) -> dict[str, Any]:
    measure = entry.measure
    return {"title": measure.title, "more_is_better": measure.more_is_better, "count": entry.count, **asdict(entry.result)}


def write_json(comparison: Comparison, path: Path) -> None:
    """The comparison as JSON."""
    with atomic_text(path) as file:
        json.dump(comparison.to_json(), file, ensure_ascii=False, indent=1)
        file.write("\n")
