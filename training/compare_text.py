"""A comparison for people: Markdown, and a plot of the differences with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..datasets.files import atomic_text
from .compare import JSON_FILE, MARKDOWN_FILE, PLOT_FILE, Compared, ComparedSlice, Comparison, write_json
from .compare_speed import Speed
from .compare_stats import Difference
from .report_text import shown, table

_LEAST_IDENTIFIERS = 5
"""Slices with fewer legible identifiers are not shown: their recall says nothing."""


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write ``comparison.json``, ``comparison.md`` and ``comparison.png`` to ``out``."""
    write_json(comparison, out / JSON_FILE)
    with atomic_text(out / MARKDOWN_FILE) as file:
        file.write(markdown(comparison))
    plot(comparison, out / PLOT_FILE)


def markdown(comparison: Comparison) -> str:
    """The whole comparison as Markdown."""
    level = round(100 * comparison.settings.statistics.level)
    parts = [
        f"# {comparison.a.name} (A) and {comparison.b.name} (B)\n",
        f"{comparison.photos} photos, {comparison.empty_photos} of them without an advert, in {comparison.groups} groups that "
        f"share no wall. Differences are B minus A; the intervals cover {level} % (paired bootstrap over the groups), p is from "
        f"permutations of A and B within the groups.\n",
        measures_table(comparison.measures, level),
        _speed_text(comparison.speed, level),
    ]
    for name, listed in comparison.by_data.items():
        parts.append(f"## On {name}\n\n{measures_table(listed, level)}")
    parts.append(f"## By slice\n\n{_slices_table(comparison.slices, level)}")
    parts.append(f"![The differences with their intervals]({PLOT_FILE})\n")
    return "\n".join(parts)


def measures_table(measures: Sequence[Compared], level: int = 95) -> str:
    """The measures as a Markdown table."""
    rows = [(e.measure.title, _counted(e), *_cells(e.result), _p(e.result.p), _verdict(e)) for e in measures]
    return table(("measure", "of", "A", "B", "B - A", f"{level} % interval", "p", "B is"), rows)


def _cells(result: Difference) -> tuple[float | str | None, ...]:
    return result.a, result.b, _signed(result.difference), _interval(result)


def _verdict(entry: Compared) -> str:
    """What can be said: better or worse only where the interval leaves out 0."""
    low, high = entry.result.low, entry.result.high
    if low is None or high is None or low <= 0 <= high:
        return "not told apart"
    return "better" if (low > 0) is entry.measure.more_is_better else "worse"


def _counted(entry: Compared) -> str:
    a, b = entry.count
    return str(a) if a == b else f"{a}, {b}"


def _signed(value: float | None) -> str:
    return shown(None) if value is None else f"{value:+.3f}"


def _interval(result: Difference) -> str:
    return shown(None) if result.low is None else f"{_signed(result.low)} to {_signed(result.high)}"


def _p(value: float | None) -> str:
    return shown(None) if value is None else f"{value:.3f}"


def _speed_text(speed: Speed | None, level: int) -> str:
    if speed is None:
        return "Speed was not measured.\n"
    how = "in turn on the same photos" if speed.in_turn else "as the predictions tell, from two runs that may differ"
    threads = f", {speed.threads} threads" if speed.threads else ""
    interval = "" if speed.low is None or speed.high is None else f" ({level} % interval {speed.low:.2f} to {speed.high:.2f})"
    return (
        f"Speed: median {1000 * speed.a:.0f} ms (A) and {1000 * speed.b:.0f} ms (B) per photo, {how} ({speed.photos}{threads}); "
        f"B takes {speed.ratio:.2f} times as long{interval}, sign test p {_p(speed.p)}.\n"
    )


def _slices_table(slices: Sequence[ComparedSlice], level: int) -> str:
    rows = [
        (part.of, part.name, part.identifiers, *_cells(part.recall), *part.lines_found, *part.cer)
        for part in slices
        if part.identifiers >= _LEAST_IDENTIFIERS
    ]
    head = ("by", "slice", "identifiers", "recall A", "recall B", "B - A", f"{level} % interval")
    return table((*head, "lines found A", "lines found B", "CER A", "CER B"), rows, left=2)


def plot(comparison: Comparison, path: Path) -> None:
    """Differences of the measures and of recall in slices, with their intervals, as a PNG."""
    rows = [(entry.measure.name.replace("_", " "), entry.result, _colour(entry)) for entry in comparison.measures]
    shown_slices = [part for part in comparison.slices if part.identifiers >= _LEAST_IDENTIFIERS]
    rows += [(f"recall, {part.of} {part.name} ({part.identifiers})", part.recall, "0.4") for part in shown_slices]
    rows = [row for row in rows if row[1].difference is not None]
    figure = Figure(figsize=(8.0, 1.2 + 0.24 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color="0.75", linewidth=1)
    for place, (_, result, colour) in enumerate(rows):
        value = result.difference or 0.0
        low, high = result.low if result.low is not None else value, result.high if result.high is not None else value
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot([value], [place], "o", color=colour, markersize=5)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("B minus A (green: B is better, red: worse, as far as the interval tells)")
    axes.set_title(f"A: {comparison.a.name}\nB: {comparison.b.name}", fontsize=9, loc="left")
    figure.savefig(path, dpi=120)


def _colour(entry: Compared) -> str:
    return {"better": "tab:green", "worse": "tab:red"}.get(_verdict(entry), "tab:blue")
