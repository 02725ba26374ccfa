"""Surfaces without pieces: plaster, rough renders, concrete, asphalt, painted metal, corrugated sheet, wood.

Every function returns colour planes, relief in 0..1 and gloss in 0..1; ``scale`` is pixels per metre of wall.
"""

from __future__ import annotations

import cv2
import numpy as np

from .masonry import PAINT_COLOURS, Surface, brick
from .noise import Colour, Field, Planes, blend, blend_surface, blobs, enlarge, fbm, grain, pick, ramp, smooth, streaks, to_planes

PLASTER_COLOURS: tuple[Colour, ...] = (
    (0.72, 0.70, 0.66), (0.78, 0.72, 0.62), (0.80, 0.68, 0.62), (0.66, 0.65, 0.64), (0.84, 0.80, 0.72), (0.74, 0.66, 0.54),
    (0.60, 0.58, 0.55), (0.76, 0.76, 0.70), (0.70, 0.62, 0.58), (0.86, 0.78, 0.56), (0.58, 0.64, 0.62), (0.52, 0.50, 0.48),
    (0.88, 0.87, 0.85), (0.42, 0.40, 0.39), (0.76, 0.56, 0.44), (0.62, 0.70, 0.78),
)  # fmt: skip
CONCRETE_COLOURS: tuple[Colour, ...] = (
    (0.58, 0.58, 0.57),
    (0.66, 0.64, 0.61),
    (0.50, 0.50, 0.50),
    (0.60, 0.57, 0.52),
    (0.42, 0.42, 0.43),
)
METAL_COLOURS: tuple[Colour, ...] = (
    (0.45, 0.50, 0.52), (0.34, 0.42, 0.38), (0.25, 0.40, 0.34), (0.55, 0.57, 0.57), (0.38, 0.26, 0.20), (0.24, 0.34, 0.46),
    (0.62, 0.64, 0.62), (0.30, 0.30, 0.31), (0.46, 0.22, 0.18), (0.78, 0.78, 0.75), (0.14, 0.14, 0.15), (0.58, 0.54, 0.40),
)  # fmt: skip
SHEET_COLOURS: tuple[Colour, ...] = (
    (0.14, 0.27, 0.52), (0.12, 0.34, 0.28), (0.80, 0.81, 0.80), (0.36, 0.20, 0.15), (0.55, 0.57, 0.58), (0.48, 0.16, 0.17),
    (0.18, 0.22, 0.26), (0.24, 0.44, 0.66), (0.70, 0.66, 0.54), (0.66, 0.67, 0.68),
)  # fmt: skip
WOOD_COLOURS: tuple[Colour, ...] = (
    (0.52, 0.46, 0.39),
    (0.60, 0.45, 0.30),
    (0.45, 0.42, 0.40),
    (0.38, 0.27, 0.19),
    (0.66, 0.55, 0.42),
)
RUST: tuple[Colour, ...] = ((0.42, 0.22, 0.11), (0.34, 0.17, 0.10), (0.52, 0.30, 0.15), (0.28, 0.16, 0.12))


def plaster(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Smooth painted render: trowel marks, two coats, flakes down to cement or brick."""
    fine = grain(rng, height, width, 0.8)
    trowel = fbm(rng, height, width, scale * 0.25, 4, 0.55)
    tone = 1 + trowel * np.float32(rng.uniform(0.01, 0.04)) + fine * np.float32(rng.uniform(0.008, 0.035))
    planes = to_planes(pick(rng, PLASTER_COLOURS), tone)
    relief = 0.65 + fine * np.float32(rng.uniform(0.02, 0.09)) + trowel * np.float32(0.06)
    if rng.random() < 0.35:
        _peel(rng, planes, relief, scale)
    return planes, np.clip(relief, 0, 1, out=relief), float(rng.uniform(0.0, 0.25))


def _peel(rng: np.random.Generator, planes: Planes, relief: Field, scale: float) -> None:
    """Take the coat off in flakes with a light rim, down to cement or to the brick below, in place."""
    height, width = relief.shape
    field = fbm(rng, height, width, scale * rng.uniform(0.2, 0.8), 6, 0.6)
    cut = float(np.quantile(field[::7, ::7], 1 - rng.uniform(0.005, 0.12)))
    flake, rim = ramp(field, cut, cut + 0.03), ramp(field, cut - 0.07, cut)
    blend(planes, rim * np.float32(0.35), (0.85, 0.83, 0.80))
    if rng.random() < 0.35:
        under, bumps, _ = brick(rng, height, width, scale)
        blend_surface(planes, flake, under)
        relief += flake * (bumps * np.float32(0.5) - relief)
    else:
        cement = pick(rng, ((0.55, 0.53, 0.50), (0.48, 0.45, 0.42), (0.66, 0.60, 0.52)))
        blend(planes, flake * (0.9 + grain(rng, height, width, 1.0) * np.float32(0.1)), cement)
        relief -= flake * np.float32(0.25)


def shuba(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Thrown render: coarse lumps that break up any stroke."""
    lump = max(3.0, scale * rng.uniform(0.008, 0.02))
    field = grain(rng, height, width, min(lump * 0.3, 2.5)) * np.float32(0.6)
    field += smooth(rng, height, width, lump * 1.4) * np.float32(0.9)
    relief = ramp(field, -1.8, 2.0)
    tone = 0.78 + relief * np.float32(rng.uniform(0.3, 0.55)) + fbm(rng, height, width, scale, 3) * np.float32(0.03)
    colour = pick(rng, PLASTER_COLOURS)
    planes = to_planes(colour, tone)
    blend(planes, ramp(relief, 0.3, 0.05) * np.float32(0.45), (colour[0] * 0.4, colour[1] * 0.4, colour[2] * 0.4))
    return planes, relief, 0.0


def koroed(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Bark-beetle render: short worm-like grooves, all one way or in swirls."""
    groove = max(2, int(scale * rng.uniform(0.003, 0.005)))
    length = max(6, int(scale * rng.uniform(0.02, 0.05)))
    size = (groove, length) if rng.random() < 0.7 else ((length, groove) if rng.random() < 0.5 else (groove * 2, groove * 3))
    dots = (np.frombuffer(rng.bytes(height * width), np.uint8).reshape(height, width) < 2).astype(np.float32)
    worms = cv2.blur(dots, size)
    bend = smooth(rng, height, width, length * 0.7)
    cut = 0.6 / (size[0] * size[1])
    cuts = ramp(cv2.GaussianBlur(worms, (0, 0), max(0.8, groove * 0.35)) * (1 + np.float32(0.3) * bend), cut * 0.6, cut * 1.5)
    fine = grain(rng, height, width, 1.0)
    relief = 0.72 + fine * np.float32(0.06) - cuts * np.float32(0.5)
    colour = pick(rng, PLASTER_COLOURS)
    tone = 1 + fine * np.float32(0.03) - cuts * np.float32(rng.uniform(0.12, 0.35))
    return to_planes(colour, tone), np.clip(relief, 0, 1, out=relief), 0.0


def concrete(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Bare or thinly painted concrete: clouds, pores, marks of the form boards."""
    cloud = fbm(rng, height, width, scale * rng.uniform(0.4, 1.2), 6, 0.6)
    fine = grain(rng, height, width, 0.8)
    tone = 1 + cloud * np.float32(rng.uniform(0.04, 0.12)) + fine * np.float32(rng.uniform(0.02, 0.06))
    relief = 0.62 + fine * np.float32(0.08) + cloud * np.float32(0.05)
    pores = ramp(grain(rng, height, width, max(1.0, scale * 0.003)), 2.6, 3.4)
    tone -= pores * np.float32(0.35)
    relief -= pores * np.float32(0.4)
    if rng.random() < 0.4:
        pitch = scale * rng.uniform(0.1, 0.6)
        phase = (np.arange(height) + rng.uniform(0, pitch)) % pitch
        line = np.exp(-((phase / max(1.5, scale * 0.004)) ** 2)).astype(np.float32)[:, None]
        tone -= line * np.float32(0.12)
        relief -= line * np.float32(0.2)
    planes = to_planes(pick(rng, CONCRETE_COLOURS), tone)
    return planes, np.clip(relief, 0, 1, out=relief), float(rng.uniform(0, 0.15))


def asphalt(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Tarmac or pavement seen from above: gravel, patches, dust."""
    gravel = grain(rng, height, width, max(0.8, scale * 0.0025))
    cloud = fbm(rng, height, width, scale * 0.8, 5, 0.55)
    contrast = rng.uniform(0.08, 0.22)
    tone = 1 + gravel * np.float32(contrast) + cloud * np.float32(0.08)
    planes = to_planes(pick(rng, ((0.34, 0.34, 0.35), (0.42, 0.41, 0.40), (0.50, 0.48, 0.46), (0.26, 0.26, 0.27))), tone)
    if rng.random() < 0.4:
        patch = blobs(rng, height, width, scale * 0.7, rng.uniform(0.05, 0.3), 0.06)
        blend(planes, patch * np.float32(0.6), (0.22, 0.22, 0.23))
    if rng.random() < 0.5:
        dust = blobs(rng, height, width, scale * 0.5, rng.uniform(0.1, 0.5), 0.8) * np.float32(rng.uniform(0.1, 0.5))
        blend(planes, dust, (0.60, 0.55, 0.47))
    relief = 0.5 + gravel * np.float32(0.2)
    return planes, np.clip(relief, 0, 1, out=relief), 0.05


def rust(rng: np.random.Generator, planes: Planes, relief: Field, scale: float, cover: float) -> None:
    """Chipped paint: a pale rim, primer, rust inside and runs of rust below, in place."""
    height, width = relief.shape
    step = 2  # the rust is soft: half the size is enough, its grain comes from the finest octave
    rows, cols = (height + 1) // step, (width + 1) // step
    field = fbm(rng, rows, cols, scale * rng.uniform(0.1, 0.5) / step, 6, 0.65)
    cut = float(np.quantile(field[::5, ::5], 1 - cover))
    chip = ramp(field, cut, cut + 0.08)
    reach = int(scale * rng.uniform(0.05, 0.4) / step) + 2
    runs = cv2.blur(chip, (1, reach), anchor=(0, reach - 1), borderType=cv2.BORDER_CONSTANT)
    runs = ramp(runs * (1 + smooth(rng, rows, cols, 4, reach) * np.float32(0.8)), 0.02, 0.7) * np.float32(rng.uniform(0.2, 0.7))
    colour = pick(rng, RUST)
    blend(planes, enlarge(runs, rows * step, cols * step)[:height, :width], (colour[0] * 1.2, colour[1] * 1.2, colour[2] * 1.2))
    if rng.random() < 0.5:
        rim = ramp(field, cut - 0.12, cut)
        pale = pick(rng, ((0.70, 0.68, 0.62), (0.55, 0.30, 0.22), (0.40, 0.42, 0.42)))
        blend(planes, enlarge(rim, rows * step, cols * step)[:height, :width] * np.float32(0.6), pale)
    full = np.clip(enlarge(chip, rows * step, cols * step)[:height, :width], 0, 1)
    tone = 1 + grain(rng, height, width, 1.0) * np.float32(0.18)
    blend_surface(planes, full, to_planes(colour, tone))
    relief -= full * (np.float32(0.15) - (tone - 1) * np.float32(0.4))


def metal(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Painted sheet of garages, doors and transformer boxes: brush marks, seams, rivets, rust."""
    brush = smooth(rng, height, width, *((3.0, scale * 0.2) if rng.random() < 0.5 else (scale * 0.2, 3.0)))
    dents = fbm(rng, height, width, scale * 0.5, 3)
    tone = 1 + brush * np.float32(rng.uniform(0.005, 0.03)) + dents * np.float32(rng.uniform(0.02, 0.06))
    planes = to_planes(pick(rng, METAL_COLOURS), tone)
    relief = 0.7 + brush * np.float32(0.02) + dents * np.float32(0.04)
    if rng.random() < 0.7:
        pitch = scale * rng.uniform(0.5, 1.3)
        phase = (np.arange(width) + rng.uniform(0, pitch)) % pitch
        seam = np.exp(-((phase / max(2.0, scale * 0.006)) ** 2)).astype(np.float32)[None]
        lit = np.exp(-(((phase - scale * 0.012) / max(2.0, scale * 0.006)) ** 2)).astype(np.float32)[None]
        planes *= 1 - seam * np.float32(0.5) + lit * np.float32(0.2)
        relief -= seam * np.float32(0.3)
    if rng.random() < 0.75:
        rust(rng, planes, relief, scale, float(rng.choice([0.01, 0.03, 0.08, 0.2])))
    return planes, np.clip(relief, 0, 1, out=relief), float(rng.uniform(0.15, 0.7))


def corrugated(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Profiled fence sheet: trapezoid or round waves that carry their own shading, sheet seams, screws, rust."""
    pitch = scale * rng.uniform(0.07, 0.22)
    x = (np.arange(width) + rng.uniform(0, pitch)) / pitch
    wave = np.cos(2 * np.pi * x)
    if rng.random() < 0.7:
        wave = np.clip(wave * rng.uniform(1.5, 4.0), -1, 1)
    profile = cv2.GaussianBlur(wave.astype(np.float32)[None], (0, 0), max(0.8, pitch * 0.03))[0]
    slope = np.gradient(profile) * pitch / 8
    shade = 1 + float(rng.choice([-1, 1])) * slope * rng.uniform(0.12, 0.35) + profile * rng.uniform(0, 0.06)
    sheet = (np.arange(width) / (scale * 1.1) + rng.random()).astype(np.intp)
    shade = shade * (1 + rng.normal(0, 0.03, int(sheet.max()) + 1))[sheet]
    tone = 1 + fbm(rng, height, width, scale * 0.8, 4) * np.float32(0.03)
    tone *= shade.astype(np.float32)[None]
    planes = to_planes(pick(rng, SHEET_COLOURS), tone)
    relief = np.repeat((0.5 + 0.35 * profile).astype(np.float32)[None], height, 0)
    relief += smooth(rng, height, width, 3, 3) * np.float32(0.01)
    if rng.random() < 0.5:
        rust(rng, planes, relief, scale, float(rng.choice([0.004, 0.02, 0.08])))
    elif rng.random() < 0.5:
        dust = streaks(rng, height, width, scale * 0.03, scale * 0.5, 0.4) * np.float32(rng.uniform(0.05, 0.25))
        blend(planes, dust, (0.60, 0.56, 0.50))
    return planes, np.clip(relief, 0, 1, out=relief), float(rng.uniform(0.2, 0.6))


def wood(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Boards of a fence or shed, bare and grey or painted and worn, upright or lying."""
    if rng.random() < 0.3:
        planes, relief, gloss = _boards(rng, width, height, scale)
        return np.ascontiguousarray(planes.transpose(0, 2, 1)), np.ascontiguousarray(relief.T), gloss
    return _boards(rng, height, width, scale)


def _boards(rng: np.random.Generator, height: int, width: int, scale: float) -> Surface:
    """Upright boards."""
    board = scale * rng.uniform(0.09, 0.18)
    x = np.arange(width) + rng.uniform(0, board)
    index = (x / board).astype(np.intp)
    edge = np.minimum(x % board, board - x % board)
    gap = np.exp(-((edge / max(1.2, scale * rng.uniform(0.002, 0.008))) ** 2)).astype(np.float32)[None]
    value = (1 + rng.normal(0, 0.1, int(index.max()) + 1)).astype(np.float32)[index][None]
    fibre = smooth(rng, height, width, max(2.1, scale * 0.006), scale * 0.5)
    fibre += smooth(rng, height, width, 2.1, scale * 0.12) * np.float32(0.7)
    painted = rng.random() < 0.55
    bare = to_planes(pick(rng, WOOD_COLOURS), (1 + fibre * np.float32(0.12)) * value)
    relief = 0.65 + fibre * np.float32(0.1)
    if painted:
        coat = to_planes(pick(rng, (*PAINT_COLOURS, *METAL_COLOURS[:6])), 1 + fibre * np.float32(0.03))
        worn = blobs(rng, height, width, scale * 0.3, rng.uniform(0.02, 0.5), 0.25)
        worn = np.clip(worn * (0.7 + np.float32(0.6) * fibre), 0, 1)
        blend_surface(coat, worn, bare)
        planes = coat
    else:
        planes = bare
    planes *= 1 - gap * np.float32(0.8)
    relief -= gap * np.float32(0.6)
    return planes, np.clip(relief, 0, 1, out=relief), float(rng.uniform(0.0, 0.2))
