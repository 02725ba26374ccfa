"""What years do to a wall: fading, dirt near the ground, drips, stains, patches of another paint, cracks, moss."""

from __future__ import annotations

import cv2
import numpy as np

from .noise import Colour, Field, Planes, blend, blobs, enlarge, fbm, ramp, smooth, streaks, wander

DIRT: tuple[Colour, ...] = ((0.24, 0.21, 0.18), (0.33, 0.29, 0.24), (0.15, 0.15, 0.15), (0.42, 0.36, 0.28))


def weather(rng: np.random.Generator, planes: Planes, relief: Field, scale: float, cracks: bool = True) -> None:
    """Age a surface in place; each kind of wear happens or not on its own.

    ``scale`` is pixels per metre; ``cracks`` says whether the material can crack (steel and boards do not).
    """
    height, width = relief.shape
    step = 4
    rows, cols = height // step + 1, width // step + 1
    low = 1 + fbm(rng, rows, cols, scale * 1.5 / step, 3) * np.float32(rng.uniform(0.0, 0.07))
    shade = np.zeros((rows, cols), np.float32)
    if rng.random() < 0.45:
        shade = np.maximum(shade, _ground_dirt(rng, rows, cols, scale / step))
    if rng.random() < 0.35:
        drips = streaks(
            rng, rows, cols, scale * rng.uniform(0.01, 0.04) / step, scale * rng.uniform(0.3, 1.2) / step, rng.uniform(0.1, 0.6)
        )
        shade = np.maximum(shade, drips * np.float32(rng.uniform(0.1, 0.45)))
    if rng.random() < 0.4:
        spots = blobs(rng, rows, cols, scale * rng.uniform(0.2, 0.7) / step, rng.uniform(0.03, 0.2), 0.5)
        shade = np.maximum(shade, spots * np.float32(rng.uniform(0.1, 0.4)))
    _apply_low(planes, low, shade, DIRT[int(rng.integers(len(DIRT)))], step)
    if rng.random() < 0.08:
        _moss(rng, planes, scale)
    for _ in range(int(rng.choice([0, 0, 0, 1, 2, 4])) if cracks else 0):
        _crack(rng, planes, relief, scale)


def second_coat(rng: np.random.Generator, planes: Planes, scale: float) -> None:
    """Paint the lower part of a wall in another colour, as plinths and entrances are, in place."""
    height, width = planes.shape[1:]
    line = int(height * rng.uniform(0.2, 0.9))
    base = planes[:, ::16, ::16].mean(axis=(1, 2))
    factor = rng.uniform(0.45, 0.85) if base.mean() > 0.35 else rng.uniform(1.2, 1.6)
    gain = np.clip(factor * (1 + rng.normal(0, 0.12, 3)), 0.3, 1.8).astype(np.float32)
    cover = float(rng.uniform(0.85, 1.0))  # a little of the first coat shows
    worn = blobs(rng, height - line, width, scale * 0.3, rng.uniform(0.0, 0.1), 0.05) if rng.random() < 0.4 else None
    for index in range(3):
        change = np.float32(gain[index] - 1) * np.float32(cover)
        planes[index, line:] *= 1 + change if worn is None else 1 + change * (1 - worn)
    if rng.random() < 0.3:  # the ledge between them, or a painted stripe
        thick = max(2, int(scale * rng.uniform(0.005, 0.03)))
        planes[:, line : line + thick] *= np.float32(rng.choice([0.5, 1.25]))


def _apply_low(planes: Planes, low: Field, shade: Field, dirt: Colour, step: int) -> None:
    """Multiply by ``low`` and mix in dirt by ``shade``, both enlarged ``step`` times, in place."""
    height, width = planes.shape[1:]
    for index in range(3):
        gain = enlarge(low * (1 - shade), low.shape[0] * step, low.shape[1] * step)[:height, :width]
        planes[index] *= gain
    if shade.any():
        mix = enlarge(shade, low.shape[0] * step, low.shape[1] * step)[:height, :width]
        for index in range(3):
            planes[index] += mix * np.float32(dirt[index])


def _ground_dirt(rng: np.random.Generator, rows: int, cols: int, scale: float) -> Field:
    """Splashes and damp that rise from the lower edge."""
    rise = max(4.0, min(rows * rng.uniform(0.08, 0.5), scale * 1.2))
    distance = (rows - np.arange(rows, dtype=np.float32))[:, None] / np.float32(rise)
    field = distance + smooth(rng, rows, cols, max(3.0, rise * 0.5)) * np.float32(0.25)
    return ramp(np.ascontiguousarray(field.astype(np.float32)), 1.2, 0.0) * np.float32(rng.uniform(0.2, 0.7))


def _moss(rng: np.random.Generator, planes: Planes, scale: float) -> None:
    """Moss and algae near the ground, in place."""
    height, width = planes.shape[1:]
    start = int(height * rng.uniform(0.4, 0.8))
    moss = blobs(rng, height - start, width, scale * 0.4, rng.uniform(0.05, 0.4), 0.9)
    moss *= np.linspace(0, 0.7, height - start, dtype=np.float32)[:, None]
    blend(planes[:, start:], moss, (0.28, 0.31, 0.20))


def _crack(rng: np.random.Generator, planes: Planes, relief: Field, scale: float) -> None:
    """One branching crack, in place."""
    height, width = relief.shape
    start = (rng.uniform(0, width), rng.uniform(0, height))
    length = min(scale * rng.uniform(0.3, 2.0), 1.5 * width)
    angle = float(rng.choice([0.0, np.pi / 2, np.pi / 4])) + rng.normal(0, 0.3)
    path = wander(rng, start, angle, length, max(3.0, scale * 0.012), 0.45)
    forks = path[rng.integers(len(path), size=int(rng.integers(0, 3)))].tolist()
    paths = [
        path,
        *(wander(rng, fork, angle + rng.normal(0, 0.9), length * 0.3, max(3.0, scale * 0.012), 0.45) for fork in forks),
    ]
    points = np.concatenate(paths)
    x0, y0 = np.maximum(points.min(0) - 4, 0)
    x1, y1 = np.minimum(points.max(0) + 5, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((int(y1 - y0), int(x1 - x0)), np.uint8)
    thick = max(1, int(scale * rng.uniform(0.001, 0.005)))
    for index, line in enumerate(paths):
        cv2.polylines(mask, [line - np.array([x0, y0], np.int32)], False, 255, thick if index == 0 else 1, cv2.LINE_AA)
    cover = mask.astype(np.float32) * np.float32(rng.uniform(0.4, 0.9) / 255)
    blend(planes[:, y0:y1, x0:x1], cover, (0.14, 0.13, 0.12))
    relief[y0:y1, x0:x1] *= 1 - cover
