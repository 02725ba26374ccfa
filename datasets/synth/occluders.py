"""Things before the wall that hide part of it: bushes, grass, branches, poles, railings, cables, a parked car, snow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from . import shadows
from .fixtures import byte
from .noise import Box, Canvas, Colour, Field, fbm, grain, pick, ramp, smooth

GREENS: tuple[Colour, ...] = (
    (0.25, 0.38, 0.14),
    (0.34, 0.46, 0.17),
    (0.20, 0.31, 0.16),
    (0.42, 0.44, 0.20),
    (0.55, 0.45, 0.20),
    (0.45, 0.30, 0.16),
)
CARS: tuple[Colour, ...] = (
    (0.88, 0.88, 0.87), (0.10, 0.10, 0.11), (0.55, 0.57, 0.59), (0.50, 0.10, 0.10), (0.12, 0.18, 0.34), (0.30, 0.36, 0.32),
    (0.70, 0.68, 0.60),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """A thing before the wall, drawn on its own rectangle."""

    rgb: NDArray[np.uint8]
    """Shape (h, w, 3)."""
    cover: NDArray[np.uint8]
    """Shape (h, w), 255 where the thing is."""
    top: int = 0
    """First row of the rectangle on the canvas; it begins at column ``left``."""
    left: int = 0


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
        layer = _trim(_KINDS[int(rng.choice(len(_KINDS), p=_SHARES))](rng, height, width))
        part = np.s_[layer.top : layer.top + layer.cover.shape[0], layer.left : layer.left + layer.cover.shape[1]]
        before = mask[part].copy()
        alpha = layer.cover.astype(np.float32) * np.float32(1 / 255)
        np.maximum(before, alpha, out=mask[part])
        if any(_hidden(mask, box) > max_cover for box in boxes):
            mask[part] = before
            continue
        lit = np.clip(layer.rgb.astype(np.float32) * (gain / 255).astype(np.float32), 0, 1)
        out[part] = cv2.blendLinear(np.ascontiguousarray(out[part]), lit, 1 - alpha, alpha)
    return out, mask


def _hidden(mask: Field, box: Box) -> float:
    """Share of a box that the mask hides; 0 for a box outside the picture."""
    x0, y0, x1, y1 = (max(0, int(part)) for part in box)
    part = mask[y0:y1, x0:x1]
    return float(part.mean()) if part.size else 0.0


def _trim(layer: Layer) -> Layer:
    """The same thing on the smallest rectangle that holds it (one pixel if there is nothing)."""
    x, y, width, height = cv2.boundingRect(layer.cover)
    width, height = max(width, 1), max(height, 1)
    rgb, cover = (np.ascontiguousarray(part[y : y + height, x : x + width]) for part in (layer.rgb, layer.cover))
    return Layer(rgb, cover, layer.top + y, layer.left + x)


def _empty(height: int, width: int, colour: Colour) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:] = np.array(byte(colour), np.uint8)
    return rgb, np.zeros((height, width), np.uint8)


def _shades(rng: np.random.Generator, colour: Colour, tones: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """``colour`` at each brightness of ``tones``, each a little different, for OpenCV's drawing."""
    table = np.asarray(colour) * tones[:, None] * rng.uniform(0.9, 1.1, (len(tones), 1)) + rng.uniform(
        -0.025, 0.025, (len(tones), 3)
    )
    return [(int(r), int(g), int(b)) for r, g, b in np.clip(table * 255, 0, 255)]


def _leaves(
    rng: np.random.Generator,
    rgb: NDArray[np.uint8],
    cover: NDArray[np.uint8],
    centres: NDArray[np.float64],
    size: float,
    colour: Colour,
) -> None:
    """Draw a leaf at every centre, the dark ones first."""
    count = len(centres)
    shades = _shades(rng, colour, np.sort(rng.uniform(0.45, 1.35, count)))
    long = size * rng.uniform(0.6, 1.3, count)
    axes = np.maximum(np.stack([long, long * rng.uniform(0.25, 0.6, count)], 1), 1).astype(int).tolist()
    angles = rng.uniform(0, 180, count).tolist()
    for at, axis, angle, shade in zip(centres.astype(int).tolist(), axes, angles, shades, strict=True):
        cv2.ellipse(rgb, at, axis, angle, 0, 360, shade, -1, cv2.LINE_AA)
        cv2.ellipse(cover, at, axis, angle, 0, 360, 255, -1, cv2.LINE_AA)


def bush(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A bush at the lower edge, a corner or a side."""
    size = max(height, width)
    rgb, cover = _empty(height, width, (0.15, 0.2, 0.1))
    at = (
        (rng.uniform(0, width), height * rng.uniform(0.9, 1.1))
        if rng.random() < 0.7
        else (float(rng.choice([0, width])), rng.uniform(0, height))
    )
    spread = size * rng.uniform(0.08, 0.2)
    centres = rng.normal(0, 1, (int(rng.integers(120, 350)), 2)) * [spread, spread * 0.7] + at
    for x, y in centres[::12].astype(int).tolist():
        for part, colour in ((rgb, (70, 55, 40)), (cover, (255, 255, 255))):
            cv2.line(part, (int(at[0]), int(at[1])), (x, y), colour, max(1, size // 400), cv2.LINE_AA)
    _leaves(rng, rgb, cover, centres, size * rng.uniform(0.006, 0.018), pick(rng, GREENS))
    return Layer(rgb, cover)


def branch(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A bough across the picture, bare or with some leaves."""
    colour = pick(rng, ((0.22, 0.17, 0.13), (0.32, 0.27, 0.22), (0.45, 0.42, 0.38)))
    rgb, cover = _empty(height, width, colour)
    small = shadows.bough(rng, height // 2 + 1, width // 2 + 1)
    cover[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        rows, cols = np.nonzero(small[::2, ::2])
        if rows.size:
            chosen = rng.integers(0, rows.size, int(rng.integers(30, 160)))
            centres = np.stack([cols[chosen] * 4.0, rows[chosen] * 4.0], 1) + rng.normal(
                0, max(height, width) * 0.012, (chosen.size, 2)
            )
            _leaves(rng, rgb, cover, centres, max(height, width) * rng.uniform(0.005, 0.014), pick(rng, GREENS))
    return Layer(rgb, cover)


def grass(rng: np.random.Generator, height: int, width: int) -> Layer:
    """Blades along the lower edge."""
    colour = pick(rng, GREENS)
    tall = height * rng.uniform(0.03, 0.18)
    count = int(np.clip(width / rng.uniform(2.5, 8), 60, 400))
    x = rng.uniform(0, width, count)
    wave = smooth(rng, 1, width, width * 0.2)[0]
    reach = tall * rng.uniform(0.4, 1.2, count) * np.clip(1 + 0.7 * wave[x.astype(int)], 0.1, 2.0)
    rows = int(np.ceil(reach.max())) + 4
    bend = rng.normal(0, 0.35, count) * reach
    across = np.stack([x - 2, x + 0.3 * bend - 1, x + bend, x + 0.3 * bend + 2, x + 3], 1)
    down = rows - reach[:, None] * np.array([0, 0.6, 1, 0.6, 0])
    rgb, cover = _empty(rows, width, colour)
    blades = np.stack([across, down], 2).astype(np.int32)
    for blade, shade in zip(blades, _shades(rng, colour, np.linspace(0.5, 1.3, count)), strict=True):
        cv2.fillConvexPoly(rgb, blade, shade, cv2.LINE_AA)
        cv2.fillConvexPoly(cover, blade, 255, cv2.LINE_AA)
    top = max(0, height - rows)
    return Layer(rgb[rows - (height - top) :], cover[rows - (height - top) :], top)


def pole(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A post or trunk from top to bottom, leaning a little."""
    thick = min(max(4, int(width * rng.uniform(0.015, 0.08))), width)
    lit = 0.35 + 0.7 * np.sqrt(np.clip(1 - (np.linspace(-1, 1, thick) + rng.uniform(-0.4, 0.4)) ** 2, 0, 1))
    colour = np.asarray(
        pick(rng, ((0.52, 0.52, 0.51), (0.34, 0.36, 0.37), (0.36, 0.29, 0.22), (0.70, 0.68, 0.64), (0.25, 0.38, 0.33)))
    )
    tone = lit[None] * (1 + smooth(rng, height, thick, max(2.1, thick * 0.3), thick * 2.0) * 0.12)
    strip = (np.clip(tone[:, :, None] * colour, 0, 1) * 255).astype(np.uint8)
    lean = float(np.clip(rng.normal(0, 0.02), -0.05, 0.05))
    wide = min(thick + int(abs(lean) * height) + 1, width)
    shear = np.array([[1, lean, max(0.0, -lean * height)], [0, 1, 0]], np.float64)
    rgb, cover = (cv2.warpAffine(part, shear, (wide, height)) for part in (strip, np.full((height, thick), 255, np.uint8)))
    return Layer(cast(NDArray[np.uint8], rgb), cast(NDArray[np.uint8], cover), 0, int(rng.uniform(0, width - wide)))


def fence(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A railing, a mesh or bars before the wall."""
    rgb, cover = _empty(
        height, width, pick(rng, ((0.10, 0.10, 0.10), (0.25, 0.36, 0.30), (0.72, 0.72, 0.70), (0.28, 0.33, 0.45)))
    )
    pitch = width * rng.uniform(0.06, 0.2)
    thick = max(1, int(pitch * rng.uniform(0.04, 0.14)))
    top = 0 if rng.random() < 0.3 else int(height * rng.uniform(0.5, 0.9))
    for x in np.arange(rng.uniform(0, pitch), width, pitch):
        cv2.line(cover, (int(x), top), (int(x), height), 255, thick, cv2.LINE_AA)
    for y in (top + int(0.02 * height), int(height * rng.uniform(0.93, 1.0))):
        cv2.line(cover, (0, y), (width, y), 255, thick + 1, cv2.LINE_AA)
    return Layer(rgb, cover)


def cable(rng: np.random.Generator, height: int, width: int) -> Layer:
    """Cables that hang before the wall."""
    rgb, cover = _empty(height, width, pick(rng, ((0.05, 0.05, 0.05), (0.25, 0.25, 0.25), (0.6, 0.6, 0.58))))
    x = np.linspace(-5, width + 5, 40)
    for _ in range(int(rng.integers(1, 4))):
        sag = rng.uniform(0, 0.15) * height * (1 - (2 * x / width - 1) ** 2)
        y = rng.uniform(-0.1, 0.9) * height + (x - width / 2) * rng.normal(0, 0.12) + sag
        thick = max(1, int(width * rng.uniform(0.001, 0.006)))
        cv2.polylines(cover, [np.stack([x, y], 1).astype(np.int32)], False, 255, thick, cv2.LINE_AA)
    return Layer(rgb, cover)


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

    body = points(
        (0, 0.07), (0, 0.17), (0.04, 0.2), (0.24, 0.22), (0.36, 0.33), (0.68, 0.34), (0.82, 0.23), (0.98, 0.2), (1, 0.08)
    )
    cv2.fillPoly(cover, [body], 255, cv2.LINE_AA)
    shade = points((0, 0.07), (0, 0.12), (1, 0.12), (1, 0.07))
    cv2.fillPoly(rgb, [shade], byte(colour, 0.6), cv2.LINE_AA)
    for glass in (
        points((0.28, 0.225), (0.38, 0.315), (0.51, 0.32), (0.51, 0.225)),
        points((0.535, 0.225), (0.535, 0.32), (0.66, 0.32), (0.76, 0.23)),
    ):
        cv2.fillPoly(rgb, [glass], byte((0.12, 0.14, 0.16)), cv2.LINE_AA)
    seam = points((0.52, 0.31), (0.52, 0.09))
    cv2.polylines(rgb, [seam], False, byte(colour, 0.5), max(1, int(long * 0.003)), cv2.LINE_AA)
    for x in (0.2, 0.8):
        centre = tuple(int(part) for part in points((x, 0.075))[0])
        for part, tone, radius in (
            (cover, 255, 0.075),
            (rgb, (18, 18, 20), 0.075),
            (rgb, (150, 150, 152), 0.042),
            (rgb, (60, 60, 62), 0.012),
        ):
            cv2.circle(part, centre, int(long * radius), tone, -1, cv2.LINE_AA)
    trimmed = _trim(Layer(rgb, cover))
    rows, cols = trimmed.cover.shape
    sheen = np.clip(fbm(rng, rows // 8 + 1, cols // 8 + 1, width / 24, 3) * np.float32(18), 0, 60).astype(np.uint8)
    glossy = cv2.add(trimmed.rgb, cv2.merge([cv2.resize(sheen, (cols, rows))] * 3))
    return Layer(cast(NDArray[np.uint8], glossy), trimmed.cover, trimmed.top, trimmed.left)


def snow(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A snow bank at the lower edge."""
    line = (
        height * (1 - rng.uniform(0.04, 0.25))
        + smooth(rng, 1, width, width * 0.25)[0] * height * 0.03
        + smooth(rng, 1, width, 12)[0] * 2
    )
    return _heap(rng, line, height, (0.86, 0.89, 0.93), 0.05)


def pile(rng: np.random.Generator, height: int, width: int) -> Layer:
    """A heap of earth, rubble or bags at the lower edge."""
    top = height * (1 - rng.uniform(0.05, 0.22))
    line = top + ramp(smooth(rng, 1, width, width * 0.3), -1.5, 1.0)[0] * (height - top) + smooth(rng, 1, width, 15)[0] * 3
    return _heap(rng, line, height, pick(rng, ((0.35, 0.29, 0.22), (0.45, 0.43, 0.40), (0.12, 0.12, 0.13))), 0.25)


def _heap(rng: np.random.Generator, line: NDArray[np.float32], height: int, colour: Colour, rough: float) -> Layer:
    """Everything below ``line`` (a row per column) in one uneven colour."""
    width = len(line)
    top = int(np.clip(line.min(), 0, height - 2))
    rows = height - top
    tone = 1 + fbm(rng, rows // 2 + 1, width // 2 + 1, 30, 5, 0.7) * np.float32(rough)
    tone += grain(rng, rows // 2 + 1, width // 2 + 1) * np.float32(rough * 0.3)
    small = (np.clip(tone[:, :, None] * np.asarray(colour, np.float32), 0, 1) * 255).astype(np.uint8)
    rgb = cv2.resize(small, (width, rows), interpolation=cv2.INTER_LINEAR)
    depth = np.arange(top, height, dtype=np.float32)[:, None] - line[None]
    cover = (np.clip(depth, 0, 1) * 255).astype(np.uint8)
    return Layer(cast(NDArray[np.uint8], rgb), cover, top)


_KINDS: tuple[Callable[[np.random.Generator, int, int], Layer], ...] = (bush, branch, grass, pole, fence, cable, car, snow, pile)
_SHARES = np.array([0.18, 0.14, 0.16, 0.1, 0.08, 0.14, 0.08, 0.07, 0.05])
