"""Light on a wall: a factor per pixel and channel, with the shading of the relief and the shadows that fall on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ...contract import TagtraceError
from .noise import Canvas, Field, fbm
from .shadows import cast_shadows
from .walls import Wall

MODES = ("sun", "shade", "overcast", "dusk", "night", "flash")
"""Low or high sun with shadows; open shade; grey sky; dusk; a street lamp at night; the phone's own lamp."""

_WEIGHTS = np.array([0.32, 0.18, 0.25, 0.1, 0.08, 0.07])
_STEP = 4  # light without relief is drawn at a quarter of the size


@dataclass(frozen=True, slots=True)
class _Mood:
    """Ranges of one mode: brightness, colour of the light, depth of the relief's shading, darkness and colour of shadows."""

    level: tuple[float, float]
    tint: tuple[float, float, float]
    tint_spread: float
    bump: tuple[float, float]
    shadow: tuple[float, float]
    shadow_share: float


_MOODS = {
    "sun": _Mood((0.92, 1.25), (1.05, 1.0, 0.91), 0.04, (0.4, 1.5), (0.25, 0.6), 0.7),
    "shade": _Mood((0.6, 0.95), (0.95, 1.0, 1.07), 0.03, (0.15, 0.6), (0.1, 0.3), 0.2),
    "overcast": _Mood((0.75, 1.05), (0.99, 1.0, 1.02), 0.02, (0.15, 0.6), (0.05, 0.25), 0.15),
    "dusk": _Mood((0.28, 0.6), (1.0, 0.95, 1.02), 0.12, (0.2, 0.7), (0.1, 0.4), 0.3),
    "night": _Mood((0.7, 1.2), (1.12, 0.92, 0.62), 0.1, (0.5, 1.4), (0.3, 0.7), 0.45),
    "flash": _Mood((0.9, 1.3), (1.0, 1.0, 1.03), 0.03, (0.1, 0.5), (0.1, 0.3), 0.0),
}


def light_field(rng: np.random.Generator, wall: Wall, mode: str | None = None) -> NDArray[np.float32]:
    """The factor (H, W, 3), ``float32``, by which the painted wall is multiplied; clip the product to 0..1.

    ``mode`` is one of :data:`MODES`, else it is drawn. The mean lies between about 0.15 (night) and 1.2 (sun).
    Raises TagtraceError for an unknown mode.
    """
    if mode is not None and mode not in _MOODS:
        raise TagtraceError(f"unknown light {mode!r}: use one of {', '.join(MODES)}")
    mode = mode or MODES[int(rng.choice(len(MODES), p=_WEIGHTS / _WEIGHTS.sum()))]
    mood = _MOODS[mode]
    height, width = wall.relief.shape
    rows, cols = height // _STEP + 1, width // _STEP + 1
    low = _even(rng, rows, cols, mood)
    if mode in ("night", "flash"):
        low = low * _lamp(rng, rows, cols, mode, wall.gloss)
    if rng.random() < mood.shadow_share:
        low = low * _shade_colour(rng, cast_shadows(rng, rows, cols, int(rng.choice([1, 1, 2]))), mood)
    if mode in ("sun", "flash", "night") and rng.random() < wall.gloss * 0.6:
        low = low + _glare(rng, rows, cols, wall.gloss)
    field = cv2.resize(low, (cols * _STEP, rows * _STEP), interpolation=cv2.INTER_LINEAR)[:height, :width]
    bump = _bump(rng, wall.relief, float(rng.uniform(*mood.bump)))
    return cast(Canvas, cv2.multiply(field, cv2.merge([bump, bump, bump])))


def _even(rng: np.random.Generator, rows: int, cols: int, mood: _Mood) -> Canvas:
    """Light of the sky: one level and colour with a slow gradient."""
    level = rng.uniform(*mood.level)
    angle, slope = rng.uniform(0, 2 * np.pi), abs(rng.normal(0, 0.12))
    y, x = np.linspace(-0.5, 0.5, rows, dtype=np.float32)[:, None], np.linspace(-0.5, 0.5, cols, dtype=np.float32)[None]
    field = 1 + np.float32(slope * np.cos(angle)) * x + np.float32(slope * np.sin(angle)) * y
    field = field + fbm(rng, rows, cols, max(rows, cols) * 0.6, 2) * np.float32(0.03)
    tint = np.asarray(mood.tint) + rng.normal(0, mood.tint_spread) * np.array([1.0, 0.1, -1.0])
    return cast(Canvas, (field[:, :, None] * (level * tint).astype(np.float32)).astype(np.float32))


def _lamp(rng: np.random.Generator, rows: int, cols: int, mode: str, gloss: float) -> Canvas:
    """A spot of lamp light that falls off to the dark (night), or the vignette of the phone's lamp (flash)."""
    flash = mode == "flash"
    size = float(max(rows, cols))
    at = (
        np.array([rng.normal(0.5, 0.1), rng.normal(0.5, 0.1)]) if flash else np.array([rng.uniform(0, 1), rng.uniform(-0.3, 0.6)])
    )
    reach = rng.uniform(0.45, 0.9) if flash else rng.uniform(0.35, 0.9)
    y = ((np.arange(rows, dtype=np.float32) - at[1] * rows) / size)[:, None]
    x = ((np.arange(cols, dtype=np.float32) - at[0] * cols) / size)[None]
    fall = 1 / (1 + (x * x + y * y) / np.float32(reach * reach)) ** np.float32(1.5)
    floor = rng.uniform(0.03, 0.25) if flash else rng.uniform(0.1, 0.4)
    night_sky = np.array([0.75, 0.85, 1.1], np.float32) * np.float32(floor)
    return cast(Canvas, (fall[:, :, None] * np.float32(1 - floor) + night_sky).astype(np.float32))


def _shade_colour(rng: np.random.Generator, shadow: Field, mood: _Mood) -> Canvas:
    """The factor of a shadow: darker, and bluer because the sky still lights it."""
    depth = rng.uniform(*mood.shadow)
    colour = np.clip(depth * np.array([1.05, 1.0, 0.9]), 0, 0.9).astype(np.float32)
    return cast(Canvas, 1 - shadow[:, :, None] * colour)


def _glare(rng: np.random.Generator, rows: int, cols: int, gloss: float) -> Canvas:
    """The blurred reflection of the sun or a lamp on enamel."""
    y = (np.arange(rows, dtype=np.float32) - rng.uniform(0, rows))[:, None] / rows
    x = (np.arange(cols, dtype=np.float32) - rng.uniform(0, cols))[None] / cols
    spread = rng.uniform(0.05, 0.25)
    spot = np.exp(-((x / spread) ** 2 + (y / (spread * rng.uniform(0.6, 3))) ** 2)) * np.float32(rng.uniform(0.1, 0.5) * gloss)
    return cast(Canvas, np.repeat(spot[:, :, None], 3, axis=2).astype(np.float32))


def _bump(rng: np.random.Generator, relief: Field, depth: float) -> Field:
    """Shading of the relief by light from one side, a factor around 1."""
    angle = rng.uniform(-np.pi, 0.0)  # from above, left or right
    dx, dy = np.cos(angle), np.sin(angle)
    kernel = np.array([[0, -dy, 0], [-dx, 0, dx], [0, dy, 0]], np.float32) * np.float32(-0.5 * depth * 2)
    slope = cv2.filter2D(relief, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
    np.clip(slope, -0.5, 0.5, out=slope)
    return cast(Field, slope + np.float32(1.0))
