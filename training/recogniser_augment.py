"""Cheap random changes to line crops while training: geometry in one warp, then the faults of cameras and walls.

All of it is OpenCV on small arrays, well under a millisecond a crop, so that one worker process feeds the training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..contract import Image


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How often (probability per crop) and how strongly crops are changed; gently, as the generator has aged them already."""

    corner: float = 0.035
    """Standard deviation of each corner's shift, in crop heights."""
    margin: float = 0.1
    """Largest random margin added above and below, in crop heights; twice as much at the ends; a sixth of it may be cut off."""
    slant: float = 0.12
    """Largest horizontal shift between top and bottom, in crop heights."""
    wave: float = 0.08
    """Probability of a wavy baseline."""
    shrink: float = 0.15
    """Probability of going through a low resolution."""
    shrink_px: tuple[float, float] = (11.0, 26.0)
    """Heights in pixels of that low resolution."""
    blur: float = 0.12
    motion: float = 0.08
    noise: float = 0.2
    shade: float = 0.15
    gamma: float = 0.2
    swap: float = 0.25
    """Probability of exchanging the colour channels."""
    invert: float = 0.12
    jpeg: float = 0.1
    cover: float = 0.08
    """Probability of a scratch or spot over the text."""


def warp(crop: Image, width: int, height: int, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    """The crop at ``width`` x ``height`` with loose corners, margins and slant, as a detector would cut it."""
    h, w = crop.shape[:2]
    top, bottom = rng.uniform(-settings.margin / 6, settings.margin, 2) * h
    left, right = rng.uniform(-settings.margin / 6, 2 * settings.margin, 2) * h
    source = np.array([[-left, -top], [w + right, -top], [w + right, h + bottom], [-left, h + bottom]], np.float32)
    source += (
        rng.normal(0.0, settings.corner * h, (4, 2)).astype(np.float32).clip(-2 * settings.corner * h, 2 * settings.corner * h)
    )
    slant = rng.uniform(-settings.slant, settings.slant) * h
    source[:2, 0] += slant / 2
    source[2:, 0] -= slant / 2
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    if h > 2 * height:
        factor = height * 1.5 / h
        crop = np.asarray(cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        source *= factor
    matrix = cv2.getPerspectiveTransform(source, target)
    warped = cv2.warpPerspective(crop, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def augment(crop: Image, width: int, height: int, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    """One randomly changed view of ``crop`` (``uint8`` RGB), ``width`` x ``height`` pixels; the text stays the same."""
    if rng.random() < settings.swap:
        crop = np.ascontiguousarray(crop[:, :, rng.permutation(3)])
    picture = warp(crop, width, height, settings, rng)
    steps: list[tuple[float, Callable[[Image, np.random.Generator], Image]]] = [
        (settings.wave, _wave),
        (settings.cover, _cover),
        (settings.shade, _shade),
        (settings.gamma, _gamma),
        (settings.blur, _blur),
        (settings.motion, _motion),
        (settings.shrink, lambda p, r: _shrink(p, r, settings.shrink_px)),
        (settings.noise, _noise),
        (settings.jpeg, _jpeg),
        (settings.invert, lambda p, _: np.asarray(255 - p, np.uint8)),
    ]
    for (probability, change), draw in zip(steps, rng.random(len(steps)), strict=True):
        if draw < probability:
            picture = change(picture, rng)
    return picture


def _wave(picture: Image, rng: np.random.Generator) -> Image:
    h, w = picture.shape[:2]
    x = np.arange(w, dtype=np.float32)
    shift = rng.uniform(0.02, 0.09) * h * np.sin(x * (2 * np.pi / (rng.uniform(2.5, 10) * h)) + rng.uniform(0, 2 * np.pi))
    map_y = (np.arange(h, dtype=np.float32)[:, None] + shift[None, :]).astype(np.float32)
    map_x = np.broadcast_to(x, (h, w)).astype(np.float32)
    return np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _cover(picture: Image, rng: np.random.Generator) -> Image:
    h, w = picture.shape[:2]
    picture = picture.copy()
    colour = [int(c) for c in picture[rng.integers(h), rng.integers(w)]]
    if rng.random() < 0.5:
        ends = rng.uniform((0, 0, 0, 0), (w, h, w, h)).astype(int)
        cv2.line(
            picture, (int(ends[0]), int(ends[1])), (int(ends[2]), int(ends[3])), colour, int(rng.integers(1, 4)), cv2.LINE_AA
        )
    else:
        axes = (int(rng.uniform(0.05, 0.25) * h), int(rng.uniform(0.05, 0.3) * h))
        cv2.ellipse(picture, (int(rng.integers(w)), int(rng.integers(h))), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return picture


def _shade(picture: Image, rng: np.random.Generator) -> Image:
    h, w = picture.shape[:2]
    ends = rng.uniform(0.45, 1.25, 2)
    if rng.random() < 0.4:
        edge, soft = rng.uniform(0, w), rng.uniform(2, 30)
        ramp = ends[0] + (ends[1] - ends[0]) / (1 + np.exp(-np.clip((np.arange(w) - edge) / soft, -30, 30)))
    else:
        ramp = np.linspace(ends[0], ends[1], w)
    gains = np.broadcast_to(ramp.astype(np.float32)[None, :, None], (h, w, 3))
    return np.asarray(np.clip(picture * gains, 0, 255), np.uint8)


def _gamma(picture: Image, rng: np.random.Generator) -> Image:
    table = (255 * (np.arange(256) / 255) ** np.exp(rng.uniform(-0.7, 0.7))).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table), np.uint8)


def _blur(picture: Image, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.7)), np.uint8)


def _motion(picture: Image, rng: np.random.Generator) -> Image:
    size = int(rng.integers(3, 8))
    kernel = np.zeros((size, size), np.float32)
    angle, centre = rng.uniform(0, np.pi), (size - 1) / 2
    dx, dy = np.cos(angle) * centre, np.sin(angle) * centre
    start, end = (round(centre - dx), round(centre - dy)), (round(centre + dx), round(centre + dy))
    cv2.line(kernel, start, end, 1.0, 1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / max(float(kernel.sum()), 1.0)), np.uint8)


def _shrink(picture: Image, rng: np.random.Generator, heights: tuple[float, float]) -> Image:
    h, w = picture.shape[:2]
    factor = rng.uniform(*heights) / h
    if factor >= 1:
        return picture
    small = cv2.resize(picture, (max(1, round(w * factor)), max(1, round(h * factor))), interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC), np.uint8
    )


def _noise(picture: Image, rng: np.random.Generator) -> Image:
    shape = picture.shape if rng.random() < 0.5 else (*picture.shape[:2], 1)
    grain: NDArray[np.float32] = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(3, 22))
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


def _jpeg(picture: Image, rng: np.random.Generator) -> Image:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 70))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
