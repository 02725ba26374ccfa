"""Points of a picture that another photo of the same thing shows again, and what the picture looks like around each.

Points are where a difference of Gaussians is strongest in place and scale (Lowe 2004). What a point looks like is told by the
directions of the edges around it in 4 x 4 fields, read from smoothed maps of the gradient (DAISY, Tola et al. 2010): maps are
made once for a picture, not once for a point. A point has no direction of its own, so pictures must be brought upright before;
that tells points apart better, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Numbers = NDArray[np.float64]

OCTAVES = 3
"""Sizes in which points are looked for: that of the picture, half of it, a quarter."""
LAYERS = 3
"""Scales per octave in which points are found."""
FIRST_SIGMA = 1.0
"""Smoothing of the first scale of each octave, in its pixels,"""
CAMERA_SIGMA = 0.5
"""and what a photo has of it by itself (Lowe 2004)."""
DESCRIBED = 2
"""Number of the scale, in each octave, in which points are described."""
MOST_EDGE = 10.0
"""Ratio of the principal curvatures above which a point lies on an edge and could be anywhere along it (Lowe 2004)."""
FIELDS = 4
"""The surroundings are divided into so many fields along each axis,"""
FIELD_SIGMAS = 3.0
"""each this many times as wide as the smoothing."""
MOST_SHARE = 0.2
"""No number of a description is larger, as a share of its length: a hard edge does not outshine the rest (Lowe 2004)."""

DESCRIPTION = FIELDS * FIELDS * 8
"""Numbers of a description: eight directions in each field."""
_MARGIN = 2
_LEAST_SIDE_PX = 16
_HALF = float(np.sqrt(0.5))
_OFFSETS = np.arange(FIELDS, dtype=np.float32) - np.float32((FIELDS - 1) / 2)
_GRID = np.stack(np.meshgrid(_OFFSETS, _OFFSETS), axis=-1).reshape(-1, 2)
_WEIGHTS = np.exp(-(_GRID**2).sum(axis=1, keepdims=True) / (2 * (FIELDS / 2) ** 2))
_AROUND = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """Points of one picture. ``at`` is ``float64`` (n, 2), x and y in its pixels, counted from the centre of the first one;
    ``strength`` (n,) how far each stands out (grey levels of the difference of Gaussians), ``octave`` (n,) how often the picture
    was halved where it was found. ``smoothed`` are the pictures of the octaves that descriptions are read from."""

    at: Numbers
    strength: Numbers
    octave: NDArray[np.intp]
    smoothed: tuple[Picture, ...]


def find(grey: NDArray[np.uint8], mask: NDArray[np.uint8], least_contrast: float) -> Keypoints:
    """The points of ``grey`` (height, width) where ``mask`` is not 0, as many as there are.

    ``least_contrast`` is SIFT's contrast threshold: how much of the full range, over all scales of an octave, a point stands out.
    """
    sigmas = FIRST_SIGMA * 2 ** (np.arange(LAYERS + 3) / LAYERS)
    steps = np.sqrt(np.diff(sigmas**2))
    picture = _smoothed(grey.astype(np.float32), float(np.sqrt(FIRST_SIGMA**2 - CAMERA_SIGMA**2)))
    found: list[Numbers] = []
    octaves: list[int] = []
    smoothed: list[Picture] = []
    for octave in range(OCTAVES):
        if min(picture.shape) < _LEAST_SIDE_PX:
            break
        scales = [picture]
        for step in steps.tolist():
            scales.append(_smoothed(scales[-1], step))
        for points in _extrema(scales, mask, 255 * least_contrast / LAYERS):
            found.append(points * (2**octave, 2**octave, 1))
            octaves += [octave] * len(points)
        smoothed.append(scales[DESCRIBED])
        picture, mask = np.ascontiguousarray(scales[LAYERS][::2, ::2]), mask[::2, ::2]
    every = np.concatenate([np.zeros((0, 3)), *found])
    return Keypoints(every[:, :2], every[:, 2], np.array(octaves, np.intp), tuple(smoothed))


def _smoothed(picture: cv2.typing.MatLike, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _extrema(scales: list[Picture], mask: NDArray[np.uint8], least: float) -> Iterator[Numbers]:
    """x, y and strength, shape (n, 3), of the points of one octave, scale by scale."""
    layers = [np.asarray(cv2.subtract(wider, finer), np.float32) for finer, wider in pairwise(scales)]
    highest, lowest = [cv2.dilate(layer, _AROUND) for layer in layers], [cv2.erode(layer, _AROUND) for layer in layers]
    inside = np.zeros(mask.shape, bool)
    inside[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = mask[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] > 0
    for n in range(1, LAYERS + 1):
        layer = layers[n]
        top = cv2.max(cv2.max(highest[n - 1], highest[n]), highest[n + 1])
        bottom = cv2.min(cv2.min(lowest[n - 1], lowest[n]), lowest[n + 1])
        # half of what is asked for: between the pixels the extremum is higher
        stands_out = ((layer >= top) & (layer > least / 2)) | ((layer <= bottom) & (layer < -least / 2))
        rows, columns = np.nonzero(stands_out & inside)
        yield _refined(layer, rows, columns, least)


def _refined(layer: Picture, rows: NDArray[np.intp], columns: NDArray[np.intp], least: float) -> Numbers:
    """Extrema of ``layer`` to a part of a pixel, without those that are weak or lie on an edge: x, y, strength, shape (n, 3)."""

    def value(down: int, right: int) -> Numbers:
        return layer[rows + down, columns + right].astype(np.float64)

    here = value(0, 0)
    dx, dy = (value(0, 1) - value(0, -1)) / 2, (value(1, 0) - value(-1, 0)) / 2
    dxx, dyy = value(0, 1) + value(0, -1) - 2 * here, value(1, 0) + value(-1, 0) - 2 * here
    dxy = (value(1, 1) - value(1, -1) - value(-1, 1) + value(-1, -1)) / 4
    curvature = dxx * dyy - dxy**2
    corner = (curvature > 0) & ((dxx + dyy) ** 2 * MOST_EDGE < (MOST_EDGE + 1) ** 2 * curvature)
    safe = np.where(corner, curvature, 1.0)
    x, y = -(dyy * dx - dxy * dy) / safe, -(dxx * dy - dxy * dx) / safe
    strength = np.abs(here + (dx * x + dy * y) / 2)
    kept = corner & (np.abs(x) < 1) & (np.abs(y) < 1) & (strength >= least)
    at = columns + np.clip(x, -0.5, 0.5), rows + np.clip(y, -0.5, 0.5)
    return np.column_stack([*at, strength])[kept]


def describe(found: Keypoints, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
    """What the picture looks like around the ``chosen`` points, ``float32`` (n, ``DESCRIPTION``), none negative.

    Each description has length 1, as far as ``MOST_SHARE`` leaves it; 0 where there is nothing but one grey.
    """
    described = np.zeros((len(chosen), DESCRIPTION), np.float32)
    sigma = FIRST_SIGMA * 2 ** (DESCRIBED / LAYERS)
    for octave, picture in enumerate(found.smoothed):
        mine = np.flatnonzero(found.octave[chosen] == octave)
        if len(mine):
            at = found.at[chosen[mine]].astype(np.float32) / np.float32(2**octave)
            described[mine] = _fields(picture, at, sigma)
    described /= np.maximum(np.linalg.norm(described, axis=1, keepdims=True), np.float32(1e-6))
    return np.minimum(described, np.float32(MOST_SHARE))


def _fields(picture: Picture, at: Picture, sigma: float) -> Picture:
    """Strength of the edges in eight directions in the fields around the points ``at`` (n, 2), shape (n, ``DESCRIPTION``)."""
    right, down = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=1)
    slanted = cv2.addWeighted(right, _HALF, down, _HALF, 0), cv2.addWeighted(down, _HALF, right, -_HALF, 0)
    _, ahead = cv2.threshold(cv2.merge([right, slanted[0], down, slanted[1]]), 0, 0, cv2.THRESH_TOZERO)
    four, both = _smoothed(ahead, sigma), _smoothed(cv2.merge([right, down]), sigma)
    places = np.rint(at[:, None] + _GRID * np.float32(FIELD_SIGMAS * sigma)).astype(np.intp)
    height, width = picture.shape
    columns, rows = np.clip(places[..., 0], 0, width - 1), np.clip(places[..., 1], 0, height - 1)
    one_way, (x, y) = four[rows, columns], np.moveaxis(both[rows, columns], -1, 0)
    # smoothing is linear, so what goes the other way is what goes one way less the whole
    whole = np.stack([x, (x + y) * np.float32(_HALF), y, (y - x) * np.float32(_HALF)], axis=-1)
    directions = np.concatenate([one_way, np.maximum(one_way - whole, 0)], axis=-1)
    return np.asarray((directions * _WEIGHTS).reshape(len(at), DESCRIPTION), np.float32)
