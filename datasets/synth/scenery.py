"""What stands on, before and around a wall, other than text.

``scenery_behind`` goes onto the wall before the text is painted, ``occluders`` go over it, ``surroundings`` replace the
rim of the picture by ground, sky or the next house. All return new canvases and leave their arguments alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from . import fixtures
from .fixtures import Sprite, place
from .noise import Box, Canvas, Colour, Field, fbm, grain, pick, ramp, stamp, streaks, wander
from .occluders import occluders
from .surroundings import surroundings
from .walls import Wall

__all__ = ["ScenerySettings", "furnish", "occluders", "scenery_behind", "surroundings"]

GAS: tuple[Colour, ...] = ((0.83, 0.66, 0.13), (0.78, 0.58, 0.16), (0.70, 0.58, 0.22))
DRAIN: tuple[Colour, ...] = ((0.62, 0.64, 0.65), (0.80, 0.80, 0.78), (0.40, 0.26, 0.20), (0.34, 0.36, 0.38), (0.50, 0.44, 0.36))


@dataclass(frozen=True, slots=True)
class ScenerySettings:
    """How full a wall is."""

    mean_objects: float = 1.6
    """Average number of things fixed to the wall."""
    mean_marks: float = 1.3
    """Average number of stains, repainted patches, poster remains and wires."""
    tries: int = 8
    """Places tried for a thing before it is left out."""
    margin_px: float = 6.0
    """Free space kept around the boxes."""


@dataclass(slots=True)
class _Site:
    """The wall under construction."""

    canvas: Canvas
    relief: Field | None
    boxes: list[Box]
    size: float
    settings: ScenerySettings


def scenery_behind(
    rng: np.random.Generator,
    canvas: Canvas,
    boxes: Sequence[Box],
    scale: float | None = None,
    settings: ScenerySettings = ScenerySettings(),
) -> Canvas:
    """The wall with things on it: windows, doors, pipes, boxes, vents, wires, stains, patches, torn paper.

    Solid things stay clear of ``boxes`` (x0, y0, x1, y1 in pixels: where text will be); stains, patches and wires may touch
    them, as the text is painted over these. ``scale`` is pixels per metre of wall; without it one is drawn.
    Use :func:`furnish` where the relief matters: it also evens out the relief under solid things.
    """
    size = scale or max(canvas.shape[:2]) / rng.uniform(2.0, 6.0)
    site = _Site(canvas.copy(), None, list(boxes), size, settings)
    _furnish(rng, site)
    return site.canvas


def furnish(rng: np.random.Generator, wall: Wall, boxes: Sequence[Box], settings: ScenerySettings = ScenerySettings()) -> Wall:
    """:func:`scenery_behind` for a whole wall: its scale is used, and solid things get a smooth relief of their own."""
    site = _Site(wall.albedo.copy(), wall.relief.copy(), list(boxes), wall.scale, settings)
    _furnish(rng, site)
    return replace(wall, albedo=site.canvas, relief=cast(Field, site.relief))


def _furnish(rng: np.random.Generator, site: _Site) -> None:
    for _ in range(int(rng.poisson(site.settings.mean_marks))):
        _MARKS[int(rng.choice(len(_MARKS), p=_MARK_SHARES))](rng, site.canvas, site.size)
    for _ in range(int(rng.poisson(site.settings.mean_objects))):
        _OBJECTS[int(rng.choice(len(_OBJECTS), p=_OBJECT_SHARES))](rng, site)


def _free(box: Box, boxes: Sequence[Box], margin: float) -> bool:
    x0, y0, x1, y1 = box
    return all(x1 + margin <= a or c + margin <= x0 or y1 + margin <= b or d + margin <= y0 for a, b, c, d in boxes)


def _put(rng: np.random.Generator, site: _Site, sprite: Sprite, depth: float, low: bool = False) -> None:
    """Lay a sprite where it covers no box, or leave it out; ``low`` stands it on the lower edge."""
    height, width = site.canvas.shape[:2]
    rows, cols = sprite.alpha.shape
    for _ in range(site.settings.tries):
        x = int(rng.uniform(-0.5 * cols, width - 0.5 * cols))
        y = height - int(rows * rng.uniform(0.6, 1.0)) if low else int(rng.uniform(-0.5 * rows, height - 0.5 * rows))
        box = (float(x), float(y), float(x + cols), float(y + rows))
        if not _free(box, site.boxes, site.settings.margin_px + 2 * depth):
            continue
        place(site.canvas, sprite, x, y, depth)
        site.boxes.append(box)
        if site.relief is not None:
            part = np.s_[max(0, y) : max(0, y + rows), max(0, x) : max(0, x + cols)]
            site.relief[part] += sprite.alpha[max(0, -y) : height - y, max(0, -x) : width - x] * (
                np.float32(0.7) - site.relief[part]
            )
        return


def _window(rng: np.random.Generator, site: _Site) -> None:
    _put(rng, site, fixtures.window(rng, site.size * rng.uniform(0.9, 1.5), site.size * rng.uniform(0.7, 1.7)), site.size * 0.01)


def _door(rng: np.random.Generator, site: _Site) -> None:
    _put(rng, site, fixtures.door(rng, site.size * 2.05, site.size * rng.uniform(0.8, 1.1)), site.size * 0.015, low=True)


def _drain(rng: np.random.Generator, site: _Site) -> None:
    sprite = fixtures.pipe(rng, site.canvas.shape[0] * 1.9, site.size * rng.uniform(0.07, 0.13), DRAIN)
    _put(rng, site, sprite, site.size * 0.04)


def _gas(rng: np.random.Generator, site: _Site) -> None:
    lying = rng.random() < 0.6
    sprite = fixtures.pipe(rng, site.canvas.shape[1 if lying else 0] * 1.9, site.size * rng.uniform(0.025, 0.06), GAS)
    _put(rng, site, fixtures.turned(sprite) if lying else sprite, site.size * 0.03)


def _box(rng: np.random.Generator, site: _Site) -> None:
    width = site.size * rng.uniform(0.12, 0.6)
    _put(rng, site, fixtures.box(rng, width * rng.uniform(0.8, 1.6), width), site.size * 0.03)


def _vent(rng: np.random.Generator, site: _Site) -> None:
    width = site.size * rng.uniform(0.12, 0.4)
    _put(rng, site, fixtures.vent(rng, width * rng.uniform(0.6, 1.1), width), site.size * 0.01)


def _conditioner(rng: np.random.Generator, site: _Site) -> None:
    _put(rng, site, fixtures.conditioner(rng, site.size * 0.55, site.size * 0.8), site.size * 0.08)


def _wires(rng: np.random.Generator, canvas: Canvas, size: float) -> None:
    """Cables along the wall, straight between nails or sagging."""
    height, width = canvas.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    x = np.linspace(-5, width + 5, 40)
    for _ in range(int(rng.integers(1, 4))):
        y = (
            rng.uniform(0, height)
            + (x - width / 2) * rng.normal(0, 0.06)
            + rng.uniform(0, 0.05) * height * (1 - (2 * x / width - 1) ** 2)
        )
        y += rng.normal(0, size * 0.004, x.size)
        points = np.stack([x, y], 1) if rng.random() < 0.75 else np.stack([y * width / height, x * height / width], 1)
        cv2.polylines(mask, [points.astype(np.int32)], False, 255, max(1, int(size * rng.uniform(0.004, 0.014))), cv2.LINE_AA)
    colour = np.asarray(pick(rng, ((0.08, 0.08, 0.08), (0.75, 0.75, 0.72), (0.3, 0.28, 0.26))), np.float32)
    rows, cols = np.nonzero(mask)
    cover = mask[rows, cols, None].astype(np.float32) / 255
    canvas[rows, cols] += cover * (colour - canvas[rows, cols])


def _local(rng: np.random.Generator, canvas: Canvas, size: float, least: float, most: float) -> tuple[int, int, int, int]:
    """A random rectangle x, y, width, height with sides of ``least`` to ``most`` metres that begins on the canvas."""
    width, height = (int(min(size * rng.uniform(least, most), 0.8 * max(canvas.shape[:2]))) + 8 for _ in range(2))
    return int(rng.uniform(-0.3 * width, canvas.shape[1])), int(rng.uniform(-0.3 * height, canvas.shape[0])), width, height


def _shape(rng: np.random.Generator, height: int, width: int, ragged: float) -> Field:
    """A rectangle with uneven edges as a mask."""
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None]
    rim = 1 - np.maximum(np.abs(x), np.abs(y))
    return ramp(rim + fbm(rng, height, width, max(8.0, min(height, width) * 0.5), 4, 0.6) * np.float32(ragged), 0.1, 0.16)


def _patch(rng: np.random.Generator, canvas: Canvas, size: float) -> None:
    """A patch of another paint, as put over earlier inscriptions: near the wall's colour, rolled or brushed."""
    x, y, width, height = _local(rng, canvas, size, 0.25, 1.4)
    mask = _shape(rng, height, width, rng.uniform(0.03, 0.2))
    view = canvas[max(y, 0) : y + height, max(x, 0) : x + width]
    if view.size == 0:
        return
    base = view.mean(axis=(0, 1)) * rng.uniform(0.7, 1.3) + rng.normal(0, 0.04, 3)
    if rng.random() < 0.35:
        base = np.asarray(
            pick(rng, ((0.85, 0.85, 0.83), (0.55, 0.55, 0.55), (0.35, 0.35, 0.36), (0.70, 0.62, 0.50), (0.45, 0.35, 0.30)))
        )
    lay = (rng.uniform(10, 40), 3.0) if rng.random() < 0.5 else (3.0, rng.uniform(10, 40))
    strokes = cv2.blur(grain(rng, height, width), (int(lay[0]) | 1, int(lay[1]) | 1))
    tone = 1 + strokes * np.float32(rng.uniform(0.05, 0.3))
    stamp(canvas, np.clip(tone[:, :, None] * base.astype(np.float32), 0, 1), mask * np.float32(rng.uniform(0.6, 1.0)), x, y)


def _stain(rng: np.random.Generator, canvas: Canvas, size: float) -> None:
    """A damp or rusty stain with runs."""
    x, y, width, height = _local(rng, canvas, size, 0.2, 1.0)
    mask = _shape(rng, height, width, 0.5)
    runs = streaks(rng, height, width, max(3.0, size * 0.02), height * 0.6, 0.4)
    fade = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    mask = cv2.GaussianBlur(np.maximum(mask * np.float32(0.6), runs * fade * mask), (0, 0), max(1.0, size * 0.006))
    colour = np.asarray(pick(rng, ((0.22, 0.20, 0.18), (0.36, 0.22, 0.13), (0.30, 0.28, 0.22), (0.80, 0.79, 0.76))), np.float32)
    stamp(canvas, np.broadcast_to(colour, (height, width, 3)), mask * np.float32(rng.uniform(0.2, 0.65)), x, y)


def _posters(rng: np.random.Generator, canvas: Canvas, size: float) -> None:
    """Remains of a few leaflets, or the marks of their glue."""
    for _ in range(int(rng.integers(1, 5))):
        height = size * rng.uniform(0.12, 0.35)
        sprite = fixtures.paper_remains(rng, height, height * rng.uniform(0.6, 1.4))
        x, y = int(rng.uniform(0, canvas.shape[1])), int(rng.uniform(0, canvas.shape[0]))
        place(canvas, sprite, x, y, 0.0)


def _scratches(rng: np.random.Generator, canvas: Canvas, size: float) -> None:
    """Scratches and scuffs, pale or dark."""
    colour = pick(rng, ((0.85, 0.84, 0.82), (0.15, 0.14, 0.13), (0.5, 0.48, 0.45)))
    for _ in range(int(rng.integers(2, 12))):
        start = (rng.uniform(0, canvas.shape[1]), rng.uniform(0, canvas.shape[0]))
        path = wander(rng, start, rng.uniform(0, np.pi), size * rng.uniform(0.05, 0.5), max(4.0, size * 0.02), 0.15)
        cv2.polylines(canvas, [path], False, colour, 1)


_MARKS: tuple[Callable[[np.random.Generator, Canvas, float], None], ...] = (_patch, _stain, _posters, _wires, _scratches)
_MARK_SHARES = np.array([0.36, 0.24, 0.16, 0.14, 0.10])
_OBJECTS: tuple[Callable[[np.random.Generator, _Site], None], ...] = (
    _window, _door, _drain, _gas, _box, _vent, _conditioner,
)  # fmt: skip
_OBJECT_SHARES = np.array([0.24, 0.1, 0.14, 0.16, 0.2, 0.1, 0.06])
