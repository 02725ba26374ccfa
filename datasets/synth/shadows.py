"""Shadows that things outside the picture cast on a wall: trees, poles, wires, railings, bars, roofs.

They are drawn at a quarter of the size, since a shadow has no detail finer than its own blur.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import Field, fbm, ramp, smooth

Mask = NDArray[np.uint8]


def _line(mask: Mask, start: NDArray[np.float64], end: NDArray[np.float64], thick: float) -> None:
    first, last = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
    cv2.line(mask, first, last, 255, max(1, round(thick)), cv2.LINE_AA)


def _branch(
    rng: np.random.Generator, mask: Mask, x: float, y: float, angle: float, length: float, thick: float, depth: int
) -> None:
    """A limb and its twigs, drawn from the trunk outwards."""
    dx, dy = length * math.cos(angle), length * math.sin(angle)
    cv2.line(mask, (int(x), int(y)), (int(x + dx), int(y + dy)), 255, max(1, round(thick)), cv2.LINE_AA)
    if depth == 0 or length < 5:
        return
    for share, turn, shrink in zip(rng.uniform(0.4, 1, 3), rng.normal(0, 0.5, 3), rng.uniform(0.45, 0.8, 3), strict=True):
        _branch(rng, mask, x + share * dx, y + share * dy, angle + turn, length * shrink, thick * 0.6, depth - 1)


def bough(rng: np.random.Generator, rows: int, cols: int) -> Mask:
    """A bare bough that comes in from a side or a bare tree that grows from below."""
    mask = np.zeros((rows, cols), np.uint8)
    size = max(rows, cols)
    side = int(rng.integers(3))
    x, y = ((-2.0, rng.uniform(0, rows)), (cols + 2.0, rng.uniform(0, rows)), (rng.uniform(0, cols), rows + 2.0))[side]
    angle = (0.0, np.pi, -np.pi / 2)[side] + rng.normal(0, 0.35)
    _branch(rng, mask, x, y, angle, size * rng.uniform(0.25, 0.45), size * rng.uniform(0.012, 0.04), 5)
    return mask


def tree(rng: np.random.Generator, rows: int, cols: int) -> Mask:
    """A tree or a bough, sometimes with leaves."""
    mask = bough(rng, rows, cols)
    size = max(rows, cols)
    if rng.random() < 0.5:
        reach = cv2.blur(mask, (size // 6 | 1, size // 6 | 1)).astype(np.float32) / 255
        leaf = fbm(rng, rows, cols, size * 0.05, 4, 0.7) + np.float32(rng.uniform(3, 8)) * reach
        mask = np.maximum(mask, (ramp(leaf.astype(np.float32), 0.6, 0.9) * 255).astype(np.uint8))
    return mask


def foliage(rng: np.random.Generator, rows: int, cols: int) -> Mask:
    """Dappled light under a crown."""
    size = max(rows, cols)
    field = fbm(rng, rows, cols, size * rng.uniform(0.06, 0.2), 4, 0.7) + smooth(rng, rows, cols, size * 0.5) * np.float32(0.8)
    cut = float(np.quantile(field[::5, ::5], rng.uniform(0.3, 0.8)))
    return (ramp(field, cut, cut + 0.15) * 255).astype(np.uint8)


def poles(rng: np.random.Generator, rows: int, cols: int) -> Mask:
    """One or two poles or pipes."""
    mask = np.zeros((rows, cols), np.uint8)
    for _ in range(int(rng.integers(1, 3))):
        x, lean = rng.uniform(0, cols), rng.normal(0, 0.25) * rows
        _line(mask, np.array([x, -5.0]), np.array([x + lean, rows + 5.0]), cols * rng.uniform(0.01, 0.06))
    return mask


def wires(rng: np.random.Generator, rows: int, cols: int) -> Mask:
    """Sagging wires."""
    mask = np.zeros((rows, cols), np.uint8)
    x = np.linspace(-5, cols + 5, 30)
    for _ in range(int(rng.integers(1, 5))):
        sag = rng.uniform(0.02, 0.2) * rows
        y = rng.uniform(0, rows) + rng.normal(0, 0.2) * rows * (x / cols - 0.5) + sag * (1 - (2 * x / cols - 1) ** 2)
        line = np.stack([x, y], 1).astype(np.int32)
        cv2.polylines(mask, [line], False, 255, int(rng.integers(1, 4)), cv2.LINE_AA)
    return mask


def railing(rng: np.random.Generator, rows: int, cols: int) -> Mask:
    """A fence, window bars or a ladder: parallel bars, skewed by the low sun."""
    mask = np.zeros((rows, cols), np.uint8)
    pitch, lean = cols * rng.uniform(0.03, 0.12), rng.normal(0, 0.4)
    top, bottom = (0.0, float(rows)) if rng.random() < 0.5 else (rows * rng.uniform(0.1, 0.6), float(rows))
    thick = max(1.0, pitch * rng.uniform(0.12, 0.35))
    for x in np.arange(-cols, 2 * cols, pitch):
        _line(mask, np.array([x + lean * top, top]), np.array([x + lean * bottom, bottom]), thick)
    for y in (top + 0.05 * rows, bottom - 0.15 * rows):
        _line(mask, np.array([-5.0, y]), np.array([cols + 5.0, y + rng.normal(0, 0.03) * rows]), thick * 1.3)
    return mask


def edge(rng: np.random.Generator, rows: int, cols: int) -> Mask:
    """The straight border of the shadow of a roof, a balcony or the next house."""
    mask = np.zeros((rows, cols), np.uint8)
    centre = np.array([rng.uniform(0.1, 0.9) * cols, rng.uniform(0.1, 0.9) * rows])
    angle = float(rng.choice([0.0, np.pi / 2])) + rng.normal(0, 0.25)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    far = 2.0 * max(rows, cols)
    side = far * float(rng.choice([-1, 1]))
    corners = [
        centre - far * along,
        centre + far * along,
        centre + far * along + side * across,
        centre - far * along + side * across,
    ]
    cv2.fillPoly(mask, [np.round(np.stack(corners)).astype(np.int32)], 255, cv2.LINE_AA)
    return mask


KINDS: tuple[Callable[[np.random.Generator, int, int], Mask], ...] = (tree, foliage, poles, wires, railing, edge)
_SHARES = np.array([0.28, 0.2, 0.12, 0.14, 0.1, 0.16])


def cast_shadows(rng: np.random.Generator, rows: int, cols: int, count: int) -> Field:
    """``count`` shadows of random kinds together: 1 where the light is fully blocked."""
    total = np.zeros((rows, cols), np.float32)
    for _ in range(count):
        mask = KINDS[int(rng.choice(len(KINDS), p=_SHARES))](rng, rows, cols).astype(np.float32)
        sigma = float(np.exp(rng.uniform(np.log(0.5), np.log(max(rows, cols) * 0.02 + 1))))
        total = np.maximum(total, cast(Field, cv2.GaussianBlur(mask, (0, 0), sigma)) / np.float32(255))
    return total
