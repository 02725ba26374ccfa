"""Text lines as masks: glyphs set with a font, spaced, slanted, bent and wobbled, before any paint touches them.

A mask is ``float32`` of shape (height, width), 0 where the wall shows and 1 where the letter is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..fonts import Font, load

Mask = NDArray[np.float32]


def set_line(
    rng: np.random.Generator, text: str, font: Font, cap_px: float, *, tracking: float = 0.0, jumpy: float = 0.0
) -> Mask:
    """Set ``text`` so that a capital is ``cap_px`` pixels high.

    ``tracking`` is extra space between letters in units of the capital height. ``jumpy`` moves, turns and scales every
    letter by itself (0 to about 0.15), as a free hand does.
    """
    size = max(6, round(cap_px / 0.70))
    face = load(font, size)
    margin = size
    if tracking == 0.0 and jumpy == 0.0:
        width = int(face.getlength(text)) + 2 * margin
        picture = Image.new("L", (max(1, width), 3 * size))
        ImageDraw.Draw(picture).text((margin, size), text, font=face, fill=255)
        return np.asarray(picture, np.float32) / 255.0
    width = int(face.getlength(text) * 1.15 + len(text) * max(0.0, tracking) * cap_px) + 3 * margin
    canvas = np.zeros((3 * size, max(1, width)), np.uint8)
    x = float(margin)
    for letter in text:
        advance = face.getlength(letter)
        if letter != " ":
            _stamp_letter(rng, canvas, letter, face, x, size, jumpy)
        x += advance * (1.0 + rng.normal(0, 0.25 * jumpy)) + tracking * cap_px
    return canvas.astype(np.float32) / 255.0


def _stamp_letter(
    rng: np.random.Generator,
    canvas: NDArray[np.uint8],
    letter: str,
    face: ImageFont.FreeTypeFont,
    x: float,
    size: int,
    jumpy: float,
) -> None:
    tile = Image.new("L", (3 * size, 3 * size))
    ImageDraw.Draw(tile).text((size, size), letter, font=face, fill=255)
    array = np.asarray(tile)
    if jumpy:
        centre = (1.4 * size, 1.6 * size)
        angle, scale = float(rng.normal(0, 45 * jumpy)), float(np.exp(rng.normal(0, 0.5 * jumpy)))
        matrix = np.asarray(cv2.getRotationMatrix2D(centre, angle, scale), np.float64)
        matrix[:, 2] += rng.normal(0, 0.35 * jumpy * size, 2) * (0.3, 1.0)
        array = cv2.warpAffine(array, matrix, (3 * size, 3 * size), flags=cv2.INTER_LINEAR)
    left = round(x) - size
    x0, x1 = max(0, left), min(canvas.shape[1], left + 3 * size)
    if x1 > x0:
        np.maximum(canvas[:, x0:x1], array[:, x0 - left : x1 - left], out=canvas[:, x0:x1])


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Mask:
    """Smooth noise of zero mean and about unit deviation whose blobs are ``cell`` pixels wide."""
    rows, columns = max(2, int(shape[0] / cell) + 2), max(2, int(shape[1] / cell) + 2)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def bend(rng: np.random.Generator, mask: Mask, cap_px: float, *, wobble: float, arc: float, slant: float, squeeze: float) -> Mask:
    """Displace a line: ``wobble`` (share of the capital height) of smooth tremble, ``arc`` (same unit) of bow in the
    baseline, ``slant`` as shear (dx per dy), ``squeeze`` as a factor on the width."""
    height, width = mask.shape
    reach = int(abs(arc) * cap_px + wobble * cap_px) + 2
    pad_x = int(abs(slant) * height / 2) + reach
    out_h, out_w = height + 2 * reach, max(4, int(width * squeeze)) + 2 * pad_x
    ys, xs = np.mgrid[0:out_h, 0:out_w].astype(np.float32)
    middle = out_h / 2
    source_x = (xs - pad_x + slant * (ys - middle)) / squeeze
    position = 2 * xs / out_w - 1
    source_y = ys - reach + arc * cap_px * (position * position - 0.5)
    if wobble:
        source_x += wobble * cap_px * 0.5 * smooth_noise(rng, (out_h, out_w), cap_px * 0.8)
        source_y += wobble * cap_px * 0.5 * smooth_noise(rng, (out_h, out_w), cap_px * 1.1)
    return cv2.remap(mask, source_x, source_y, cv2.INTER_LINEAR).astype(np.float32)


def ink_box(mask: NDArray[np.float32], level: float = 0.35) -> tuple[int, int, int, int]:
    """Tight box (x0, y0, x1, y1) around the pixels above ``level``; an empty mask gives a box of size 0."""
    ink = mask > level
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def trim(mask: Mask, margin: int) -> Mask:
    """Cut away empty borders, leaving (or adding) ``margin`` pixels around the ink."""
    x0, y0, x1, y1 = ink_box(mask, 0.02)
    cut = mask[y0:y1, x0:x1]
    return cv2.copyMakeBorder(cut, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0).astype(np.float32)
