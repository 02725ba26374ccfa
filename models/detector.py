"""The detector at work: an ultralytics YOLO with oriented boxes, exported to ONNX."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..contract import OTHER_TEXT, BrokenInstallationError, Image, ModelInfo, Quad, Region, RegionKind, TagtraceError
from .geometry import bounds, quad_of, rotated_nms, upright
from .merging import Found, MergeSettings, merge
from .runtime import Network, Runtime, load_network

STRIDE = 32
"""Height and width of the network's input are multiples of this."""

_WANTED = "export a detector of lines and codes with `tagtrace train detector`"

_GREY = 114
"""Value of the padding, as in training."""


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """How photos are looked at. Lengths are in pixels, confidences and IoU in 0..1."""

    input_px: int = 640
    """Long side of the network's input; smaller photos are not blown up."""
    overview_px: int = 480
    """Long side of a second, smaller look at a photo in which the first found nothing: close-ups have letters larger than any
    in training. 0: none."""
    tile_from_px: int = 2000
    """Photos with a longer side than this are also looked at in tiles."""
    tile_px: int = 800
    """Long side of the network's input for these photos, instead of ``input_px``: for the whole of them and for each tile."""
    tiled_px: int = 1600
    """Long side to which a photo is shrunk before it is cut into tiles: bounds the time for huge photos."""
    tile_overlap: float = 0.25
    """Share of a tile that it has in common with its neighbour, at least."""
    tile_hint: float = 0.02
    """A tile is looked at where the look at the whole photo saw something of at least this confidence in it,"""
    tile_small_px: float = 14.0
    """and whose shorter side is at most this (pixels of the network's input): what is larger was seen well enough."""
    line_confidence: float = 0.25
    """Lines below this are not reported."""
    code_confidence: float = 0.25
    """Codes below this are not reported."""
    nms_iou: float = 0.4
    """Within one view, boxes of one kind with a greater IoU are one object."""
    max_candidates: int = 300
    """At most so many boxes per view and kind are considered, the most confident ones."""
    cut_margin_px: float = 6.0
    """A box that comes this near to an inner border of a tile (pixels of the network's input) is cut by it."""
    min_side_px: float = 3.0
    """Boxes with a shorter side (pixels of the network's input) are noise."""
    threads: int = 0
    """Processor threads; 0 lets the runtime choose."""
    runtime: Runtime = Runtime.AUTO
    """What runs the network."""
    merge: MergeSettings = field(default_factory=MergeSettings)

    def __post_init__(self) -> None:
        for name in ("input_px", "tile_px"):
            side = getattr(self, name)
            if side < STRIDE or side % STRIDE:
                raise TagtraceError(f"{name} is {side}: choose a multiple of {STRIDE}")
        if not 0 <= self.tile_overlap < 1:
            raise TagtraceError(f"tile_overlap is {self.tile_overlap}: choose a share of at least 0 and less than 1")


@dataclass(frozen=True, slots=True)
class View:
    """A part of the photo as the network sees it: its borders in photo pixels, and the size it is brought to, in pixels."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int


def plan_views(width: int, height: int, settings: DetectionSettings) -> list[View]:
    """The whole photo, and for large photos the overlapping tiles that cover it, all the same size."""
    long = max(width, height)
    tiled = long > settings.tile_from_px
    side = settings.tile_px if tiled else settings.input_px
    shrink = min(1.0, side / long)
    views = [View(0, 0, width, height, max(1, round(width * shrink)), max(1, round(height * shrink)))]
    if not tiled:
        return views
    detail = min(1.0, settings.tiled_px / long)
    tile = side / detail
    for top, bottom in _spans(height, tile, settings.tile_overlap):
        for left, right in _spans(width, tile, settings.tile_overlap):
            views.append(
                View(left, top, right, bottom, max(1, round((right - left) * detail)), max(1, round((bottom - top) * detail)))
            )
    return views


def _spans(length: int, tile: float, overlap: float) -> list[tuple[int, int]]:
    """Equal stretches of at most ``tile`` that cover 0..length, neighbours overlapping by at least ``overlap`` of a tile."""
    if length <= tile:
        return [(0, length)]
    count = math.ceil((length - tile) / (tile * (1 - overlap))) + 1
    step = (length - tile) / (count - 1)
    return [(round(i * step), min(length, round(i * step + tile))) for i in range(count)]


class OnnxDetector:
    """Finds text lines and codes (``contract.Detector``).

    A network with the class ``other`` finds all text and tells by looks what is of an advert; one without it was trained to leave
    other text alone.

    ``model`` is an ONNX file with dynamic height and width: input float32 (batch, 3, height, width), RGB 0..1; output float32
    (batch, 4 + classes + 1, candidates) of centre x, y, width, height, class scores, angle. The class names are read from the
    file's metadata. The object holds nothing that changes, so threads may share it.

    Raises ``BrokenInstallationError`` when the file cannot be loaded or is no such network.
    """

    def __init__(self, model: Path, settings: DetectionSettings | None = None, info: ModelInfo | None = None) -> None:
        self.settings = settings or DetectionSettings()
        self._network, digest = load_network(model, self.settings.threads, self.settings.runtime)
        self._classes = _classes(model, self._network)
        self._info = info or ModelInfo(task="detector", name=model.stem, sha256=digest)

    @property
    def info(self) -> ModelInfo:
        """Name and SHA-256 of the weights."""
        return self._info

    @property
    def runtime(self) -> Runtime:
        """What runs the network."""
        return self._network.runtime

    @property
    def classes(self) -> tuple[str, ...]:
        """What the network tells apart, in the order of its outputs."""
        return self._classes

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        """One list of regions per picture, most confident first; quads are clockwise, the first side along the long axis."""
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> list[Region]:
        rows, columns = image.shape[:2]
        whole, *tiles = plan_views(columns, rows, self.settings)
        seen = self._look(image, whole)
        found = self._boxes(seen, 0)
        if tiles:
            hints = self._hints(seen)
            tiles = [tile for tile in tiles if _shows(tile, hints)]
        for number, tile in enumerate(tiles, 1):
            found.extend(self._boxes(self._look(image, tile), number))
        small = self.settings.overview_px / max(columns, rows)
        if not found and 0 < small < 1:
            view = View(0, 0, columns, rows, max(1, round(columns * small)), max(1, round(rows * small)))
            found.extend(self._boxes(self._look(image, view), 1 + len(tiles)))
        return merge(found, self.settings.merge)

    def _look(self, image: Image, view: View) -> _Seen:
        blob, pad_x, pad_y = letterbox(image[view.top : view.bottom, view.left : view.right], view.width, view.height)
        output = np.asarray(self._network.run(blob)[0], dtype=np.float32)[0]
        return _Seen(output, view, (pad_x, pad_y), (image.shape[1], image.shape[0]))

    def _boxes(self, seen: _Seen, number: int) -> list[Found]:
        """The boxes of one view in photo coordinates, doubles within the view removed."""
        margin = self.settings.cut_margin_px * max(seen.scale)
        found = []
        for of_kind in candidates(seen.output, self._classes, self.settings):
            for i in rotated_nms(of_kind.quads, of_kind.confidences, self.settings.nms_iou):
                quad = upright(quad_of(seen.in_photo(np.asarray(of_kind.quads[i]))))
                cut = _is_cut(quad, seen.view, *seen.photo, margin)
                found.append(Found(of_kind.kind, quad, of_kind.confidences[i], number, cut, of_kind.adverts[i]))
        return found

    def _hints(self, seen: _Seen) -> NDArray[np.float64]:
        """Where something small may be, in photo coordinates, (n, 2)."""
        boxes, scores = seen.output[:4], seen.output[4 : 4 + len(self._classes)]
        hint = (scores.max(axis=0) >= self.settings.tile_hint) & (boxes[2:].min(axis=0) <= self.settings.tile_small_px)
        return seen.in_photo(boxes[:2, hint].T.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the network gave for a view of a photo; pixels of its input lie ``padding`` (x, y) beside those of the view."""

    output: NDArray[np.float32]
    view: View
    padding: tuple[int, int]
    photo: tuple[int, int]
    """Width and height in pixels."""

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the photo for one of the network's input, along and across."""
        view = self.view
        return (view.right - view.left) / view.width, (view.bottom - view.top) / view.height

    def in_photo(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of the network's input (n, 2) in pixels of the photo."""
        return np.asarray((points - self.padding) * self.scale + (self.view.left, self.view.top), np.float64)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one kind above its threshold, in pixels of the network's input, best first; ``adverts`` as in ``Region``."""

    kind: RegionKind
    quads: list[Quad]
    confidences: list[float]
    adverts: list[float]


def candidates(output: NDArray[np.float32], classes: Sequence[str], settings: DetectionSettings) -> list[Candidates]:
    """The lines and the codes in a network's output (4 + classes + 1, n): see ``OnnxDetector``."""
    scores = dict(zip(classes, output[4 : 4 + len(classes)], strict=True))
    line, code = scores[RegionKind.LINE], scores[RegionKind.CODE]
    other = scores.get(OTHER_TEXT, np.zeros_like(line))
    # The two classes of text are judged apart: either is enough to be text.
    text = 1 - (1 - line) * (1 - other)
    share = line / np.maximum(line + other, np.finfo(np.float32).tiny)
    kinds = (
        (RegionKind.LINE, text, share, (text >= settings.line_confidence) & (text >= code)),
        (RegionKind.CODE, code, np.ones_like(code), (code >= settings.code_confidence) & (code > text)),
    )
    large = np.minimum(output[2], output[3]) >= settings.min_side_px
    result = []
    for kind, own, advert, kept in kinds:
        chosen = np.flatnonzero(kept & large)
        chosen = chosen[np.argsort(-own[chosen], kind="stable")][: settings.max_candidates]
        quads = [quad_of(box) for box in box_corners(output[:4, chosen], output[-1, chosen])]
        result.append(Candidates(kind, quads, own[chosen].tolist(), advert[chosen].tolist()))
    return result


def box_corners(boxes: NDArray[np.float32], angles: NDArray[np.float32]) -> NDArray[np.float64]:
    """Corners, shape (n, 4, 2), clockwise, of rotated boxes (4, n) of centre x, y, width, height and angles (n,) in radians."""
    x, y, w, h = boxes.astype(np.float64)
    cos, sin = np.cos(angles.astype(np.float64)), np.sin(angles.astype(np.float64))
    along = np.stack([w / 2 * cos, w / 2 * sin], axis=-1)
    across = np.stack([-h / 2 * sin, h / 2 * cos], axis=-1)
    middle = np.stack([x, y], axis=-1)
    corners = [middle - along - across, middle + along - across, middle + along + across, middle - along + across]
    return np.stack(corners, axis=1)


def letterbox(image: Image, width: int, height: int) -> tuple[NDArray[np.float32], int, int]:
    """A picture as the network wants it: resized to ``width`` x ``height`` and padded evenly with grey to multiples of 32.

    Returns float32 (1, 3, H, W), RGB 0..1, and the padding at the left and at the top, in pixels.
    """
    if image.shape[1] != width or image.shape[0] != height:
        # The linear filter is what training uses; from a shrinkage of 2 on it would skip pixels.
        shrinks = image.shape[1] > 2 * width
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), dtype=np.uint8
        )
    pad_w, pad_h = -width % STRIDE, -height % STRIDE
    left, top = round(pad_w / 2 - 0.1), round(pad_h / 2 - 0.1)
    padded = cv2.copyMakeBorder(image, top, pad_h - top, left, pad_w - left, cv2.BORDER_CONSTANT, value=(_GREY,) * 3)
    blob = np.empty((1, 3, *padded.shape[:2]), np.float32)
    for channel, plane in enumerate(cv2.split(padded)):
        np.multiply(plane, np.float32(1 / 255), out=blob[0, channel])
    return blob, left, top


def _shows(view: View, points: NDArray[np.float64]) -> bool:
    """Whether a view holds one of the points (n, 2)."""
    x, y = points[:, 0], points[:, 1]
    return bool(((x >= view.left) & (x <= view.right) & (y >= view.top) & (y <= view.bottom)).any())


def _is_cut(quad: Quad, view: View, columns: int, rows: int, margin: float) -> bool:
    """Whether a box touches a border of its view that is not a border of the photo."""
    left, top, right, bottom = bounds(quad)
    return (
        (view.left > 0 and left <= view.left + margin)
        or (view.top > 0 and top <= view.top + margin)
        or (view.right < columns and right >= view.right - margin)
        or (view.bottom < rows and bottom >= view.bottom - margin)
    )


def _classes(model: Path, network: Network) -> tuple[str, ...]:
    """The classes of the network, from the names in its metadata."""
    try:
        names = ast.literal_eval(network.metadata["names"])
        classes = tuple(str(names[number]) for number in sorted(names))
    except (KeyError, ValueError, SyntaxError, TypeError, AttributeError) as error:
        raise BrokenInstallationError(f"{model}: does not name its classes ({error}); {_WANTED}") from error
    if not {*RegionKind} <= set(classes) <= {*RegionKind, OTHER_TEXT}:
        raise BrokenInstallationError(f"{model}: finds {', '.join(classes)}; {_WANTED}")
    shape = network.output_shape
    if len(shape) != 3 or (isinstance(shape[1], int) and shape[1] != 5 + len(classes)):
        raise BrokenInstallationError(f"{model}: gives {shape}, not oriented boxes of {len(classes)} classes; export without NMS")
    return classes
