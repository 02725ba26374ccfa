"""How far two data sets are apart, and in what: so that effort goes where the gap is.

Three looks at the same samples: the Fréchet distance of the features of the shipped models, a classifier that tries to tell the
sets apart, and the effect size of statistics that people can do something about. Samples of one wall are never divided: not
between folds, and not in the resampling that gives the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from .gap_samples import Samples, SampleSettings, check_enough, read_samples

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GapSettings:
    """How the two sets are compared."""

    components: int = 16
    """Principal components of the features in which the Fréchet distance is taken."""
    classifier_components: int = 48
    """Principal components that the classifier sees."""
    strength: float = 0.1
    """Inverse of the classifier's regularisation."""
    folds: int = 5
    repeats: int = 4
    """Divisions into folds; scores are averaged."""
    resamples: int = 300
    """Draws of walls for an interval, and divisions of all walls at random for the distance without any gap."""
    level: float = 0.95
    """Share of the draws that an interval holds."""
    seed: int = 1
    samples: SampleSettings = field(default_factory=SampleSettings)


DEFAULT = GapSettings()


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """How a statistic differs: medians of both sets, Cliff's delta (-1..1, the chance that one of A is greater than one of B less
    the chance of the opposite) with its interval, and Cohen's d."""

    name: str
    median_a: float
    median_b: float
    delta: Interval
    d: float


@dataclass(frozen=True, slots=True, eq=False)
class Gap:
    """How far two sets of samples are apart.

    ``raw_distance`` is the Fréchet distance as a share of the variance of all features. ``no_gap`` is what it is when the
    walls of both sets are mixed and divided at random (mean, and the bound that ``level`` of the divisions stay under),
    ``distance`` how much it is beyond that mean (0: no gap), ``p`` the share of such divisions that are as far apart. ``auc``
    is how well a classifier tells the sets apart (0.5: not at all). ``scores`` is the classifier's probability for set B of
    each sample, those of A first.
    """

    what: str
    count_a: int
    count_b: int
    walls_a: int
    walls_b: int
    raw_distance: float
    distance: Interval
    no_gap: tuple[float, float]
    p: float
    auc: Interval
    effects: tuple[Effect, ...]
    scores: Array

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the scores."""
        return {name: value for name, value in asdict(self).items() if name != "scores"}


@dataclass(frozen=True, slots=True, eq=False)
class GapReport:
    """The gap between two data sets in their lines and in their photos, with the samples themselves."""

    lines: Gap
    photos: Gap
    line_samples: tuple[Samples, Samples]
    photo_samples: tuple[Samples, Samples]


def measure_gap(
    a: Path, b: Path, settings: GapSettings = DEFAULT, progress: Callable[[str, int], None] | None = None
) -> GapReport:
    """Compare two data sets of any format. Raises TagtraceError when one cannot be read or holds too little."""
    lines_a, photos_a = read_samples(a, settings.samples, progress)
    lines_b, photos_b = read_samples(b, settings.samples, progress)
    for path, lines, photos in ((a, lines_a, photos_a), (b, lines_b, photos_b)):
        check_enough(lines, "legible lines", path)
        check_enough(photos, "photos", path)
    return GapReport(
        compare("lines", lines_a, lines_b, settings),
        compare("photos", photos_a, photos_b, settings),
        (lines_a, lines_b),
        (photos_a, photos_b),
    )


def compare(what: str, a: Samples, b: Samples, settings: GapSettings = DEFAULT) -> Gap:
    """Compare two sets of samples with their features."""
    # Many small problems: threads of the linear algebra would only wait for each other.
    with threadpool_limits(1):
        return _compare(what, a, b, settings)


def _compare(what: str, a: Samples, b: Samples, settings: GapSettings) -> Gap:
    features = np.concatenate([a.features, b.features])
    is_b = np.arange(len(features)) >= len(a.features)
    groups = _numbers([f"a {wall}" for wall in a.walls] + [f"b {wall}" for wall in b.walls])
    reduced = reduce(features, settings.components)
    distance = frechet(reduced[~is_b], reduced[is_b])
    rng = np.random.default_rng(settings.seed)
    mixed = np.array([_mixed_distance(reduced, is_b, groups, rng) for _ in range(settings.resamples)])
    drawn = []
    for _ in range(settings.resamples):
        chosen = _draw(groups, is_b, rng)
        drawn.append(frechet(reduced[chosen][~is_b[chosen]], reduced[chosen][is_b[chosen]]))
    scores = tell_apart(features, is_b, groups, settings)
    walls = [len(set(samples.walls)) for samples in (a, b)]
    return Gap(
        what=what,
        count_a=len(a.samples),
        count_b=len(b.samples),
        walls_a=walls[0],
        walls_b=walls[1],
        raw_distance=distance,
        distance=_beyond(distance - float(mixed.mean()), np.array(drawn), settings.level),
        no_gap=(float(mixed.mean()), float(np.quantile(mixed, settings.level))),
        p=float((1 + (mixed >= distance).sum()) / (1 + len(mixed))),
        auc=_auc(scores, is_b, groups, settings),
        effects=effects(a, b, settings),
        scores=scores,
    )


def _numbers(names: Sequence[str]) -> NDArray[np.int64]:
    return np.asarray(np.unique(np.array(names), return_inverse=True)[1], np.int64)


def reduce(features: Array, components: int) -> Array:
    """Standardised features in their first principal components, scaled so that all their variances together are 1."""
    few = min(components, len(features) - 1, features.shape[1])
    reduced = np.asarray(PCA(few, svd_solver="full").fit_transform(StandardScaler().fit_transform(features)), np.float64)
    return np.asarray(reduced / np.sqrt(reduced.var(axis=0).sum()), np.float64)


def frechet(a: Array, b: Array) -> float:
    """Fréchet distance of two samples, shape (samples, features), as if each were normally distributed."""
    between = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    ca, cb = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root = sqrtm(ca @ cb)
    return between + float(np.trace(ca) + np.trace(cb) - 2 * np.trace(np.real(root)))


def _mixed_distance(reduced: Array, is_b: Flags, groups: NDArray[np.int64], rng: np.random.Generator) -> float:
    """The distance when the walls are divided at random, as many to B as were there."""
    numbers = np.unique(groups)
    owner = {int(g): bool(is_b[np.flatnonzero(groups == g)[0]]) for g in numbers}
    count = sum(owner.values())
    chosen = set(rng.permutation(numbers)[:count].tolist())
    other = np.array([int(g) in chosen for g in groups])
    return frechet(reduced[~other], reduced[other])


def _draw(groups: NDArray[np.int64], is_b: Flags, rng: np.random.Generator) -> NDArray[np.int64]:
    """Samples of walls drawn with replacement, of each set as many walls as it has."""
    chosen = []
    for side in (False, True):
        numbers = np.unique(groups[is_b == side])
        chosen += [np.flatnonzero(groups == g) for g in rng.choice(numbers, len(numbers))]
    return np.concatenate(chosen)


def _beyond(value: float, drawn: Array, level: float) -> Interval:
    """The interval of a distance beyond chance. Drawing walls again adds to every distance; only the spread of the draws
    counts."""
    low, high = np.quantile(drawn - drawn.mean(), ((1 - level) / 2, (1 + level) / 2))
    return Interval(value, value + float(low), value + float(high))


def tell_apart(features: Array, is_b: Flags, groups: NDArray[np.int64], settings: GapSettings = DEFAULT) -> Array:
    """The probability of set B that a classifier gives each sample which it has not seen, nor any other of the same wall."""
    total = np.zeros(len(features))
    walls = min(len(np.unique(groups[is_b])), len(np.unique(groups[~is_b])))
    folds = max(2, min(settings.folds, walls))
    for repeat in range(settings.repeats):
        division = StratifiedGroupKFold(folds, shuffle=True, random_state=settings.seed + repeat)
        for train, test in division.split(features, is_b, groups):
            few = min(settings.classifier_components, len(train) - 1, features.shape[1])
            model = make_pipeline(
                StandardScaler(),
                PCA(few, svd_solver="full"),
                LogisticRegression(C=settings.strength, class_weight="balanced", max_iter=2000),
            )
            model.fit(features[train], is_b[train])
            total[test] += model.predict_proba(features[test])[:, 1]
    return total / settings.repeats


def _auc(scores: Array, is_b: Flags, groups: NDArray[np.int64], settings: GapSettings) -> Interval:
    rng = np.random.default_rng(settings.seed)
    drawn = []
    for _ in range(settings.resamples):
        chosen = _draw(groups, is_b, rng)
        drawn.append(roc_auc_score(is_b[chosen], scores[chosen]))
    low, high = np.quantile(drawn, ((1 - settings.level) / 2, (1 + settings.level) / 2))
    return Interval(float(roc_auc_score(is_b, scores)), float(low), float(high))


def effects(a: Samples, b: Samples, settings: GapSettings = DEFAULT) -> tuple[Effect, ...]:
    """How the statistics differ, the greatest effect first; those that cannot be told of both sets are left out."""
    rng = np.random.default_rng(settings.seed)
    found = []
    for name in a.samples[0].values:
        sides = []
        for samples in (a, b):
            values = np.array([sample.values[name] for sample in samples.samples])
            known = np.isfinite(values)
            sides.append((values[known], _numbers(samples.walls)[known]))
        if min(len(values) for values, _ in sides) < 2:
            continue
        (x, walls_x), (y, walls_y) = sides
        drawn = [cliff(x[_resample(walls_x, rng)], y[_resample(walls_y, rng)]) for _ in range(settings.resamples)]
        low, high = np.quantile(drawn, ((1 - settings.level) / 2, (1 + settings.level) / 2))
        spread = np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2)
        d = float((x.mean() - y.mean()) / spread) if spread > 0 else 0.0
        delta = Interval(cliff(x, y), float(low), float(high))
        found.append(Effect(name, float(np.median(x)), float(np.median(y)), delta, d))
    return tuple(sorted(found, key=lambda effect: (-abs(effect.delta.value), effect.name)))


def _resample(walls: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    numbers = np.unique(walls)
    return np.concatenate([np.flatnonzero(walls == g) for g in rng.choice(numbers, len(numbers))])


def cliff(x: Array, y: Array) -> float:
    """Cliff's delta: how much more often a value of ``x`` is greater than one of ``y`` than the other way round, -1..1."""
    ordered = np.sort(y)
    below = np.searchsorted(ordered, x, side="left")
    not_above = np.searchsorted(ordered, x, side="right")
    return float((below.sum() - (len(y) - not_above).sum()) / (len(x) * len(y)))
