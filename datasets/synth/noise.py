"""Cheap random fields and the drawing helpers that walls, light and scenery share.

Fields are ``float32`` of shape (height, width). They are made small and enlarged with a cubic filter, because drawing a
normal deviate per pixel costs more than everything else in a photo together. Colour is kept in three separate planes,
shape (3, height, width), while a surface is built: NumPy is several times faster on planes than on interleaved pixels.
Every function takes a NumPy generator and nothing else that is random, so equal seeds give equal photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
"""``float32``, shape (height, width)."""
Planes: TypeAlias = NDArray[np.float32]
"""``float32``, shape (3, height, width), RGB in 0..1."""
Canvas: TypeAlias = NDArray[np.float32]
"""``float32``, shape (height, width, 3), RGB in 0..1."""
Colour: TypeAlias = tuple[float, float, float]
"""RGB in 0..1."""
Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""

_BYTE_STD = 73.9  # standard deviation of a uniform byte


def grain(rng: np.random.Generator, height: int, width: int, blur: float = 0.0) -> Field:
    """White noise of mean 0 and deviation 1; ``blur`` is the sigma in pixels of a Gaussian that makes it coarser."""
    raw = np.frombuffer(rng.bytes(height * width), np.uint8).reshape(height, width)
    field: Field = raw.astype(np.float32)
    gain = 1.0
    if blur > 0:
        field = soften(field, blur)
        gain = max(1.0, blur * 3.545)  # a Gaussian of sigma s leaves 1 / (2 s sqrt(pi)) of the deviation
    return cast(Field, cv2.addWeighted(field, gain / _BYTE_STD, field, 0.0, -127.5 * gain / _BYTE_STD))


def smooth(rng: np.random.Generator, height: int, width: int, cell: float, cell_y: float | None = None) -> Field:
    """One octave of smooth noise, roughly mean 0 and deviation 0.7, with bumps of ``cell`` by ``cell_y`` pixels."""
    cell_x, cell_y = max(cell, 1.0), max(cell if cell_y is None else cell_y, 1.0)
    rows, cols = int(np.ceil(height / cell_y)) + 3, int(np.ceil(width / cell_x)) + 3
    grid = rng.standard_normal((rows, cols), dtype=np.float32)
    shift = rng.random(2)
    matrix = np.array([[1 / cell_x, 0, 0.5 + shift[0]], [0, 1 / cell_y, 0.5 + shift[1]]])
    if cell_x > 2 and cell_y > 2:
        big = cv2.resize(grid, (int(cols * cell_x) + 1, int(rows * cell_y) + 1), interpolation=cv2.INTER_CUBIC)
        y0, x0 = int(cell_y * matrix[1, 2]), int(cell_x * matrix[0, 2])
        return cast(Field, np.ascontiguousarray(big[y0 : y0 + height, x0 : x0 + width]))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cast(Field, cv2.warpAffine(grid, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT))


def fbm(
    rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 4, gain: float = 0.5, stretch: float = 1.0
) -> Field:
    """Sum of octaves of :func:`smooth`, deviation about 0.7; ``cell`` is the largest bump, ``stretch`` > 1 makes it taller.

    The sum is built on the coarsest grid that still shows its finest octave and is then enlarged once.
    """
    finest = max(cell / 2 ** (octaves - 1), 1.0)
    step = max(1.0, finest / 2.5)
    rows, cols = (height, width) if step == 1.0 else (int(np.ceil(height / step)) + 1, int(np.ceil(width / step)) + 1)
    total = np.zeros((rows, cols), np.float32)
    power = 0.0
    for octave in range(octaves):
        size = cell / 2**octave / step
        weight = gain**octave
        total += weight * smooth(rng, rows, cols, size, size * stretch)
        power += weight * weight
    total *= np.float32(1 / np.sqrt(power))
    return total if step == 1.0 else enlarge(total, height, width)


def enlarge(field: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """``field`` (with or without channels) resized to (height, width), cubic."""
    return cast(NDArray[np.float32], cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC))


def soften(field: Field, sigma: float) -> Field:
    """``field`` blurred by a Gaussian of ``sigma`` pixels."""
    return cast(Field, cv2.GaussianBlur(field, (0, 0), sigma))


def box_blur(field: Field, width: int, height: int) -> Field:
    """``field`` averaged over windows of ``width`` by ``height`` pixels."""
    return cast(Field, cv2.blur(field, (max(1, width), max(1, height))))


def ramp(field: Field, low: float, high: float) -> Field:
    """``field`` mapped so that ``low`` is 0 and ``high`` is 1, clipped to 0..1 (``low`` may be above ``high``)."""
    scale = 1.0 / (high - low)
    out = cv2.addWeighted(field, scale, field, 0.0, -low * scale)
    return cast(Field, np.clip(out, 0.0, 1.0, out=out))


def blobs(
    rng: np.random.Generator, height: int, width: int, cell: float, cover: float, soft: float = 0.15, octaves: int = 5
) -> Field:
    """Irregular spots as a mask in 0..1 that cover about ``cover`` of the area; ``soft`` is the width of their edges."""
    field = fbm(rng, height, width, cell, octaves, gain=0.6)
    cut = float(np.quantile(field[::7, ::7], np.clip(1 - cover, 0.0, 1.0)))
    return ramp(field, cut, cut + max(soft, 0.01))


def streaks(rng: np.random.Generator, height: int, width: int, thickness: float, length: float, cover: float) -> Field:
    """Runs as below a sill or a roof, a mask in 0..1: each starts sharply on one of a few lines and fades downwards.

    ``thickness`` and ``length`` are typical sizes in pixels; ``cover`` is about the share of the columns that have a run.
    """
    mask = np.zeros((height, width), np.float32)
    lines = np.append(rng.uniform(0, height, int(rng.integers(1, 4))), -0.1 * length)
    for _ in range(int(np.clip(cover * width / max(thickness, 1.0), 1, 120))):
        wide, long = max(1, int(thickness * rng.uniform(0.3, 1.5))), max(2, int(length * rng.uniform(0.2, 1.3)))
        x, y = int(rng.uniform(0, width)), int(rng.choice(lines) + rng.normal(0, 0.02) * height)
        fade = np.linspace(rng.uniform(0.3, 1.0), 0, long, dtype=np.float32)[max(0, -y) :, None]
        view = mask[max(0, y) : max(0, y + long), x : x + wide]
        np.maximum(view, fade[: view.shape[0]], out=view)
    return box_blur(mask, int(thickness * 0.6), 3)


def to_planes(colour: Sequence[float], tone: Field) -> Planes:
    """A surface of one colour whose brightness is multiplied by ``tone``."""
    out = np.empty((3, *tone.shape), np.float32)
    for index in range(3):
        np.multiply(tone, np.float32(colour[index]), out=out[index])
    return out


def blend(planes: Planes, mask: Field, colour: Sequence[float]) -> None:
    """Mix ``colour`` into ``planes`` where ``mask`` is 1, in place."""
    scratch = np.empty_like(mask)
    for index in range(3):
        np.subtract(np.float32(colour[index]), planes[index], out=scratch)
        scratch *= mask
        planes[index] += scratch


def blend_surface(planes: Planes, mask: Field, other: Planes) -> None:
    """Mix another surface of the same size into ``planes`` where ``mask`` is 1, in place."""
    for index in range(3):
        planes[index] += mask * (other[index] - planes[index])


def interleave(planes: Planes) -> Canvas:
    """Planes (3, H, W) as pixels (H, W, 3), clipped to 0..1."""
    out = cv2.merge([planes[0], planes[1], planes[2]])
    return cast(Canvas, np.clip(out, 0.0, 1.0, out=out))


def jitter(rng: np.random.Generator, colour: Sequence[float], hue: float = 0.03, value: float = 0.12) -> Colour:
    """``colour`` a little different: ``value`` scales all channels by up to that share, ``hue`` moves each on its own."""
    scale = 1 + rng.uniform(-value, value)
    moved = np.clip(np.asarray(colour) * scale + rng.uniform(-hue, hue, 3), 0.01, 0.99)
    return float(moved[0]), float(moved[1]), float(moved[2])


def pick(rng: np.random.Generator, colours: Sequence[Colour], hue: float = 0.03, value: float = 0.12) -> Colour:
    """One of ``colours``, a little different."""
    return jitter(rng, colours[int(rng.integers(len(colours)))], hue, value)


def wander(
    rng: np.random.Generator, start: Sequence[float], angle: float, length: float, step: float, turn: float
) -> NDArray[np.int32]:
    """A random walk as a polyline (N, 2) of integer pixels: ``turn`` is the deviation of each step's change of angle, radians."""
    count = max(2, int(length / step))
    drift = rng.normal(0, turn, count)
    for index in range(1, count):  # each turn is half forgotten, or the path would curl up
        drift[index] += 0.75 * drift[index - 1]
    angles = angle + drift
    path = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1) * step, axis=0) + np.asarray(start)[None]
    return cast(NDArray[np.int32], np.round(path).astype(np.int32))


def stamp(canvas: Canvas, patch: NDArray[np.float32], alpha: NDArray[np.float32], x: int, y: int) -> None:
    """Lay ``patch`` (h, w, 3) with coverage ``alpha`` (h, w) on ``canvas``, its top-left corner at (x, y), clipped, in place."""
    height, width = canvas.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + patch.shape[1], width), min(y + patch.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    view = canvas[y0:y1, x0:x1]
    part = patch[y0 - y : y1 - y, x0 - x : x1 - x]
    cover = alpha[y0 - y : y1 - y, x0 - x : x1 - x, None]
    view += cover * (part - view)
