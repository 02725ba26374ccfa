"""Is a difference between two models more than chance? Bootstrap and permutation over groups of photos, both models paired.

Photos of one wall are no independent evidence: what is drawn are groups (photos that share a wall), each with the counts of both
models. A measure is a ratio of sums over the groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
"""(groups, 2): numerator and denominator of a measure in each group."""


@dataclass(frozen=True, slots=True)
class StatisticsSettings:
    """How chance is judged."""

    draws: int = 2000
    """Bootstrap samples, and permutations."""
    level: float = 0.95
    """Coverage of the intervals."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure of A and B: values (None without a denominator), B minus A with its interval, and the probability of such a
    difference where the two are alike (None where it was not tested)."""

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def difference_of(a: Counts, b: Counts, settings: StatisticsSettings) -> Difference:
    """Compare a measure on the same groups: percentile interval of the paired bootstrap, sign-flip permutation test."""
    value_a, value_b = _value(a), _value(b)
    if value_a is None or value_b is None:
        return Difference(value_a, value_b, None, None, None, None)
    weights = draw_weights(len(a), settings)
    low, high = interval(_ratios(weights @ b) - _ratios(weights @ a), settings)
    return Difference(value_a, value_b, value_b - value_a, low, high, _permuted(a, b, value_b - value_a, settings))


def draw_weights(groups: int, settings: StatisticsSettings) -> NDArray[np.float64]:
    """(draws, groups): how often each group is in each bootstrap sample. The same for every measure of one comparison."""
    rng = np.random.default_rng(settings.seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=settings.draws).astype(np.float64)


def interval(values: NDArray[np.float64], settings: StatisticsSettings) -> tuple[float | None, float | None]:
    """The central ``level`` of bootstrap values; samples without a value (nothing to divide by) are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    tail = (1 - settings.level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def _value(counts: Counts) -> float | None:
    part, whole = counts.sum(0)
    return float(part / whole) if whole else None


def _ratios(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan))


def _permuted(a: Counts, b: Counts, observed: float, settings: StatisticsSettings) -> float:
    """How probable a difference at least as large is when in each group it is chance which model is which."""
    rng = np.random.default_rng([settings.seed, 1])
    swap = rng.integers(0, 2, (settings.draws, len(a))).astype(np.float64)
    change = swap @ (b - a)
    drawn = _ratios(b.sum(0) - change) - _ratios(a.sum(0) + change)
    extreme = int((np.abs(drawn[np.isfinite(drawn)]) >= abs(observed) - 1e-12).sum())
    return (1 + extreme) / (1 + settings.draws)


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """Pairs of adverts that were put together, right or wrong: within each group, and across groups (only wrong ones)."""

    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    fn: NDArray[np.float64]
    across: NDArray[np.float64]
    """(groups, groups): pairs of one advert of each that were wrongly put together; the diagonal is 0."""


def pair_counts(groups: NDArray[np.int64], truth: list[str], found: list[str], number: int) -> PairCounts:
    """Count pairs of items; ``groups`` (items,) is the group of each item, of ``number``; no true pair crosses groups."""
    same_true = _same(truth)
    same_found = _same(found)
    pairs = np.triu(np.ones((len(truth), len(truth)), bool), 1)
    inside = groups[:, None] == groups[None, :]
    tp, fp, fn = (np.zeros(number) for _ in range(3))
    for counts, which in ((tp, same_true & same_found), (fp, ~same_true & same_found & inside), (fn, same_true & ~same_found)):
        first, _ = np.nonzero(which & pairs)
        np.add.at(counts, groups[first], 1)
    across = np.zeros((number, number))
    one, other = np.nonzero(same_found & ~inside & pairs)
    np.add.at(across, (groups[one], groups[other]), 1)
    return PairCounts(tp, fp, fn, across)


def cluster_difference(a: PairCounts, b: PairCounts, settings: StatisticsSettings) -> Difference:
    """Pairwise F1 of two clusterings with the interval of their difference; copies of a group make no pairs with each other."""
    ones = np.ones((1, len(a.tp)))
    value_a, value_b = float(_pair_f1(a, ones)[0]), float(_pair_f1(b, ones)[0])
    if not (np.isfinite(value_a) and np.isfinite(value_b)):
        return Difference(None, None, None, None, None, None)
    weights = draw_weights(len(a.tp), settings)
    low, high = interval(_pair_f1(b, weights) - _pair_f1(a, weights), settings)
    return Difference(value_a, value_b, value_b - value_a, low, high, None)


def _pair_f1(counts: PairCounts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    crossing = ((weights @ counts.across) * weights).sum(1)
    tp = weights @ counts.tp
    whole = 2 * tp + weights @ (counts.fp + counts.fn) + crossing
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(whole > 0, 2 * tp / whole, np.nan))


def _same(labels: list[str]) -> NDArray[np.bool_]:
    numbers = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)[1] if labels else np.zeros(0)
    return np.asarray(numbers[:, None] == numbers[None, :])


def sign_test(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Two-sided sign test of paired values: how probable such a split of larger and smaller is by chance; ties are left out."""
    from math import comb

    larger, smaller = int((b > a).sum()), int((b < a).sum())
    n = larger + smaller
    if not n:
        return None
    tail = sum(comb(n, k) for k in range(min(larger, smaller) + 1)) / 2**n
    return float(min(1.0, 2 * tail))
