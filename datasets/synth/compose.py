"""One synthetic photo with its truth: what is on the wall, from where the phone looks, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..fonts import Font
from ..truth import AdvertTruth, DistractorTruth, LineTruth, PhotoTruth
from ..world import LineText, World
from .camera import Exposure, View, develop, homography, jpeg, map_points, pick_exposure, pick_view
from .layout import Block, Corners, painted_block
from .legibility import Legibility, judge
from .light import light_field
from .paper import board, printed
from .scene import Placed, Plane, block_matrix, outline, overlaps, overpaint, pick_mode, put, scribble
from .scenery import occluders, scenery_behind, surroundings
from .walls import make_wall

NEGATIVES = ("bare", "tag", "sign", "house", "plate", "poster", "slogan", "road", "notice", "scribble")


@dataclass(frozen=True, slots=True)
class SynthSettings:
    """What a data set is made of. Lengths in photo pixels, shares 0..1."""

    negative_share: float = 0.27
    hard_share: float = 0.35
    long_side_min: int = 640
    long_side_max: int = 1280
    cap_median: float = 36.0
    cap_spread: float = 0.62
    cap_min: float = 9.0
    cap_max: float = 250.0
    overpaint_share: float = 0.10
    vertical_share: float = 0.025
    max_wall_factor: float = 1.8
    max_wall_side: int = 1400


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A finished photo: ``picture`` (H, W, 3) ``uint8`` RGB as a viewer sees it, its JPEG quality, and its truth."""

    picture: NDArray[np.uint8]
    quality: int
    truth: PhotoTruth


def compose(
    rng: np.random.Generator,
    world: World,
    fonts: Sequence[Font],
    settings: SynthSettings,
    name: str,
    split: str,
    backgrounds: Sequence[Path] = (),
) -> Shot:
    """Make one photo. The same generator state gives the same photo."""
    hard = bool(rng.random() < settings.hard_share)
    negative = bool(rng.random() < settings.negative_share)
    long_side = int(rng.integers(settings.long_side_min, settings.long_side_max + 1)) // 32 * 32
    view, matrix, size = _viewpoint(rng, pick_view(rng, long_side, hard), settings)
    mode = pick_mode(rng)
    plane = _plane(rng, size, settings, backgrounds)
    visible = _visible_box(matrix, view, size)
    adverts, style, negative_kind = [], "none", None
    if negative:
        negative_kind = str(rng.choice(NEGATIVES))
        distractors = _negatives(rng, plane, world, fonts, settings, visible, negative_kind)
    else:
        adverts = _adverts(rng, plane, world, fonts, settings, visible)
        style = "+".join(dict.fromkeys(p.block.style for p, _ in adverts))
        count = int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1]))
        kinds = [str(rng.choice(NEGATIVES[1:])) for _ in range(count)]
        distractors = [d for kind in kinds for d in _negatives(rng, plane, world, fonts, settings, visible, kind)]
    plane.albedo = scenery_behind(rng, plane.albedo, plane.boxes, plane.wall.scale)
    if not negative:
        for placed, _ in adverts:
            if rng.random() < settings.overpaint_share:
                overpaint(rng, plane, placed)
    lit, hidden = _light(rng, plane, mode)
    exposure = pick_exposure(rng, hard, mode in ("night", "dusk"))
    picture, ink, cover = _photograph(rng, lit, plane.ink, np.maximum(hidden, plane.hidden), matrix, view, exposure)
    judged = [
        (
            placed,
            shop,
            [_judged(line.quad, placed, matrix, picture, ink, cover, line.cap_px, exposure) for line in placed.block.lines],
        )
        for placed, shop in adverts
    ]
    truth = _truth(
        name,
        split,
        view,
        plane,
        mode,
        hard,
        style,
        negative_kind,
        adverts,
        judged,
        distractors,
        matrix,
        picture,
        ink,
        cover,
        exposure,
    )
    return Shot(picture, exposure.jpeg, truth)


def _viewpoint(
    rng: np.random.Generator, view: View, settings: SynthSettings
) -> tuple[View, NDArray[np.float64], tuple[int, int]]:
    """Tame the view until the wall it sees fits the canvas, and shift the map so that the canvas starts at (0, 0)."""
    centre = (view.width * float(rng.uniform(0.42, 0.58)), view.height * float(rng.uniform(0.42, 0.58)))
    corners = np.array([[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]], np.float32)
    for _ in range(12):
        matrix = homography(view, (0.0, 0.0), centre)
        inverse = np.linalg.inv(matrix)
        depth = np.column_stack([corners, np.ones(4)]) @ inverse.T
        if (depth[:, 2] > 0.15).all():
            points = map_points(inverse, corners)
            low, high = points.min(axis=0), points.max(axis=0)
            width, height = high - low
            if width < settings.max_wall_factor * view.width and height < settings.max_wall_factor * view.height:
                shift = np.array([[1, 0, low[0]], [0, 1, low[1]], [0, 0, 1]], np.float64)
                return view, matrix @ shift, (int(width) + 1, int(height) + 1)
        view = View(view.width, view.height, view.yaw * 0.8, view.pitch * 0.8, view.roll * 0.9, view.scale, view.focal)
    raise AssertionError("a frontal view always fits")


def _plane(rng: np.random.Generator, size: tuple[int, int], settings: SynthSettings, backgrounds: Sequence[Path]) -> Plane:
    factor = min(1.0, settings.max_wall_side / max(size))
    small = (max(64, int(size[0] * factor)), max(64, int(size[1] * factor)))
    use = backgrounds
    wall = make_wall(rng, small[1], small[0], None, use)
    if factor < 1:
        albedo, relief = (cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) for part in (wall.albedo, wall.relief))
        wall = replace(wall, albedo=albedo, relief=relief, scale=wall.scale / factor)
    plane = Plane.of(wall)
    if rng.random() < 0.15:
        scribble(rng, plane, int(rng.integers(1, 5)))
    return plane


def _visible_box(matrix: NDArray[np.float64], view: View, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of the wall that the photo surely shows (wall pixels)."""
    inset = np.array([[0.04, 0.04], [0.96, 0.04], [0.96, 0.96], [0.04, 0.96]], np.float32) * (view.width, view.height)
    points = map_points(np.linalg.inv(matrix), inset.astype(np.float32))
    xs, ys = np.sort(points[:, 0]), np.sort(points[:, 1])
    return float(max(0, xs[1])), float(max(0, ys[1])), float(min(size[0], xs[2])), float(min(size[1], ys[2]))


def _cap(rng: np.random.Generator, settings: SynthSettings) -> float:
    return float(np.clip(settings.cap_median * np.exp(rng.normal(0, settings.cap_spread)), settings.cap_min, settings.cap_max))


def _place(
    rng: np.random.Generator,
    plane: Plane,
    block: Block,
    visible: tuple[float, float, float, float],
    angle: float,
    cut_share: float = 0.05,
) -> Placed | None:
    """Find room for a block, shrinking it to fit; a few may run out of the frame."""
    x0, y0, x1, y1 = visible
    turned = outline(block, block_matrix(block, (0, 0), angle, 1.0))
    span = turned.max(axis=0) - turned.min(axis=0)
    room = np.array([x1 - x0, y1 - y0])
    scale = float(min(1.0, *(room * rng.uniform(0.75, 0.98) / span))) if rng.random() > cut_share else 1.0
    span = span * scale
    for _ in range(10):
        slack = np.maximum(room - span, -0.35 * span if cut_share and rng.random() < cut_share else 0)
        centre = np.array([x0, y0]) + span / 2 + slack * rng.uniform(0, 1, 2)
        low, high = centre - span / 2, centre + span / 2
        if not overlaps((low[0], low[1], high[0], high[1]), plane.boxes):
            return put(rng, plane, block, block_matrix(block, (float(centre[0]), float(centre[1])), angle, scale))
    return None


def _angle(rng: np.random.Generator, settings: SynthSettings, style: str) -> float:
    if rng.random() < settings.vertical_share:
        return float(rng.choice([90, -90, 180])) + float(rng.normal(0, 3))
    return float(rng.normal(0, 5.0 if style in ("spray", "marker", "sticker") else 2.2))


def _adverts(
    rng: np.random.Generator,
    plane: Plane,
    world: World,
    fonts: Sequence[Font],
    settings: SynthSettings,
    visible: tuple[float, float, float, float],
) -> list[tuple[Placed, str]]:
    out: list[tuple[Placed, str]] = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.72, 0.21, 0.07]))):
        style = str(
            rng.choice(["stencil", "spray", "marker", "stamp", "sticker", "poster"], p=[0.36, 0.2, 0.16, 0.05, 0.12, 0.11])
        )
        advert = world.advert(rng, style)
        cap = _cap(rng, settings)
        if style in ("sticker", "poster"):
            block = printed(rng, advert.lines, advert.code_payload, fonts, cap * 0.8, style)
        else:
            block = painted_block(rng, advert, style, fonts, cap)
        if style in ("sticker", "poster") and advert.code_payload and advert.code_canonical:
            kind, value = advert.code_canonical
            block = _with_code_text(block, LineText(advert.code_payload, value, f"qr:{kind}", (1, 1), ""))
        placed = _place(rng, plane, block, visible, _angle(rng, settings, style)) if block.lines else None
        if placed is not None:
            out.append((placed, advert.shop_id))
    return out


def _with_code_text(block: Block, text: LineText) -> Block:
    """Remember what the code of a block says: it travels as a line of kind ``qr`` in the truth."""
    from .layout import PlacedLine

    if block.code_quad is None:
        return block
    side = float(np.linalg.norm(block.code_quad[1] - block.code_quad[0]))
    return Block(
        block.alpha, block.rgb, block.ink, (*block.lines, PlacedLine(text, block.code_quad, side)), block.code_quad, block.style
    )


def _negatives(
    rng: np.random.Generator,
    plane: Plane,
    world: World,
    fonts: Sequence[Font],
    settings: SynthSettings,
    visible: tuple[float, float, float, float],
    kind: str,
) -> list[tuple[Placed, str, str]]:
    """Put things that are no adverts on the wall: (placed block, kind, text)."""
    if kind == "bare":
        return []
    if kind == "scribble":
        scribble(rng, plane, int(rng.integers(2, 9)))
        return []
    out = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
        text = world.distractor(rng, kind)
        cap = _cap(rng, settings)
        lines = tuple(LineText(line, line, "word", (1, 1), "") for line in text.lines)
        if kind == "poster":
            block = printed(rng, lines, None, fonts, cap * 0.7, "poster")
        elif kind in ("tag", "slogan"):
            style = str(rng.choice(["spray", "marker", "stencil"], p=[0.7, 0.2, 0.1] if kind == "tag" else [0.4, 0.2, 0.4]))
            if kind == "slogan" and rng.random() < 0.3:
                block = printed(rng, lines, None, fonts, cap * 0.8, "poster")
            else:
                from ..world import AdvertText

                block = painted_block(rng, AdvertText("", lines, None, None), style, fonts, cap * (1.6 if kind == "tag" else 1.0))
        else:
            block = board(rng, text.lines, fonts, cap, kind)
        block = Block(block.alpha, block.rgb, block.ink, (), None, kind)
        placed = _place(rng, plane, block, visible, float(rng.normal(0, 8 if kind == "tag" else 1.5)))
        if placed is not None:
            out.append((placed, kind, " ".join(text.lines)))
    return out


def _light(rng: np.random.Generator, plane: Plane, mode: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lit wall with what stands before it, and where that hides it."""
    light = light_field(rng, plane.wall, mode)
    lit = plane.albedo * light
    hidden = np.zeros(plane.ink.shape, np.float32)
    if rng.random() < 0.35:
        lit = surroundings(rng, lit, plane.boxes, light)
    if rng.random() < 0.25:
        lit, hidden = occluders(rng, lit, plane.boxes, light=light)
    return lit, hidden


def _photograph(
    rng: np.random.Generator,
    lit: NDArray[np.float32],
    ink: NDArray[np.float32],
    hidden: NDArray[np.float32],
    matrix: NDArray[np.float64],
    view: View,
    exposure: Exposure,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    size = (view.width, view.height)
    seen = cv2.warpPerspective(lit, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen_ink = cv2.warpPerspective(ink, matrix, size, flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(hidden, matrix, size, flags=cv2.INTER_LINEAR)
    return (
        jpeg(develop(rng, seen.astype(np.float32), exposure), exposure.jpeg),
        seen_ink.astype(np.float32),
        cover.astype(np.float32),
    )


def _judged(
    quad: Corners,
    placed: Placed,
    matrix: NDArray[np.float64],
    picture: NDArray[np.uint8],
    ink: NDArray[np.float32],
    cover: NDArray[np.float32],
    cap: float,
    exposure: Exposure,
) -> Legibility:
    del cap
    return judge(map_points(matrix, placed.to_wall(quad)), picture, ink, cover, exposure.blur + 0.4 * exposure.motion)


def _quad(corners: Corners) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in corners)


def _truth(
    name: str,
    split: str,
    view: View,
    plane: Plane,
    mode: str,
    hard: bool,
    style: str,
    negative_kind: str | None,
    adverts: list[tuple[Placed, str]],
    judged: list[tuple[Placed, str, list[Legibility]]],
    distractors: list[tuple[Placed, str, str]],
    matrix: NDArray[np.float64],
    picture: NDArray[np.uint8],
    ink: NDArray[np.float32],
    cover: NDArray[np.float32],
    exposure: Exposure,
) -> PhotoTruth:
    del adverts, picture, ink, cover
    ads = []
    for index, (placed, shop, marks) in enumerate(judged):
        lines = tuple(
            _line_truth(line.text, map_points(matrix, placed.to_wall(line.quad)), mark)
            for line, mark in zip(placed.block.lines, marks, strict=True)
        )
        ads.append(
            AdvertTruth(
                wall_id=f"{name}#{index}",
                shop_id=shop,
                style=placed.block.style,
                quad=_quad(map_points(matrix, placed.outline)),
                lines=lines,
            )
        )  # type: ignore[arg-type]
    others = tuple(
        DistractorTruth(text=text, quad=_quad(map_points(matrix, placed.outline)), kind=kind)
        for placed, kind, text in distractors
    )  # type: ignore[arg-type]
    return PhotoTruth(
        file=name,
        width=view.width,
        height=view.height,
        ads=tuple(ads),
        distractors=others,
        negative=negative_kind is not None,
        negative_kind=negative_kind,
        split=split,
        style=style,
        material=plane.wall.material,
        light=mode,
        difficulty="hard" if hard else "medium",
        yaw=round(view.yaw, 1),
        pitch=round(view.pitch, 1),
        roll=round(view.roll, 1),
        jpeg_quality=exposure.jpeg,
        motion_px=round(exposure.motion, 1),
    )


def _line_truth(text: LineText, corners: Corners, mark: Legibility) -> LineTruth:
    kind = "qr" if text.kind.startswith("qr:") else text.kind
    extra = {"payload_kind": text.kind[3:]} if kind == "qr" else {}
    return LineTruth(
        text=text.text,
        canonical=text.canonical,
        kind=kind,
        part=text.part,
        evasion=text.evasion,
        quad=_quad(corners),
        height_px=round(mark.height_px, 1),  # type: ignore[arg-type]
        legible=mark.legible,
        visible=round(mark.visible, 3),
        in_frame=round(mark.in_frame, 3),
        contrast=round(mark.contrast, 1),
        ink_corr=round(mark.correlation, 2),
        extra=extra,
    )
