"""Pictures and tables of what a training sees and gives, for notebooks: crops, batches, two evaluations side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image as PilImage

from ..contract import Image
from ..datasets.lineshards import LineShards
from ..datasets.photos import load_photo
from ..datasets.plots import picture_of, small, tile
from ..datasets.sheets import SheetSettings, contact_sheet, fitted
from .evaluate import Evaluation
from .picking import Pick
from .promote import Verdict
from .recogniser_data import TrainBatches
from .recogniser_eval import Score
from .recogniser_settings import RecogniserSettings
from .report_text import table
from .slices import Slice

SHEET = SheetSettings(columns=4, cell_width_px=300, crop_height_px=48)


def crops_sheet(shards: LineShards, count: int = 16, settings: SheetSettings = SHEET) -> PilImage.Image:
    """Line crops, spread evenly over the shards, each with its text, style and height in the photo."""
    chosen = [int(i) for i in np.linspace(0, len(shards) - 1, min(count, len(shards)))]
    crops: list[Image | None] = []
    words = []
    for number in chosen:
        crop, row = shards[number]
        crops.append(fitted(crop, settings))
        told = f"{row.get('style', '')} {row.get('height_px', 0):.0f} px"
        words.append([(str(row["text"]), "black"), (told, "grey")])
    return contact_sheet(crops, words, settings)


def batch_sheet(settings: RecogniserSettings, count: int = 16, sheet: SheetSettings = SHEET) -> PilImage.Image:
    """What the network sees of the first batches of a training: changed, squeezed, in grey; each with the text it is to learn."""
    from ..models.alphabet import ALPHABET

    batches = TrainBatches(LineShards(settings.data), settings.crop, settings.batch, settings.augment, settings.seed, 0)
    crops: list[Image | None] = []
    words = []
    for number in range(len(batches)):
        batch = batches[number]
        ends = np.cumsum(batch.lengths.numpy())
        targets = np.split(batch.targets.numpy(), ends[:-1])
        for picture, target in zip(batch.pictures.numpy()[:, 0], targets, strict=True):
            grey = np.clip((picture + 1) * 127.5, 0, 255).astype(np.uint8)
            crops.append(fitted(np.repeat(grey[:, :, None], 3, axis=2), sheet))
            words.append([("".join(ALPHABET[column - 1] for column in target.tolist()) or "(nothing: upside down)", "black")])
        if len(crops) >= count:
            break
    return contact_sheet(crops[:count], words[:count], sheet)


def found_table(evaluations: Mapping[str, Evaluation]) -> str:
    """How several detectors find lines, as a Markdown table; rows by the name of the model."""
    head = ("model", "lines found", "precision", "recall", "F1", "adverts found", "false per empty photo")
    rows = []
    for name, evaluation in evaluations.items():
        d = evaluation.scores.detection
        rows.append((name, d.tp, d.p, d.r, d.f1, d.ad_recall, d.fp_per_negative))
    return table(head, rows)


def line_table(evaluations: Mapping[str, Evaluation]) -> str:
    """How several models find and read lines, as a Markdown table; rows by the name of the model."""
    head = (
        "model",
        "lines found",
        "precision",
        "recall",
        "F1",
        "CER",
        "CER folded",
        "identifiers (recall)",
        "false lines per empty photo",
    )
    rows = []
    for name, evaluation in evaluations.items():
        d, known = evaluation.scores.detection, evaluation.scores.identifiers.all
        rows.append((name, d.tp, d.p, d.r, d.f1, d.cer, d.cer_folded, known.recall, d.fp_per_negative))
    return table(head, rows)


def slices_plot(evaluations: Mapping[str, Evaluation], of: Sequence[str], measure: str = "recall") -> PilImage.Image:
    """A measure (a field of ``Slice``: ``recall``, ``cer_folded``, ``exact`` …) of several models, slice by slice.

    A panel for each view of ``of`` (``height``, ``angle``, ``style``, ``script`` …) that the photos tell something of.
    """
    panels = [view for view in of if any(part.of == view for e in evaluations.values() for part in e.slices)]
    figure = Figure(figsize=(max(4.0, 4.4 * len(panels)), 3.4), layout="constrained")
    for place, view in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        _slice_bars(axes, evaluations, view, measure)
        if place == 1:
            figure.legend(fontsize=7, ncols=len(evaluations), loc="outside upper right")
    if not panels:
        figure.text(0.5, 0.5, "the photos tell nothing of this", ha="center")
    return picture_of(figure)


def _slice_bars(axes: Axes, evaluations: Mapping[str, Evaluation], view: str, measure: str) -> None:
    lines = {part.name: part.lines for e in evaluations.values() for part in e.slices if part.of == view}
    wide = 0.8 / len(evaluations)
    for number, (model, evaluation) in enumerate(evaluations.items()):
        found: dict[str, Slice] = {part.name: part for part in evaluation.slices if part.of == view}
        values = [(getattr(found[name], measure) if name in found else None) or 0.0 for name in lines]
        places = np.arange(len(lines)) + (number - (len(evaluations) - 1) / 2) * wide
        axes.bar(places, values, wide, label=model)
    many = len(lines) > 4
    labels = [f"{name} ({count})" for name, count in lines.items()]
    axes.set_xticks(range(len(lines)), labels, fontsize=7, rotation=35 if many else 0, ha="right" if many else "center")
    axes.set_title(f"{measure.replace('_', ' ')} by {view} (lines)", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def score_table(scores: Mapping[str, Score]) -> str:
    """How recognisers read the same held-out lines, as a Markdown table: the whole, then its slices by height and style.

    ``exact`` is the share of lines with every character right, ``alike`` without case, spaces and twins of two alphabets.
    """
    head = ["slice", "lines", *(f"{what}, {name}" for what in ("CER", "exact", "alike") for name in scores)]
    parts = {name: {part.name: part for part in (score.whole, *score.slices)} for name, score in scores.items()}
    rows = []
    for name, first in next(iter(parts.values())).items():
        found = [of.get(name) for of in parts.values()]
        errors = [part.errors / max(part.characters, 1) if part else None for part in found]
        exact = [part.exact / max(part.lines, 1) if part else None for part in found]
        alike = [part.alike / max(part.lines, 1) if part else None for part in found]
        rows.append((name.replace("-inf px", "+ px"), first.lines, *errors, *exact, *alike))
    return table(head, rows)


def confusion_table(evaluation: Evaluation, most: int = 12) -> str:
    """The characters that are taken for others most often, as a Markdown table."""
    rows = [(c.truth or "(none)", c.read or "(none)", c.count, c.share) for c in evaluation.confusions[:most]]
    return table(("painted", "read", "times", "share of the painted"), rows, left=2)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Every limit of a gate with what was found, as a Markdown table."""
    rows = [(v.limit, "kept" if v.kept else "**FAILS**", v.bound, v.found, v.words.rstrip(":")) for v in verdicts]
    return table(("limit", "", "bound", "found", "what is measured"), rows, left=2)


def pick_sheet(picks: Sequence[Pick], folder: Path, most: int = 6, columns: int = 3) -> PilImage.Image:
    """The photos that were picked (copied to ``folder`` by ``run_pick``), each with its rank and reason."""
    names = {path.stem: path for path in folder.iterdir()}
    chosen = [pick for pick in picks if Path(pick.name).stem in names or pick.name[:16] in names][:most]
    cells = [small(load_photo(names.get(Path(pick.name).stem) or names[pick.name[:16]])) for pick in chosen]
    return tile(cells, [f"{pick.rank}. {pick.reason}" for pick in chosen], columns)
