"""Large photos are looked at closely only where the look at the whole saw something small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tagtrace.models import detector
from tagtrace.models.detector import DetectionSettings, OnnxDetector
from tagtrace.models.geometry import centre
from tagtrace.models.runtime import Runtime

SETTINGS = DetectionSettings(input_px=320, tile_px=320, overview_px=0, tile_from_px=640, tiled_px=1280)


class SeesPaint:
    """Sees the box around all white pixels, the surer the higher it stands in the network's input."""

    runtime = Runtime.ONNXRUNTIME
    output_shape = (1, 7, None)

    def __init__(self) -> None:
        self.metadata = {"names": "{0: 'line', 1: 'code'}"}
        self.looks: list[tuple[int, ...]] = []

    def run(self, blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        self.looks.append(blob.shape)
        rows, columns = np.nonzero(blob[0, 0] > 0.6)
        if not len(rows):
            return [np.zeros((1, 7, 0), np.float32)]
        left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        confidence = min(0.9, (bottom - top) / 20)
        box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, confidence, 0.0, 0.0]
        return [np.array(box, np.float32).reshape(1, 7, 1)]


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> SeesPaint:
    network = SeesPaint()
    monkeypatch.setattr(detector, "load_network", lambda *_: (network, "0" * 64))
    return network


def wall(*paint: tuple[slice, slice]) -> NDArray[np.uint8]:
    pixels = np.full((960, 1280, 3), 90, np.uint8)
    for rows, columns in paint:
        pixels[rows, columns] = 255
    return pixels


def test_a_bare_wall_is_looked_at_once(seeing: SeesPaint) -> None:
    assert OnnxDetector(Path("any.onnx"), SETTINGS).detect([wall()]) == [[]]
    assert len(seeing.looks) == 1


def test_small_paint_is_looked_at_closely_and_found(seeing: SeesPaint) -> None:
    # 3 px high in the look at the whole: too unsure to be reported from there
    ((found,),) = OnnxDetector(Path("any.onnx"), SETTINGS).detect([wall((slice(700, 712), slice(1000, 1160)))])
    assert centre(found.quad) == pytest.approx((1080, 706), abs=2)
    assert 1 < len(seeing.looks) < 6


def test_large_paint_needs_no_closer_look(seeing: SeesPaint) -> None:
    ((found,),) = OnnxDetector(Path("any.onnx"), SETTINGS).detect([wall((slice(300, 400), slice(200, 900)))])
    assert centre(found.quad) == pytest.approx((550, 350), abs=4)
    assert len(seeing.looks) == 1
