"""Plots as SVG without scripts or styles of their own: classes are coloured by the desk's style sheet, light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 200
_LEFT, _BOTTOM, _TOP = 44, 28, 14
_LABELS = 9
"""Labels below a plot at most."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label and height."""

    label: str
    value: float


def bars(items: Sequence[Bar], title: str) -> str:
    """Bars over an axis that begins at 0; each tells its value when the pointer rests on it."""
    top = _round_up(max((item.value for item in items), default=0.0))
    wide = (WIDTH - _LEFT) / max(1, len(items))
    parts = _frame(title, top)
    every = math.ceil(len(items) / _LABELS)
    for number, item in enumerate(items):
        high = (HEIGHT - _BOTTOM - _TOP) * item.value / top
        x, y = _LEFT + number * wide, HEIGHT - _BOTTOM - high
        size = f'x="{x + wide * 0.12:.1f}" y="{y:.1f}" width="{wide * 0.76:.1f}" height="{high:.1f}"'
        label = escape(item.label)
        parts.append(f'<g><title>{label}: {item.value:g}</title><rect class="bar" {size} rx="1.5"/></g>')
        if number % every == 0:
            middle = f'x="{x + wide / 2:.1f}" y="{HEIGHT - 9}" text-anchor="middle"'
            parts.append(f'<text class="tick" {middle}>{label}</text>')
    return "\n".join([*parts, "</svg>"])


def funnel(items: Sequence[Bar], title: str) -> str:
    """Steps one below the other, each as wide as its number, with its share of the first."""
    most = max((item.value for item in items), default=0.0) or 1.0
    row, names, field = 34, 190, WIDTH - 190 - 130
    height = row * len(items) + 8
    parts = [_head(title, height)]
    for number, item in enumerate(items):
        y = 4 + number * row
        wide = max(2.0, field * item.value / most) if item.value else 0.0
        share = f"  {item.value / items[0].value:.0%}" if number and items[0].value else ""
        parts += [
            f'<text class="name" x="{names - 12}" y="{y + 20}" text-anchor="end">{escape(item.label)}</text>',
            f'<rect class="bar" x="{names}" y="{y + 4}" width="{wide:.1f}" height="{row - 10}" rx="2"/>',
            f'<text class="value" x="{names + wide + 8:.1f}" y="{y + 20}">{item.value:g}{share}</text>',
        ]
    return "\n".join([*parts, "</svg>"])


def _frame(title: str, top: float) -> list[str]:
    parts = [_head(title, HEIGHT)]
    for share in (0.0, 0.5, 1.0):
        y = HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * share
        parts += [
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{top * share:g}</text>',
        ]
    return parts


def _head(title: str, height: float) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>"
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 10 times a power of ten: its half is a short number, too."""
    if value <= 2:
        return 2.0
    unit = 10 ** math.floor(math.log10(value))
    return float(next(step * unit for step in (1, 2, 4, 6, 10) if step * unit >= value))
