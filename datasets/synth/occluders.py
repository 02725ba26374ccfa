"""Things before the wall that hide part of it: bushes, grass, branches, poles, railings, cables, a parked car, snow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from . import shadows
from .fixtures import byte
from .noise import Box, Canvas, Colour, Field, fbm, grain, jitter, pick, ramp, smooth

GREENS: tuple[Colour, ...] = ((0.25, 0.38, 0.14), (0.34, 0.46, 0.17), (0.20, 0.31, 0.16), (0.42, 0.44, 0.20), (0.55, 0.45, 0.20), (0.45, 0.30, 0.16))
CARS: tuple[Colour, ...] = (
    (0.88, 0.88, 0.87), (0.10, 0.10, 0.11), (0.55, 0.57, 0.59), (0.50, 0.10, 0.10), (0.12, 0.18, 0.34), (0.30, 0.36, 0.32), (0.70, 0.68, 0.60),
)  # fmt: skip

Layer = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""RGB (H, W, 3) and coverage (H, W), both 0..255, of the size of the canvas."""


def occluders(
    rng: np.random.Generator,
    canvas: Canvas,
    boxes: Sequence[Box],
    max_cover: float = 0.25,
    light: NDArray[np.float32] | None = None,
    count: int | None = None,
) -> tuple[Canvas, Field]:
    """The canvas with things before the wall, and a mask (H, W) in 0..1 of what they hide.

    No box loses more than the share ``max_cover`` of its area; what would hide more is left out. ``light`` (H, W, 3) is
    the factor already applied to the canvas: its mean lights the things too. ``count`` is how many things are tried;
    without it 0 to 2 are.
    """
    out = canvas.copy()
    height, width = canvas.shape[:2]
    mask = np.zeros((height, width), np.float32)
    gain = np.ones(3) if light is None else light[::16, ::16].mean(axis=(0, 1))
    for _ in range(int(rng.choice([0, 1, 1, 2])) if count is None else count):
        rgb, cover = _KINDS[int(rng.choice(len(_KINDS), p=_SHARES))](rng, height, width)
        alpha = cover.astype(np.float32) * np.float32(1 / 255)
        merged = np.maximum(mask, alpha)
        if any(_hidden(merged, box) > max_cover for box in boxes):
            continue
        mask = merged
        _lay(out, rgb, alpha, gain)
    return out, mask


def _hidden(mask: Field, box: Box) -> float:
    """Share of a box that the mask hides; 0 for a box outside the picture."""
    x0, y0, x1, y1 = (max(0, int(part)) for part in box)
    part = mask[y0:y1, x0:x1]
    return float(part.mean()) if part.size else 0.0


def _lay(canvas: Canvas, rgb: NDArray[np.uint8], alpha: Field, gain: NDArray[np.floating]) -> None:
    """Mix the layer into the canvas where it covers anything, in place."""
    rows, cols = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if rows.size == 0:
        return
    part = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    layer = np.clip(rgb[part].astype(np.float32) * (gain / 255).astype(np.float32), 0, 1)
    weight = alpha[part]
    canvas[part] = cv2.blendLinear(np.ascontiguousarray(canvas[part]), layer, 1 - weight, np.ascontiguousarray(weight))


def _empty(height: int, width: int, colour: Colour) -> Layer:
    return np.full((height, width, 3), byte(colour), np.uint8), np.zeros((height, width), np.uint8)


def _leaves(rng: np.random.Generator, layer: Layer, centres: NDArray[np.float64], size: float, colour: Colour) -> None:
    """Draw a leaf at every centre, the dark ones first."""
    rgb, cover = layer
    tones = np.sort(rng.uniform(0.45, 1.35, len(centres)))
    for (x, y), tone in zip(centres, tones, strict=True):
        long = size * rng.uniform(0.6, 1.3)
        axes, angle = (max(1, int(long)), max(1, int(long * rng.uniform(0.25, 0.6)))), float(rng.uniform(0, 180))
        at = (int(x), int(y))
        cv2.ellipse(rgb, at, axes, angle, 0, 360, byte(jitter(rng, colour, 0.02, 0.08), tone), -1, cv2.LINE_AA)
        cv2.ellipse(cover, at, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)


def bush(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A bush at the lower edge, a corner or a side."""
    size = max(height, width)
    layer = _empty(height, width, (0.15, 0.2, 0.1))
    at = (rng.uniform(0, width), height * rng.uniform(0.9, 1.1)) if rng.random() < 0.7 else (float(rng.choice([0, width])), rng.uniform(0, height))
    spread = size * rng.uniform(0.08, 0.2)
    centres = rng.normal(0, 1, (int(rng.integers(120, 350)), 2)) * [spread, spread * 0.7] + at
    for x, y in centres[::12]:
        for part, colour in ((layer[0], (70, 55, 40)), (layer[1], 255)):
            cv2.line(part, (int(at[0]), int(at[1])), (int(x), int(y)), colour, max(1, size // 400), cv2.LINE_AA)
    _leaves(rng, layer, centres, size * rng.uniform(0.006, 0.018), pick(rng, GREENS))
    return layer


def branch(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A bough across the picture, bare or with some leaves."""
    colour = pick(rng, ((0.22, 0.17, 0.13), (0.32, 0.27, 0.22), (0.45, 0.42, 0.38)))
    rgb, cover = _empty(height, width, colour)
    cover[:] = cv2.resize(shadows.bough(rng, height // 2 + 1, width // 2 + 1), (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        rows, cols = np.nonzero(cover[::4, ::4])
        if rows.size:
            chosen = rng.integers(0, rows.size, int(rng.integers(30, 160)))
            centres = np.stack([cols[chosen] * 4.0, rows[chosen] * 4.0], 1) + rng.normal(0, max(height, width) * 0.012, (chosen.size, 2))
            _leaves(rng, (rgb, cover), centres, max(height, width) * rng.uniform(0.005, 0.014), pick(rng, GREENS))
    return rgb, cover


def grass(rng: np.random.Generator, height: int, width: int) -> Layer:
    """Blades along the lower edge."""
    colour = pick(rng, GREENS)
    rgb, cover = _empty(height, width, colour)
    tall = height * rng.uniform(0.03, 0.18)
    count = int(np.clip(width / rng.uniform(2.5, 8), 60, 500))
    wave = smooth(rng, 1, width, width * 0.2)[0]
    for tone in np.linspace(0.5, 1.3, count):
        x = rng.uniform(0, width)
        reach = tall * rng.uniform(0.4, 1.2) * max(0.1, 1 + 0.7 * wave[int(x)])
        bend = rng.normal(0, 0.35) * reach
        points = np.array([[x - 2, height], [x + 0.3 * bend - 1, height - 0.6 * reach], [x + bend, height - reach], [x + 0.3 * bend + 2, height - 0.6 * reach], [x + 3, height]])
        blade = points.astype(np.int32)
        cv2.fillPoly(rgb, [blade], byte(jitter(rng, colour, 0.03, 0.1), tone), cv2.LINE_AA)
        cv2.fillPoly(cover, [blade], 255, cv2.LINE_AA)
    return rgb, cover


def pole(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A post or trunk from top to bottom."""
    thick = max(4, int(width * rng.uniform(0.015, 0.08)))
    x0, lean = int(rng.uniform(0, width)), rng.normal(0, 0.02)
    rgb, cover = _empty(height, width, (0.5, 0.5, 0.5))
    lit = 0.35 + 0.7 * np.sqrt(np.clip(1 - (np.linspace(-1, 1, thick) + rng.uniform(-0.4, 0.4)) ** 2, 0, 1))
    colour = np.asarray(pick(rng, ((0.52, 0.52, 0.51), (0.34, 0.36, 0.37), (0.36, 0.29, 0.22), (0.70, 0.68, 0.64), (0.25, 0.38, 0.33))))
    tone = lit[None] * (1 + smooth(rng, height, thick, max(2.0, thick * 0.3), thick * 2.0) * 0.12)
    strip = (np.clip(tone[:, :, None] * colour, 0, 1) * 255).astype(np.uint8)
    x1, left = min(x0 + thick, width), max(x0, 0)
    rgb[:, left:x1] = strip[:, : x1 - left]
    cover[:, left:x1] = 255
    shear = np.array([[1, lean, 0], [0, 1, 0]], np.float64)
    return cast(Layer, tuple(cv2.warpAffine(part, shear, (width, height), flags=cv2.INTER_LINEAR) for part in (rgb, cover)))


def fence(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A railing, a mesh or bars before the wall."""
    rgb, cover = _empty(height, width, pick(rng, ((0.10, 0.10, 0.10), (0.25, 0.36, 0.30), (0.72, 0.72, 0.70), (0.28, 0.33, 0.45))))
    pitch = width * rng.uniform(0.06, 0.2)
    thick = max(1, int(pitch * rng.uniform(0.04, 0.14)))
    top = 0 if rng.random() < 0.3 else int(height * rng.uniform(0.5, 0.9))
    for x in np.arange(rng.uniform(0, pitch), width, pitch):
        cv2.line(cover, (int(x), top), (int(x), height), 255, thick, cv2.LINE_AA)
    for y in (top + int(0.02 * height), int(height * rng.uniform(0.93, 1.0))):
        cv2.line(cover, (0, y), (width, y), 255, thick + 1, cv2.LINE_AA)
    return rgb, cover


def cable(rng: np.random.Generator, height: int, width: int) -> Layer:
    """Cables that hang before the wall."""
    rgb, cover = _empty(height, width, pick(rng, ((0.05, 0.05, 0.05), (0.25, 0.25, 0.25), (0.6, 0.6, 0.58))))
    x = np.linspace(-5, width + 5, 40)
    for _ in range(int(rng.integers(1, 4))):
        sag = rng.uniform(0, 0.15) * height * (1 - (2 * x / width - 1) ** 2)
        y = rng.uniform(-0.1, 0.9) * height + (x - width / 2) * rng.normal(0, 0.12) + sag
        thick = max(1, int(width * rng.uniform(0.001, 0.006)))
        cv2.polylines(cover, [np.stack([x, y], 1).astype(np.int32)], False, 255, thick, cv2.LINE_AA)
    return rgb, cover


def car(rng: np.random.Generator, height: int, width: int) -> Layer:
    """Part of a parked car at the lower edge, seen from the side."""
    colour = pick(rng, CARS)
    rgb, cover = _empty(height, width, colour)
    long = width * rng.uniform(0.5, 1.3)
    ground, x0 = height * rng.uniform(0.95, 1.25), rng.uniform(-0.6, 0.8) * width
    flip = float(rng.choice([-1, 1]))

    def points(*pairs: tuple[float, float]) -> NDArray[np.int32]:
        at = [(x0 + long * (0.5 + flip * (x - 0.5)), ground - long * y) for x, y in pairs]
        return np.array(at).astype(np.int32)

    body = points((0, 0.07), (0, 0.17), (0.04, 0.2), (0.24, 0.22), (0.36, 0.33), (0.68, 0.34), (0.82, 0.23), (0.98, 0.2), (1, 0.08))
    cv2.fillPoly(cover, [body], 255, cv2.LINE_AA)
    shade = points((0, 0.07), (0, 0.12), (1, 0.12), (1, 0.07))
    cv2.fillPoly(rgb, [shade], byte(colour, 0.6), cv2.LINE_AA)
    for glass in (points((0.28, 0.225), (0.38, 0.315), (0.51, 0.32), (0.51, 0.225)), points((0.535, 0.225), (0.535, 0.32), (0.66, 0.32), (0.76, 0.23))):
        cv2.fillPoly(rgb, [glass], byte((0.12, 0.14, 0.16)), cv2.LINE_AA)
    seam = points((0.52, 0.31), (0.52, 0.09))
    cv2.polylines(rgb, [seam], False, byte(colour, 0.5), max(1, int(long * 0.003)), cv2.LINE_AA)
    for x in (0.2, 0.8):
        centre = tuple(int(part) for part in points((x, 0.075))[0])
        for part, tone, radius in ((cover, 255, 0.075), (rgb, (18, 18, 20), 0.075), (rgb, (150, 150, 152), 0.042), (rgb, (60, 60, 62), 0.012)):
            cv2.circle(part, centre, int(long * radius), tone, -1, cv2.LINE_AA)
    sheen = fbm(rng, height // 8 + 1, width // 8 + 1, width / 24, 3) * np.float32(18)
    rgb = cv2.add(rgb, cv2.merge([cv2.resize(np.clip(sheen, 0, 60), (width, height)).astype(np.uint8)] * 3))
    return cast(NDArray[np.uint8], rgb), cover


def snow(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A snow bank at the lower edge, and at times falling flakes."""
    rgb = np.empty((height, width, 3), np.uint8)
    tone = 225 + fbm(rng, height // 4 + 1, width // 4 + 1, width / 20, 4) * np.float32(12)
    grey = np.clip(cv2.resize(tone, (width, height)), 120, 255)
    for index, part in enumerate((0.95, 0.97, 1.0)):
        rgb[:, :, index] = grey * np.float32(part)
    line = height * (1 - rng.uniform(0.04, 0.25)) + smooth(rng, 1, width, width * 0.25)[0] * height * 0.03 + smooth(rng, 1, width, 12)[0] * 2
    rows = np.arange(height, dtype=np.float32)[:, None]
    cover = (np.clip(rows - line[None], 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3:
        for x, y in rng.uniform(0, 1, (int(rng.integers(40, 250)), 2)):
            cv2.circle(cover, (int(x * width), int(y * height)), int(rng.integers(1, max(2, width // 250))), 200, -1, cv2.LINE_AA)
    return rgb, cover


def pile(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A heap of earth, rubble or bags at the lower edge."""
    rgb, cover = _empty(height, width, (0.3, 0.25, 0.2))
    colour = np.asarray(pick(rng, ((0.35, 0.29, 0.22), (0.45, 0.43, 0.40), (0.12, 0.12, 0.13))))
    top = int(height * (1 - rng.uniform(0.05, 0.22)))
    line = top + ramp(smooth(rng, 1, width, width * 0.3), -1.5, 1.0)[0] * (height - top) + smooth(rng, 1, width, 15)[0] * 3
    start = max(0, top - 12)
    tone = 1 + fbm(rng, height - start, width, 40, 5, 0.7) * np.float32(0.25) + grain(rng, height - start, width, 1.2) * np.float32(0.1)
    rgb[start:] = np.clip(tone[:, :, None] * colour.astype(np.float32) * 255, 0, 255).astype(np.uint8)
    rows = np.arange(height, dtype=np.float32)[:, None]
    cover[:] = (np.clip(rows - line[None], 0, 1) * 255).astype(np.uint8)
    return rgb, cover


_KINDS: tuple[Callable[[np.random.Generator, int, int], Layer], ...] = (bush, branch, grass, pole, fence, cable, car, snow, pile)
_SHARES = np.array([0.18, 0.14, 0.16, 0.1, 0.08, 0.14, 0.08, 0.07, 0.05])
