"""Surfaces laid from pieces: brick, tiles, slabs, panels and stone.

A grid of pieces is described by its row and column of every pixel line, so that a value per piece becomes a picture by
two table look-ups instead of a computation per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .noise import (
    Colour,
    Field,
    Planes,
    blend,
    blobs,
    box_blur,
    enlarge,
    fbm,
    grain,
    jitter,
    pick,
    ramp,
    smooth,
    streaks,
    to_planes,
)

Surface = tuple[Planes, Field, float]
"""Colour planes, relief in 0..1, gloss in 0..1."""

BRICK_COLOURS: tuple[Colour, ...] = (
    (0.58, 0.30, 0.22), (0.50, 0.25, 0.19), (0.66, 0.38, 0.28), (0.60, 0.40, 0.30), (0.42, 0.24, 0.20),
    (0.80, 0.78, 0.73), (0.74, 0.72, 0.69), (0.84, 0.78, 0.64), (0.78, 0.66, 0.44),
)  # fmt: skip
PAINT_COLOURS: tuple[Colour, ...] = (
    (0.86, 0.84, 0.78), (0.80, 0.74, 0.60), (0.70, 0.62, 0.52), (0.62, 0.68, 0.62), (0.58, 0.66, 0.74),
    (0.78, 0.62, 0.54), (0.55, 0.40, 0.34), (0.50, 0.52, 0.54), (0.35, 0.42, 0.40), (0.88, 0.80, 0.58), (0.30, 0.32, 0.34),
)  # fmt: skip
TILE_COLOURS: tuple[Colour, ...] = (
    (0.82, 0.80, 0.75), (0.72, 0.68, 0.60), (0.60, 0.52, 0.44), (0.48, 0.50, 0.52), (0.55, 0.62, 0.66), (0.66, 0.72, 0.68),
    (0.40, 0.30, 0.26), (0.28, 0.29, 0.30), (0.74, 0.56, 0.46), (0.85, 0.83, 0.82),
)  # fmt: skip
STONE_COLOURS: tuple[Colour, ...] = (
    (0.62, 0.58, 0.52),
    (0.52, 0.50, 0.48),
    (0.70, 0.62, 0.50),
    (0.48, 0.42, 0.37),
    (0.66, 0.64, 0.62),
)


@dataclass(frozen=True, slots=True)
class Grid:
    """Pieces of a regular bond over a picture: for every pixel row its course, for every course and pixel column its piece."""

    course: NDArray[np.intp]
    """Shape (height,)."""
    piece: NDArray[np.intp]
    """Shape (courses, width)."""
    inside: Field
    """Distance in pixels to the nearest edge of the piece, shape (height, width)."""

    def spread(self, table: NDArray[np.float32]) -> Field:
        """A value per piece, shape (courses, pieces), as a picture."""
        lines = np.take_along_axis(table, self.piece, axis=1)
        return lines[self.course]

    @property
    def shape(self) -> tuple[int, int]:
        """Courses and pieces per course."""
        return self.piece.shape[0], int(self.piece.max()) + 1


def make_grid(
    rng: np.random.Generator, height: int, width: int, piece_width: float, piece_height: float, bond: float, wobble: float = 0.0
) -> Grid:
    """A bond of pieces; each course is moved by ``bond`` of a piece against the one below (negative: at random)."""
    rows = np.arange(height, dtype=np.float32) + np.float32(rng.uniform(0, piece_height))
    course = (rows / piece_height).astype(np.intp)
    within = rows - course * np.float32(piece_height)
    edge_y = np.minimum(within, piece_height - within)
    count = int(course[-1]) + 1
    shift = rng.uniform(0, 1, count) if bond < 0 else (np.arange(count) % 2) * bond
    shift = shift * piece_width + rng.uniform(0, piece_width) + rng.normal(0, wobble * piece_width, count)
    cols = np.arange(width, dtype=np.float32)[None] + (shift - shift.min())[:, None].astype(np.float32)
    piece = (cols / np.float32(piece_width)).astype(np.intp)
    across = cols - piece * np.float32(piece_width)
    edge_x = np.minimum(across, np.float32(piece_width) - across).astype(np.float32)
    inside = np.minimum(edge_x[course], edge_y[:, None].astype(np.float32))
    return Grid(course, piece, inside)


def _lay(
    rng: np.random.Generator,
    grid: Grid,
    colour: Colour,
    joint_colour: Colour,
    joint: float,
    rough: float,
    spread: float,
    hue: float,
) -> tuple[Planes, Field, Field]:
    """Colour, relief and joint mask of a bond: ``joint`` is its width in pixels, ``spread`` the variation per piece."""
    height, width = grid.inside.shape
    fine = grain(rng, height, width, 0.7)
    edge = grid.inside + fbm(rng, height, width, max(joint * 5, 8.0), 3, 0.6) * np.float32(min(joint * 0.22 * rough, 2.0))
    body = ramp(edge, joint * 0.4, joint * 0.4 + max(1.2, joint * 0.45))
    planes = to_planes(colour, grid.spread((1 + rng.normal(0, spread, grid.shape)).astype(np.float32)))
    if hue > 0:
        lean = grid.spread(rng.normal(0, hue, grid.shape).astype(np.float32))
        planes[0] += lean
        planes[2] -= lean
    gap = 1 - body
    blend(planes, gap, joint_colour)
    tone = fbm(rng, height, width, 30, 3) * np.float32(0.05 * rough)
    tone += fine * np.float32(0.05 * rough)
    tone += np.float32(1)
    for plane in planes:
        plane *= tone
    relief = body * np.float32(0.75)
    relief += fine * np.float32(0.06 * rough)
    relief += np.float32(0.12)
    return planes, np.clip(relief, 0, 1, out=relief), gap


def brick(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Red, silicate white or yellow brick with mortar; ``scale`` is pixels per metre."""
    length, rise = scale * 0.26, scale * rng.choice([0.075, 0.075, 0.1])
    grid = make_grid(rng, height, width, length, rise, float(rng.choice([0.5, 0.5, 0.25, -1.0])), wobble=0.02)
    colour = pick(rng, BRICK_COLOURS)
    mortar = pick(rng, ((0.62, 0.60, 0.56), (0.48, 0.46, 0.44), (0.72, 0.70, 0.66), (0.36, 0.34, 0.32)))
    joint = scale * rng.uniform(0.008, 0.014)
    spread = rng.uniform(0.05, 0.16)
    planes, relief, _ = _lay(rng, grid, colour, mortar, joint, 1.2, spread, rng.uniform(0, 0.03))
    if rng.random() < 0.3:  # lime bloom
        bloom = blobs(rng, height, width, scale * 0.5, rng.uniform(0.05, 0.3), 0.8) * np.float32(rng.uniform(0.2, 0.6))
        blend(planes, bloom, (0.82, 0.80, 0.77))
    return planes, relief, 0.05


def brick_painted(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Brick under one coat of paint: the joints show in relief only, and the paint is gone in places."""
    grid = make_grid(rng, height, width, scale * 0.26, scale * 0.075, float(rng.choice([0.5, 0.5, -1.0])), wobble=0.02)
    paint = pick(rng, PAINT_COLOURS)
    darker = (paint[0] * 0.86, paint[1] * 0.86, paint[2] * 0.86)
    planes, relief, _ = _lay(rng, grid, paint, darker, scale * rng.uniform(0.006, 0.012), 0.7, rng.uniform(0.005, 0.03), 0.0)
    if rng.random() < 0.5:
        bare = blobs(rng, height, width, scale * rng.uniform(0.1, 0.5), rng.uniform(0.01, 0.2), 0.05)
        blend(planes, bare, pick(rng, BRICK_COLOURS[:5]))
        relief -= bare * np.float32(0.06)
    return planes, np.clip(relief, 0, 1, out=relief), float(rng.uniform(0.05, 0.3))


def tiles(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Ceramic or granite facing tiles, some of another batch, some lost."""
    small = rng.random() < 0.4
    size = scale * (rng.uniform(0.05, 0.12) if small else rng.uniform(0.15, 0.5))
    aspect = float(rng.choice([1.0, 1.0, 1.5, 2.0]))
    grid = make_grid(rng, height, width, size * aspect, size, float(rng.choice([0.0, 0.0, 0.0, 0.5])))
    colour = pick(rng, TILE_COLOURS)
    light_joint = rng.random() < 0.5
    joint_colour = pick(rng, ((0.7, 0.69, 0.66),) if light_joint else ((0.33, 0.32, 0.31),))
    joint = max(1.6, size * rng.uniform(0.02, 0.06))
    rough = float(rng.choice([0.2, 0.5, 1.0]))
    planes, relief, _ = _lay(rng, grid, colour, joint_colour, joint, rough, rng.uniform(0.01, 0.07), rng.uniform(0, 0.015))
    if rng.random() < 0.35:  # fallen tiles show the mortar bed
        lost = grid.spread((rng.random(grid.shape) < rng.uniform(0.005, 0.05)).astype(np.float32))
        blend(planes, lost * ramp(grid.inside, 0.5, 1.5), jitter(rng, (0.52, 0.50, 0.46)))
        relief *= 1 - lost * np.float32(0.6)
    return planes, relief, float(rng.uniform(0.2, 0.7))


def panel(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Walls of prefabricated concrete panels: fine gravel or paint, wide sealed joints."""
    tone = 1 + fbm(rng, height, width, scale * 1.2, 5) * np.float32(0.05)
    kind = rng.random()
    if kind < 0.45:  # pebble dash
        stones = grain(rng, height, width, max(0.9, scale * 0.003))
        tone += stones * np.float32(rng.uniform(0.06, 0.13))
        relief = 0.5 + stones * np.float32(0.16)
    else:
        fine = grain(rng, height, width, 0.8)
        tone += fine * np.float32(0.025)
        relief = 0.6 + fine * np.float32(0.05)
    colour = pick(rng, ((0.62, 0.61, 0.59), (0.70, 0.66, 0.60), (0.56, 0.56, 0.58), *PAINT_COLOURS[:7]))
    planes = to_planes(colour, tone)
    grid = make_grid(rng, height, width, scale * rng.uniform(1.5, 3.2), scale * rng.uniform(1.3, 2.7), 0.0)
    joint = scale * rng.uniform(0.015, 0.035)
    edge = grid.inside + smooth(rng, height, width, joint * 2, joint * 2) * np.float32(joint * 0.25)
    gap = ramp(edge, joint * 0.8, joint * 0.4)
    sealant = pick(rng, ((0.30, 0.29, 0.28), (0.45, 0.44, 0.42), (0.75, 0.74, 0.72), (0.15, 0.15, 0.15)))
    if rng.random() < 0.5:  # repaired joints: mastic smeared over both edges
        blend(planes, ramp(edge, joint * 2.4, joint * 2.0), sealant)
    blend(planes, gap, sealant)
    relief -= gap * np.float32(0.45)
    wet = ramp(box_blur(gap, 3, int(scale * 0.4)), 0.02, 0.3) * streaks(rng, height, width, scale * 0.03, scale * 0.6, 0.5)
    blend(planes, wet * np.float32(rng.uniform(0.1, 0.5)), (0.25, 0.24, 0.23))
    return planes, np.clip(relief, 0, 1, out=relief), 0.05


def stone(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Ashlar blocks or rubble in mortar."""
    colour = pick(rng, STONE_COLOURS)
    mortar = pick(rng, ((0.60, 0.58, 0.55), (0.40, 0.39, 0.37)))
    if rng.random() < 0.5:
        size = scale * rng.uniform(0.15, 0.35)
        grid = make_grid(rng, height, width, size * rng.uniform(1.4, 2.2), size, -1.0)
        planes, relief, _ = _lay(rng, grid, colour, mortar, max(2.0, size * 0.04), 1.6, 0.1, 0.015)
        lumps = fbm(rng, height, width, size * 0.5, 4, 0.6)
        relief += lumps * np.float32(0.1)
        return planes, np.clip(relief, 0, 1, out=relief), 0.05
    return _rubble(rng, height, width, scale, colour, mortar)


def _rubble(rng: np.random.Generator, height: int, width: int, scale: float, colour: Colour, mortar: Colour) -> Surface:
    """Irregular stones: cells around random points, computed at a third of the size."""
    step = 3
    rows, cols = height // step + 2, width // step + 2
    size = max(6.0, scale * rng.uniform(0.12, 0.3) / step)
    grid_y, grid_x = np.mgrid[0 : rows + size : size, 0 : cols + size : size]
    at_y = np.clip(grid_y + rng.uniform(-0.4, 0.4, grid_y.shape) * size, 0, rows - 1).astype(np.intp)
    at_x = np.clip(grid_x + rng.uniform(-0.4, 0.4, grid_x.shape) * size, 0, cols - 1).astype(np.intp)
    seeds = np.full((rows, cols), 255, np.uint8)
    seeds[at_y, at_x] = 0
    _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    border = np.zeros((rows, cols), np.uint8)
    border[:, :-1] |= (labels[:, 1:] != labels[:, :-1]).astype(np.uint8)
    border[:-1] |= (labels[1:] != labels[:-1]).astype(np.uint8)
    distance = np.asarray(cv2.distanceTransform(1 - border, cv2.DIST_L2, 3), np.float32)
    inside = enlarge(distance, rows * step, cols * step)[:height, :width]
    edge = inside * step + smooth(rng, height, width, 9) * np.float32(1.5)
    joint = max(2.0, size * step * 0.05)
    body = ramp(edge, joint * 0.6, joint * 1.6)
    values = (1 + rng.normal(0, 0.12, int(labels.max()) + 1)).astype(np.float32)[labels]
    tone = np.repeat(np.repeat(values, step, 0), step, 1)[:height, :width]
    lumps = fbm(rng, height, width, size * step * 0.6, 5, 0.6)
    tone = tone + lumps * np.float32(0.08) + grain(rng, height, width, 0.8) * np.float32(0.05)
    planes = to_planes(colour, tone)
    blend(planes, 1 - body, mortar)
    relief = body * np.float32(0.6) + lumps * np.float32(0.12) + np.float32(0.2)
    return planes, np.clip(relief, 0, 1, out=relief), 0.05
