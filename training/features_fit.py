"""What agreeing features are worth: fit the weights of ``linking.features`` on pairs of generated photos, and measure them.

Pairs are of four sorts: the same advert again (or a copy of the photo), the same stencil on another wall, a sibling of it, and
adverts with nothing in common. The log-odds are fitted with both classes weighing the same, so that they are free of any prior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..contract import Failure, Image, Quad, TagtraceError
from ..datasets.truth import AdvertTruth, PhotoTruth, read_truth
from ..inference.decode import decode
from ..linking.features import MATCH, AdvertFeatures, Match, MatchSettings, extract_features, match
from ..models import geometry

SORTS = ("copy", "same", "stencil", "sibling", "other")
"""How two photos stand to each other; the first two are of the same advert."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Which pairs are taken, and how the weights are fitted."""

    per_sort: int = 400
    """Pairs of each sort at most."""
    least_in_frame: float = 0.5
    """Share of its surest line that a photo must show of an advert."""
    jitter: float = 0.08
    """Deviation of the corners as a share of the advert's height: detectors are not exact."""
    ridge: float = 0.02
    """Weight of the squares of the weights against the fit, per pair."""
    steps: int = 60
    """Newton steps at most."""
    seed: int = 1


DEFAULT = FitSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """An advert in one photo: its features, and what it is."""

    photo: PhotoTruth
    advert: AdvertTruth
    features: AdvertFeatures


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two adverts compared: how they stand to each other (``SORTS``), and how their features agree."""

    sort: str
    match: Match

    @property
    def same(self) -> bool:
        """Whether both show the same advert."""
        return self.sort in SORTS[:2]


@dataclass(frozen=True, slots=True)
class MatchQuality:
    """How good the log-odds are: error of calibration (10 bins, classes balanced), and what was called the same advert."""

    pairs: int
    calibration_error: float
    recall: float
    """Pairs of the same advert (copies too) that are called so."""
    false_alarms: int
    """Pairs of different adverts that are called the same."""
    copies_found: float
    """Copies that are called copies."""


def describe(
    truth: Path, photos: Path, settings: FitSettings = DEFAULT, progress: Callable[[int], None] = lambda done: None
) -> list[Described]:
    """The features of every advert of a truth set that its photo shows well enough. Raises ``TagtraceError`` for a bad photo."""
    rng = np.random.default_rng(settings.seed)
    out = []
    for done, shown in enumerate(read_truth(truth), 1):
        wanted = [
            ad for ad in shown.ads if max((line.in_frame or 0.0 for line in ad.lines), default=0.0) >= settings.least_in_frame
        ]
        pixels = _pixels(photos / shown.file) if wanted else None
        for advert in wanted:
            if pixels is not None:
                quad = _as_found(rng, advert, settings)
                out.append(Described(shown, advert, extract_features(pixels, quad)))
        progress(done)
    return out


def _pixels(path: Path) -> Image:
    if not path.is_file():
        raise TagtraceError(f"{path}: there is no such photo; check the folder of the photos")
    photo = decode(path.read_bytes(), path.name)
    if isinstance(photo, Failure):
        raise TagtraceError(photo.message)
    return photo.pixels


def _as_found(rng: np.random.Generator, advert: AdvertTruth, settings: FitSettings) -> Quad:
    """The smallest rectangle around the advert's lines, as a detector would have it."""
    quad = geometry.around([line.quad for line in advert.lines])
    error = rng.normal(0, settings.jitter * geometry.size(quad)[1], (4, 2))
    return geometry.min_area_quad(geometry.points_of(quad) + error)


def sort_of(a: Described, b: Described) -> str:
    """How two photos stand to each other: one of ``SORTS``."""
    if a.advert.wall_id == b.advert.wall_id:
        sources = {str(d.photo.extra.get("copy_of", d.photo.file)) for d in (a, b)}
        return "copy" if len(sources) == 1 else "same"
    if a.advert.extra.get("stencil_id") == b.advert.extra.get("stencil_id"):
        return "stencil"
    siblings = a.advert.shop_id == b.advert.shop_id and "sibling" in (
        a.advert.extra.get("relation"),
        b.advert.extra.get("relation"),
    )
    return "sibling" if siblings else "other"


def compare(described: Sequence[Described], settings: FitSettings = DEFAULT, how: MatchSettings | None = None) -> list[Pair]:
    """Pairs of every sort, drawn without repetition and compared."""
    by_sort: dict[str, list[tuple[int, int]]] = {sort: [] for sort in SORTS}
    for i, j in combinations(range(len(described)), 2):
        if described[i].photo.file != described[j].photo.file:
            by_sort[sort_of(described[i], described[j])].append((i, j))
    rng = np.random.default_rng(settings.seed)
    out = []
    for sort, found in by_sort.items():
        for n in rng.permutation(len(found))[: settings.per_sort].tolist():
            i, j = found[n]
            out.append(Pair(sort, match(described[i].features, described[j].features, how)))
    return out


def _table(pairs: Sequence[Pair], chance: int = MATCH.wall_chance) -> tuple[Array, NDArray[np.bool_], Array]:
    """Measures with a leading 1, the classes, and weights that balance them."""
    table = np.array([(1.0, *pair.match.measures(chance)) for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    return table, same, np.where(same, 0.5 / max(1, same.sum()), 0.5 / max(1, (~same).sum()))


def fit(pairs: Sequence[Pair], settings: FitSettings = DEFAULT, base: MatchSettings | None = None) -> MatchSettings:
    """The weights with which the log-odds of these pairs fit best: logistic regression by Newton's method, classes balanced.

    Pairs in which nothing agrees get one number, the logarithm of how much more often that happens to different adverts.
    Raises ``TagtraceError`` where a class has too few pairs that agree.
    """
    agreeing = [pair for pair in pairs if pair.match.inliers]
    if min(sum(p.same for p in agreeing), sum(not p.same for p in agreeing)) < 10:
        raise TagtraceError(
            "too few pairs to fit: at least ten of the same and ten of different adverts must have features in common"
        )
    base = base or MatchSettings()
    table, same, _ = _table(agreeing, base.wall_chance)
    _, all_same, _ = _table(pairs)
    # Balanced over all pairs, not over those that agree: that so many of the same and so few others agree is evidence too.
    weight = np.where(same, 0.5 / all_same.sum(), 0.5 / (~all_same).sum()) * len(agreeing)
    beta = np.zeros(table.shape[1])
    penalty = settings.ridge * len(agreeing) * np.diag([0.0, *np.ones(table.shape[1] - 1)]) / 10
    for _ in range(settings.steps):
        p = 1 / (1 + np.exp(-np.clip(table @ beta, -30, 30)))
        gradient = table.T @ (weight * (same - p)) - penalty @ beta
        step = np.linalg.solve((table * (weight * p * (1 - p))[:, None]).T @ table + penalty + 1e-9 * np.eye(len(beta)), gradient)
        beta = beta + step
        if float(np.abs(step).max()) < 1e-8:
            break
    lost = [sum(not p.match.inliers for p in pairs if p.same is one) + 1 for one in (True, False)]
    totals = [sum(p.same is one for p in pairs) + 2 for one in (True, False)]
    none = float(np.log(lost[0] / totals[0]) - np.log(lost[1] / totals[1]))
    values = [round(float(value), 3) for value in beta]
    return replace(
        base,
        bias=values[0],
        per_log_inliers=values[1],
        per_coverage=values[2],
        per_log_wall=values[3],
        no_match=round(none, 3),
    )


def quality(pairs: Sequence[Pair]) -> MatchQuality:
    """Measure compared pairs; copies and repetitions count as the same advert."""
    _, same, weight = _table(pairs)
    p = 1 / (1 + np.exp(-np.array([pair.match.same_advert_log_odds for pair in pairs])))
    error = 0.0
    for low in np.arange(0, 1, 0.1):
        here = (p >= low) & ((p < low + 0.1) | (low > 0.85))
        if here.any():
            error += abs(float((weight * same)[here].sum()) - float((weight * p)[here].sum()))
    called = np.array([pair.match.kind in ("same_advert", "same_photo") for pair in pairs])
    copies = [pair.match.kind == "same_photo" for pair in pairs if pair.sort == "copy"]
    return MatchQuality(
        pairs=len(pairs),
        calibration_error=error,
        recall=float(called[same].mean()) if same.any() else 0.0,
        false_alarms=int(called[~same].sum()),
        copies_found=float(np.mean(copies)) if copies else 0.0,
    )
