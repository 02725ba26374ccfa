"""The same walls photographed again and again: from other places, by other phones, in other light, older each time.

A wall is painted once. Every visit looks at it from somewhere else, and between visits paint fades and others paint over it.
The inscription of a wall may be met on another wall: sprayed with the same stencil or printed in the same run, written again by
the same hand, or as the sibling of it (the same lettering, another number). Which pictures show one advert, which one stencil,
and which are copies of one picture is known, so that joining and reading together can be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...contract import IdentifierKind, Quad
from ..fonts import Font
from ..truth import AdvertTruth, LineTruth, PhotoTruth
from ..world import AdvertText, World
from ..world.names import sibling
from .camera import View, homography, jpeg, map_points, pick_exposure, pick_view
from .compose import (
    Shot,
    Site,
    SynthSettings,
    advert_block,
    light_plane,
    make_plane,
    photograph,
    pick_angle,
    pick_cap,
    pick_style,
    place_block,
    put_distractors,
)
from .glyphs import smooth_noise
from .layout import Block
from .scene import Plane, overpaint, pick_mode
from .scenery import scenery_behind
from .truthful import Camera, PlacedAdvert, PlacedDistractor, Story, photo_truth

PLATES = ("stencil", "stamp", "sticker", "poster")
"""Styles whose copies are alike to the letter; the others are written again by hand."""
OWN, STENCIL, SIBLING = "own", "stencil", "sibling"
"""How the inscription of a wall stands to that of the first wall of its round: ``WallPlan.relation``."""


@dataclass(frozen=True, slots=True)
class RevisitSettings:
    """What happens to walls between photos. Shares are probabilities, lengths are pixels of the wall."""

    photos: int = 4
    """Photos of each wall."""
    canvas: tuple[int, int] = (1400, 1120)
    """Width and height of the piece of wall on which the photographer may look."""
    middle: float = 0.6
    """The advert stands within this share of the canvas, around its middle."""
    zoom: float = 0.75
    """Natural logarithm of the most that a photo is nearer than one that shows all of the canvas."""
    cut: float = 0.12
    """Photos whose photographer did not care to have all of the advert in the picture."""
    most_enlarged: float = 1.35
    """Photo pixels per wall pixel in the far view; views that would need more look less obliquely."""
    round_walls: int = 3
    """Walls that one seller paints on a round: the later ones may repeat the inscription of the first."""
    same_stencil: float = 0.4
    """Share of the later walls of a round that show the inscription of the first."""
    sibling: float = 0.3
    """Share that show a sibling of it: the same lettering with another number."""
    resent: float = 0.12
    """Photos after the first that are an earlier photo of the wall, sent again by a messenger."""
    fade: float = 0.12
    """Most of the paint's strength that is lost from one visit to the next."""
    overpainted: float = 0.05
    """Painted over before a visit."""
    wet: float = 0.12
    """Visits after rain, when part of the wall is dark."""
    days: float = 9.0
    """Mean number of days between visits."""
    gps_error_m: float = 8.0
    """Deviation of the phones' positions in each direction, in metres."""
    no_gps: float = 0.12
    """Photos without a position."""
    look: SynthSettings = field(
        default_factory=lambda: SynthSettings(cap_median=30.0, cap_spread=0.5, cap_min=10.0, cap_max=120.0)
    )
    """As in single photos; the letters are smaller, because the nearest visit enlarges them."""


WORN = RevisitSettings(
    zoom=0.45,
    fade=0.3,
    overpainted=0.1,
    wet=0.2,
    look=SynthSettings(hard_share=0.8, cap_median=21.0, cap_spread=0.4, cap_min=10.0, cap_max=70.0),
)
"""Old paint, small letters, seen from farther away and more from the side: readings in doubt are common."""


@dataclass(frozen=True, slots=True)
class WallPlan:
    """Which inscription a wall shows: that of ``origin`` (a number of a wall, often its own), and how it stands to it."""

    wall: int
    origin: int
    relation: str

    @property
    def name(self) -> str:
        """The id of the wall in the truth."""
        return f"RW{self.wall:05d}"


def plan_wall(rng: np.random.Generator, wall: int, settings: RevisitSettings) -> WallPlan:
    """Draw what stands on wall number ``wall``."""
    first = wall - wall % settings.round_walls
    draw = float(rng.random())
    if wall == first or draw >= settings.same_stencil + settings.sibling:
        return WallPlan(wall, wall, OWN)
    return WallPlan(wall, first, STENCIL if draw < settings.same_stencil else SIBLING)


@dataclass(frozen=True, slots=True, eq=False)
class Inscription:
    """What is painted, how, and as what block. ``plan`` is as drawn, but for siblings that turned out to be the same text."""

    plan: WallPlan
    advert: AdvertText
    style: str
    block: Block


def make_inscription(
    seed: Sequence[int], plan: WallPlan, world: World, fonts: Sequence[Font], settings: RevisitSettings
) -> Inscription:
    """The inscription of a wall. ``seed`` is that of its origin: the first wall of a round and its repetitions share it."""
    rng = np.random.default_rng([*seed, 0])
    style = pick_style(rng)
    advert = world.advert(rng, style)
    cap = pick_cap(rng, settings.look)
    if plan.relation == SIBLING:
        other = sibling_advert(np.random.default_rng([*seed, 2, plan.wall]), advert, world)
        plan = replace(plan, relation=STENCIL) if other == advert else plan
        advert = other
    again = plan.relation == STENCIL and style not in PLATES
    # Drawn from one seed, the same text gives the same letters, and a text with another digit nearly the same ones.
    hand = np.random.default_rng([*seed, 1, plan.wall] if again else [*seed, 1])
    return Inscription(plan, advert, style, advert_block(hand, advert, style, fonts, cap))


def sibling_advert(rng: np.random.Generator, advert: AdvertText, world: World) -> AdvertText:
    """The advert with another name of the same shop in place of each Telegram name, in the same spelling, and without its code.

    Where none can be replaced (no such name, or its letters are disguised) the advert is returned as it is.
    """
    shop = next((shop for shop in world.shops if shop.shop_id == advert.shop_id), None)
    lines = []
    for line in advert.lines:
        at = line.text.lower().find(line.canonical)
        if shop is not None and line.kind == IdentifierKind.TELEGRAM.value and line.part == (1, 1) and at >= 0:
            value = sibling(rng, line.canonical, shop.stem)
            shown = value.upper() if line.evasion == "upper" else value
            line = replace(line, text=line.text[:at] + shown + line.text[at + len(line.canonical) :], canonical=value)
        lines.append(line)
    if tuple(lines) == advert.lines:
        return advert
    return replace(advert, lines=tuple(lines), code_payload=None, code_canonical=None)


@dataclass(slots=True, eq=False)
class PaintedWall:
    """A wall with its adverts, as it changes from visit to visit. ``bare`` is the surface under the paint."""

    plane: Plane
    bare: NDArray[np.float32]
    adverts: list[PlacedAdvert]
    distractors: list[PlacedDistractor]
    overpainted: str = ""


def paint_wall(
    rng: np.random.Generator,
    inscription: Inscription,
    world: World,
    fonts: Sequence[Font],
    settings: RevisitSettings,
    backgrounds: Sequence[Path] = (),
) -> PaintedWall:
    """Put an inscription on a new wall, with what else stands there."""
    width, height = settings.canvas
    plane = make_plane(rng, settings.canvas, settings.look, backgrounds)
    rim = (1 - settings.middle) / 2
    middle = (rim * width, rim * height, (1 - rim) * width, (1 - rim) * height)
    # Windows and pipes leave the middle free; stains and patches are under the paint.
    left, top, right, bottom = (int(side) for side in middle)
    plane.albedo = scenery_behind(rng, plane.albedo, [(left, top, right, bottom)], plane.wall.scale)
    bare = plane.albedo.copy()
    site = Site(plane, middle, world, fonts, settings.look)
    placed = place_block(rng, site, inscription.block, pick_angle(rng, settings.look, inscription.style))
    adverts = [PlacedAdvert(placed, inscription.advert.shop_id)] if placed is not None and inscription.block.lines else []
    whole = Site(plane, (0.0, 0.0, float(width), float(height)), world, fonts, settings.look)
    distractors = put_distractors(rng, whole, str(rng.choice(["house", "sign", "tag"]))) if rng.random() < 0.25 else []
    return PaintedWall(plane, bare, adverts, distractors)


def age(rng: np.random.Generator, wall: PaintedWall, settings: RevisitSettings) -> None:
    """Let time pass until the next visit: paint fades unevenly, and at times somebody paints over it. Changes ``wall``."""
    plane = wall.plane
    loss = float(rng.uniform(0, settings.fade))
    ragged = smooth_noise(rng, (plane.ink.shape[0], plane.ink.shape[1]), 60.0)
    share = np.clip(loss * (1 + 0.5 * ragged), 0, 1).astype(np.float32)[..., None] * (plane.hidden < 0.05)[..., None]
    plane.albedo = np.asarray(plane.albedo + (wall.bare - plane.albedo) * share, np.float32)
    if wall.adverts and rng.random() < settings.overpainted:
        wall.overpainted = overpaint(rng, plane, wall.adverts[0].placed) or wall.overpainted


def visit(rng: np.random.Generator, wall: PaintedWall, settings: RevisitSettings, name: str, split: str) -> Shot:
    """Photograph the wall once. The truth has the photo's own names for the adverts: see ``name_adverts``."""
    hard = bool(rng.random() < settings.look.hard_share)
    long_side = int(rng.integers(settings.look.long_side_min, settings.look.long_side_max + 1)) // 32 * 32
    camera = _stand(rng, pick_view(rng, long_side, hard), _outline(wall, settings), settings)
    mode = pick_mode(rng)
    kept = wall.plane.albedo
    if rng.random() < settings.wet:
        wall.plane.albedo = _wetted(rng, kept)
    lit, hidden = light_plane(rng, wall.plane, mode)
    wall.plane.albedo = kept
    exposure = pick_exposure(rng, hard, mode in ("night", "dusk"))
    seen = photograph(rng, camera, exposure, lit, wall.plane.ink, hidden)
    story = Story(wall.adverts, wall.distractors, None, wall.plane.wall.material, mode, hard)
    return Shot(seen.picture, exposure.jpeg, photo_truth(name, split, story, seen))


def _outline(wall: PaintedWall, settings: RevisitSettings) -> NDArray[np.float32]:
    """Corners of what photographers look at: the advert, or the middle of a bare wall."""
    if wall.adverts:
        return wall.adverts[0].placed.outline
    return np.full((4, 2), np.array(settings.canvas) / 2, np.float32)


def _stand(rng: np.random.Generator, view: View, outline: NDArray[np.float32], settings: RevisitSettings) -> Camera:
    """Find a stand from which the photo shows nothing beyond the canvas: go nearer, and look less obliquely, until it fits.

    Most photographers step back until the whole advert is in the picture, as far as the canvas allows.
    """
    centre = (view.width * float(rng.uniform(0.42, 0.58)), view.height * float(rng.uniform(0.42, 0.58)))
    frame = np.array([[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]], np.float32)
    canvas = np.array(settings.canvas, np.float64)
    for _ in range(30):
        inverse = np.asarray(np.linalg.inv(homography(view, (0.0, 0.0), centre)), np.float64)
        depth = np.column_stack([frame, np.ones(4)]) @ inverse.T
        if (depth[:, 2] > 0.15).all():
            points = map_points(inverse, frame)
            low, high = points.min(axis=0), points.max(axis=0)
            least = float(((high - low) / canvas).max()) * 1.01
            if least <= settings.most_enlarged:
                break
        view = replace(view, yaw=view.yaw * 0.8, pitch=view.pitch * 0.8, roll=view.roll * 0.85)
    else:
        raise AssertionError("a frontal view always fits")
    careless = rng.random() < settings.cut
    zoom = float(rng.uniform(0, settings.zoom))
    middle = outline.mean(axis=0)
    while True:
        scale = least * float(np.exp(zoom))
        look_at = np.clip(middle + rng.normal(0, 0.05, 2) * canvas, -low / scale, canvas - high / scale)
        near = replace(view, scale=scale)
        camera = Camera(near, homography(near, (float(look_at[0]), float(look_at[1])), centre))
        seen = camera.see(outline)
        if careless or zoom < 0.02 or ((seen > 0) & (seen < (view.width, view.height))).all():
            return camera
        zoom *= 0.75


def _wetted(rng: np.random.Generator, albedo: NDArray[np.float32]) -> NDArray[np.float32]:
    """The wall after rain: darker where the water ran, from the top or from the ground."""
    rows, columns = albedo.shape[:2]
    ragged = smooth_noise(rng, (rows, columns), 90.0) * 0.15
    height = np.linspace(1, 0, rows, dtype=np.float32)[:, None] + ragged
    if rng.random() < 0.5:
        height = 1 - height
    mask = np.clip((height - float(rng.uniform(0.2, 0.8))) / 0.12, 0, 1)
    return np.asarray(albedo * (1 - float(rng.uniform(0.2, 0.45)) * mask[..., None]), np.float32)


def resend(rng: np.random.Generator, shot: Shot, name: str) -> Shot:
    """The same picture through a messenger: smaller, compressed again, and without what the phone wrote into it."""
    factor = float(rng.uniform(0.55, 1.0))
    size = (max(64, round(shot.truth.width * factor)), max(64, round(shot.truth.height * factor)))
    small = np.asarray(cv2.resize(shot.picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    quality = int(rng.integers(45, 80))
    fx, fy = size[0] / shot.truth.width, size[1] / shot.truth.height
    truth = replace(
        shot.truth,
        file=name,
        width=size[0],
        height=size[1],
        ads=tuple(_scaled_advert(ad, fx, fy) for ad in shot.truth.ads),
        distractors=tuple(
            replace(d, quad=_scaled(d.quad, fx, fy), lines=tuple(_scaled_line(line, fx, fy) for line in d.lines or ()) or None)
            for d in shot.truth.distractors
        ),
        jpeg_quality=quality,
        extra={**shot.truth.extra, "copy_of": shot.truth.file},
    )
    return Shot(jpeg(small, quality), quality, truth)


def _scaled_advert(advert: AdvertTruth, fx: float, fy: float) -> AdvertTruth:
    lines = tuple(_scaled_line(line, fx, fy) for line in advert.lines)
    return replace(advert, quad=_scaled(advert.quad, fx, fy), lines=lines)


def _scaled_line(line: LineTruth, fx: float, fy: float) -> LineTruth:
    return replace(line, quad=_scaled(line.quad, fx, fy), height_px=round(line.height_px * fy, 1))


def _scaled(quad: Quad, fx: float, fy: float) -> Quad:
    a, b, c, d = ((round(x * fx, 1), round(y * fy, 1)) for x, y in quad)
    return a, b, c, d


def name_adverts(truth: PhotoTruth, plan: WallPlan, wall: PaintedWall) -> PhotoTruth:
    """The truth with the id of the wall in place of the photo's own; ``stencil_id`` is shared by repetitions elsewhere."""
    stencil = f"RS{plan.wall if plan.relation == SIBLING else plan.origin:05d}"
    ads = tuple(
        replace(ad, wall_id=plan.name, extra={**ad.extra, "stencil_id": stencil, "relation": plan.relation}) for ad in truth.ads
    )
    extra = {**truth.extra, "overpainted": wall.overpainted} if wall.overpainted else truth.extra
    return replace(truth, ads=ads, site_id=plan.name.replace("RW", "RP"), extra=extra)
