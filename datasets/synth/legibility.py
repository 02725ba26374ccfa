"""Could a person read this line in the finished photo? Judged from the pixels, not from how the photo was made."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .layout import Corners


@dataclass(frozen=True, slots=True)
class LegibilitySettings:
    """Limits below which a line counts as illegible. Heights in photo pixels, contrast in 8-bit levels, the rest shares."""

    min_height: float = 9.0
    min_in_frame: float = 0.97
    min_visible: float = 0.88
    min_contrast: float = 9.0
    min_correlation: float = 0.45
    max_blur: float = 0.11
    """Blur (sigma) as a share of the height of the line."""


@dataclass(frozen=True, slots=True)
class Legibility:
    """What the judgement rests on; see ``datasets.truth.LineTruth`` for the meaning of the fields."""

    height_px: float
    in_frame: float
    visible: float
    contrast: float
    correlation: float
    legible: bool


def judge(
    corners: Corners,
    picture: NDArray[np.uint8],
    ink: NDArray[np.float32],
    cover: NDArray[np.float32],
    blur: float,
    settings: LegibilitySettings | None = None,
) -> Legibility:
    """Judge one line: ``corners`` in photo pixels, ``ink`` and ``cover`` (H, W) the clean letters and what hides them."""
    settings = settings or LegibilitySettings()
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    height = float((sides[1] + sides[3]) / 2)
    in_frame = _in_frame(corners, picture.shape[1], picture.shape[0])
    step = max(1.0, height / 48)
    size = (max(4, int((sides[0] + sides[2]) / 2 / step)), max(4, int(height / step)))
    target = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    letters = cv2.warpPerspective(ink, matrix, size)
    hidden = cv2.warpPerspective(cover, matrix, size)
    pixels = cv2.warpPerspective(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    inside, outside = letters > 0.5, letters < 0.15
    if inside.sum() < 8 or outside.sum() < 8:
        return Legibility(height, in_frame, 0.0, 0.0, 0.0, False)
    visible = 1 - float(hidden[inside].mean())
    axis = pixels[inside].mean(axis=0) - pixels[outside].mean(axis=0)
    contrast = float(np.linalg.norm(axis) / np.sqrt(3))
    along = pixels @ (axis / max(1e-6, float(np.linalg.norm(axis))))
    along = along - cv2.GaussianBlur(along, (0, 0), max(2.0, size[1] * 0.7))
    clean = letters - cv2.GaussianBlur(letters, (0, 0), max(2.0, size[1] * 0.7))
    correlation = float(np.corrcoef(along.ravel(), clean.ravel())[0, 1])
    legible = (
        height >= settings.min_height
        and in_frame >= settings.min_in_frame
        and visible >= settings.min_visible
        and contrast >= settings.min_contrast
        and correlation >= settings.min_correlation
        and blur <= settings.max_blur * height
    )
    return Legibility(height, in_frame, visible, contrast, correlation if np.isfinite(correlation) else 0.0, bool(legible))


def _in_frame(corners: Corners, width: int, height: int) -> float:
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    area = abs(cv2.contourArea(corners.astype(np.float32)))
    shared, _ = cv2.intersectConvexConvex(corners.astype(np.float32), frame)
    return float(shared / area) if area > 1 else 0.0
