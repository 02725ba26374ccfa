"""How a line gets onto a wall: stencil, free-hand spray, marker, rubber stamp. Masks in, paint coverage out.

Every function takes a clean mask of the letters (see ``glyphs``) and returns the coverage of paint, ``float32`` 0..1 of the
same shape: what a photo shows is ``wall * (1 - coverage) + colour * coverage``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .glyphs import Mask, smooth_noise

STYLES = ("stencil", "spray", "marker", "stamp")

# sRGB of common aerosol and marker colours; black and dark ones are by far the most common on walls.
COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (24, 24, 26),
    "graphite": (52, 52, 56),
    "blue": (28, 52, 150),
    "navy": (22, 30, 84),
    "red": (176, 26, 30),
    "green": (20, 110, 52),
    "white": (236, 236, 232),
    "violet": (96, 36, 130),
    "brown": (88, 50, 30),
    "orange": (222, 104, 22),
    "yellow": (232, 200, 36),
    "silver": (172, 174, 178),
    "cyan": (22, 132, 168),
    "pink": (214, 70, 130),
}
_DARK = (
    "black",
    "black",
    "black",
    "black",
    "graphite",
    "blue",
    "navy",
    "red",
    "red",
    "green",
    "violet",
    "brown",
    "orange",
    "cyan",
    "pink",
)
_LIGHT = ("white", "white", "white", "yellow", "silver", "orange", "red", "cyan", "pink", "black", "blue")


def pick_colour(rng: np.random.Generator, wall_luma: float, min_contrast: float = 0.30) -> tuple[str, NDArray[np.float32]]:
    """A paint colour that someone would choose for a wall of this brightness (0..1); rarely a poor choice."""
    names = _DARK if wall_luma > 0.33 else _LIGHT
    for _ in range(9):
        name = names[int(rng.integers(len(names)))]
        colour = np.clip(np.array(COLOURS[name], np.float32) / 255 + rng.normal(0, 0.025, 3), 0.01, 0.99).astype(np.float32)
        luma = float(colour @ np.array([0.299, 0.587, 0.114], np.float32))
        saturation = float(colour.max() - colour.min())
        if abs(luma - wall_luma) + 0.15 * saturation > min_contrast or rng.random() < 0.03:
            return name, colour
    return ("white", np.full(3, 0.92, np.float32)) if wall_luma < 0.45 else ("black", np.full(3, 0.08, np.float32))


def embolden(rng: np.random.Generator, style: str, mask: Mask, cap_px: float) -> Mask:
    """Thicken letters whose strokes are thinner than a can or a pen makes them.

    The stroke width is estimated as twice the area over the length of the outline (its total variation).
    """
    outline = float(np.abs(np.diff(mask, axis=0)).sum() + np.abs(np.diff(mask, axis=1)).sum()) * 0.8
    stroke = 2 * float(mask.sum()) / max(1.0, outline)
    low, high = {"stencil": (0.09, 0.2), "spray": (0.09, 0.19), "marker": (0.06, 0.14)}.get(style, (0.05, 0.1))
    missing = float(rng.uniform(low, high)) * cap_px - stroke
    if missing < 0.8:
        return mask
    size = min(round(missing) + 1, max(3, int(0.16 * cap_px))) | 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))).astype(np.float32)


def cut_bridges(rng: np.random.Generator, mask: Mask, cap_px: float) -> Mask:
    """Cut the bridges that hold a stencil's islands: through every closed counter, and through some other strokes.

    Works on shapes alone, so Cyrillic and Kazakh letters get them like Latin ones.
    """
    out = mask.copy()
    width = max(1.0, cap_px * float(rng.uniform(0.05, 0.11)))
    binary = (mask > 0.5).astype(np.uint8)
    # Counters are background components that do not touch the border.
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(1 - binary, connectivity=4)
    outside = labels[0, 0]
    vertical = bool(rng.random() < 0.75)
    for index in range(1, count):
        area, tall = stats[index, cv2.CC_STAT_AREA], stats[index, cv2.CC_STAT_HEIGHT]
        if index == outside or area < 0.004 * cap_px**2:
            continue
        cx, cy = centroids[index]
        reach = tall / 2 + cap_px * 0.30
        _cut(out, cx, cy, width, reach, vertical)
    if rng.random() < 0.45:  # designs that break every letter, counter or not
        count, _, stats, centroids = cv2.connectedComponentsWithStats(binary, connectivity=8)
        for index in range(1, count):
            if stats[index, cv2.CC_STAT_HEIGHT] > 0.5 * cap_px and rng.random() < 0.8:
                _cut(
                    out,
                    float(centroids[index][0]) + rng.normal(0, 0.05) * cap_px,
                    float(centroids[index][1]),
                    width,
                    cap_px,
                    vertical,
                )
    return out


def _cut(mask: Mask, cx: float, cy: float, width: float, reach: float, vertical: bool) -> None:
    half = width / 2
    if vertical:
        x0, x1, y0, y1 = cx - half, cx + half, cy - reach, cy + reach
    else:
        x0, x1, y0, y1 = cx - reach, cx + reach, cy - half, cy + half
    mask[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(1, round(x1))] = 0


def stencil(rng: np.random.Generator, mask: Mask, cap_px: float, bridges: bool = True) -> Mask:
    """Paint sprayed through a cut plate: sharp or slightly lifted edges, bleeding, halo, uneven density."""
    if bridges:
        mask = cut_bridges(rng, mask, cap_px)
    lift = cap_px * float(rng.choice([0.006, 0.015, 0.03], p=[0.5, 0.35, 0.15]))
    body = cv2.GaussianBlur(mask, (0, 0), max(0.35, lift))
    density = np.clip(
        float(rng.uniform(0.86, 1.0))
        + float(rng.uniform(0.02, 0.14)) * smooth_noise(rng, (mask.shape[0], mask.shape[1]), cap_px * 1.3),
        0.35,
        1,
    )
    out = body * density
    if rng.random() < 0.5:  # under-spray: a mist creeps below the plate
        halo = cv2.GaussianBlur(mask, (0, 0), cap_px * float(rng.uniform(0.08, 0.25)))
        grain = np.clip(0.6 + 0.4 * rng.standard_normal(mask.shape, dtype=np.float32), 0, 1)
        out = np.maximum(out, halo * grain * float(rng.uniform(0.08, 0.38)))
    return np.asarray(np.clip(out, 0, 1), np.float32)


def plate_edge(rng: np.random.Generator, shape: tuple[int, int], cap_px: float) -> Mask:
    """The soft frame that spraying past the edge of a stencil plate leaves."""
    out = np.zeros(shape, np.float32)
    inset = max(1, int(cap_px * 0.15))
    cv2.rectangle(out, (inset, inset), (shape[1] - inset, shape[0] - inset), 1.0, max(1, int(cap_px * rng.uniform(0.05, 0.2))))
    soft = cv2.GaussianBlur(out, (0, 0), cap_px * 0.12)
    patchy = np.clip(0.4 + 0.7 * smooth_noise(rng, shape, cap_px * 2.5), 0, 1)
    return np.asarray(soft * patchy * float(rng.uniform(0.15, 0.5)), np.float32)


def spray(rng: np.random.Generator, mask: Mask, cap_px: float) -> Mask:
    """Free-hand aerosol: soft strokes of varying width, mist, dots and drips."""
    softness = cap_px * float(rng.uniform(0.025, 0.075))
    wide = cv2.GaussianBlur(mask, (0, 0), softness)
    # A threshold that wanders makes strokes swell and thin as the can moves nearer and farther.
    threshold = float(rng.uniform(0.22, 0.5)) + 0.10 * smooth_noise(rng, (mask.shape[0], mask.shape[1]), cap_px * 0.7)
    edge = float(rng.uniform(0.06, 0.22))
    body = np.clip((wide - threshold) / edge + 0.5, 0, 1)
    mist = cv2.GaussianBlur(mask, (0, 0), cap_px * float(rng.uniform(0.08, 0.2))) * float(rng.uniform(0.0, 0.35))
    out = np.maximum(
        body * float(rng.uniform(0.82, 1.0)), mist * np.clip(0.7 + 0.5 * rng.standard_normal(mask.shape, dtype=np.float32), 0, 1)
    )
    if rng.random() < 0.35:
        _dots(rng, out, cap_px)
    if rng.random() < 0.30:
        _drips(rng, out, cap_px)
    return np.asarray(np.clip(cv2.GaussianBlur(out, (0, 0), max(0.4, 0.012 * cap_px)), 0, 1), np.float32)


def _dots(rng: np.random.Generator, out: Mask, cap_px: float) -> None:
    height, width = out.shape
    for _ in range(int(rng.integers(4, 30))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(out, centre, max(1, int(cap_px * rng.uniform(0.004, 0.02))), float(rng.uniform(0.3, 0.9)), -1, cv2.LINE_AA)


def _drips(rng: np.random.Generator, out: Mask, cap_px: float) -> None:
    ys, xs = np.nonzero(out > 0.7)
    if not len(ys):
        return
    for _ in range(int(rng.integers(1, 6))):
        pick = int(rng.integers(len(ys)))
        x, y, length = int(xs[pick]), int(ys[pick]), int(cap_px * rng.uniform(0.3, 1.4))
        thickness = max(1, int(cap_px * rng.uniform(0.015, 0.04)))
        cv2.line(out, (x, y), (x, min(out.shape[0] - 1, y + length)), float(rng.uniform(0.5, 0.95)), thickness, cv2.LINE_AA)


def marker(rng: np.random.Generator, mask: Mask, cap_px: float) -> Mask:
    """A felt or paint marker: crisp strokes of one width, sometimes dry, darker where strokes overlap."""
    grow = float(rng.uniform(-0.02, 0.035)) * cap_px
    size = max(1, round(abs(grow)) * 2 + 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    body = cv2.dilate(mask, kernel) if grow > 0 else (cv2.erode(mask, kernel) if size <= 3 else mask)
    body = cv2.GaussianBlur(body, (0, 0), max(0.35, 0.008 * cap_px))
    density = float(rng.uniform(0.72, 1.0))
    if rng.random() < 0.3:  # dry: streaks along the stroke
        streak = np.clip(0.75 + 0.35 * smooth_noise(rng, (mask.shape[0], mask.shape[1]), max(1.5, cap_px * 0.04)), 0.2, 1)
        body = body * streak
    return np.asarray(np.clip(body * density, 0, 1), np.float32)


def stamp(rng: np.random.Generator, mask: Mask, cap_px: float) -> Mask:
    """A rubber stamp: ink pressed unevenly, heavier at edges, with bald spots."""
    body = cv2.GaussianBlur(mask, (0, 0), max(0.4, 0.012 * cap_px))
    rim = np.clip(body - cv2.GaussianBlur(body, (0, 0), max(0.8, 0.06 * cap_px)), 0, 1)
    pressure = np.clip(0.75 + 0.25 * smooth_noise(rng, (mask.shape[0], mask.shape[1]), cap_px * 2.2), 0.15, 1)
    bald = np.clip(1.6 + 0.8 * smooth_noise(rng, (mask.shape[0], mask.shape[1]), max(1.5, cap_px * 0.05)), 0, 1)
    return np.asarray(np.clip((body * 0.85 + rim * 0.5) * pressure * bald, 0, 1), np.float32)


def apply_style(rng: np.random.Generator, style: str, mask: Mask, cap_px: float, *, bridges: bool = True) -> Mask:
    """Coverage of ``mask`` painted in ``style`` (one of ``STYLES``)."""
    if style == "stencil":
        return stencil(rng, mask, cap_px, bridges)
    return {"spray": spray, "marker": marker, "stamp": stamp}[style](rng, mask, cap_px)


@dataclass(frozen=True, slots=True)
class Wear:
    """How an old inscription suffers: ``peel`` 0..1 of the paint gone where the relief is high, ``fade`` 0..1 of its density."""

    peel: float
    fade: float
    scratches: int


def pick_wear(rng: np.random.Generator) -> Wear:
    """Mostly fresh, some old."""
    old = rng.random() < 0.22
    peel = rng.uniform(0.1, 0.36) if old else rng.uniform(0, 0.10)
    fade = rng.uniform(0.05, 0.4) if old else rng.uniform(0, 0.08)
    return Wear(float(peel), float(fade), int(rng.integers(0, 5)) if rng.random() < 0.2 else 0)


def on_relief(rng: np.random.Generator, coverage: Mask, relief: NDArray[np.float32], wear: Wear, roughness: float) -> Mask:
    """Break coverage up by the wall's relief (same shape, 0 deep … 1 high): spray misses deep pores, wear takes the tops."""
    grain = relief + 0.12 * rng.standard_normal(relief.shape, dtype=np.float32)
    low, high = 0.32 * roughness, 1.05 - 0.55 * wear.peel
    keep = np.clip((grain - low) / 0.12 + 0.5, 0, 1) if roughness > 0.02 else np.ones_like(grain)
    if wear.peel > 0.03:
        keep = keep * np.clip((high - grain) / 0.10 + 0.5, 0, 1)
    out = coverage * keep * (1 - wear.fade)
    for _ in range(wear.scratches):
        height, width = coverage.shape
        start = (int(rng.integers(width)), int(rng.integers(height)))
        end = (int(start[0] + rng.normal(0, width / 4)), int(start[1] + rng.normal(0, height)))
        cut = np.zeros((height, width), np.float32)
        cv2.line(cut, start, end, 1.0, max(1, int(height * rng.uniform(0.005, 0.02))), cv2.LINE_AA)
        out = out * (1 - cut * 0.8)
    return out.astype(np.float32)
