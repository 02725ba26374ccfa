"""Watching what a service reads: how far it lies from the reference of the models, over time, and which photos look new.

The histograms and their index are those of ``scoring.drift``, which the service shows as ``tagtrace_drift``; here they are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image as PilImage
from scipy.stats import chi2

from ..contract import Analysis
from ..datasets.photos import inside, load_photo
from ..datasets.plots import picture_of, small, tile
from ..linking.store import Store
from ..linking.store.loading import latest_analyses
from ..scoring.drift import Reference, count, drift
from .picking import Array
from .report_text import table

Histograms = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """From where on a measure is said to have drifted, and when a photo looks new."""

    noticeable: float = 0.1
    much: float = 0.25
    """Population stability index, as ``scoring.drift`` has it."""
    level: float = 0.95
    """An index that this share of equal groups stays below says nothing."""
    columns: int = 3


DEFAULT = WatchSettings()


def read_in(store: Store, names: Sequence[str] = ()) -> list[Analysis]:
    """The latest analyses in a store, in the order in which they were made; only of photos (SHA-256) in ``names`` where given."""
    with store.read() as session:
        found = list(latest_analyses(session))
    wanted = set(names)
    return [analysis for analysis in found if not wanted or analysis.sha256 in wanted]


def by_chance(expected: Mapping[str, int], found: Mapping[str, int], level: float = DEFAULT.level) -> float:
    """The stability index that groups of these sizes stay below, in ``level`` of the cases, although nothing has changed.

    About chi-squared over the buckets, times the inverse counts. Lines of one photo hang together, so it is rather too low.
    """
    sizes = max(1, sum(expected.values())), max(1, sum(found.values()))
    buckets = len(expected.keys() | found.keys())
    return float(chi2.ppf(level, max(1, buckets - 1))) * (1 / sizes[0] + 1 / sizes[1])


def own_reference(analyses: Sequence[Analysis], source: str) -> Reference:
    """A reference of one's own photos, as `tagtrace models reference` writes it."""
    models = {model.name: model.sha256 for analysis in analyses for model in analysis.models}
    return Reference(source, len(analyses), models, count(analyses))


def verdict(index: float, chance: float, settings: WatchSettings = DEFAULT) -> str:
    """What an index says, in words, where so much may come by chance."""
    if index <= settings.noticeable:
        return "alike"
    if index <= chance:
        return "may be chance"
    return "much" if index > settings.much else "noticeable"


def drift_table(reference: Reference, seen: Mapping[str, Sequence[Analysis]], settings: WatchSettings = DEFAULT) -> str:
    """The index of every measure for several groups of analyses (by name), with what it says, as a Markdown table."""
    rows: list[tuple[str | float | None, ...]] = []
    for name, analyses in seen.items():
        found = count(analyses)
        for measure, index in drift(reference, found).items():
            chance = by_chance(reference.measures[measure], found[measure], settings.level)
            counted = sum(found[measure].values())
            rows.append((name, measure.replace("_", " "), counted, index, chance, verdict(index, chance, settings)))
    return table(("photos", "measure", "seen", "stability index", "by chance below", "drift"), rows, left=2)


def draw_drift(reference: Reference, seen: Mapping[str, Histograms], settings: WatchSettings = DEFAULT) -> PilImage.Image:
    """Each measure of the reference beside that of several groups (histograms by name), in shares: a panel per measure."""
    measures = list(reference.measures)
    columns = max(1, min(settings.columns, len(measures)))
    rows = max(1, -(-len(measures) // columns))
    figure = Figure(figsize=(4.4 * columns, 2.9 * rows), layout="constrained")
    for place, measure in enumerate(measures, 1):
        axes = figure.add_subplot(rows, columns, place)
        groups = {"reference": reference.measures[measure], **{name: found.get(measure, {}) for name, found in seen.items()}}
        _shares(axes, groups)
        axes.set_title(measure.replace("_", " "), loc="left", fontsize=10)
        if place == 1:
            figure.legend(fontsize=8, ncols=len(groups), loc="outside upper right")
    return picture_of(figure)


def _shares(axes: Axes, groups: Mapping[str, Mapping[str, int]]) -> None:
    names = sorted({name for counted in groups.values() for name in counted}, key=_order)
    wide = 0.8 / len(groups)
    for number, (group, counted) in enumerate(groups.items()):
        whole = sum(counted.values())
        places = np.arange(len(names)) + (number - (len(groups) - 1) / 2) * wide
        axes.bar(places, [counted.get(name, 0) / whole if whole else 0.0 for name in names], wide, label=group)
    many = len(names) > 4
    axes.set_xticks(range(len(names)), names, fontsize=7, rotation=35 if many else 0, ha="right" if many else "center")
    axes.tick_params(axis="y", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _order(bucket: str) -> tuple[int, float, str]:
    """Numbers by their size (``<=0.5`` before ``>0.5``), words after them."""
    try:
        return 0, float(bucket.lstrip("<=>")) + (0.5 if bucket.startswith(">") else 0.0), bucket
    except ValueError:
        return 1, 0.0, bucket


def over_time(reference: Reference, analyses: Sequence[Analysis], window: int, step: int) -> dict[str, list[tuple[int, float]]]:
    """The index of each measure over a moving window of so many photos, every ``step`` photos, in their order.

    Returns by measure pairs of the number of photos so far and the index.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for end in range(min(window, len(analyses)), len(analyses) + 1, step):
        for measure, index in drift(reference, count(analyses[max(0, end - window) : end])).items():
            found.setdefault(measure, []).append((end, index))
    return found


def draw_over_time(
    indices: Mapping[str, Sequence[tuple[int, float]]], change: int | None = None, settings: WatchSettings = DEFAULT
) -> PilImage.Image:
    """The indices of ``over_time`` as curves, with the bounds, and a line at the photo where something changed."""
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for measure, points in indices.items():
        axes.plot([number for number, _ in points], [index for _, index in points], ".-", label=measure.replace("_", " "))
    for bound, word in ((settings.noticeable, "noticeable"), (settings.much, "much")):
        axes.axhline(bound, color="0.6", linewidth=1, linestyle="--")
        axes.annotate(word, (1.0, bound), xycoords=("axes fraction", "data"), fontsize=7, ha="right", va="bottom", color="0.4")
    if change is not None:
        axes.axvline(change, color="tab:red", linewidth=1)
    axes.set_xlabel("photos so far")
    axes.set_ylabel("stability index")
    axes.spines[["top", "right"]].set_visible(False)
    if indices:
        axes.legend(fontsize=7)
    return picture_of(figure)


@dataclass(frozen=True, slots=True)
class Strange:
    """A photo that looks unlike those that are known: how far the nearest of them is (1: as far as known ones usually are from
    their own nearest), and which that is."""

    name: str
    distance: float
    nearest: str


def strangest(features: Mapping[str, Array], known: Mapping[str, Array], most: int = 6) -> list[Strange]:
    """The photos (features by name, see ``picking.features_of``) that are farthest from all known ones, the strangest first."""
    if len(known) < 2 or not features:
        return []
    names = sorted(known)
    base = np.array([known[name] for name in names])
    middle, spread = base.mean(0), np.maximum(base.std(0), 1e-9)
    base = (base - middle) / spread
    between = np.linalg.norm(base[:, None] - base[None], axis=2)
    np.fill_diagonal(between, np.inf)
    usual = max(float(np.median(between.min(1))), 1e-9)
    found = []
    for name in sorted(features):
        away = np.linalg.norm(base - (features[name] - middle) / spread, axis=1)
        found.append(Strange(name, float(away.min()) / usual, names[int(away.argmin())]))
    return sorted(found, key=lambda item: (-item.distance, item.name))[:most]


def strange_sheet(found: Sequence[Strange], folder: Path, columns: int = 3) -> PilImage.Image:
    """Strange photos (files in ``folder`` by their names) in one picture, each with how far it is from what is known."""
    pictures = [small(load_photo(inside(folder, item.name))) for item in found]
    return tile(pictures, [f"{item.distance:.1f} times as far as usual: {item.name}" for item in found], columns)
