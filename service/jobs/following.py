"""Following what a video shows: which frames show one wall, where its middle is in each of them, and which frames to keep.

Features of neighbouring frames tell how the wall has moved from one to the next; where they agree on nothing, another begins.
What the middle frame of a wall shows in its middle, where people hold what they mean to show, is followed through all its frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ...linking.features import AdvertFeatures, extract_features, match, photo_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOOK_SIDE_PX = 640
"""Frames are looked at in this size: sharpness is that of the letters, not that of the noise."""
_MIDDLE = 0.7
"""Share of each side of a frame that counts as its middle."""
_IN_VIEW = 0.5
"""A frame from which more of what is followed has left the picture is kept only where there is no better one."""
_SHIFT = 0.25
"""Frames that agree on no movement may be blurred: they still show one wall while their colours differ no more than this."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of one frame: small and grey, with its features; ``at_s``: seconds from the beginning."""

    at_s: float
    grey: NDArray[np.uint8]
    features: AdvertFeatures


def look(pixels: NDArray[np.uint8], at_s: float) -> Seen:
    """Remember a frame (height, width, RGB)."""
    scale = min(1.0, _LOOK_SIDE_PX / max(pixels.shape[:2]))
    small = pixels
    if scale < 1:
        small = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = small.shape[:2]
    whole = ((0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height)))
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    return Seen(at_s, grey, extract_features(small, whole))


def best_frames(frames: Sequence[Seen], keep: int) -> list[int]:
    """The numbers of the frames to keep, at most ``keep``, in order: of each wall the sharpest, spread over its time."""
    runs = _runs(frames)
    if len(runs) > keep:
        # The walls that are shown longest; among equals the first.
        runs = sorted(sorted(runs, key=lambda run: (-len(run[0]), run[0][0]))[:keep], key=lambda run: run[0][0])
    shares = _shares([len(numbers) for numbers, _ in runs], keep)
    return sorted(number for run, share in zip(runs, shares, strict=True) for number in _sharpest(frames, run, share))


Run = tuple[list[int], list["NDArray[np.float64]"]]
"""Numbers of frames that show one wall, and for each the homography from its first frame to it."""


def _runs(frames: Sequence[Seen]) -> list[Run]:
    runs: list[Run] = []
    for number, frame in enumerate(frames):
        moved = _movement(frames[number - 1], frame) if number else None
        if moved is None:
            runs.append(([number], [np.eye(3)]))
        else:
            numbers, places = runs[-1]
            numbers.append(number)
            places.append(moved @ places[-1])
    return runs


def _movement(before: Seen, after: Seen) -> NDArray[np.float64] | None:
    """How the wall moved between two frames (pixels of the small frames); None where another one is shown."""
    found = match(before.features, after.features)
    if found.homography is not None:
        return photo_map(before.features, after.features, found.homography)
    if before.grey.shape != after.grey.shape:
        return None
    one, other = (cv2.resize(frame.grey, (16, 16), interpolation=cv2.INTER_AREA).astype(float) for frame in (before, after))
    alike = float(np.abs(one - other).mean()) / 255.0 <= _SHIFT * max(0.1, float(one.std()) / 128.0)
    return np.eye(3) if alike else None


def _shares(lengths: Sequence[int], keep: int) -> list[int]:
    """How many frames each wall gets: one each, and the rest by how long they are shown."""
    shares = [1] * len(lengths)
    while sum(shares) < keep:
        wanted = [length / (share + 1) if share < length else 0.0 for length, share in zip(lengths, shares, strict=True)]
        if not max(wanted, default=0.0):
            break
        shares[wanted.index(max(wanted))] += 1
    return shares


def _sharpest(frames: Sequence[Seen], run: Run, keep: int) -> list[int]:
    """The sharpest frame of each of ``keep`` equal parts of a run."""
    numbers, places = run
    middle = len(numbers) // 2
    back = np.linalg.inv(places[middle])
    scores = [
        _score(frames[number], frames[numbers[middle]], place @ back) for number, place in zip(numbers, places, strict=True)
    ]
    parts = np.array_split(np.arange(len(numbers)), keep)
    return [numbers[max(part.tolist(), key=lambda at: (scores[at], -at))] for part in parts if len(part)]


def _score(frame: Seen, anchor: Seen, place: NDArray[np.float64]) -> tuple[bool, float]:
    """Whether what is followed is in view, and how sharp it is there."""
    height, width = anchor.grey.shape
    edge = (1 - _MIDDLE) / 2
    corners = np.array([[edge, edge], [1 - edge, edge], [1 - edge, 1 - edge], [edge, 1 - edge]]) * (width, height)
    quad = cv2.perspectiveTransform(corners[None].astype(np.float64), place)[0]
    mask = np.zeros(frame.grey.shape, np.uint8)
    if not np.isfinite(quad).all() or np.abs(quad).max() > 1e6:
        return False, sharpness_of(frame.grey, None)
    cv2.fillConvexPoly(mask, quad.round().astype(np.int32), 255)
    whole = max(1.0, float(cv2.contourArea(quad.astype(np.float32))))
    in_view = float(np.count_nonzero(mask)) / whole >= _IN_VIEW
    return in_view, sharpness_of(frame.grey, mask if in_view else None)


def sharpness_of(grey: NDArray[np.uint8], mask: Any) -> float:
    """How sharp a small grey picture is where ``mask`` is set, or everywhere: the variance of its Laplacian."""
    edges = cv2.Laplacian(grey, cv2.CV_64F)
    return float(edges[mask > 0].var() if mask is not None else edges.var())
