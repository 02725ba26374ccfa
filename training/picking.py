"""What to label next: photos that the models are unsure of, disagree about, or have never seen the like of; no two alike.

Each photo gets three numbers in 0..1 and the reason that weighs most. Photos are chosen one by one: what was chosen counts as
labelled from then on, so that ten photos of one wall do not fill the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from ..contract import Analysis, TagtraceError
from ..datasets.photos import load_photo
from ..models.registry import Task, resolve
from .gap_samples import SampleSettings, last_of, open_layer, photo_features
from .matching import distance, fold, overlap
from .predictions import FoundLine, Prediction, prediction_of

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PickSettings:
    """How much each sign weighs, and how alike two chosen photos may be."""

    uncertainty: float = 1.0
    disagreement: float = 1.0
    novelty: float = 0.7
    same_line_iou: float = 0.3
    """Overlap from which on lines of two models are the same line."""
    worst: int = 3
    """The most doubtful lines and contacts of a photo that its uncertainty is the mean of."""
    components: int = 24
    """Principal components of the features in which photos are compared."""
    least_new: float = 0.05
    """Photos less new than this to what was chosen (0..1) are not chosen as long as there are others."""
    samples: SampleSettings = field(default_factory=SampleSettings)


DEFAULT = PickSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A photo that could be labelled: what a model saw in it, what another one saw, and the wall it is of where that is known (no
    two photos of one wall are chosen). ``features`` are those of ``photo_features``, None where the photo is not at hand."""

    name: str
    prediction: Prediction
    other: Prediction | None = None
    features: Array | None = None
    wall: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """A photo to label: its place in the list from 1, its score, the three signs (0..1), and why in words."""

    rank: int
    name: str
    score: float
    uncertainty: float
    disagreement: float
    novelty: float
    reason: str


def uncertainty(prediction: Prediction, settings: PickSettings = DEFAULT) -> tuple[float, str]:
    """How unsure a model is of what it saw (0: all sure or nothing seen, 1: even odds), and of what in words.

    The mean over the most doubtful lines and contacts of 4 c (1 - c), where c is the confidence.
    """
    seen = [(line.confidence, f"line {line.text!r}") for line in prediction.lines]
    seen += [(item.confidence, f"{item.kind} {item.value}") for item in prediction.identifiers]
    ranked = sorted(((4 * c * (1 - c), c, what) for c, what in seen if 0 <= c <= 1), key=lambda item: (-item[0], item[2]))
    worst = ranked[: settings.worst]
    if not worst:
        return 0.0, ""
    return float(np.mean([doubt for doubt, _, _ in worst])), f"unsure of {worst[0][2]} ({worst[0][1]:.2f})"


def disagreement(a: Prediction, b: Prediction | None, settings: PickSettings = DEFAULT) -> tuple[float, str]:
    """How differently two models read a photo (0: alike, 1: nothing in common), and the greatest difference in words.

    The mean over lines: of one that both found the share of characters that differ, of one that only one found 1.
    """
    if b is None or not (a.lines or b.lines):
        return 0.0, ""
    left = list(b.lines)
    found: list[tuple[float, str]] = []
    for line in a.lines:
        same = _same(line, left, settings)
        if same is None:
            found.append((1.0, f"only one model sees {line.text!r}"))
            continue
        left.remove(same)
        first, second = fold(line.text), fold(same.text)
        share = distance(first, second) / max(len(first), len(second), 1)
        found.append((share, f"the models read {line.text!r} and {same.text!r}"))
    found += [(1.0, f"only one model sees {line.text!r}") for line in left]
    worst = max(found, key=lambda item: (item[0], item[1]))
    return float(np.mean([share for share, _ in found])), worst[1] if worst[0] > 0 else ""


def _same(line: FoundLine, others: Sequence[FoundLine], settings: PickSettings) -> FoundLine | None:
    best = max(others, key=lambda other: overlap(line.quad, other.quad)[0], default=None)
    return best if best is not None and overlap(line.quad, best.quad)[0] >= settings.same_line_iou else None


def pick(
    candidates: Sequence[Candidate],
    count: int,
    known: Mapping[str, Array] | None = None,
    settings: PickSettings = DEFAULT,
) -> list[Pick]:
    """The ``count`` photos to label first, best first; ``known`` are features of photos that are labelled, by name.

    The same candidates give the same list, whatever their order. Candidates without features count as not new.
    """
    listed = sorted(candidates, key=lambda candidate: candidate.name)
    space = _Space([c.features for c in listed], known or {}, settings)
    signs = [(uncertainty(c.prediction, settings), disagreement(c.prediction, c.other, settings)) for c in listed]
    picks: list[Pick] = []
    left = set(range(len(listed)))
    walls: set[str] = set()
    while left and len(picks) < count:
        free = [i for i in left if not listed[i].wall or listed[i].wall not in walls]
        fresh = [i for i in free if listed[i].features is None or space.novelty(i) >= settings.least_new]
        pool = fresh or free
        if not pool:
            break
        scored = {i: _score(signs[i], space.novelty(i), settings) for i in pool}
        best = min(pool, key=lambda i: (-scored[i], listed[i].name))
        (unsure, unsure_of), (differ, differ_in) = signs[best]
        new = space.novelty(best)
        reasons = [
            (settings.uncertainty * unsure, unsure_of),
            (settings.disagreement * differ, differ_in),
            (settings.novelty * new, space.reason(best)),
        ]
        reason = max((r for r in reasons if r[1]), key=lambda item: item[0], default=(0.0, "what is left"))
        picks.append(Pick(len(picks) + 1, listed[best].name, scored[best], unsure, differ, new, reason[1]))
        space.choose(best, listed[best].name)
        left.discard(best)
        walls.add(listed[best].wall)
    return picks


def _score(signs: tuple[tuple[float, str], tuple[float, str]], novelty: float, settings: PickSettings) -> float:
    whole = settings.uncertainty + settings.disagreement + settings.novelty
    parts = settings.uncertainty * signs[0][0] + settings.disagreement * signs[1][0] + settings.novelty * novelty
    return round(parts / whole, 6) if whole else 0.0


class _Space:
    """Where photos lie by their features, and how far each is from the nearest one that is labelled or chosen."""

    def __init__(self, features: Sequence[Array | None], known: Mapping[str, Array], settings: PickSettings) -> None:
        held = [i for i, row in enumerate(features) if row is not None]
        self._place = {i: n for n, i in enumerate(held)}
        rows = [features[i] for i in held] + [known[name] for name in sorted(known)]
        self._near: dict[int, tuple[float, str]] = {}
        self._scale = 1.0
        if len(held) < 2:
            return
        points = np.array(rows)
        few = min(settings.components, len(points) - 1, points.shape[1])
        self._points = np.asarray(PCA(few, svd_solver="full").fit_transform(StandardScaler().fit_transform(points)), np.float64)
        own = self._points[: len(held)]
        between = np.linalg.norm(own[:, None] - own[None], axis=2)
        np.fill_diagonal(between, np.inf)
        # As far as two of these photos usually are from each other is 1.
        self._scale = max(float(np.median(between[np.isfinite(between)])), 1e-9)
        for number, name in enumerate(sorted(known)):
            self._approach(self._points[len(held) + number], name)

    def _approach(self, point: Array, name: str) -> None:
        for i, n in self._place.items():
            apart = float(np.linalg.norm(self._points[n] - point)) / self._scale
            if apart < self._near.get(i, (np.inf, ""))[0]:
                self._near[i] = (apart, name)

    def choose(self, index: int, name: str) -> None:
        """Count a photo as labelled from now on."""
        if index in self._place and hasattr(self, "_points"):
            self._approach(self._points[self._place[index]], name)

    def novelty(self, index: int) -> float:
        """0 for a photo like one that is labelled, 1 for one as far from all of them as photos usually are, or farther."""
        if index not in self._place or not hasattr(self, "_points"):
            return 0.0
        return min(1.0, self._near.get(index, (1.0, ""))[0])

    def reason(self, index: int) -> str:
        """Novelty in words."""
        if index not in self._place or not hasattr(self, "_points"):
            return ""
        apart, name = self._near.get(index, (1.0, ""))
        return f"looks like nothing labelled; the nearest is {name}, {apart:.2f} away" if name else "nothing is labelled yet"


def features_of(paths: Mapping[str, Path], settings: SampleSettings | None = None) -> dict[str, Array]:
    """The features of photos (files by name) at the end of the detector's backbone; photos that cannot be read are left out."""
    settings = settings or SampleSettings()
    detector = open_layer(resolve(Task.DETECTOR).path, last_of(settings.detector_part))
    found: dict[str, Array] = {}
    for name, path in sorted(paths.items()):
        try:
            found[name] = photo_features(load_photo(path), detector, settings)
        except TagtraceError:
            continue
    return found


def candidate_of(analysis: Analysis, wall: str = "", features: Array | None = None) -> Candidate:
    """A candidate from an analysis; its name is the SHA-256 of the photo."""
    return Candidate(analysis.sha256, prediction_of(analysis), None, features, wall)


def candidates_of(
    predictions: Mapping[str, Prediction], others: Mapping[str, Prediction] | None, features: Mapping[str, Array]
) -> list[Candidate]:
    """Candidates from the predictions of one model, or of two (by the names of the photos)."""
    return [
        Candidate(name, prediction, (others or {}).get(name), features.get(name))
        for name, prediction in sorted(predictions.items())
    ]
