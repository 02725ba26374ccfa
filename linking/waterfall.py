"""Why a link has its probability, as data and as a picture: every piece of evidence as a step of the log-odds.

The picture is one SVG without scripts, fonts or links to anything: it can stand in a report that is opened offline. Texts from
walls are escaped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import TypeAlias

from ..contract import Link

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


def waterfall_svg(link: Link, style: WaterfallStyle | None = None) -> str:
    """The steps of a link as a picture: one bar per step from the log-odds before it to those after it, in nats."""
    style = style or WaterfallStyle()
    sums = [0.0, *accumulate(step.nats for step in link.evidence)]
    low, high = min(sums), max(sums)
    spare = max(0.0, style.least_span - (high - low)) / 2
    low, high = low - spare, high + spare

    def x(nats: float) -> float:
        return round(style.names + (nats - low) / (high - low) * style.bars, 1)

    height = style.row * (len(link.evidence) + 2) + 8
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


def _text(x: float, y: float, text: str, colour: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}"{weight}>{_plain(text)}</text>'


def _plain(text: str) -> str:
    """Escaped, and without characters that XML does not allow or that would steer a terminal."""
    return escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))


def _logistic(nats: float) -> float:
    return 1.0 / (1.0 + math.exp(-nats)) if nats > -700 else 0.0
