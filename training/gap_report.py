"""The report on the gap between two data sets: numbers, words, plots, and the crops that give each side away most."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..contract import TagtraceError
from ..datasets.files import atomic_text
from ..datasets.sheets import SheetSettings, contact_sheet, fitted
from .gap import Gap, GapReport, Interval
from .gap_samples import Sample, Samples


@dataclass(frozen=True, slots=True)
class GapReportSettings:
    """What is shown, and from where on a gap is called one."""

    small: float = 0.147
    """Cliff's delta from which on an effect counts as small; below it is none."""
    medium: float = 0.33
    large: float = 0.474
    sheets: SheetSettings = field(default_factory=lambda: SheetSettings(entries=45))
    photo_sheets: SheetSettings = field(
        default_factory=lambda: SheetSettings(entries=24, columns=4, cell_width_px=300, crop_height_px=220)
    )


DEFAULT = GapReportSettings()


def verdict(gap: Gap) -> str:
    """What the classifier and the distance say together, in words."""
    found = gap.auc.low > 0.5
    if not found and gap.p > 0.05:
        return "no gap is seen"
    if gap.auc.value >= 0.9:
        return "the sets are told apart almost always"
    if found:
        return "the sets are told apart more often than by chance"
    return "the features are farther apart than by chance, and the classifier does not tell the sets apart"


def report_text(report: GapReport, name_a: str, name_b: str, settings: GapReportSettings = DEFAULT) -> str:
    """The report in Markdown."""
    parts = [f"# {name_a} (A) and {name_b} (B)\n"]
    for gap in (report.lines, report.photos):
        parts.append(f"## {gap.what.capitalize()}\n")
        parts.append(f"{verdict(gap).capitalize()}.\n")
        rows = [
            ("A", f"{gap.count_a} of {gap.walls_a} walls"),
            ("B", f"{gap.count_b} of {gap.walls_b} walls"),
            ("AUC of a classifier (0.5: cannot tell)", _interval(gap.auc)),
            ("Fréchet distance beyond chance (share of the variance)", _interval(gap.distance)),
            ("Fréchet distance as it is", f"{gap.raw_distance:.3f}"),
            ("the same with walls divided at random", f"{gap.no_gap[0]:.3f}, 95 % below {gap.no_gap[1]:.3f}; p = {gap.p:.3f}"),
        ]
        parts.append("\n".join(["| | |", "| :-- | :-- |", *(f"| {name} | {value} |" for name, value in rows)]) + "\n")
        table = [
            f"| {e.name} | {e.median_a:.3g} | {e.median_b:.3g} | {_interval(e.delta)} | {e.d:+.2f} | {_size(e.delta, settings)} |"
            for e in gap.effects
        ]
        head = [
            "| statistic | median A | median B | Cliff's delta | Cohen's d | effect |",
            "| :-- | --: | --: | --: | --: | :-- |",
        ]
        parts.append("\n".join([*head, *table]) + "\n")
    return "\n".join(parts)


def _interval(value: Interval) -> str:
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def _size(delta: Interval, settings: GapReportSettings) -> str:
    if delta.low <= 0 <= delta.high:
        return "not sure"
    value = abs(delta.value)
    names = ((settings.large, "large"), (settings.medium, "medium"), (settings.small, "small"), (0.0, "very small"))
    return next(name for least, name in names if value >= least)


def write_gap(report: GapReport, out: Path, name_a: str, name_b: str, settings: GapReportSettings = DEFAULT) -> list[Path]:
    """Write ``gap.json``, ``report.md``, a plot of the effects and contact sheets into ``out``; returns what was written.

    ``lines_like_a.png`` shows the lines of A that are most surely taken for A, ``lines_like_b.png`` those of B, and
    ``lines_alike.png`` those that could be of either; the same for photos. Raises TagtraceError when ``out`` cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{out}: cannot be made: {bad.strerror or bad}") from bad
    with atomic_text(out / "gap.json") as file:
        named = {"a": name_a, "b": name_b, "lines": report.lines.to_json(), "photos": report.photos.to_json()}
        json.dump(named, file, ensure_ascii=False, indent=1)
    with atomic_text(out / "report.md") as file:
        file.write(report_text(report, name_a, name_b, settings))
    written = [out / "gap.json", out / "report.md", _plot(report, out / "effects.png")]
    sides = ((report.lines, report.line_samples, settings.sheets), (report.photos, report.photo_samples, settings.photo_sheets))
    for gap, samples, sheets in sides:
        for ending, chosen in telling(gap, samples, sheets.entries).items():
            path = out / f"{gap.what}_{ending}.png"
            crops = [fitted(sample.pixels, sheets) for sample, _ in chosen]
            words = [[(sample.name, "black"), (f"{p:.2f} for B", "grey")] for sample, p in chosen]
            contact_sheet(crops, words, sheets).save(path)
            written.append(path)
    return written


def telling(gap: Gap, samples: tuple[Samples, Samples], most: int) -> dict[str, list[tuple[Sample, float]]]:
    """The samples that give A and B away most, and those that could be of either, each with the probability of B."""
    a, b = samples
    scores = gap.scores.tolist()
    of_a = sorted(zip(a.samples, scores[: len(a.samples)], strict=True), key=lambda item: item[1])
    of_b = sorted(zip(b.samples, scores[len(a.samples) :], strict=True), key=lambda item: -item[1])
    either = sorted([*of_a, *of_b], key=lambda item: abs(item[1] - 0.5))
    return {"like_a": of_a[:most], "like_b": of_b[:most], "alike": either[:most]}


def _plot(report: GapReport, path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, gap in zip(figure.subplots(1, 2), (report.lines, report.photos), strict=True):
        names = [effect.name for effect in gap.effects]
        values = np.array([[e.delta.value, e.delta.value - e.delta.low, e.delta.high - e.delta.value] for e in gap.effects])
        axes.errorbar(values[:, 0], range(len(names)), xerr=np.maximum(values[:, 1:].T, 0), fmt="o", color="#3b6ea5")
        axes.axvline(0, color="grey", linewidth=0.8)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(-1.05, 1.05)
        axes.set_title(f"{gap.what}: AUC {gap.auc.value:.2f}")
        axes.set_xlabel("Cliff's delta (right: more in A)")
    figure.savefig(path, dpi=110)
    return path
