"""Why a link has its probability, as data and as a picture: every piece of evidence as a step of the log-odds.

The picture is one SVG without scripts, fonts or links to anything: it can stand in a report that is opened offline. Texts from
walls are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import TypeAlias

from ..contract import IdentifierKind, Link

Json: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class WaterfallStyle:
    """Looks of the picture; lengths in pixels."""

    width: int = 760
    row: int = 26
    names: int = 120
    """Width of the column with the names of the steps."""
    bars: int = 330
    """Width of the field that the bars lie in."""
    text_chars: int = 46
    """Longest explanation beside a bar, in characters; the whole one is shown when the pointer rests on it."""
    least_span: float = 6.0
    """Log-odds that the field spans at least, in nats."""
    up: str = "#2f7d4f"
    down: str = "#b3452c"
    ink: str = "#222222"
    line: str = "#bbbbbb"


def waterfall_json(link: Link) -> Json:
    """The steps of a link as JSON values: each with its nats, the log-odds and the probability after it, and why.

    The last ``after`` is the log-odds of ``probability``. A link without evidence (nothing to weigh) has no steps.
    """
    sums = accumulate(step.nats for step in link.evidence)
    steps: list[Json] = [
        {"name": step.name, "nats": round(step.nats, 4), "after": round(after, 4), "probability": round(_logistic(after), 6),
         "text": step.text}
        for step, after in zip(link.evidence, sums, strict=True)
    ]  # fmt: skip
    resource = None
    if link.resource is not None:
        known = link.resource
        resource = {"kind": known.kind.value, "value": known.value, "shop_id": known.shop_id, "shop_name": known.shop_name}
    return {
        "outcome": link.outcome.value,
        "probability": round(link.probability, 6),
        "band": link.band.value,
        "shop_id": link.shop_id,
        "resource": resource,
        "reasons": list(link.reasons),
        "steps": steps,
    }


@dataclass(frozen=True, slots=True)
class Explained:
    """A link with where it comes from: the photo (SHA-256 and name), the number of the advert, and the identifier in it."""

    photo: str
    name: str
    advert: int
    kind: IdentifierKind
    value: str
    confidence: float
    link: Link

    @property
    def title(self) -> str:
        """What is explained, in words."""
        return f"{self.kind} {self.value} in advert {self.advert} of {self.name or self.photo[:12]}"


def explained_json(found: Explained) -> Json:
    """The steps of a link as JSON values, with the photo and the identifier that it is about."""
    identifier = {"kind": found.kind.value, "value": found.value, "confidence": round(found.confidence, 6)}
    place: Json = {"photo": found.photo, "file": found.name, "advert": found.advert, "identifier": identifier}
    return place | {"link": waterfall_json(found.link)}


def explained_svg(found: Sequence[Explained], style: WaterfallStyle | None = None) -> str:
    """Several links in one picture, one below the other, each under what it is about."""
    style = style or WaterfallStyle()
    body, top = [], 0
    for item in found:
        head, _, rest = waterfall_svg(item.link, style).partition(" ")
        body += [
            _text(8, top + style.row * 0.7, item.title, style.ink, bold=True),
            f'{head} y="{top + style.row}" {rest.rstrip()}',
        ]
        top += style.row + _height(item.link, style)
    size = f'width="{style.width}" height="{top}" viewBox="0 0 {style.width} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" role="img">'
    return "\n".join([head, *body, "</svg>"]) + "\n"


def waterfall_bars(link: Link, width: int = 28) -> list[str]:
    """One line per step for a terminal: a bar from the log-odds before it to those after it, of ``width`` characters at most."""
    sums = [0.0, *accumulate(step.nats for step in link.evidence)]
    low, high = min(sums), max(sums)
    scale = (width - 1) / (high - low) if high > low else 0.0
    places = [round((value - low) * scale) for value in sums]
    return [
        " " * min(a, b) + ("█" if step.nats >= 0 else "░") * (abs(b - a) + 1)
        for step, a, b in zip(link.evidence, places[:-1], places[1:], strict=True)
    ]


def waterfall_svg(link: Link, style: WaterfallStyle | None = None) -> str:
    """The steps of a link as a picture: one bar per step from the log-odds before it to those after it, in nats."""
    style = style or WaterfallStyle()
    sums = [0.0, *accumulate(step.nats for step in link.evidence)]
    low, high = min(sums), max(sums)
    spare = max(0.0, style.least_span - (high - low)) / 2
    low, high = low - spare, high + spare

    def x(nats: float) -> float:
        return round(style.names + (nats - low) / (high - low) * style.bars, 1)

    height = _height(link, style)
    title = f"{link.outcome}, probability {link.probability:.3f}"
    if link.resource is not None:
        title += f": {link.resource.kind} {link.resource.value} ({link.resource.shop_id})"
    body = [
        _text(8, style.row * 0.7, title, style.ink, bold=True),
        f'<line x1="{x(0.0)}" y1="{style.row}" x2="{x(0.0)}" y2="{height - style.row}" stroke="{style.line}"/>',
    ]
    for number, step in enumerate(link.evidence, 1):
        top = style.row * number + 4
        before, after = sums[number - 1], sums[number]
        colour = style.up if step.nats >= 0 else style.down
        left, wide = min(x(before), x(after)), max(abs(x(after) - x(before)), 1.0)
        shown = step.text if len(step.text) <= style.text_chars else step.text[: style.text_chars - 1] + "…"
        body += [
            f"<g><title>{_plain(step.text)}</title>",
            _text(8, top + style.row * 0.55, step.name, style.ink),
            f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{style.row - 8}" fill="{colour}"/>',
            _text(style.names + style.bars + 10, top + style.row * 0.55, f"{step.nats:+.2f}  {shown}", style.ink),
            "</g>",
        ]
    foot = f"log-odds {sums[-1]:+.2f} nats, as a probability {_logistic(sums[-1]):.3f}" if link.evidence else "nothing to weigh"
    body.append(_text(8, height - style.row * 0.4, foot, style.ink))
    size = f'width="{style.width}" height="{height}" viewBox="0 0 {style.width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" role="img">'
    return "\n".join([head, f"<title>{_plain(title)}</title>", *body, "</svg>"]) + "\n"


def _height(link: Link, style: WaterfallStyle) -> int:
    return style.row * (len(link.evidence) + 2) + 8


def _text(x: float, y: float, text: str, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}"{weight}>{_plain(text)}</text>'


def _plain(text: str) -> str:
    """Escaped, and without characters that XML does not allow or that would steer a terminal."""
    return escape(printable(text))


def printable(text: str) -> str:
    """A text that steers no terminal: what cannot be printed is replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _logistic(nats: float) -> float:
    return 1.0 / (1.0 + math.exp(-nats)) if nats > -700 else 0.0
