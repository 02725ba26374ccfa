"""Evaluation: predictions against a truth file, in every measure, slice by slice, with pictures of the worst misses.

``evaluate_parts`` does the same for the recogniser and the detector alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..contract import Resource, TagtraceError
from ..datasets.files import atomic_text
from ..datasets.truth import PhotoTruth
from ..linking.shops import load_shops
from .matching import match_all
from .metrics import Scores, score_matches
from .misses import Miss, SheetSettings, find_misses, write_sheets
from .predictions import Prediction, read_predictions
from .report_text import ReportSettings, report, shown
from .slices import Confusion, PhotoSlice, Slice, SliceSettings, confusions, slice_lines, slice_photos

METRICS_FILE, REPORT_FILE = "metrics.json", "report.md"
SCORED_FOLDER = "scored"
"""Where ``run`` scores to, below its output folder."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What is shown of an evaluation, and how lines are cut out for a recogniser alone."""

    slices: SliceSettings = field(default_factory=SliceSettings)
    sheets: SheetSettings = field(default_factory=SheetSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    crop_height_px: int = 48
    """Height of the crops that a recogniser gets when it is evaluated alone."""
    crop_max_width_px: int = 1920
    """Longer lines are squeezed to this width."""


DEFAULT_SETTINGS = EvaluationSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything measured on one set of photos."""

    scores: Scores
    slices: tuple[Slice, ...]
    photo_slices: tuple[PhotoSlice, ...]
    confusions: tuple[Confusion, ...]
    misses: Mapping[str, Sequence[Miss]]

    def to_json(self) -> dict[str, Any]:
        """As JSON values: the scores at the top, as the scorer of the walls3d photos has them, the rest beside them."""
        return {
            **self.scores.to_json(),
            "slices": [asdict(s) for s in self.slices],
            "photo_slices": [asdict(s) for s in self.photo_slices],
            "confusions": [asdict(c) for c in self.confusions],
            "misses": {what: [asdict(miss) for miss in listed] for what, listed in self.misses.items()},
        }


def evaluate(
    photos: Sequence[PhotoTruth],
    predictions: Mapping[str, Prediction],
    shops: Sequence[Resource] = (),
    settings: EvaluationSettings = DEFAULT_SETTINGS,
) -> Evaluation:
    """Measure predictions (by photo name) against the truth; ``shops`` are the resources that were known."""
    matches = match_all(photos, predictions)
    pairs = [(pair.truth.text, pair.found.text) for match in matches for pair in match.pairs]
    return Evaluation(
        scores=score_matches(matches, predictions, shops),
        slices=tuple(slice_lines(matches, settings.slices)),
        photo_slices=tuple(slice_photos(matches)),
        confusions=tuple(confusions(pairs, settings.slices)),
        misses=find_misses(matches),
    )


def write_evaluation(
    evaluation: Evaluation,
    out: Path,
    photos_dir: Path | None,
    title: str = "Evaluation",
    settings: EvaluationSettings = DEFAULT_SETTINGS,
) -> None:
    """Write ``metrics.json``, ``report.md`` and, where the photos are at hand, a contact sheet per kind of miss into ``out``."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        sheets = write_sheets(evaluation.misses, photos_dir, out, settings.sheets) if photos_dir else []
    except OSError as error:
        raise TagtraceError(f"{out}: cannot be written ({error.strerror or error}); choose another folder with --out") from error
    with atomic_text(out / METRICS_FILE) as file:
        json.dump(evaluation.to_json(), file, ensure_ascii=False, indent=1, allow_nan=False)
    with atomic_text(out / REPORT_FILE) as file:
        file.write(
            report(
                title,
                evaluation.scores,
                evaluation.slices,
                evaluation.photo_slices,
                evaluation.confusions,
                evaluation.misses,
                sheets,
                settings.report,
            )
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``run`` does. Predictions come from a file, or from one model alone (``only``), or from scoring with ``reader``."""

    photos_dir: Path
    out: Path
    predictions: Path | None = None
    reader: str = "tagtrace"
    only: str | None = None
    """``recogniser``, ``detector`` or None for the whole product."""
    model: str | None = None
    """With ``only``: a registered model or a file; None for the one that scoring uses."""
    shops: Path | None = None
    workers: int = 0


def run(
    photos: Sequence[PhotoTruth],
    plan: Plan,
    progress: Callable[[str], None] = lambda message: None,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
) -> Evaluation:
    """Get the predictions that ``plan`` asks for, measure them, and write the results.

    Raises TagtraceError when there is nothing to measure, or the photos and the truth do not belong together.
    """
    if not photos:
        raise TagtraceError("the truth has no photos: there is nothing to measure")
    shops = load_shops(plan.shops).resources if plan.shops is not None else ()
    title = "Evaluation"
    if plan.only is not None:
        from .evaluate_parts import evaluate_model

        title = f"Evaluation of the {plan.only} alone"
        evaluation, note = evaluate_model(photos, plan.photos_dir, plan.only, plan.model, progress, settings)
        progress(note)
    else:
        path = plan.predictions or score_truth(photos, plan, progress)
        found = read_predictions(path)
        if not any(Path(photo.file).name in found for photo in photos):
            raise TagtraceError(f"{path}: has no prediction for any photo of the truth, such as {photos[0].file}")
        evaluation = evaluate(photos, found, shops, settings)
    write_evaluation(evaluation, plan.out, plan.photos_dir if plan.photos_dir.is_dir() else None, title, settings)
    return evaluation


def score_truth(photos: Sequence[PhotoTruth], plan: Plan, progress: Callable[[str], None]) -> Path:
    """Score the photos of the truth as ``tagtrace score`` does; returns the predictions file, below ``plan.out``."""
    from ..scoring.run import ScoreRequest, score_photos
    from ..scoring.settings import ScoreSettings

    paths = tuple(plan.photos_dir / photo.file for photo in photos)
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise TagtraceError(f"{missing[0]}: there is no such photo ({len(missing)} are missing); check --photos")
    folder = plan.out / SCORED_FOLDER
    progress(f"scoring {len(paths)} photos with {plan.reader}")
    done = score_photos(
        ScoreRequest(
            photos=paths,
            out=folder,
            shops=plan.shops,
            formats=("predictions",),
            workers=plan.workers,
            settings=ScoreSettings(reader=plan.reader),
        )
    )
    for name, failure in done.failures:
        progress(f"{name}: {failure.message}")
    return folder / "predictions.jsonl"


def summary(evaluation: Evaluation) -> str:
    """The main measures in a few lines of plain text."""
    scores = evaluation.scores
    d, i, link = scores.detection, scores.identifiers.all, scores.linking
    rows = [
        f"photos       {scores.photos}, {scores.predicted} with a prediction",
        f"lines        F1 {shown(d.f1)}  precision {shown(d.p)}  recall {shown(d.r)}  CER folded {shown(d.cer_folded)}",
        f"identifiers  recall {shown(i.recall)} of {i.legible}  precision {shown(i.precision)} of {i.predicted}",
        f"links        accuracy {shown(link.accuracy)} of {link.n}  wrong "
        f"{link.registered.wrong + link.sibling.wrong + link.unknown.wrong}",
        f"no advert    {shown(d.fp_per_negative)} false lines per photo over {d.negatives} photos",
    ]
    return "\n".join(rows)
