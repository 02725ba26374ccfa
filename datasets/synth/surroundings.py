"""What a wall is surrounded by: the ground below, sky, a roof or the next house above and beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from . import masonry, materials
from .fixtures import place, window
from .noise import Box, Canvas, Colour, fbm, grain, interleave, pick, smooth, to_planes


@dataclass(frozen=True, slots=True)
class SurroundingSettings:
    """How often and how much of the rim is something else."""

    ground_share: float = 0.5
    """Share of pictures with ground at the lower edge."""
    top_share: float = 0.22
    """Share with sky or a roof at the upper edge."""
    side_share: float = 0.2
    """Share with the corner of the house at one side."""
    largest: float = 0.28
    """A strip takes at most this share of the height or width."""


def surroundings(
    rng: np.random.Generator,
    canvas: Canvas,
    boxes: Sequence[Box] = (),
    light: NDArray[np.float32] | None = None,
    settings: SurroundingSettings = SurroundingSettings(),
) -> Canvas:
    """The canvas with a strip of ground at the bottom, sky or a roof at the top, or the end of the wall at a side.

    Strips never reach into ``boxes`` (x0, y0, x1, y1 in pixels); one that would be too thin to see is left out. ``light``
    (H, W, 3) is the factor already applied to the canvas: the strips are lit by it without the wall's relief, what lies
    beyond the wall by its mean.
    """
    out = canvas.copy()
    height, width = out.shape[:2]
    gain = np.ones(3, np.float32) if light is None else light[::16, ::16].mean(axis=(0, 1))
    left, top = min((b[0] for b in boxes), default=width), min((b[1] for b in boxes), default=height)
    right, bottom = max((b[2] for b in boxes), default=0), max((b[3] for b in boxes), default=0)
    if rng.random() < settings.side_share:
        at_left = rng.random() < 0.5
        cols = int(min(width * rng.uniform(0.05, settings.largest), (left if at_left else width - right) - 4))
        if cols >= 8:
            start = 0 if at_left else width - cols
            out[:, start : start + cols] = np.clip(_beyond(rng, height, cols) * gain, 0, 1)
    if rng.random() < settings.top_share:
        rows = int(min(height * rng.uniform(0.05, settings.largest), top - 4))
        if rows >= 8:
            out[:rows] = np.clip(_beyond(rng, rows, width) * gain, 0, 1)
            _roof(rng, out, rows, gain)
    if rng.random() < settings.ground_share:
        rows = int(min(height * rng.uniform(0.04, settings.largest), height - bottom - 4))
        if rows >= 8:
            _ground(rng, out, rows, light, height - rows - bottom)
    return out


def _sky(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Blue, white or grey sky with soft clouds."""
    colour = np.asarray(
        pick(rng, ((0.45, 0.62, 0.85), (0.80, 0.83, 0.87), (0.92, 0.93, 0.94), (0.62, 0.66, 0.72), (0.70, 0.80, 0.92))),
        np.float32,
    )
    clouds = np.clip(fbm(rng, height, width, max(width, height) * 0.4, 4) * np.float32(0.4), 0, 1)[:, :, None]
    pale = np.linspace(0, 0.35, height, dtype=np.float32)[:, None, None]
    sky = colour + (1 - colour) * np.clip(clouds * np.float32(rng.uniform(0, 1)) + pale, 0, 1)
    return cast(Canvas, sky.astype(np.float32))


def _house(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """The next house: a plain facade with rows of windows, out of focus."""
    tone = 1 + grain(rng, height, width, 1.5) * np.float32(0.03)
    house = interleave(
        to_planes(pick(rng, materials.PLASTER_COLOURS + masonry.BRICK_COLOURS), tone * np.float32(rng.uniform(0.5, 0.95)))
    )
    size = max(height, width) * rng.uniform(0.06, 0.15)
    sprite = window(rng, size, size * rng.uniform(0.6, 1.3))
    rows, cols = sprite.alpha.shape
    for y in range(int(rng.uniform(-rows, rows)), height, int(rows * rng.uniform(1.7, 2.5))):
        for x in range(int(rng.uniform(-cols, 0)), width, int(cols * 2.1)):
            place(house, sprite, x, y)
    return cast(Canvas, cv2.GaussianBlur(house, (0, 0), rng.uniform(0.6, 2.5)))


def _beyond(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """What is seen past the edge of the wall: sky, a house, trees, or a house under the sky."""
    kind = rng.random()
    if kind < 0.4:
        return _house(rng, height, width)
    view = _sky(rng, height, width)
    if kind < 0.75:
        trees = fbm(rng, height, width, max(height, width) * 0.15, 5, 0.7)
        line = np.linspace(-1.5, 1.8, height, dtype=np.float32)[:, None]
        cover = np.clip((trees + line) * 4, 0, 1)[:, :, None]
        green = np.asarray(pick(rng, ((0.18, 0.26, 0.12), (0.30, 0.34, 0.18), (0.30, 0.27, 0.24))), np.float32)
        leaf = green * (1 + smooth(rng, height, width, 6) * np.float32(0.3))[:, :, None]
        view += cover * (leaf - view)
    return view


def _roof(rng: np.random.Generator, canvas: Canvas, rows: int, gain: NDArray[np.float32]) -> None:
    """A flashing or eave along the line where the wall ends, with its shadow, in place."""
    thick = max(3, int(rows * rng.uniform(0.05, 0.25)))
    colour = np.asarray(
        pick(rng, ((0.55, 0.56, 0.57), (0.35, 0.22, 0.17), (0.25, 0.35, 0.45), (0.75, 0.74, 0.72), (0.2, 0.2, 0.2))), np.float32
    )
    canvas[rows - thick : rows] = np.clip(colour * gain * np.linspace(1.1, 0.7, thick, dtype=np.float32)[:, None, None], 0, 1)
    fade = min(thick * 2, canvas.shape[0] - rows)
    canvas[rows : rows + fade] *= np.linspace(0.5, 1.0, fade, dtype=np.float32)[:, None, None]


def _ground(rng: np.random.Generator, canvas: Canvas, rows: int, light: NDArray[np.float32] | None, room: float) -> None:
    """Pavement, asphalt, grass, earth or snow that runs away towards the foot of the wall, in place.

    ``room`` is how many rows above it a kerb may take.
    """
    height, width = canvas.shape[:2]
    texture = _ground_texture(rng, rows * 2, width)
    spread = rng.uniform(0.15, 0.4) * width
    source = np.array([[spread, 0], [width - spread, 0], [width, rows * 2], [0, rows * 2]], np.float32)
    target = np.array([[0, 0], [width, 0], [width, rows], [0, rows]], np.float32)
    flat = cv2.warpPerspective(texture, cv2.getPerspectiveTransform(source, target), (width, rows), flags=cv2.INTER_AREA)
    start = height - rows
    canvas[start:] = flat
    kerb = 0
    if rng.random() < 0.4:  # a kerb or plinth
        thick = kerb = max(3, min(int(rows * rng.uniform(0.08, 0.3)), int(room)))
        colour = np.asarray(
            pick(rng, ((0.60, 0.60, 0.58), (0.45, 0.45, 0.44), (0.30, 0.30, 0.30), (0.72, 0.68, 0.60))), np.float32
        )
        tone = 1 + grain(rng, thick, width, 1.0) * np.float32(0.05)
        canvas[start - thick : start] = np.clip(tone[:, :, None] * colour, 0, 1)
    foot = max(2, min(rows // 6, 30))
    canvas[start : start + foot] *= np.linspace(0.55, 1.0, foot, dtype=np.float32)[:, None, None]
    if light is not None:
        part = np.ascontiguousarray(light[start - kerb :])
        soft = cv2.resize(part, (width // 16 + 1, part.shape[0] // 16 + 1), interpolation=cv2.INTER_AREA)
        canvas[start - kerb :] *= cv2.resize(soft, (width, part.shape[0]), interpolation=cv2.INTER_LINEAR)
        np.clip(canvas[start - kerb :], 0, 1, out=canvas[start - kerb :])


def _ground_texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Ground seen from above."""
    scale = width / rng.uniform(2, 5)
    kind = rng.random()
    if kind < 0.3:
        return interleave(materials.asphalt(rng, height, width, scale)[0])
    if kind < 0.5:
        return interleave(masonry.tiles(rng, height, width, scale)[0])
    cloud, fine = fbm(rng, height, width, scale * 0.5, 5, 0.6), grain(rng, height, width, 1.2)
    bare: tuple[Colour, ...] = ((0.42, 0.35, 0.27), (0.50, 0.45, 0.36), (0.36, 0.34, 0.31))
    if kind < 0.72:
        green: tuple[Colour, ...] = ((0.30, 0.40, 0.18), (0.38, 0.42, 0.20), (0.50, 0.46, 0.28))
        return interleave(to_planes(pick(rng, green), 1 + cloud * np.float32(0.2) + fine * np.float32(0.2)))
    if kind < 0.88:
        return interleave(to_planes(pick(rng, bare), 1 + cloud * np.float32(0.15) + fine * np.float32(0.08)))
    return interleave(to_planes((0.86, 0.88, 0.92), 1 + cloud * np.float32(0.07) + fine * np.float32(0.02)))
