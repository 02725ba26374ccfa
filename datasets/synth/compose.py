"""One synthetic photo with its truth: what is on the wall, from where the phone looks, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..fonts import Font
from ..truth import PhotoTruth
from ..world import AdvertText, DistractorText, LineText, World
from .camera import Exposure, View, develop, homography, jpeg, map_points, pick_exposure, pick_view
from .glyphs import Mask
from .layout import Block, PlacedLine, painted_block
from .light import light_field
from .paper import board, printed
from .scene import Placed, Plane, block_matrix, outline, overlaps, overpaint, pick_mode, put, scribble
from .scenery import occluders, scenery_behind, surroundings
from .truthful import CODE_PREFIX, Camera, PlacedAdvert, PlacedDistractor, Seen, Story, photo_truth
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
    cut_share: float = 0.05
    """Blocks that may keep their size where they do not fit, and that may run out of the frame."""
    max_wall_factor: float = 1.8
    max_wall_side: int = 1400


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A finished photo: ``picture`` (H, W, 3) ``uint8`` RGB as a viewer sees it, its JPEG quality, and its truth."""

    picture: NDArray[np.uint8]
    quality: int
    truth: PhotoTruth


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """The wall that is painted, the box of it that the photo surely shows (wall pixels), and what the painting is drawn from."""

    plane: Plane
    visible: tuple[float, float, float, float]
    world: World
    fonts: Sequence[Font]
    settings: SynthSettings


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
    camera, size = _viewpoint(rng, pick_view(rng, long_side, hard), settings)
    mode = pick_mode(rng)
    plane = make_plane(rng, size, settings, backgrounds)
    site = Site(plane, _visible_box(camera, size), world, fonts, settings)
    adverts: list[PlacedAdvert] = []
    negative_kind = None
    if negative:
        negative_kind = str(rng.choice(NEGATIVES))
        distractors = put_distractors(rng, site, negative_kind)
    else:
        adverts = _adverts(rng, site)
        count = int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1]))
        kinds = [str(rng.choice(NEGATIVES[1:])) for _ in range(count)]
        distractors = [distractor for kind in kinds for distractor in put_distractors(rng, site, kind)]
    plane.albedo = scenery_behind(rng, plane.albedo, plane.boxes, plane.wall.scale)
    for advert in adverts:
        if rng.random() < settings.overpaint_share:
            overpaint(rng, plane, advert.placed)
    lit, hidden = light_plane(rng, plane, mode)
    exposure = pick_exposure(rng, hard, mode in ("night", "dusk"))
    seen = photograph(rng, camera, exposure, lit, plane.ink, hidden)
    story = Story(adverts, distractors, negative_kind, plane.wall.material, mode, hard)
    return Shot(seen.picture, exposure.jpeg, photo_truth(name, split, story, seen))


def _viewpoint(rng: np.random.Generator, view: View, settings: SynthSettings) -> tuple[Camera, tuple[int, int]]:
    """Tame the view until the wall it sees fits the canvas, and shift the map so that the canvas starts at (0, 0).

    Returns the camera, and width and height of the canvas.
    """
    centre = (view.width * float(rng.uniform(0.42, 0.58)), view.height * float(rng.uniform(0.42, 0.58)))
    corners = np.array([[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]], np.float32)
    for _ in range(12):
        matrix = homography(view, (0.0, 0.0), centre)
        inverse = np.asarray(np.linalg.inv(matrix), np.float64)
        depth = np.column_stack([corners, np.ones(4)]) @ inverse.T
        if (depth[:, 2] > 0.15).all():
            points = map_points(inverse, corners)
            low, high = points.min(axis=0), points.max(axis=0)
            width, height = high - low
            if width < settings.max_wall_factor * view.width and height < settings.max_wall_factor * view.height:
                shift = np.array([[1, 0, low[0]], [0, 1, low[1]], [0, 0, 1]], np.float64)
                return Camera(view, matrix @ shift), (int(width) + 1, int(height) + 1)
        view = View(view.width, view.height, view.yaw * 0.8, view.pitch * 0.8, view.roll * 0.9, view.scale, view.focal)
    raise AssertionError("a frontal view always fits")


def make_plane(rng: np.random.Generator, size: tuple[int, int], settings: SynthSettings, backgrounds: Sequence[Path]) -> Plane:
    """A wall of ``size`` (width, height) pixels with nothing on it but, at times, a scribble."""
    factor = min(1.0, settings.max_wall_side / max(size))
    small = (max(64, int(size[0] * factor)), max(64, int(size[1] * factor)))
    wall = make_wall(rng, small[1], small[0], backgrounds=backgrounds)
    if factor < 1:
        albedo, relief = (
            np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.float32) for part in (wall.albedo, wall.relief)
        )
        wall = replace(wall, albedo=albedo, relief=relief, scale=wall.scale / factor)
    plane = Plane.of(wall)
    if rng.random() < 0.15:
        scribble(rng, plane, int(rng.integers(1, 5)))
    return plane


def _visible_box(camera: Camera, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box of the wall that the photo surely shows (wall pixels)."""
    inset = np.array([[0.04, 0.04], [0.96, 0.04], [0.96, 0.96], [0.04, 0.96]], np.float32)
    points = camera.unsee((inset * (camera.view.width, camera.view.height)).astype(np.float32))
    xs, ys = np.sort(points[:, 0]), np.sort(points[:, 1])
    return float(max(0, xs[1])), float(max(0, ys[1])), float(min(size[0], xs[2])), float(min(size[1], ys[2]))


def pick_cap(rng: np.random.Generator, settings: SynthSettings) -> float:
    """Draw the height of an advert's capitals in wall pixels."""
    return float(np.clip(settings.cap_median * np.exp(rng.normal(0, settings.cap_spread)), settings.cap_min, settings.cap_max))


def place_block(rng: np.random.Generator, site: Site, block: Block, angle: float) -> Placed | None:
    """Find room for a block, shrinking it to fit; a few may run out of the frame."""
    x0, y0, x1, y1 = site.visible
    cut_share = site.settings.cut_share
    turned = outline(block, block_matrix(block, (0, 0), angle, 1.0))
    span = turned.max(axis=0) - turned.min(axis=0)
    room = np.array([x1 - x0, y1 - y0])
    scale = float(min(1.0, *(room * rng.uniform(0.75, 0.98) / span))) if rng.random() > cut_share else 1.0
    span = span * scale
    for _ in range(10):
        slack = np.maximum(room - span, -0.35 * span if rng.random() < cut_share else 0)
        centre = np.array([x0, y0]) + span / 2 + slack * rng.uniform(0, 1, 2)
        low, high = centre - span / 2, centre + span / 2
        if not overlaps((low[0], low[1], high[0], high[1]), site.plane.boxes):
            return put(rng, site.plane, block, block_matrix(block, (float(centre[0]), float(centre[1])), angle, scale))
    return None


def pick_angle(rng: np.random.Generator, settings: SynthSettings, style: str) -> float:
    """Draw how far an advert is turned on the wall, in degrees: a little, or by a right angle."""
    if rng.random() < settings.vertical_share:
        return float(rng.choice([90, -90, 180])) + float(rng.normal(0, 3))
    return float(rng.normal(0, 5.0 if style in ("spray", "marker", "sticker") else 2.2))


def _adverts(rng: np.random.Generator, site: Site) -> list[PlacedAdvert]:
    out = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.72, 0.21, 0.07]))):
        style = pick_style(rng)
        advert = site.world.advert(rng, style)
        block = advert_block(rng, advert, style, site.fonts, pick_cap(rng, site.settings))
        placed = place_block(rng, site, block, pick_angle(rng, site.settings, style)) if block.lines else None
        if placed is not None:
            out.append(PlacedAdvert(placed, advert.shop_id))
    return out


def pick_style(rng: np.random.Generator) -> str:
    """Draw how an advert is put on the wall."""
    return str(rng.choice(["stencil", "spray", "marker", "stamp", "sticker", "poster"], p=[0.32, 0.2, 0.15, 0.05, 0.16, 0.12]))


def advert_block(rng: np.random.Generator, advert: AdvertText, style: str, fonts: Sequence[Font], cap_px: float) -> Block:
    """The advert as it is painted or printed, with capitals ``cap_px`` high where it is painted."""
    if style in ("sticker", "poster"):
        return _with_code_text(printed(rng, advert.lines, advert.code_payload, fonts, cap_px * 0.8, style), advert)
    return painted_block(rng, advert, style, fonts, cap_px)


def _with_code_text(block: Block, advert: AdvertText) -> Block:
    """Remember what the code of a block says, if it has one: it travels as a line of kind ``qr`` in the truth."""
    if block.code_quad is None or not advert.code_payload or not advert.code_canonical:
        return block
    kind, value = advert.code_canonical
    text = LineText(advert.code_payload, value, f"{CODE_PREFIX}{kind}", (1, 1), "")
    side = float(np.linalg.norm(block.code_quad[1] - block.code_quad[0]))
    return replace(block, lines=(*block.lines, PlacedLine(text, block.code_quad, side)))


def put_distractors(rng: np.random.Generator, site: Site, kind: str) -> list[PlacedDistractor]:
    """Put things of one kind that are no adverts on the wall; ``bare`` and ``scribble`` hold no text, so nothing is returned."""
    if kind == "bare":
        return []
    if kind == "scribble":
        scribble(rng, site.plane, int(rng.integers(2, 9)))
        return []
    out = []
    for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
        text = site.world.distractor(rng, kind)
        block = _distractor_block(rng, site, text, kind)
        placed = place_block(rng, site, block, float(rng.normal(0, 8 if kind == "tag" else 1.5)))
        if placed is not None:
            out.append(PlacedDistractor(placed, kind, " ".join(text.lines)))
    return out


def _distractor_block(rng: np.random.Generator, site: Site, text: DistractorText, kind: str) -> Block:
    """A text that is no advert, painted, printed or on a board as its kind asks."""
    cap = pick_cap(rng, site.settings)
    lines = tuple(LineText(line, line, "word", (1, 1), "") for line in text.lines)
    if kind == "poster":
        block = printed(rng, lines, None, site.fonts, cap * 0.7, "poster")
    elif kind in ("tag", "slogan"):
        style = str(rng.choice(["spray", "marker", "stencil"], p=[0.7, 0.2, 0.1] if kind == "tag" else [0.4, 0.2, 0.4]))
        if kind == "slogan" and rng.random() < 0.3:
            block = printed(rng, lines, None, site.fonts, cap * 0.8, "poster")
        else:
            size = cap * (1.6 if kind == "tag" else 1.0)
            block = painted_block(rng, AdvertText("", lines, None, None), style, site.fonts, size)
    else:
        block = board(rng, text.lines, site.fonts, cap, kind)
    return replace(block, code_quad=None, style=kind)


def light_plane(rng: np.random.Generator, plane: Plane, mode: str) -> tuple[NDArray[np.float32], Mask]:
    """The lit wall with what stands before it, and where that or later paint hides it."""
    light = light_field(rng, plane.wall, mode)
    lit = plane.albedo * light
    hidden = np.zeros(plane.ink.shape, np.float32)
    if rng.random() < 0.35:
        lit = surroundings(rng, lit, plane.boxes, light)
    if rng.random() < 0.25:
        lit, hidden = occluders(rng, lit, plane.boxes, light=light)
    return lit, np.maximum(hidden, plane.hidden)


def photograph(
    rng: np.random.Generator, camera: Camera, exposure: Exposure, lit: NDArray[np.float32], ink: Mask, hidden: Mask
) -> Seen:
    """What the phone makes of the lit wall, with the letters and the hidden parts (wall pixels) as they are in the photo."""
    size = (camera.view.width, camera.view.height)
    seen = cv2.warpPerspective(lit, camera.matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen_ink = cv2.warpPerspective(ink, camera.matrix, size, flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(hidden, camera.matrix, size, flags=cv2.INTER_LINEAR)
    picture = jpeg(develop(rng, seen.astype(np.float32), exposure), exposure.jpeg)
    return Seen(picture, seen_ink.astype(np.float32), cover.astype(np.float32), camera, exposure)
