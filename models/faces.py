"""Where faces are in a picture, so that they can be made unrecognisable. Nobody is recognised: a face is a box, no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..contract import Image, ModelInfo
from .runtime import Runtime, load_network

_STRIDE = 4
_MULTIPLE = 32
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """How faces are looked for. A face overlooked is worse than a wall blurred, so the threshold is low."""

    longest_side_px: int = 1280
    """Pictures are shrunk to this; a face smaller than about 1 in 100 of it is not found."""
    confidence: float = 0.25
    overlap: float = 0.3
    """Intersection over union from which two boxes are one face."""
    threads: int = 0
    """Processor threads; 0: the library's choice."""
    runtime: Runtime = Runtime.AUTO


class FaceFinder:
    """CenterFace (Xu et al. 2019) in ONNX: input (1, 3, height, width), RGB, 0..255, sides a multiple of 32."""

    def __init__(self, model: Path, settings: FaceSettings | None = None, info: ModelInfo | None = None) -> None:
        """Raises ``BrokenInstallationError`` where the file cannot be loaded."""
        self.settings = settings or FaceSettings()
        self._network, _ = load_network(model, self.settings.threads, self.settings.runtime)
        self._info = info

    @property
    def info(self) -> ModelInfo | None:
        """Name and checksum of the weights, where they came from the registry."""
        return self._info

    def find(self, image: Image) -> list[Box]:
        """The boxes of faces in pixels of the picture, the surest first."""
        height, width = image.shape[:2]
        factor = min(1.0, self.settings.longest_side_px / max(height, width))
        sides = [max(_MULTIPLE, round(side * factor / _MULTIPLE) * _MULTIPLE) for side in (width, height)]
        small = cv2.resize(image, (sides[0], sides[1]), interpolation=cv2.INTER_AREA)
        blob = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32)
        heat, scale, offset = self._network.run(blob)[:3]
        boxes, scores = self._boxes(heat[0, 0], scale[0], offset[0])
        kept = cv2.dnn.NMSBoxes(_as_rectangles(boxes), scores.tolist(), self.settings.confidence, self.settings.overlap)
        stretch = np.array([width / sides[0], height / sides[1]] * 2)
        limit = np.array([width, height] * 2, np.float64)
        found = np.clip(boxes[np.asarray(kept, int).reshape(-1)] * stretch, 0.0, limit)
        return [(float(a), float(b), float(c), float(d)) for a, b, c, d in found]

    def _boxes(
        self, heat: NDArray[np.float32], scale: NDArray[np.float32], offset: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows, columns = np.nonzero(heat > self.settings.confidence)
        tall, wide = (np.exp(scale[i, rows, columns].astype(np.float64)) * _STRIDE for i in (0, 1))
        y = (rows + offset[0, rows, columns] + 0.5) * _STRIDE
        x = (columns + offset[1, rows, columns] + 0.5) * _STRIDE
        boxes = np.stack([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2], axis=1)
        return boxes, heat[rows, columns].astype(np.float64)


def _as_rectangles(boxes: NDArray[np.float64]) -> list[list[float]]:
    """Left, top, width, height, as OpenCV wants boxes."""
    return [[float(a), float(b), float(c - a), float(d - b)] for a, b, c, d in boxes]
