"""From a line crop to what the recogniser's network sees: one grey channel of fixed height.

The same code runs before training and before reading, so that both see the same pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..contract import Image

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of R, G, B in brightness (ITU-R BT.601)."""

_PIXELS_FOR_AXIS = 4096
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class CropSettings:
    """How crops are brought to the network; part of a trained model, so change it only when training."""

    height: int = 40
    """Pixels of height of the network's input."""
    width_step: int = 32
    """Widths are rounded to a multiple of this many pixels: crops of one width are read together, unpadded."""
    min_width: int = 64
    """Pixels: narrower crops are stretched to it."""
    max_width: int = 960
    """Pixels: wider crops are squeezed to it."""
    low_percentile: float = 1.0
    """Percentile of the grey values that becomes black (-1)."""
    high_percentile: float = 99.0
    """Percentile of the grey values that becomes white (+1)."""
    min_range: float = 24.0
    """Grey levels (of 255) below which contrast is not stretched further: bare walls stay flat."""
    colour_gain: float = 1.5
    """How many times more variance the best colour axis must have than brightness has, to be used in its place."""


def input_width(width: float, height: float, settings: CropSettings) -> int:
    """Width in pixels at which a crop of ``width`` x ``height`` is read: in proportion, rounded to a step, within the limits."""
    steps = round(width * settings.height / max(height, 1.0) / settings.width_step)
    return int(min(max(steps * settings.width_step, settings.min_width), settings.max_width))


def resize_crop(crop: Image, width: int, height: int) -> Image:
    """The crop at ``width`` x ``height`` pixels: area average where it shrinks, cubic where it grows."""
    shrinks = crop.shape[0] > height or crop.shape[1] > width
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC), np.uint8)


def brightness(crop: Image) -> NDArray[np.float32]:
    """Grey values 0..255, ``float32`` (height, width)."""
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.float32)


def grey(crop: Image, settings: CropSettings) -> NDArray[np.float32]:
    """One channel (0..255 in scale) in which the paint stands out: brightness, or the colour axis of most variance.

    Red paint on a green wall can vanish in brightness. Where the first principal axis of the colours has ``colour_gain`` times
    the variance of brightness, the picture is projected on it (turned so that brighter stays brighter).
    """
    flat = crop.reshape(-1, 3)
    sample = np.array(flat[:: max(1, len(flat) // _PIXELS_FOR_AXIS)].T, np.float32, order="C")
    sample -= sample.mean(axis=1, keepdims=True)
    spread = sample @ sample.T / sample.shape[1]
    along_luma = float(LUMA @ spread @ LUMA) / float(LUMA @ LUMA)
    values, axes = np.linalg.eigh(spread)
    if values[-1] < settings.colour_gain * along_luma + _EPSILON:
        return brightness(crop)
    axis = axes[:, -1].astype(np.float32)
    axis *= 1.0 if float(axis @ LUMA) >= 0 else -1.0
    projected = flat.astype(np.float32) @ axis
    return np.asarray(projected.reshape(crop.shape[:2]), np.float32)


def stretch(picture: NDArray[np.float32], settings: CropSettings) -> NDArray[np.float32]:
    """Contrast stretched to -1..1 between the two percentiles, clipped beyond them; flat pictures are not blown up."""
    low, high = np.percentile(picture, (settings.low_percentile, settings.high_percentile))
    half = max(float(high - low), settings.min_range) / 2
    return np.asarray(np.clip((picture - (low + high) / 2) / half, -1.0, 1.0), np.float32)


def prepare(crop: Image, settings: CropSettings) -> NDArray[np.float32]:
    """The network's input for one crop (``uint8`` RGB, text along the width): ``float32`` (height, width), -1..1.

    Nothing is padded and nothing depends on other crops: a crop always gives the same picture.
    """
    width = input_width(crop.shape[1], crop.shape[0], settings)
    return stretch(grey(resize_crop(crop, width, settings.height), settings), settings)
