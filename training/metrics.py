"""The measures: text lines found, characters read, identifiers exact, shops linked, duplicates clustered.

They are the measures of the scorer that comes with the walls3d photos, number for number; ``Scores.to_json`` has its form.
A ratio whose denominator is zero is None, except in precision, recall and F1, which are then 0.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ..contract import Resource
from ..datasets.truth import CODE_KIND, PhotoTruth
from .matching import (
    Key,
    PhotoMatch,
    TrueIdentifier,
    comparable,
    distance,
    fold,
    found_identifiers,
    kind_of,
    match_all,
    overlap,
    scored_kinds,
    true_identifiers,
)
from .predictions import FoundAdvert, FoundIdentifier, Prediction

LEAST_ADVERT_IOU = 0.1
"""A reported advert stands for the true one it overlaps most, if it overlaps by at least this much."""
SIBLING_DISTANCE = 2
"""Two names of shops are alike enough to be confused when they differ by at most this many characters."""


def ratio(part: float, whole: float) -> float | None:
    """``part / whole``, None when there is no whole."""
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision, recall and their harmonic mean, with the counts they come from."""

    p: float
    r: float
    f1: float
    tp: int
    fp: int
    fn: int


def precision_recall(tp: int, fp: int, fn: int) -> PrecisionRecall:
    """From counts of right, false and missed."""
    p, r = tp / (tp + fp) if tp + fp else 0.0, tp / (tp + fn) if tp + fn else 0.0
    return PrecisionRecall(p, r, 2 * p * r / (p + r) if p + r else 0.0, tp, fp, fn)


@dataclass(frozen=True, slots=True)
class LineScores(PrecisionRecall):
    """Lines of legible adverts (IoU 0.5) and the characters in those found.

    ``cer`` is the character error rate without case; ``cer_folded`` also without spaces and look-alike letters;
    ``cer_with_misses`` counts the characters of missed lines as wrong. ``ad_recall`` is the share of adverts with at least one
    line found. ``fp_per_negative`` are false lines per photo without an advert, ``fp_per_negative_off_text`` those of them
    that are not on other text.
    """

    fp_on_distractors: int
    cer: float | None
    cer_folded: float | None
    cer_with_misses: float | None
    ad_recall: float | None
    negatives: int
    fp_per_negative: float | None
    fp_per_negative_off_text: float | None


def score_lines(matches: Sequence[PhotoMatch]) -> LineScores:
    """Lines and characters over all photos."""
    n: Counter[str] = Counter()
    for match in matches:
        n.update(tp=len(match.pairs), fp=len(match.false), fn=len(match.missed), on_distractors=match.false_on_distractors)
        for pair in match.pairs:
            painted, read = pair.truth.text.lower(), pair.found.text.lower()
            n.update(wrong=distance(painted, read), chars=len(painted))
            painted, read = fold(painted), fold(read)
            n.update(wrong_folded=min(len(painted), distance(painted, read)), chars_folded=len(painted))
        n["chars_missed"] += sum(len(fold(line.text)) for _, line in match.missed)
        if match.photo.negative:
            off_text = len(match.false) - match.false_on_distractors
            n.update(negatives=1, on_negatives=len(match.false), on_negatives_off_text=off_text)
        hit = {id(pair.truth) for pair in match.pairs}
        for advert in match.photo.ads:
            legible = [line for line in advert.lines if line.legible and line.kind != CODE_KIND]
            n.update(ads=bool(legible), ads_found=any(id(line) in hit for line in legible))
    return LineScores(
        **asdict(precision_recall(n["tp"], n["fp"], n["fn"])),
        fp_on_distractors=n["on_distractors"],
        cer=ratio(n["wrong"], n["chars"]),
        cer_folded=ratio(n["wrong_folded"], n["chars_folded"]),
        cer_with_misses=ratio(n["wrong_folded"] + n["chars_missed"], n["chars_folded"] + n["chars_missed"]),
        ad_recall=ratio(n["ads_found"], n["ads"]),
        negatives=n["negatives"],
        fp_per_negative=ratio(n["on_negatives"], n["negatives"]),
        fp_per_negative_off_text=ratio(n["on_negatives_off_text"], n["negatives"]),
    )


@dataclass(frozen=True, slots=True)
class IdentifierScores:
    """Exact identifiers. ``recall`` is of the ``legible`` ones, ``recall_all`` of the ``total``; ``precision`` of those
    ``predicted``. ``wrong_kind`` have the right value under another kind; ``from_distractors`` are phones of other text."""

    recall: float | None
    legible: int
    recall_all: float | None
    total: int
    precision: float | None
    predicted: int
    wrong_kind: int
    from_distractors: int


@dataclass(frozen=True, slots=True)
class AllIdentifierScores:
    """Identifiers of all kinds, by kind, and those that codes say (only recall is known for them)."""

    all: IdentifierScores
    by_kind: Mapping[str, IdentifierScores]
    from_codes: IdentifierScores
    missed_by_one_char: int
    """Legible ones that were missed while one was reported that differs by one character."""
    not_measured: Mapping[str, int]
    """Reported identifiers by kind, of kinds that the truth does not know: neither right nor wrong."""

    def to_json(self) -> dict[str, Any]:
        """By kind, with ``all`` and ``qr_source`` beside the kinds."""
        codes = {k: v for k, v in asdict(self.from_codes).items() if k in ("recall", "legible", "recall_all", "total")}
        everything = {**asdict(self.all), "missed_by_one_char": self.missed_by_one_char}
        by_kind = {kind: asdict(scores) for kind, scores in self.by_kind.items()}
        return {**by_kind, "qr_source": codes, "all": everything, "not_measured": dict(self.not_measured)}


class _IdentifierCount(Counter[str]):
    def true_one(self, truth: TrueIdentifier, found: bool) -> None:
        self.update(total=1, hit_all=found, legible=truth.legible, hit_legible=found and truth.legible)

    def scores(self) -> IdentifierScores:
        return IdentifierScores(
            recall=ratio(self["hit_legible"], self["legible"]),
            legible=self["legible"],
            recall_all=ratio(self["hit_all"], self["total"]),
            total=self["total"],
            precision=ratio(self["right"], self["predicted"]),
            predicted=self["predicted"],
            wrong_kind=self["wrong_kind"],
            from_distractors=self["on_distractor"],
        )


def score_identifiers(matches: Sequence[PhotoMatch], kinds: Sequence[str]) -> AllIdentifierScores:
    """Exact identifiers over all photos, each counted once per photo."""
    counts = {kind: _IdentifierCount() for kind in (*kinds, "all", "codes")}
    near = 0
    other: Counter[str] = Counter()
    for match in matches:
        truth, found = true_identifiers(match.photo, kinds), found_identifiers(match.prediction, kinds)
        other.update(kind_of(i.kind) for i in match.prediction.identifiers if kind_of(i.kind) not in kinds)
        for key, true in truth.items():
            for name in (true.kind, "all", *(["codes"] if true.coded else [])):
                counts[name].true_one(true, key in found)
            if true.legible and key not in found:
                near += any(distance(true.value, value) <= 1 for _, value in found)
        _count_found(counts, match.photo, truth, found)
    scores = {name: count.scores() for name, count in counts.items()}
    by_kind = {kind: scores[kind] for kind in kinds}
    return AllIdentifierScores(scores["all"], by_kind, scores["codes"], near, dict(sorted(other.items())))


def _count_found(
    counts: Mapping[str, _IdentifierCount],
    photo: PhotoTruth,
    truth: Mapping[Key, TrueIdentifier],
    found: Mapping[Key, FoundIdentifier],
) -> None:
    elsewhere = {re.sub(r"\D", "", d.text)[-10:] for d in photo.distractors}
    for kind, value in found:
        right = (kind, value) in truth
        wrong_kind = not right and any(value == true for _, true in truth)
        on_distractor = kind == "phone" and value[-10:] in elsewhere
        for name in (kind, "all"):
            counts[name].update(predicted=1, right=right, wrong_kind=wrong_kind, on_distractor=on_distractor)


@dataclass(frozen=True, slots=True)
class LinkCount:
    """Shop sightings of one group: linked to the right shop, to a wrong one, or to none."""

    n: int
    right: int
    wrong: int
    none: int


@dataclass(frozen=True, slots=True)
class LinkScores:
    """Shops: ``registered`` ones, whose painted identifier is listed; listed ones with a new one (``sibling``); ``unknown`` ones.

    An unknown shop is right when nothing strange is linked, also where nothing was read: look at the groups, not only at
    ``accuracy``. ``sibling_confusion`` counts links to a wrong shop with a name like that of the painted one. ``read`` counts
    those of all groups of which an identifier was read exactly: what is linked wrongly there, linking is to blame for.
    """

    accuracy: float | None
    n: int
    registered: LinkCount
    sibling: LinkCount
    unknown: LinkCount
    read: LinkCount
    sibling_confusion: int
    photos_without_ids_linked: int


def _stem(value: str) -> str:
    """A name without the ending by which siblings differ."""
    return re.sub(r"(_?bot)?[\d_]*$", "", value.split(".")[0])


def _alike(a: str, b: str) -> bool:
    return distance(a, b) <= SIBLING_DISTANCE or _stem(a) == _stem(b)


def score_links(matches: Sequence[PhotoMatch], shops: Sequence[Resource], kinds: Sequence[str]) -> LinkScores:
    """Does each shop seen in a photo get its shop from the list, or none when it is not on the list?"""
    listed = {(kind_of(r.kind), comparable(r.kind, r.value)) for r in shops}
    names: dict[str, set[str]] = defaultdict(set)
    for r in shops:
        names[r.shop_id].add(comparable(r.kind, r.value))
    groups: dict[str, Counter[str]] = {group: Counter() for group in ("registered", "sibling", "unknown")}
    read: Counter[str] = Counter()
    confused = strays = 0
    for match in matches:
        truth, found = true_identifiers(match.photo, kinds), found_identifiers(match.prediction, kinds)
        linked = {i.shop_id for i in found.values() if i.shop_id}
        stray = linked - {true.advert.shop_id for true in truth.values()}
        strays += bool(linked) and not truth
        for shop in sorted({true.advert.shop_id for true in truth.values() if true.legible}):
            keys = [key for key, true in truth.items() if true.advert.shop_id == shop and true.legible]
            group = "unknown" if shop not in names else "registered" if listed.intersection(keys) else "sibling"
            if group == "unknown":
                result = "wrong" if stray or shop in linked else "right"
            else:
                result = "right" if shop in linked else "wrong" if stray else "none"
            groups[group].update(["n", result])
            if found.keys() & set(keys):
                read.update(["n", result])
            confused += sum(any(_alike(v, name) for _, v in keys for name in names.get(w, ())) for w in stray)
    n, right = (sum(c[key] for c in groups.values()) for key in ("n", "right"))
    counts = {group: LinkCount(c["n"], c["right"], c["wrong"], c["none"]) for group, c in {**groups, "read": read}.items()}
    return LinkScores(ratio(right, n), n, **counts, sibling_confusion=confused, photos_without_ids_linked=strays)


@dataclass(frozen=True, slots=True)
class ClusterScores:
    """How well items were put together: over pairs of items, and B-cubed (per item, its cluster against its true group)."""

    pairwise: PrecisionRecall
    bcubed: Mapping[str, float]
    items: int


def score_clusters(truth: Sequence[str], found: Sequence[str]) -> ClusterScores:
    """Compare two labellings of the same items; the labels themselves mean nothing."""
    tp = fp = fn = 0
    for i, j in combinations(range(len(truth)), 2):
        same, together = truth[i] == truth[j], found[i] == found[j]
        tp, fp, fn = tp + (same and together), fp + (together and not same), fn + (same and not together)
    both, true_sizes, found_sizes = Counter(zip(truth, found, strict=True)), Counter(truth), Counter(found)
    n = len(truth)
    p = sum(c * c / found_sizes[f] for (_, f), c in both.items()) / n if n else 0.0
    r = sum(c * c / true_sizes[t] for (t, _), c in both.items()) / n if n else 0.0
    bcubed = {"p": p, "r": r, "f1": 2 * p * r / (p + r) if p + r else 0.0}
    return ClusterScores(precision_recall(tp, fp, fn), bcubed, n)


@dataclass(frozen=True, slots=True)
class Clustering:
    """Adverts put together by physical advert (``wall``) and by ``shop``; ``given`` says whether there were clusters at all."""

    given: bool
    wall: ClusterScores
    shop: ClusterScores


def score_clustering(matches: Sequence[PhotoMatch]) -> Clustering:
    """Items are the true adverts with at least one legible line; one without a cluster is alone."""
    true_walls, true_shops, walls, shops = [], [], [], []
    given = False
    for match in matches:
        for k, advert in enumerate(match.photo.ads):
            if not any(line.legible for line in advert.lines):
                continue
            best = max(match.prediction.adverts, key=lambda a: overlap(a.quad, advert.quad)[0], default=None)
            hit: FoundAdvert | Prediction = match.prediction
            if best is not None and overlap(best.quad, advert.quad)[0] >= LEAST_ADVERT_IOU:
                hit = best
            given = given or hit.cluster is not None or hit.shop_cluster is not None
            cluster = f"~{match.photo.file}#{k}" if hit.cluster is None else f"c{hit.cluster}"
            true_walls.append(advert.wall_id)
            true_shops.append(advert.shop_id)
            walls.append(cluster)
            shops.append(cluster if hit.shop_cluster is None else f"s{hit.shop_cluster}")
    return Clustering(given, score_clusters(true_walls, walls), score_clusters(true_shops, shops))


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds per photo."""

    mean: float
    median: float
    p95: float


@dataclass(frozen=True, slots=True)
class DifficultyScores:
    """The main measures on the photos of one difficulty."""

    photos: int
    detection: LineScores
    identifiers: IdentifierScores
    missed_by_one_char: int
    linking: float | None


def _difficulty_order(name: str) -> tuple[int, str]:
    usual = ("easy", "medium", "hard")
    return (usual.index(name) if name in usual else len(usual), name)


@dataclass(frozen=True, slots=True)
class Scores:
    """Every measure on one set of photos."""

    photos: int
    predicted: int
    seconds: Seconds | None
    detection: LineScores
    identifiers: AllIdentifierScores
    linking: LinkScores
    clustering: Clustering
    by_difficulty: Mapping[str, DifficultyScores]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        data = asdict(self)
        data["identifiers"] = self.identifiers.to_json()
        for part in data["by_difficulty"].values():
            part["identifiers"]["missed_by_one_char"] = part.pop("missed_by_one_char")
        return data


def score(photos: Sequence[PhotoTruth], predictions: Mapping[str, Prediction], shops: Sequence[Resource] = ()) -> Scores:
    """Measure predictions (by photo name) against the truth; ``shops`` are the resources that were known."""
    return score_matches(match_all(photos, predictions), predictions, shops)


def score_matches(matches: Sequence[PhotoMatch], predictions: Mapping[str, Prediction], shops: Sequence[Resource]) -> Scores:
    """As ``score``, for photos already matched."""
    kinds = scored_kinds(match.photo for match in matches)
    times = [p.seconds for p in predictions.values() if p.seconds is not None]
    seconds = Seconds(float(np.mean(times)), float(np.median(times)), float(np.percentile(times, 95))) if times else None
    by_difficulty = {}
    for difficulty in sorted({match.photo.difficulty for match in matches} - {""}, key=_difficulty_order):
        part = [match for match in matches if match.photo.difficulty == difficulty]
        ids = score_identifiers(part, kinds)
        by_difficulty[difficulty] = DifficultyScores(
            len(part), score_lines(part), ids.all, ids.missed_by_one_char, score_links(part, shops, kinds).accuracy
        )
    return Scores(
        photos=len(matches),
        predicted=sum(bool(match.prediction.file) for match in matches),
        seconds=seconds,
        detection=score_lines(matches),
        identifiers=score_identifiers(matches, kinds),
        linking=score_links(matches, shops, kinds),
        clustering=score_clustering(matches),
        by_difficulty=by_difficulty,
    )
