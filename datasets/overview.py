"""What a data set holds, counted: by size, angle, script, kind, place and more; as a table, as JSON and as plots."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..contract import TagtraceError
from ..models import geometry
from .datacard import DEFAULT_SETTINGS, DataCardSettings, grouped
from .truth import CODE_KIND, PhotoTruth

_KAZAKH = frozenset("ӘҒҚҢӨҰҮҺІәғқңөұүһі")


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts of one data set. ``by`` has a table per view (``lines by script`` …), each value with its count."""

    photos: int
    negatives: int
    adverts: int
    walls: int
    shops: int
    lines: int
    legible: int
    codes: int
    other_texts: int
    by: Mapping[str, Mapping[str, int]]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def script_of(text: str) -> str:
    """The script of a text: ``latin``, ``cyrillic``, ``kazakh`` (Cyrillic with letters of Kazakh alone), ``mixed``, ``digits``,
    or ``other`` where it has no letter."""
    letters = [c for c in text if c.isalpha()]
    names = {unicodedata.name(c, "?").split(" ")[0] for c in letters}
    if not letters:
        return "digits" if any(c.isdigit() for c in text) else "other"
    if names == {"LATIN"}:
        return "latin"
    if names == {"CYRILLIC"}:
        return "kazakh" if _KAZAKH & set(letters) else "cyrillic"
    return "mixed" if names <= {"LATIN", "CYRILLIC"} else "other"


def overview(photos: Sequence[PhotoTruth], settings: DataCardSettings = DEFAULT_SETTINGS) -> Overview:
    """Count a data set; sizes and angles in groups between the borders of ``settings``."""
    adverts = [advert for photo in photos for advert in photo.ads]
    lines = [line for advert in adverts for line in advert.lines]
    texts = [line for line in lines if line.kind != CODE_KIND]
    long_sides = [max(photo.width, photo.height) for photo in photos]
    others = [other for photo in photos for other in photo.distractors]
    by = {
        "photos by split": _counts(p.split for p in photos),
        "photos by long side": grouped(long_sides, (640, 1024, 1600, 2400, 4000), "px"),
        "photos by place": _counts(p.material for p in photos),
        "photos by light": _counts(p.light for p in photos),
        "photos by difficulty": _counts(p.difficulty for p in photos),
        "photos by camera angle": grouped(
            [max(abs(p.yaw or 0.0), abs(p.pitch or 0.0)) for p in photos if p.yaw is not None], settings.angle_deg, "deg"
        ),
        "adverts by style": _counts(a.style for a in adverts),
        "adverts by number of lines": _counts(f"{min(len(a.lines), 6)}{'+' if len(a.lines) > 5 else ''}" for a in adverts),
        "lines by kind": _counts(x.kind for x in lines),
        "lines by height": grouped([x.height_px for x in lines], settings.height_px, "px"),
        "lines by angle": grouped([_tilt(x.quad) for x in lines if geometry.area(x.quad) > 0], settings.angle_deg, "deg"),
        "lines by script": _counts(script_of(x.text) for x in texts),
        "lines by length": grouped([len(x.text) for x in texts], (1, 5, 10, 15, 20, 30), "characters"),
        "lines by disguise": _counts(x.evasion for x in lines),
        "lines by legibility": _counts("legible" if x.legible else "not legible" for x in lines),
        "other texts by kind": _counts(o.kind for o in others),
    }
    return Overview(
        photos=len(photos),
        negatives=sum(photo.negative for photo in photos),
        adverts=len(adverts),
        walls=len({a.wall_id for a in adverts if a.wall_id}),
        shops=len({a.shop_id for a in adverts if a.shop_id}),
        lines=len(lines),
        legible=sum(x.legible for x in lines),
        codes=len(lines) - len(texts),
        other_texts=len(others),
        by={name: counts for name, counts in by.items() if counts},
    )


def _tilt(quad: Any) -> float:
    """Degrees (0..90) between the text and the horizontal."""
    angle = abs(geometry.angle(quad))
    return min(angle, 180 - angle)


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    counted = Counter(value for value in values if value)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def table(found: Overview, most: int = 20) -> str:
    """The overview as text: totals, then each view with its largest values and their shares."""
    lines = [
        f"{found.photos} photos, {found.negatives} without an advert",
        f"{found.adverts} adverts of {found.walls} walls and {found.shops} shops; {found.other_texts} other texts",
        f"{found.lines} lines, {found.codes} of them codes; {found.legible} legible",
    ]
    for name, counts in found.by.items():
        whole = sum(counts.values())
        lines.append(f"\n{name}")
        lines += [f"  {value:<24} {count:>7}  {100 * count / whole:5.1f} %" for value, count in list(counts.items())[:most]]
        if len(counts) > most:
            lines.append(f"  {len(counts) - most} more")
    return "\n".join(lines)


def write_plots(found: Overview, out: Path, most: int = 15) -> list[Path]:
    """Draw each view as a bar chart, one PNG each, into the folder ``out``; returns them. Needs matplotlib (extra ``train``).

    Raises TagtraceError when the folder cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as bad:
        raise TagtraceError(f"{out}: cannot be made: {bad.strerror or bad}") from bad
    written = []
    for name, counts in found.by.items():
        shown = list(counts.items())[:most]
        figure = Figure(figsize=(7, 0.9 + 0.32 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        bars = axes.barh([value for value, _ in shown], [count for _, count in shown], color="#3b6ea5")
        axes.bar_label(bars, padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_title(name)
        axes.spines[["top", "right"]].set_visible(False)
        path = out / f"{name.replace(' ', '_')}.png"
        figure.savefig(path, dpi=110)
        written.append(path)
    return written
