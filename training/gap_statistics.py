"""Statistics of pictures that people can do something about: sharpness, contrast, noise, JPEG quality, stroke width."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from ..contract import Image
from ..datasets.truth import LineTruth, PhotoTruth
from ..models.geometry import angle, size

_TINY = 1e-6
_STANDARD_LUMA_SUM = 3685
"""Sum of the 64 values of the JPEG standard's table for brightness, which quality 50 uses as it is."""


def _grey(pixels: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)


def brightness(pixels: Image) -> float:
    """Mean grey value, 0..255."""
    return float(_grey(pixels).mean())


def contrast(pixels: Image) -> float:
    """Grey levels between the 5th and the 95th percentile."""
    low, high = np.percentile(_grey(pixels), (5, 95))
    return float(high - low)


def saturation(pixels: Image) -> float:
    """Mean spread of the colour channels in a pixel, 0..255."""
    return float((pixels.max(axis=2).astype(np.float32) - pixels.min(axis=2)).mean())


def sharpness(pixels: Image) -> float:
    """Logarithm of the variance of the Laplacian over the variance of the grey values: how fast brightness changes."""
    grey = _grey(pixels)
    return float(np.log((cv2.Laplacian(grey, cv2.CV_32F).var() + _TINY) / (grey.var() + _TINY)))


def noise(pixels: Image) -> float:
    """Grey levels (standard deviation) of what neither edges nor slopes explain: the median of the diagonal differences."""
    grey = _grey(pixels)
    if min(grey.shape) < 2:
        return 0.0
    diagonal = (grey[:-1, :-1] - grey[:-1, 1:] - grey[1:, :-1] + grey[1:, 1:]) / 2
    return float(np.median(np.abs(diagonal)) / 0.6745)


def stroke_width(pixels: Image) -> float | None:
    """Width of the strokes as a share of the crop's height; None where ink and ground cannot be told apart."""
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    _, split = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    share = float((split > 0).mean())
    if not 0.03 < share < 0.97:
        return None
    ink = (split > 0) if share < 0.5 else (split == 0)
    inside = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 5)
    ridge = (inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8))) & (inside > 0)
    return float(2 * np.median(inside[ridge]) / pixels.shape[0]) if ridge.any() else None


def jpeg_quality(path: Path) -> float | None:
    """Quality (1..100) of a JPEG as libjpeg counts it, from its table for brightness; None for other formats."""
    try:
        with PilImage.open(path) as photo:
            tables = getattr(photo, "quantization", None)
    except OSError:
        return None
    if not tables:
        return None
    scale = 100 * sum(tables[min(tables)]) / _STANDARD_LUMA_SUM
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))


def measure_line(pixels: Image, line: LineTruth) -> dict[str, float]:
    """The statistics of a line crop by name; NaN where one cannot be told."""
    turned = abs(angle(line.quad))
    stroke = stroke_width(pixels)
    return {
        "height (px)": size(line.quad)[1],
        "length (characters)": float(len(line.text)),
        "angle (deg)": min(turned, 180 - turned),
        "stroke width (share of height)": float("nan") if stroke is None else stroke,
        **_looks(pixels),
    }


def measure_photo(pixels: Image, photo: PhotoTruth, path: Path) -> dict[str, float]:
    """The statistics of a whole photo by name; NaN where one cannot be told."""
    quality = jpeg_quality(path)
    return {
        "long side (px)": float(max(photo.width, photo.height)),
        "JPEG quality": float("nan") if quality is None else quality,
        "lines of adverts": float(sum(len(ad.lines) for ad in photo.ads)),
        **_looks(pixels),
    }


def _looks(pixels: Image) -> dict[str, float]:
    return {
        "sharpness": sharpness(pixels),
        "contrast (levels)": contrast(pixels),
        "noise (levels)": noise(pixels),
        "brightness (levels)": brightness(pixels),
        "saturation (levels)": saturation(pixels),
    }
