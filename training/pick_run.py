"""Picking what to label, from a store or from files: the list, the photos without metadata, and tasks for Label Studio."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ..contract import TagtraceError
from ..datasets.files import atomic_text
from ..datasets.formats.annotations import AnnotatedPhoto, Annotation
from ..datasets.formats.convert import find_set, photos_of, read_set
from ..datasets.formats.labelstudio import LABEL_CONFIG, write_label_studio
from ..datasets.photos import decode_photo, inside, load_photo, read_bytes, without_metadata
from ..datasets.truth import WORD_KIND
from ..linking.store import Store
from ..linking.store.labelled import undecided_photos
from ..linking.store.photos import PhotoFiles
from ..models.registry import Task, resolve
from .gap_samples import SampleSettings, last_of, open_layer, photo_features
from .picking import DEFAULT, Array, Candidate, Pick, PickSettings, candidate_of, candidates_of, features_of, pick
from .predictions import Prediction, read_predictions


@dataclass(frozen=True, slots=True)
class PickPlan:
    """From where photos are picked, against which labelled sets, how many, and where to."""

    out: Path
    store: str | None = None
    predictions: Path | None = None
    photos: Path | None = None
    other: Path | None = None
    labelled: tuple[Path, ...] = ()
    count: int = 50


def run_pick(plan: PickPlan, settings: PickSettings = DEFAULT) -> list[Pick]:
    """Pick, and write ``pick.csv``, ``photos/`` and ``label-studio.json`` into ``plan.out``.

    Raises TagtraceError when neither or both of a store and predictions are given, something is missing, or ``out`` holds files.
    """
    if (plan.store is None) == (plan.predictions is None):
        raise TagtraceError("give --store or --predictions, and not both: photos are picked from one place")
    if plan.out.exists() and any(plan.out.iterdir()):
        raise TagtraceError(f"{plan.out}: is not empty; choose another folder")
    known = labelled_features(plan.labelled, settings.samples)
    if plan.store is not None:
        with Store.open(plan.store) as store:
            candidates, places = candidates_of_store(store, settings.samples)
        candidates = _with_others(candidates, plan.other)
    else:
        assert plan.predictions is not None
        candidates, places = _from_files(plan, settings.samples)
    picks = pick(candidates, plan.count, known, settings)
    _write(picks, {c.name: c for c in candidates}, places, plan.out)
    return picks


def labelled_features(sets: Sequence[Path], settings: SampleSettings) -> dict[str, Array]:
    """The features of all photos of labelled data sets, by names that tell the set."""
    paths: dict[str, Path] = {}
    for path in sets:
        form, file = find_set(path)
        folder = photos_of(file, form)
        paths |= {f"{path.name}: {photo.file}": inside(folder, photo.file) for photo in read_set(file, form)}
    return features_of(paths, settings) if paths else {}


def candidates_of_store(store: Store, settings: SampleSettings) -> tuple[list[Candidate], dict[str, str]]:
    """The photos of a store that nobody decided about, as candidates, and where their bytes lie; by SHA-256. Photos whose
    bytes are gone are left out."""
    detector = open_layer(resolve(Task.DETECTOR).path, last_of(settings.detector_part))
    found: list[Candidate] = []
    places: dict[str, str] = {}
    with store.read() as session:
        for photo in undecided_photos(session):
            try:
                pixels = decode_photo(PhotoFiles(photo.place).get(photo.sha256), photo.sha256[:16])
            except TagtraceError:
                continue
            wall = next((advert.cluster for advert in photo.adverts if advert.cluster), "")
            found.append(candidate_of(photo.analysis, wall, photo_features(pixels, detector, settings)))
            places[photo.sha256] = photo.place
    return found, places


def _with_others(candidates: Sequence[Candidate], other: Path | None) -> list[Candidate]:
    """The candidates with what another model saw; its predictions name photos by SHA-256, or by the beginning of it."""
    if other is None:
        return list(candidates)
    named = {name.split(".")[0]: prediction for name, prediction in read_predictions(other).items()}
    return [replace(c, other=named.get(c.name) or named.get(c.name[:16])) for c in candidates]


def _from_files(plan: PickPlan, settings: SampleSettings) -> tuple[list[Candidate], dict[str, str]]:
    assert plan.predictions is not None
    if plan.photos is None:
        raise TagtraceError("--predictions wants --photos: the folder of the photos that they are of")
    found = read_predictions(plan.predictions)
    others = read_predictions(plan.other) if plan.other is not None else None
    paths = {name: inside(plan.photos, name) for name in found}
    return candidates_of(found, others, features_of(paths, settings)), {name: str(path) for name, path in paths.items()}


def _write(picks: Sequence[Pick], candidates: Mapping[str, Candidate], places: Mapping[str, str], out: Path) -> None:
    try:
        (out / "photos").mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{out}: cannot be made: {bad.strerror or bad}") from bad
    tasks = []
    for item in picks:
        place = places[item.name]
        of_store = Path(place).name != item.name
        data = PhotoFiles(place).get(item.name) if of_store else read_bytes(Path(place))
        bare, suffix = without_metadata(data, item.name)
        name = f"{item.name[:16]}{suffix}" if of_store else f"{Path(item.name).stem}{suffix}"
        (out / "photos" / name).write_bytes(bare)
        height, width = load_photo(out / "photos" / name).shape[:2]
        tasks.append(_task(name, width, height, candidates[item.name].prediction, item))
    with atomic_text(out / "pick.csv") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Pick)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(item) for item in picks)
    write_label_studio(out / "label-studio.json", tasks, proposed=True)
    with atomic_text(out / "label-studio.xml") as file:
        file.write(LABEL_CONFIG)


def _task(name: str, width: int, height: int, seen: Prediction, item: Pick) -> AnnotatedPhoto:
    """What a person begins with: the lines as they were read, and why the photo was picked."""
    lines = tuple(Annotation("line", line.quad, line.text, line.text, WORD_KIND) for line in seen.lines)
    return AnnotatedPhoto(name, width, height, lines, {"picked": {"rank": item.rank, "reason": item.reason}})
