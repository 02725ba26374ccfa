"""Labels that are probably wrong: where a truth and the models disagree, the most suspicious first.

A model that reads something else, surely, at a place where the label is called legible: one of the two is wrong. So is one of
them where a model surely reads a line that nobody labelled, or sees nothing where a large line is labelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..contract import Quad
from ..datasets.sheets import DEFAULT_SHEETS, SheetSettings
from ..datasets.truth import PhotoTruth
from .matching import COVERED_SHARE, PhotoMatch, distance, fold, match_all, overlap
from .misses import Miss, write_sheets
from .predictions import Prediction


class Doubt(StrEnum):
    """How a label and the models disagree."""

    TEXT = "text"
    """The label says one thing, and the model surely reads another."""
    UNLABELLED = "unlabelled"
    """The model surely reads a line where none is labelled."""
    NOT_SEEN = "not_seen"
    """A line is labelled as legible, and the model sees none."""


@dataclass(frozen=True, slots=True)
class SuspicionSettings:
    """What makes a label suspicious."""

    clear_px: float = 32.0
    """Height in pixels from which on a line that is not seen is as suspicious as can be."""
    least: float = 0.05
    """Suspicions (0..1) below this are left out."""


DEFAULT = SuspicionSettings()


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One label to look at: how suspicious (0..1), what for, where, and what the label and the model say."""

    photo: str
    doubt: Doubt
    suspicion: float
    quad: Quad
    labelled: str
    read: str


def suspicious(
    truth: Sequence[PhotoTruth], predictions: Mapping[str, Prediction], settings: SuspicionSettings = DEFAULT
) -> list[Suspicion]:
    """The labels of a truth that the predictions (by photo name) contradict, the most suspicious first.

    A text: the share of characters that differ, times the confidence of the reading. A line without a label: its confidence. A
    label that is not seen: its height, up to ``clear_px``. Photos without a prediction are left out.
    """
    known = [photo for photo in truth if photo.file.rpartition("/")[2] in predictions]
    found = [item for match in match_all(known, predictions) for item in _of_photo(match, settings)]
    return sorted((i for i in found if i.suspicion >= settings.least), key=lambda i: (-i.suspicion, i.photo, i.labelled, i.read))


def _of_photo(match: PhotoMatch, settings: SuspicionSettings) -> Iterable[Suspicion]:
    name = match.photo.file
    for pair in match.pairs:
        label, read = fold(pair.truth.text), fold(pair.found.text)
        share = min(1.0, distance(label, read) / max(len(label), len(read), 1))
        yield Suspicion(name, Doubt.TEXT, share * pair.found.confidence, pair.truth.quad, pair.truth.text, pair.found.text)
    texts = [other.quad for other in match.photo.distractors]
    for line in match.false:
        # A sign or plate that is labelled as other text is no advert, and was rightly not labelled as one.
        if line.text and not any(max(overlap(line.quad, quad)) >= COVERED_SHARE for quad in texts):
            yield Suspicion(name, Doubt.UNLABELLED, line.confidence, line.quad, "", line.text)
    for _, missed in match.missed:
        yield Suspicion(name, Doubt.NOT_SEEN, min(1.0, missed.height_px / settings.clear_px), missed.quad, missed.text, "")


def write_suspicion_sheets(
    found: Sequence[Suspicion], photos_dir: Path, out: Path, settings: SheetSettings = DEFAULT_SHEETS
) -> list[Path]:
    """Draw the suspicious labels, one contact sheet per kind of doubt, into ``out``; returns the files."""
    misses = {
        f"suspicious_{doubt}": [
            Miss(i.photo, f"suspicious_{doubt}", i.quad, i.labelled or "(no label)", i.read or "(not seen)", i.suspicion)
            for i in found
            if i.doubt is doubt
        ]
        for doubt in Doubt
    }
    return write_sheets(misses, photos_dir, out, settings)
