"""Walls to paint on: colour, relief and gloss of one flat surface as it looks in even light."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from ...contract import TagtraceError
from . import masonry, materials
from . import weather as weathering
from .masonry import Surface
from .noise import Field, Planes, grain, interleave

MATERIALS = (
    "plaster", "shuba", "koroed", "concrete", "brick", "brick_painted", "tiles", "metal", "corrugated", "wood",
    "asphalt", "panel", "stone",
)  # fmt: skip
"""The surfaces that :func:`make_wall` knows."""

_MAKERS: dict[str, Callable[[np.random.Generator, int, int, float], Surface]] = {
    "plaster": materials.plaster,
    "shuba": materials.shuba,
    "koroed": materials.koroed,
    "concrete": materials.concrete,
    "brick": masonry.brick,
    "brick_painted": masonry.brick_painted,
    "tiles": masonry.tiles,
    "metal": materials.metal,
    "corrugated": materials.corrugated,
    "wood": materials.wood,
    "asphalt": materials.asphalt,
    "panel": masonry.panel,
    "stone": masonry.stone,
}
_PAINTABLE = ("plaster", "shuba", "koroed", "concrete", "brick_painted", "panel")
_WEIGHTS = np.array([20, 8, 6, 12, 9, 7, 8, 9, 7, 4, 2, 6, 2], np.float64)
"""How often each of MATERIALS is drawn: yards are mostly plaster, concrete, brick and painted metal."""


@dataclass(frozen=True, slots=True)
class WallSettings:
    """What may vary between walls that is not the choice of material."""

    min_scale: float = 220.0
    """Pixels per metre of wall, smallest."""
    max_scale: float = 900.0
    """Pixels per metre of wall, largest."""
    two_tone_share: float = 0.15
    """Share of rendered or painted walls whose lower part has another colour."""
    background_share: float = 0.35
    """Share of walls that are cut from a background picture when any are given."""
    background_zoom: float = 2.5
    """A background picture is enlarged by at most this."""
    background_dark: float = 0.22
    """Mean brightness (0..1) that a background picture is brought to, least."""
    background_bright: float = 0.68
    """The same, most."""


@dataclass(frozen=True, slots=True)
class Wall:
    """One flat surface in even light."""

    albedo: NDArray[np.float32]
    """``float32``, shape (H, W, 3), RGB 0..1, gamma-coded like sRGB."""
    relief: NDArray[np.float32]
    """``float32``, shape (H, W), height 0..1: paint breaks up on its slopes and misses its holes."""
    gloss: float
    """0 (chalk) to 1 (enamel): how much paint runs and lamps glare."""
    material: str
    """One of MATERIALS, or ``background``."""
    scale: float = 400.0
    """Pixels per metre."""


def make_wall(
    rng: np.random.Generator,
    height: int,
    width: int,
    material: str | None = None,
    backgrounds: Sequence[Path] = (),
    settings: WallSettings = WallSettings(),
) -> Wall:
    """A weathered wall of ``height`` by ``width`` pixels.

    ``material`` names one of :data:`MATERIALS` or ``"background"`` (a piece of a random picture of ``backgrounds``); without
    it the material is drawn, and a share of the walls comes from ``backgrounds`` if there are any.

    Raises TagtraceError for a material that is unknown, for ``"background"`` without pictures, and for an unreadable picture.
    """
    if material is not None and material != "background" and material not in _MAKERS:
        raise TagtraceError(f"unknown wall material {material!r}: use one of {', '.join(MATERIALS)}")
    scale = float(np.exp(rng.uniform(np.log(settings.min_scale), np.log(settings.max_scale))))
    if material == "background" or (material is None and backgrounds and rng.random() < settings.background_share):
        if not backgrounds:
            raise TagtraceError("material 'background' needs pictures: give a folder of them with --backgrounds")
        path = backgrounds[int(rng.integers(len(backgrounds)))]
        material, (planes, relief, gloss) = "background", _from_picture(rng, height, width, path, settings)
        if rng.random() < 0.5:
            weathering.weather(rng, planes, relief, scale)
    else:
        material = material or MATERIALS[int(rng.choice(len(MATERIALS), p=_WEIGHTS / _WEIGHTS.sum()))]
        planes, relief, gloss = _MAKERS[material](rng, height, width, scale)
        if material in _PAINTABLE and rng.random() < settings.two_tone_share:
            weathering.second_coat(rng, planes, scale)
        weathering.weather(rng, planes, relief, scale, cracks=material not in ("metal", "corrugated", "wood"))
    return Wall(interleave(planes), relief, gloss, material, scale)


def _from_picture(rng: np.random.Generator, height: int, width: int, path: Path, settings: WallSettings) -> Surface:
    """A random piece of a picture, mirrored on where it is too small; its fine light and dark is taken for relief."""
    try:
        with PilImage.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, PilImage.DecompressionBombError) as error:
        raise TagtraceError(f"cannot read the background picture {path}: {error}; remove it from the folder") from error
    need = max(height / pixels.shape[0], width / pixels.shape[1])
    zoom = float(np.clip(need * rng.uniform(0.6, 1.5), 0.2, settings.background_zoom))
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    pixels = np.asarray(cv2.resize(pixels, None, fx=zoom, fy=zoom, interpolation=how), np.uint8)
    if rng.random() < 0.5:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    pixels = _continue(rng, pixels, height, width)
    planes = cast(Planes, np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32))
    brightness = (
        rng.uniform(settings.background_dark, settings.background_bright) * 255 / max(float(pixels[::8, ::8].mean()), 1.0)
    )
    tone = 1 + grain(rng, height, width, 0.7) * np.float32(0.02)  # enlarging took the finest detail away
    tone *= np.float32(np.clip(brightness, 0.6, 1.8) / 255)
    for index in range(3):
        planes[index] *= tone * np.float32(rng.uniform(0.95, 1.05))
    luminance = cast(Field, planes.mean(axis=0))
    detail = luminance - cv2.blur(luminance, (31, 31))
    relief = np.clip(0.6 + detail * np.float32(1.5), 0, 1)
    return planes, relief, float(rng.uniform(0, 0.3))


def _continue(rng: np.random.Generator, pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A crop of (height, width); a picture that is too small goes on with itself if its edges fit, else with its mirror image."""
    y = _indices(rng, pixels, height)
    x = _indices(rng, pixels.transpose(1, 0, 2), width)
    return pixels[y][:, x]


def _indices(rng: np.random.Generator, pixels: NDArray[np.uint8], length: int) -> NDArray[np.intp]:
    """Rows of the picture, in order, that make up ``length`` rows."""
    rows = len(pixels)
    steps = np.arange(length) + int(rng.integers(rows - length + 1 if rows >= length else rows))
    first, second, last = (pixels[row].astype(np.int16) for row in (0, 1, -1))
    if np.abs(first - last).mean() <= 2.0 * np.abs(first - second).mean() + 2.0:
        return steps % rows
    steps = steps % (2 * rows)
    return np.minimum(steps, 2 * rows - 1 - steps)
