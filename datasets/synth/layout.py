"""One inscription as a block: its lines set, painted and stacked, with the exact quad of every line and code.

A block lives in its own pixels; ``compose`` turns it, puts it on a wall and maps the quads along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..fonts import Font, as_shown, pick
from ..world import AdvertText, LineText
from .glyphs import Mask, bend, ink_box, set_line, trim
from .paint import apply_style, embolden, plate_edge

Corners = NDArray[np.float32]
"""Shape (4, 2): x, y of the corners, clockwise from the start of the text."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedLine:
    """One line of a block: what it says, its tight ink quad, and the height of its capitals in pixels."""

    text: LineText
    quad: Corners
    cap_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A painted or pasted inscription.

    ``alpha`` (H, W) is the coverage; ``rgb`` (H, W, 3) its colours, or None where one paint colour will do; ``ink`` (H, W)
    marks letters and code modules alone (a sticker's paper is in ``alpha`` and not in ``ink``).
    """

    alpha: Mask
    rgb: NDArray[np.float32] | None
    ink: Mask
    lines: tuple[PlacedLine, ...]
    code_quad: Corners | None
    style: str


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Corners:
    """Corners of an upright box, clockwise from its top left."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


@dataclass(frozen=True, slots=True)
class Hand:
    """The manner that all lines of one inscription share."""

    style: str
    font: Font
    second: Font
    tracking: float
    jumpy: float
    wobble: float
    arc: float
    slant: float
    squeeze: float
    bridges: bool


def pick_hand(rng: np.random.Generator, style: str, fonts: Sequence[Font], text: str) -> Hand:
    """Draw the manner of one inscription; stencils are near-rigid, free hands are not."""
    font = pick(rng, fonts, text, style)
    second = pick(rng, fonts, text, style) if rng.random() < 0.2 else font
    free = style in ("spray", "marker")
    hand_font = font.group == "hand"
    return Hand(
        style,
        font,
        second,
        tracking=float(rng.uniform(0.0, 0.22)) if rng.random() < 0.5 else 0.0,
        jumpy=float(rng.uniform(0.02, 0.13))
        if free and rng.random() < 0.75
        else (float(rng.uniform(0.0, 0.02)) if rng.random() < 0.3 else 0.0),
        wobble=float(rng.uniform(0.02, 0.10 if hand_font else 0.16))
        if free
        else (float(rng.uniform(0, 0.02)) if rng.random() < 0.3 else 0.0),
        arc=float(rng.normal(0, 0.25))
        if free and rng.random() < 0.5
        else (float(rng.normal(0, 0.5)) if rng.random() < 0.04 else 0.0),
        slant=float(rng.normal(0, 0.18)) if free else (float(rng.normal(0, 0.12)) if rng.random() < 0.25 else 0.0),
        squeeze=float(np.exp(rng.normal(0, 0.16))),
        bridges="stencil" not in font.name.lower() and rng.random() < 0.85,
    )


def paint_line(
    rng: np.random.Generator, text: str, hand: Hand, cap_px: float, font: Font | None = None
) -> tuple[Mask, tuple[int, int, int, int]]:
    """Coverage of one painted line and the tight box of its clean letters in it."""
    mask = set_line(rng, text, font or hand.font, cap_px, tracking=hand.tracking, jumpy=hand.jumpy)
    mask = embolden(rng, hand.style, mask, cap_px)
    if hand.wobble or hand.arc or hand.slant or abs(hand.squeeze - 1) > 0.02:
        mask = bend(rng, mask, cap_px, wobble=hand.wobble, arc=hand.arc, slant=hand.slant, squeeze=hand.squeeze)
    mask = trim(mask, max(3, int(0.45 * cap_px)))
    return apply_style(rng, hand.style, mask, cap_px, bridges=hand.bridges), ink_box(mask)


def painted_block(rng: np.random.Generator, advert: AdvertText, style: str, fonts: Sequence[Font], cap_px: float) -> Block:
    """An inscription painted straight on the wall: lines stacked, aligned and sized as people do."""
    everything = "".join(line.text for line in advert.lines)
    hand = pick_hand(rng, style, fonts, everything)
    pieces: list[tuple[LineText, Mask, tuple[int, int, int, int], float]] = []
    for index, line in enumerate(advert.lines):
        size = cap_px * (float(np.exp(rng.normal(0, 0.22))) if line.kind == "word" else 1.0)
        font = hand.second if index == 0 else hand.font
        mask, box = paint_line(rng, line.text, hand, size, font)
        if box[2] - box[0] >= 2:
            pieces.append((replace(line, text=as_shown(font, line.text)), mask, box, size))
    if not pieces:  # nothing but dots too small to paint
        empty = np.zeros((8, 8), np.float32)
        return Block(empty, None, empty, (), None, style)
    return stack(rng, pieces, style, cap_px)


def stack(
    rng: np.random.Generator, pieces: Sequence[tuple[LineText, Mask, tuple[int, int, int, int], float]], style: str, cap_px: float
) -> Block:
    """Put painted lines under each other, left-aligned, centred or ragged."""
    align = str(rng.choice(["left", "centre", "ragged"], p=[0.35, 0.4, 0.25]))
    gap = cap_px * float(rng.uniform(0.25, 0.9))
    widest = max(box[2] - box[0] for _, _, box, _ in pieces)
    pad = int(1.2 * cap_px) + 4
    tops: list[tuple[int, int]] = []
    y = float(pad)
    for _, _, box, _ in pieces:
        width, height = box[2] - box[0], box[3] - box[1]
        x = {"left": 0.0, "centre": (widest - width) / 2, "ragged": float(rng.uniform(0, 1)) * (widest - width)}[align]
        tops.append((int(pad + x), int(y)))
        y += height + gap
    canvas = np.zeros((int(y - gap) + pad, widest + 2 * pad), np.float32)
    placed = []
    for (line, mask, box, size), (x0, y0) in zip(pieces, tops, strict=True):
        left, top = x0 - box[0], y0 - box[1]
        _blend_max(canvas, mask, left, top)
        placed.append(PlacedLine(line, rectangle(x0, y0, x0 + box[2] - box[0], y0 + box[3] - box[1]), size))
    ink = canvas.copy()
    if style == "stencil" and rng.random() < 0.12:
        canvas = np.maximum(canvas, plate_edge(rng, (canvas.shape[0], canvas.shape[1]), cap_px))
    return Block(canvas, None, ink, tuple(placed), None, style)


def _blend_max(canvas: Mask, mask: Mask, left: int, top: int) -> None:
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(canvas.shape[1], left + mask.shape[1]), min(canvas.shape[0], top + mask.shape[0])
    if x1 > x0 and y1 > y0:
        np.maximum(canvas[y0:y1, x0:x1], mask[y0 - top : y1 - top, x0 - left : x1 - left], out=canvas[y0:y1, x0:x1])


def cross_out(rng: np.random.Generator, block: Block, cap_px: float) -> Mask:
    """Strokes that someone drew across a block: coverage of the same shape."""
    height, width = block.alpha.shape
    out = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        ys = np.clip(rng.uniform(0.25, 0.75, 4) * height, 0, height)
        points = np.stack([np.linspace(0.05, 0.95, 4) * width, ys], axis=1).astype(np.int32)
        cv2.polylines(out, [points], False, 1.0, max(1, int(cap_px * rng.uniform(0.06, 0.16))), cv2.LINE_AA)
    return cv2.GaussianBlur(out, (0, 0), max(0.5, 0.03 * cap_px)).astype(np.float32)
