"""Line crops for the recogniser, made straight: a few lines on a piece of wall, seen by the phone, cut out as a detector would.

Whole photos show few lines each; this makes about ten times as many lines a second with the same paint, walls and camera.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..fonts import Font
from ..world import WORD, AdvertText, LineText, World
from .camera import Exposure, View, develop, homography, jpeg, map_points, pick_exposure
from .layout import Block, Corners, painted_block
from .legibility import LegibilitySettings, judge
from .light import light_field
from .paper import printed
from .scene import Placed, Plane, block_matrix, outline, overpaint, pick_mode, put
from .walls import Wall, make_wall

# A crop that a person can barely read still teaches; one that nobody can read teaches noise.
TEACHABLE = LegibilitySettings(
    min_height=8.0, min_in_frame=0.9, min_visible=0.86, min_contrast=6.0, min_correlation=0.33, max_blur=0.12
)


@dataclass(frozen=True, slots=True)
class LineSettings:
    """Lengths in pixels, shares 0..1."""

    wall_side: int = 1000
    scenes_per_wall: int = 24
    crop_height: int = 48
    cap_median: float = 32.0
    cap_spread: float = 0.55
    printed_share: float = 0.2
    overpaint_share: float = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class LineCrop:
    """One crop (h, w, 3) ``uint8`` RGB, at most ``crop_height`` high, what it says, and the height of its text in the photo."""

    picture: NDArray[np.uint8]
    text: LineText
    height_px: float
    style: str


_ALIKE = dict(zip("АВЕКМНОРСТУХІҮҺЅаеорсухіјѕЗ", "ABEKMHOPCTYXIYHSaeopcyxijs3", strict=True))
"""Cyrillic letters that no picture tells from the Latin ones."""


def label(text: str, kind: str) -> str:
    """What a recogniser can be asked to see in ``text``: look-alikes as Latin letters in the mixed words of a contact."""
    if kind == WORD:
        return text
    return " ".join(_as_seen(word) for word in text.split(" "))


def _as_seen(word: str) -> str:
    """A word of a contact with look-alikes as Latin letters, when it has Latin letters and no other Cyrillic ones."""
    foreign = [c for c in word if c.isalpha() and not c.isascii()]
    latin = "@" in word or "_" in word or any(c.isascii() and c.isalpha() for c in word)
    if not latin or any(c not in _ALIKE and c not in "кмтвнЧб" for c in foreign):
        return word
    return "".join(_ALIKE.get(c, c) for c in word)


def line_crops(
    rng: np.random.Generator, world: World, fonts: Sequence[Font], settings: LineSettings, backgrounds: Sequence[Path] = ()
) -> Iterator[LineCrop]:
    """Endless line crops; the same generator state gives the same crops."""
    while True:
        wall = make_wall(rng, settings.wall_side, settings.wall_side, None, backgrounds)
        mode = pick_mode(rng)
        light = light_field(rng, wall, mode)
        for _ in range(settings.scenes_per_wall):
            yield from _scene(rng, world, fonts, settings, wall, light, mode)


def _scene(
    rng: np.random.Generator,
    world: World,
    fonts: Sequence[Font],
    settings: LineSettings,
    wall: Wall,
    light: NDArray[np.float32],
    mode: str,
) -> Iterator[LineCrop]:
    block = _block(rng, world, fonts, settings)
    angle = float(rng.normal(0, 2.5))
    span = np.ptp(outline(block, block_matrix(block, (0, 0), angle, 1.0)), axis=0)
    side = settings.wall_side
    scale = min(1.0, float((side - 8) / span.max()))
    window = np.minimum(span * scale + 8, side).astype(int)
    x0, y0 = (int(rng.integers(0, side - v + 1)) for v in window)
    piece = np.s_[y0 : y0 + window[1], x0 : x0 + window[0]]
    plane = Plane.of(replace(wall, albedo=wall.albedo[piece], relief=wall.relief[piece]))
    placed = put(rng, plane, block, block_matrix(block, (window[0] / 2, window[1] / 2), angle, scale))
    if placed is None or not block.lines:
        return
    if rng.random() < settings.overpaint_share:
        overpaint(rng, plane, placed)
    yield from _shoot(rng, plane, placed, plane.albedo * light[piece], mode, settings)


def _block(rng: np.random.Generator, world: World, fonts: Sequence[Font], settings: LineSettings) -> Block:
    lines = tuple(world.free_line(rng) for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))))
    cap = float(np.clip(settings.cap_median * np.exp(rng.normal(0, settings.cap_spread)), 11, 72))
    if rng.random() < settings.printed_share:
        return printed(rng, lines, None, fonts, cap, "sticker")
    style = str(rng.choice(["stencil", "spray", "marker", "stamp"], p=[0.42, 0.27, 0.25, 0.06]))
    return painted_block(rng, AdvertText("", lines, None, None), style, fonts, cap)


def _shoot(
    rng: np.random.Generator, plane: Plane, placed: Placed, lit: NDArray[np.float32], mode: str, settings: LineSettings
) -> Iterator[LineCrop]:
    height, width = plane.ink.shape
    spread = 1.0 if rng.random() < 0.4 else 0.5
    view = View(
        0,
        0,
        float(np.clip(rng.normal(0, 24 * spread), -58, 58)),
        float(np.clip(rng.normal(0, 13 * spread), -38, 38)),
        float(rng.normal(0, 2)),
        float(rng.uniform(0.65, 1.0)),
        float(rng.uniform(0.9, 1.6)) * max(width, height, 400),
    )
    matrix = homography(view, (width / 2, height / 2), (0.0, 0.0))
    corners = map_points(matrix, np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32))
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = (int(min(2600, high[0] - low[0])) + 1, int(min(1600, high[1] - low[1])) + 1)
    matrix = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], np.float64) @ matrix
    seen = cv2.warpPerspective(
        lit, matrix, size, flags=cv2.INTER_AREA if view.scale < 0.8 else cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    ink = cv2.warpPerspective(plane.ink, matrix, size).astype(np.float32)
    cover = cv2.warpPerspective(plane.hidden, matrix, size).astype(np.float32)
    cap = float(np.median([line.cap_px for line in placed.block.lines])) * view.scale
    exposure = _fit(pick_exposure(rng, spread == 1.0, mode in ("night", "dusk")), cap)
    picture = jpeg(develop(rng, seen.astype(np.float32), exposure), exposure.jpeg)
    for line in placed.block.lines:
        quad = map_points(matrix, placed.to_wall(line.quad))
        mark = judge(quad, picture, ink, cover, exposure.blur + 0.4 * exposure.motion, TEACHABLE)
        if mark.legible:
            yield LineCrop(cut(rng, picture, quad, settings.crop_height), line.text, mark.height_px, placed.block.style)


def _fit(exposure: Exposure, cap: float) -> Exposure:
    """Keep blur within what leaves letters of this height readable."""
    return replace(exposure, blur=min(exposure.blur, 0.10 * cap), motion=min(exposure.motion, 0.22 * cap))


def upright_rectangle(quad: Corners) -> Corners:
    """The smallest rotated rectangle around ``quad``, corners in the order of the quad: what an oriented detector gives."""
    box = cv2.boxPoints(cv2.minAreaRect(quad.astype(np.float32))).astype(np.float32)
    if cv2.contourArea(box, oriented=True) < 0:
        box = box[::-1]
    turns = [np.roll(box, -k, axis=0) for k in range(4)]
    return min(turns, key=lambda t: float(np.linalg.norm(t - quad, axis=1).sum()))


def cut(rng: np.random.Generator, picture: NDArray[np.uint8], quad: Corners, crop_height: int) -> NDArray[np.uint8]:
    """Cut a line out as an imperfect detector would: loose or tight, a little turned, from the rectangle or the true quad."""
    box = upright_rectangle(quad) if rng.random() < 0.7 else quad
    along = (box[1] - box[0] + box[2] - box[3]) / 2
    down = (box[3] - box[0] + box[2] - box[1]) / 2
    height = float(np.linalg.norm(down))
    unit = along / max(1e-6, float(np.linalg.norm(along)))
    left, right = rng.uniform(-0.06, 0.5, 2) * height
    top, bottom = rng.uniform(-0.05, 0.22, 2)
    tilt = float(rng.normal(0, 0.04)) * np.clip(height / max(1.0, float(np.linalg.norm(along))), 0, 0.5)
    box = np.stack(
        [
            box[0] - unit * left - down * (top + tilt),
            box[1] + unit * right - down * (top - tilt),
            box[2] + unit * right + down * (bottom + tilt),
            box[3] - unit * left + down * (bottom - tilt),
        ]
    ).astype(np.float32)
    full = height * (1 + top + bottom)
    out_h = int(np.clip(round(full), 8, crop_height))
    out_w = int(np.clip(round(out_h * (float(np.linalg.norm(along)) + left + right) / full), 8, 2000))
    factor = max(1, round(full / out_h))
    target = np.array([[0, 0], [out_w, 0], [out_w, out_h], [0, out_h]], np.float32) * factor
    matrix = cv2.getPerspectiveTransform(box, target)
    crop = cv2.warpPerspective(
        picture, matrix, (out_w * factor, out_h * factor), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(cv2.resize(crop, (out_w, out_h), interpolation=cv2.INTER_AREA) if factor > 1 else crop)
