"""Local features of adverts: whether two pictures show the same paint on the same wall, without reading a letter.

The advert and a margin of wall around it are brought upright to a bounded size, and described by some hundred local features
(``keypoints``, whose descriptions are hashed to 256 bits by the signs of random projections, Charikar 2002). Two adverts are
compared by features that choose each other and agree in one homography (MAGSAC, Barath et al. 2020).

What the features lie on decides what the agreement means. Letters agree wherever the same stencil was used; the wall around them
(joints, cracks, stains, drips) agrees only where it is the same wall. So features on the inscription and on its margin are
counted apart, and matches must spread over the whole inscription: the letters that two names of one seller have in common lie
in a part of it.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..contract import Image, Quad, TagtraceError
from ..models import geometry
from . import keypoints

MatchKind = Literal["same_photo", "same_advert", "same_stencil", "none"]
"""``same_photo``: a copy of the picture; ``same_advert``: the same paint in another photo; ``same_stencil``: the same lettering,
but nothing tells that the wall is the same; ``none``: nothing in common, or another inscription on the same wall. Features do
not read: a single digit painted over on the same wall is told by its reading only."""

DESCRIPTOR_BYTES = 32
_VERSION = 2
"""Of what the descriptors mean. Version 1 (SIFT) cannot be compared with it."""
_EARLIER = (b"\x01",)
_HEAD = struct.Struct("<BHHH4f8f")
_STEP = 32.0
"""Positions are kept to a 32nd of a pixel."""


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """How features are taken. Changing these makes features that were stored before incomparable."""

    long_side_px: int = 448
    """Longer side of the upright picture at most."""
    short_side_px: int = 294
    """Shorter side at most."""
    most_enlarged: float = 1.05
    """Small adverts are enlarged by at most this."""
    margin_across: float = 0.6
    """Wall around the advert that is looked at, as a share of the advert's height,"""
    margin_along: float = 0.12
    """or of its length, whichever is more."""
    points: int = 420
    """Features kept, the strongest ones, of letters and wall together."""
    wall_share: float = 0.45
    """Share of them that is taken from the margin, if it has as many."""
    contrast: float = 3.0
    """Limit of the local contrast equalisation (CLAHE)."""
    least_contrast: float = 0.01
    """Points that stand out less (``keypoints.find``) are noise."""


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """When features agree, and what agreement means. The weights were fitted by ``training.features_fit``."""

    ratio: float = 0.9
    """The nearest descriptor must differ in at most this share of the bits in which the second nearest differs."""
    most_bits: int = 80
    """Descriptors that differ in more of their 256 bits do not match."""
    residual_px: float = 2.8
    """Matches that miss the homography by more pixels do not agree with it."""
    least_inliers: int = 10
    """Fewer agreeing features say nothing."""
    columns: int = 6
    """Parts of the inscription, along the text, over which agreement must spread."""
    least_coverage: float = 0.5
    """Share of these parts, of those with features, that must agree."""
    wall_inliers: int = 5
    """Agreeing features on the margin from which on the wall counts as the same."""
    wall_chance: int = 1
    """So many agreeing features on the margin may be chance, and tell nothing."""
    repainted: float = 0.4
    """Where the letters' features agree less than this share as often as the wall's, another text stands on the same wall."""
    copy_share: float = 0.3
    """Copies of a photo share at least so many of their features, and"""
    copy_bend: float = 0.008
    """between them the advert is only shifted and scaled, to within this share of its longer side."""
    seed: int = 20
    """Of MAGSAC's random choices."""
    bias: float = -1.111
    per_log_inliers: float = 0.008
    per_coverage: float = 0.629
    per_log_wall: float = 1.85
    """``same_advert_log_odds`` = bias + the weights times log(1 + inliers), coverage and log(1 + wall inliers beyond chance).
    Letters that agree all along the advert tell little, as a stencil would have it so, too; the wall around them tells most."""
    no_match: float = -2.537
    """``same_advert_log_odds`` where nothing agrees: another wall, or a photo too poor."""
    most_log_odds: float = 9.0
    """Pictures alone are never surer than this."""


EXTRACT, MATCH = FeatureSettings(), MatchSettings()


@dataclass(frozen=True, slots=True, eq=False)
class AdvertFeatures:
    """The local features of one advert.

    ``points`` are ``float32`` (n, 2), pixels of the upright picture of ``width`` x ``height``; ``descriptors`` ``uint8`` (n, 32).
    ``inner`` is the box of the inscription in it (left, top, right, bottom); the rest is margin. ``quad`` is where the
    inscription is in the photo.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    width: int
    height: int
    inner: tuple[float, float, float, float]
    quad: Quad

    def fingerprint(self) -> bytes:
        """16 bytes that are the same for the same features, and for no others."""
        own = hashlib.blake2b(repr((self.width, self.height, self.inner, self.quad)).encode(), digest_size=16)
        own.update(self.points.tobytes())
        own.update(self.descriptors.tobytes())
        return own.digest()

    def on_inscription(self) -> NDArray[np.bool_]:
        """Which features lie on the inscription, shape (n,)."""
        left, top, right, bottom = self.inner
        x, y = self.points[:, 0], self.points[:, 1]
        return np.asarray((x >= left) & (x <= right) & (y >= top) & (y <= bottom))

    def to_bytes(self) -> bytes:
        """As bytes for a store, 36 per feature; positions are rounded to 1/32 pixel."""
        corners = (value for corner in self.quad for value in corner)
        head = _HEAD.pack(_VERSION, len(self.points), self.width, self.height, *self.inner, *corners)
        return b"".join((head, np.rint(self.points * _STEP).astype("<u2").tobytes(), self.descriptors.tobytes()))

    @classmethod
    def stored(cls, data: bytes) -> AdvertFeatures | None:
        """What this or an earlier release wrote with ``to_bytes``; None where that cannot be compared with today's features.
        Raises ``ValueError`` for other bytes."""
        return None if data[:1] in _EARLIER else cls.from_bytes(data)

    @classmethod
    def from_bytes(cls, data: bytes) -> AdvertFeatures:
        """What ``to_bytes`` gave. Raises ``ValueError`` for other bytes."""
        try:
            version, count, width, height, *numbers = _HEAD.unpack_from(data)
        except struct.error as error:
            raise ValueError(f"no features: {error}") from error
        if version != _VERSION or len(data) != _HEAD.size + count * (4 + DESCRIPTOR_BYTES):
            raise ValueError("no features: unknown version or wrong length")
        points = np.frombuffer(data, "<u2", 2 * count, _HEAD.size).astype(np.float32).reshape(count, 2) / np.float32(_STEP)
        bits = np.frombuffer(data, np.uint8, count * DESCRIPTOR_BYTES, _HEAD.size + 4 * count).reshape(count, DESCRIPTOR_BYTES)
        left, top, right, bottom = numbers[:4]
        quad = geometry.quad_of(np.array(numbers[4:]).reshape(4, 2))
        return cls(points, bits.copy(), width, height, (left, top, right, bottom), quad)


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How the features of two adverts agree.

    ``inliers`` is the number that fit one homography and ``share`` their share of the features that could (the smaller number
    in the common area). ``wall_inliers`` and ``wall_share`` are the same for the margin alone, where ``wall_possible`` features
    could agree; ``coverage`` is the share of the inscription's parts that agree. ``homography`` maps pixels of the first upright
    picture to the second's.
    ``same_advert_log_odds`` are the natural log-odds, before any prior, that both show the same paint on the same wall.
    """

    inliers: int
    share: float
    homography: NDArray[np.float64] | None
    same_advert_log_odds: float
    kind: MatchKind
    coverage: float = 0.0
    wall_inliers: int = 0
    wall_share: float = 0.0
    wall_possible: int = 0

    def measures(self, chance: int) -> tuple[float, float, float]:
        """What the log-odds are a weighted sum of, in the order of the weights in ``MatchSettings``; ``chance`` is its
        ``wall_chance``."""
        return float(np.log1p(self.inliers)), self.coverage, float(np.log1p(max(0, self.wall_inliers - chance)))


def upright_frame(quad: Quad, settings: FeatureSettings = EXTRACT) -> tuple[Quad, int, int, tuple[float, float, float, float]]:
    """The quad with its margin, width and height of its upright picture, and the box of the inscription in that."""
    along, across = geometry.size(quad)
    margin = _margin(quad, settings)
    wide, high = along + 2 * margin, across + 2 * margin
    long_side, short_side = max(wide, high), min(wide, high)
    factor = min(settings.long_side_px / long_side, settings.short_side_px / short_side, settings.most_enlarged)
    width, height = max(16, round(wide * factor)), max(16, round(high * factor))
    dx, dy = margin / wide * width, margin / high * height
    return geometry.expand(quad, margin), width, height, (dx, dy, width - dx, height - dy)


def to_upright(quad: Quad, settings: FeatureSettings = EXTRACT) -> NDArray[np.float64]:
    """The 3x3 homography from pixels of the photo to those of the upright picture of the advert at ``quad``."""
    wider, width, height, _ = upright_frame(quad, settings)
    return _onto(wider, width, height)


def _margin(quad: Quad, settings: FeatureSettings) -> float:
    """Pixels of wall that are looked at around an advert."""
    along, across = geometry.size(quad)
    return max(settings.margin_across * across, settings.margin_along * along)


def _onto(quad: Quad, width: int, height: int) -> NDArray[np.float64]:
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(geometry.points_of(quad).astype(np.float32), target), np.float64)


def extract_features(image: Image, quad: Quad, settings: FeatureSettings = EXTRACT) -> AdvertFeatures:
    """The features of the advert at ``quad`` (photo pixels) and of the wall around it.

    Never fails for want of texture: a bare wall has no features. Raises ``TagtraceError`` for a quad without area.
    """
    if geometry.area(quad) <= 0:
        raise TagtraceError(f"the quad {quad} has no area: it cannot be described")
    _, width, height, inner = upright_frame(quad, settings)
    matrix = to_upright(quad, settings)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # cv2 counts from the centre of the first pixel
    upright = cv2.warpPerspective(
        image, np.linalg.inv(half) @ matrix @ half, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpPerspective(np.full(image.shape[:2], 255, np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST)
    grey = cv2.createCLAHE(settings.contrast, (8, 8)).apply(cv2.cvtColor(upright, cv2.COLOR_RGB2GRAY))
    mask = cv2.erode(inside, np.ones((9, 9), np.uint8))
    found = keypoints.find(np.asarray(grey, np.uint8), np.asarray(mask, np.uint8), settings.least_contrast)
    kept = _strongest(found.at, found.strength, inner, settings)
    points = np.clip(found.at[kept].astype(np.float32) + np.float32(0.5), 0, np.array([width, height], np.float32))
    return AdvertFeatures(points, hashed(keypoints.describe(found, kept)), width, height, inner, quad)


def _strongest(
    points: NDArray[np.float64],
    strength: NDArray[np.float64],
    inner: tuple[float, float, float, float],
    settings: FeatureSettings,
) -> NDArray[np.intp]:
    """Numbers of the features to keep: the strongest of the wall up to its share, the strongest of the letters, then the rest."""
    left, top, right, bottom = inner
    x, y = points[:, 0], points[:, 1]
    letters = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    order = np.lexsort((y, x, -strength))
    wall, text = order[~letters[order]], order[letters[order]]
    room = round(settings.points * settings.wall_share)
    room = max(room, settings.points - len(text))
    chosen = wall[:room]
    return np.concatenate([text[: settings.points - len(chosen)], chosen])


@lru_cache(maxsize=1)
def _projections() -> NDArray[np.float32]:
    """The random directions whose signs are the bits of a descriptor: fixed for good, (128, 256)."""
    return np.random.default_rng(4).standard_normal((128, 8 * DESCRIPTOR_BYTES)).astype(np.float32)


def hashed(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Descriptions (n, 128) as 256 bits each, ``uint8`` (n, 32): Hamming distance goes with the angle between them.

    Square roots are taken first (RootSIFT, Arandjelović and Zisserman 2012), and the mean is removed to use all bits.
    """
    roots = np.sqrt(np.maximum(vectors, 0) / np.maximum(vectors.sum(axis=1, keepdims=True), 1e-6))
    roots = roots - roots.mean(axis=1, keepdims=True)
    return np.packbits(roots.astype(np.float32) @ _projections() > 0, axis=1)


def match(a: AdvertFeatures, b: AdvertFeatures, settings: MatchSettings | None = None) -> Match:
    """Compare two adverts; the same input gives the same output, and swapping the two all but the same."""
    settings = settings or MATCH
    nothing = Match(0, 0.0, None, settings.no_match, "none")
    pairs = _pairs(a, b, settings)
    if len(pairs) < max(4, settings.least_inliers):
        return nothing
    first, second = a.points[pairs[:, 0]], b.points[pairs[:, 1]]
    cv2.setRNGSeed(settings.seed)
    homography, kept = cv2.findHomography(first, second, cv2.USAC_MAGSAC, settings.residual_px, maxIters=5000, confidence=0.9999)
    if homography is None or not _sensible(np.asarray(homography, np.float64), a):
        return nothing
    fits = kept.ravel().astype(bool)
    if int(fits.sum()) < settings.least_inliers:
        return nothing
    return _judge(a, b, pairs[fits], np.asarray(homography, np.float64), settings)


def _pairs(a: AdvertFeatures, b: AdvertFeatures, settings: MatchSettings) -> NDArray[np.intp]:
    """Features that choose each other, and clearly: numbers in a and b, shape (k, 2)."""
    if len(a.points) < 2 or len(b.points) < 2:
        return np.zeros((0, 2), np.intp)
    near, there = cv2.batchDistance(a.descriptors, b.descriptors, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=2)
    _, back = cv2.batchDistance(b.descriptors, a.descriptors, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)
    rows, best = np.arange(len(a.descriptors)), there[:, 0]
    mutual = back[best, 0] == rows
    clear = (near[:, 0] <= settings.ratio * near[:, 1]) & (near[:, 0] <= settings.most_bits)
    chosen = rows[mutual & clear]
    return np.column_stack([chosen, best[chosen]])


def _sensible(homography: NDArray[np.float64], a: AdvertFeatures) -> bool:
    """Whether the map keeps the picture a picture: not mirrored, not folded, and no more than six times larger or smaller."""
    corners = np.array([[0, 0], [a.width, 0], [a.width, a.height], [0, a.height]], np.float64)
    if not (np.column_stack([corners, np.ones(4)]) @ homography[2] > 1e-3).all():
        return False
    x, y = cv2.perspectiveTransform(corners.reshape(1, 4, 2), homography)[0].T
    signed = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    convex = bool(cv2.isContourConvex(np.column_stack([x, y]).astype(np.float32)))
    return convex and 1 / 36 < signed / (a.width * a.height) < 36


def _judge(
    a: AdvertFeatures, b: AdvertFeatures, pairs: NDArray[np.intp], homography: NDArray[np.float64], settings: MatchSettings
) -> Match:
    """What the agreeing features say."""
    there = cv2.perspectiveTransform(a.points.reshape(1, -1, 2).astype(np.float64), homography)[0]
    back = cv2.perspectiveTransform(b.points.reshape(1, -1, 2).astype(np.float64), np.linalg.inv(homography))[0]
    seen_a, seen_b = _within(there, b.width, b.height), _within(back, a.width, a.height)
    text_a, text_b = a.on_inscription(), b.on_inscription()
    on_text = text_a[pairs[:, 0]] | text_b[pairs[:, 1]]
    share = len(pairs) / max(1, min(int(seen_a.sum()), int(seen_b.sum())))
    # The wall is what lies outside both inscriptions: the boxes of two photos need not be the same.
    left, top, right, bottom = b.inner
    outside_b = ~((there[:, 0] >= left) & (there[:, 0] <= right) & (there[:, 1] >= top) & (there[:, 1] <= bottom))
    left, top, right, bottom = a.inner
    outside_a = ~((back[:, 0] >= left) & (back[:, 0] <= right) & (back[:, 1] >= top) & (back[:, 1] <= bottom))
    walls = int((~on_text & outside_b[pairs[:, 0]] & outside_a[pairs[:, 1]]).sum())
    could = min(int((seen_a & ~text_a & outside_b).sum()), int((seen_b & ~text_b & outside_a).sum()))
    wall_share = walls / max(1, could)
    coverage = _coverage(a, a.points[pairs[:, 0]], seen_a, settings)
    found = Match(
        len(pairs), float(min(1.0, share)), homography, 0.0, "same_stencil", coverage, walls, float(min(1.0, wall_share)), could
    )
    odds = _log_odds(found, settings)
    kind: MatchKind = "same_stencil"
    texts = int((text_a[pairs[:, 0]] & text_b[pairs[:, 1]]).sum())
    text_share = texts / max(1, min(int((seen_a & text_a).sum()), int((seen_b & text_b).sum())))
    if walls >= settings.wall_inliers and text_share < settings.repainted * wall_share:
        odds, kind = min(odds, settings.no_match), "none"
    elif coverage < settings.least_coverage:
        odds, kind = min(odds, 0.0), "none"
    elif walls >= settings.wall_inliers and odds > 0:
        copy = min(share, wall_share) >= settings.copy_share and _bend(a, b, homography) <= settings.copy_bend
        kind = "same_photo" if copy else "same_advert"
    return replace(found, same_advert_log_odds=odds, kind=kind)


def photo_map(a: AdvertFeatures, b: AdvertFeatures, homography: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 3x3 homography from pixels of photo a to those of photo b, from that between the upright pictures of their adverts."""
    # Features that were stored may be of a picture of another size than is taken today.
    into, out = (_onto(geometry.expand(f.quad, _margin(f.quad, EXTRACT)), f.width, f.height) for f in (a, b))
    return np.asarray(np.linalg.inv(out) @ homography @ into, np.float64)


def _bend(a: AdvertFeatures, b: AdvertFeatures, homography: NDArray[np.float64]) -> float:
    """How far the advert is turned or bent from one photo to the other, as a share of its longer side: nothing for copies."""
    corners = geometry.points_of(a.quad)
    mapped = cv2.perspectiveTransform(corners.reshape(1, 4, 2), photo_map(a, b, homography))[0]
    own, other = corners - corners.mean(axis=0), mapped - mapped.mean(axis=0)
    scale = float((own * other).sum() / (own * own).sum())
    return float(np.abs(other - scale * own).max()) / max(geometry.size(b.quad))


def _within(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
    return np.asarray((points >= 0).all(axis=1) & (points[:, 0] <= width) & (points[:, 1] <= height))


def _coverage(a: AdvertFeatures, agreeing: NDArray[np.float32], seen: NDArray[np.bool_], settings: MatchSettings) -> float:
    """Share of the inscription's parts (columns along the text) with features in common view in which some agree."""
    left, _, right, _ = a.inner
    edges = np.linspace(left, right, settings.columns + 1)
    text = a.on_inscription()
    have = np.histogram(a.points[text & seen, 0], edges)[0]
    agree = np.histogram(agreeing[:, 0], edges)[0]
    counted = have >= 3
    return float((agree[counted] > 0).mean()) if counted.any() else 0.0


def _log_odds(found: Match, settings: MatchSettings) -> float:
    weights = (settings.per_log_inliers, settings.per_coverage, settings.per_log_wall)
    total = settings.bias + float(np.dot(weights, found.measures(settings.wall_chance)))
    return float(np.clip(total, -settings.most_log_odds, settings.most_log_odds))
