"""What two models are compared by: counts of every measure, group of photos by group, from predictions against the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contract import Resource
from ..datasets.truth import PhotoTruth
from .compare_stats import Counts, PairCounts, pair_counts
from .matching import PhotoMatch, distance, fold, found_identifiers, overlap, scored_kinds, true_identifiers
from .metrics import LEAST_ADVERT_IOU, score_links
from .slices import Slice, SliceSettings, slice_lines


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is compared: what it is called, and whether more of it is better."""

    name: str
    title: str
    more_is_better: bool = True


MEASURES = (
    Measure("identifier_recall", "exact identifiers of legible adverts (recall)"),
    Measure("identifier_precision", "of the identifiers reported, right (precision)"),
    Measure("line_f1", "text lines found (F1 at IoU 0.5)"),
    Measure("cer", "character errors in lines found, letters folded", more_is_better=False),
    Measure("cer_with_misses", "character errors, missed lines counted as wrong", more_is_better=False),
    Measure("false_adverts", "false adverts per photo without any", more_is_better=False),
    Measure("link_accuracy", "shops linked rightly"),
)
CLUSTERS = Measure("cluster_f1", "photos of one advert put together (pairwise F1)")


def group_photos(photos: Sequence[PhotoTruth]) -> list[int]:
    """A number per photo; photos that show a common wall, also by way of others, have the same one."""
    parent = list(range(len(photos)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[str, int] = {}
    for number, photo in enumerate(photos):
        for wall in {advert.wall_id for advert in photo.ads if advert.wall_id}:
            parent[root(number)] = root(first.setdefault(wall, number))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(number), len(numbers)) for number in range(len(photos))]


def count_measures(
    matches: Sequence[PhotoMatch], groups: Sequence[int], number: int, shops: Sequence[Resource]
) -> Mapping[str, Counts]:
    """Numerator and denominator of every measure per group; ``groups`` is the group of each match, of ``number``."""
    kinds = scored_kinds(match.photo for match in matches)
    counts = {measure.name: np.zeros((number, 2)) for measure in MEASURES}
    for match, group in zip(matches, groups, strict=True):
        for name, (part, whole) in _of_photo(match, kinds).items():
            counts[name][group] += part, whole
    if shops:
        for group in range(number):
            own = [match for match, other in zip(matches, groups, strict=True) if other == group]
            links = score_links(own, shops, kinds)
            counts["link_accuracy"][group] = (links.accuracy or 0.0) * links.n, links.n
    return counts


def _of_photo(match: PhotoMatch, kinds: Sequence[str]) -> dict[str, tuple[float, float]]:
    truth, found = true_identifiers(match.photo, kinds), found_identifiers(match.prediction, kinds)
    legible = [key for key, true in truth.items() if true.legible]
    tp, fp, fn = len(match.pairs), len(match.false), len(match.missed)
    n: Counter[str] = Counter()
    for pair in match.pairs:
        painted, read = fold(pair.truth.text.lower()), fold(pair.found.text.lower())
        n.update(wrong=min(len(painted), distance(painted, read)), characters=len(painted))
    lost = sum(len(fold(line.text)) for _, line in match.missed)
    return {
        "identifier_recall": (sum(key in found for key in legible), len(legible)),
        "identifier_precision": (sum(key in truth for key in found), len(found)),
        "line_f1": (2 * tp, 2 * tp + fp + fn),
        "cer": (n["wrong"], n["characters"]),
        "cer_with_misses": (n["wrong"] + lost, n["characters"] + lost),
        "false_adverts": (len(match.prediction.adverts), 1) if match.photo.negative else (0, 0),
    }


def count_clusters(matches: Sequence[PhotoMatch], groups: Sequence[int], number: int) -> PairCounts | None:
    """Pairs of true adverts (with a legible line) and how they were put together.

    None where no clusters are given or no advert is seen twice.
    """
    places, truth, found = [], [], []
    given = False
    for match, group in zip(matches, groups, strict=True):
        for k, advert in enumerate(match.photo.ads):
            if not any(line.legible for line in advert.lines):
                continue
            best = max(match.prediction.adverts, key=lambda a: overlap(a.quad, advert.quad)[0], default=None)
            hit = best is not None and overlap(best.quad, advert.quad)[0] >= LEAST_ADVERT_IOU
            cluster = best.cluster if best is not None and hit else match.prediction.cluster
            given = given or cluster is not None
            places.append(group)
            truth.append(advert.wall_id)
            found.append(f"alone {match.photo.file} {group} {k}" if cluster is None else f"cluster {cluster}")
    if not given or len(set(truth)) == len(truth):  # no advert is there twice
        return None
    where: NDArray[np.int64] = np.asarray(places, np.int64)
    return pair_counts(where, truth, found, number)


def slice_by_group(
    matches: Sequence[PhotoMatch], groups: Sequence[int], number: int, settings: SliceSettings
) -> tuple[Mapping[tuple[str, str], Slice], Mapping[tuple[str, str], Counts]]:
    """Every slice of the whole, and its exact identifiers (numerator) of its legible ones (denominator) per group."""
    whole = {(part.of, part.name): part for part in slice_lines(matches, settings)}
    counts = {key: np.zeros((number, 2)) for key in whole}
    members: dict[int, list[PhotoMatch]] = {}
    for match, group in zip(matches, groups, strict=True):
        members.setdefault(group, []).append(match)
    for group, own in members.items():
        for part in slice_lines(own, settings):
            counts[part.of, part.name][group] = part.exact_identifiers, part.identifiers
    return whole, counts
