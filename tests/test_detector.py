"""One box per object however a photo was cut; the network's boxes in the right place."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import BrokenInstallationError, Quad, RegionKind, TagtraceError
from tagtrace.models.detector import DetectionSettings, OnnxDetector, View, box_corners, candidates, letterbox, plan_views
from tagtrace.models.geometry import bounds, centre, iou, quad_of, rectangle, size
from tagtrace.models.merging import Found, merge

LINE, CODE = RegionKind.LINE, RegionKind.CODE
WIDTH, HEIGHT = 2000, 1500


def line_at(x: float, y: float, along: float, across: float, degrees: float = 0.0) -> Quad:
    a = math.radians(degrees)
    u, v = np.array([math.cos(a), math.sin(a)]) * along / 2, np.array([-math.sin(a), math.cos(a)]) * across / 2
    middle = np.array([x, y])
    return quad_of([middle - u - v, middle + u - v, middle + u + v, middle - u + v])


def seen_in(view: View, quad: Quad, number: int, confidence: float) -> Found | None:
    """What a perfect detector gives for a line in one view: the part within it, or nothing if that is hardly a letter."""
    (x, y), (along, across) = centre(quad), size(quad)
    direction = (np.asarray(quad[1]) - np.asarray(quad[0])) / along
    inside = [
        t
        for t in np.linspace(-along / 2, along / 2, 400)
        if view.left <= x + t * direction[0] <= view.right and view.top <= y + t * direction[1] <= view.bottom
    ]
    if not inside or max(inside) - min(inside) < min(across, along / 2):
        return None
    start, end = min(inside), max(inside)
    middle = np.array([x, y]) + direction * (start + end) / 2
    degrees = math.degrees(math.atan2(direction[1], direction[0]))
    part = line_at(*middle, end - start, across, degrees)
    left, top, right, bottom = bounds(part)
    cut = (
        (view.left > 0 and left < view.left + 6)
        or (view.top > 0 and top < view.top + 6)
        or (view.right < WIDTH and right > view.right - 6)
        or (view.bottom < HEIGHT and bottom > view.bottom - 6)
    )
    return Found(LINE, part, confidence, number, cut)


@st.composite
def walls(draw: st.DrawFn) -> list[Quad]:
    """Lines of text on one wall that do not touch each other, in rows of one slant."""
    degrees = draw(st.floats(-12, 12))
    lines, y = [], 150.0
    for _ in range(draw(st.integers(1, 5))):
        across = draw(st.floats(20, 110))
        along = across * draw(st.floats(2.5, 16))
        along = min(along, 1700)
        x = draw(st.floats(along / 2 + 30, WIDTH - along / 2 - 30))
        line = line_at(x, y + across / 2, along, across, degrees)
        left, top, right, bottom = bounds(line)
        if left > 0 and top > 0 and right < WIDTH and bottom < HEIGHT and all(iou(line, other) == 0 for other in lines):
            lines.append(line)
        y += across * 2 + 60
    return lines


@settings(max_examples=60, deadline=None)
@given(walls(), st.sampled_from([640, 768, 960]), st.booleans(), st.randoms(use_true_random=False))
def test_lines_come_out_once_however_they_were_cut(lines: list[Quad], tile: int, whole_too: bool, rng: random.Random) -> None:
    views = plan_views(WIDTH, HEIGHT, DetectionSettings(tile_px=tile, tile_from_px=tile, tiled_px=2000, tile_overlap=0.3))
    found = [
        box
        for number, view in enumerate(views)
        if whole_too or number > 0
        for line in lines
        if (box := seen_in(view, line, number, round(rng.uniform(0.4, 0.9), 3))) is not None
    ]
    merged = merge(found)
    assert len(merged) == len(lines)
    for line in lines:
        assert max(iou(line, region.quad) for region in merged) > 0.85
    rng.shuffle(found)
    assert merge(found) == merged


def test_large_photos_are_seen_finer_and_in_tiles() -> None:
    settings = DetectionSettings(input_px=320, tile_px=480, tile_from_px=1000, tiled_px=960)
    (whole,) = plan_views(1000, 500, settings)
    assert (whole.width, whole.height) == (320, 160)
    whole, *tiles = plan_views(2000, 1000, settings)
    assert (whole.width, whole.height) == (480, 240)
    assert len(tiles) == 3 and all((tile.width, tile.height) == (480, 480) for tile in tiles)


def test_two_fragments_of_a_long_line_are_united() -> None:
    left = Found(LINE, rectangle(100, 100, 640, 150), 0.8, view=1, cut=True)
    right = Found(LINE, rectangle(500, 103, 1200, 152), 0.6, view=2, cut=True)
    (region,) = merge([left, right])
    assert iou(region.quad, rectangle(100, 100, 1200, 152)) > 0.97
    assert region.confidence == pytest.approx((0.8 * 540 + 0.6 * 700) / 1240)


@pytest.mark.parametrize(
    "second",
    [
        Found(LINE, rectangle(500, 160, 1200, 210), 0.6, view=2, cut=True),  # the line below
        Found(LINE, rectangle(700, 100, 1200, 150), 0.6, view=2, cut=True),  # a gap between them
        Found(LINE, rectangle(600, 100, 1200, 190), 0.6, view=2, cut=True),  # much larger letters
        Found(LINE, rectangle(600, 100, 1200, 150), 0.6, view=2, cut=False),  # begins there
        Found(LINE, line_at(850, 250, 700, 50, 25), 0.6, view=2, cut=True),  # another slant
        Found(LINE, rectangle(600, 100, 1200, 150), 0.6, view=1, cut=True),  # seen as another line in the same tile
    ],
)
def test_what_does_not_continue_a_line_stays_apart(second: Found) -> None:
    first = Found(LINE, rectangle(100, 100, 640, 150), 0.8, view=1, cut=True)
    assert len(merge([first, second])) == 2


def test_a_fragment_within_a_larger_box_goes() -> None:
    whole = Found(LINE, rectangle(100, 100, 900, 160), 0.5)
    upper_half = Found(LINE, rectangle(200, 100, 640, 130), 0.9, view=2, cut=True)
    assert [region.quad for region in merge([whole, upper_half])] == [whole.quad]
    mostly_within = Found(LINE, rectangle(640, 105, 980, 160), 0.9, view=3)
    assert [region.quad for region in merge([whole, mostly_within])] == [whole.quad]
    a_code_on_it = Found(CODE, rectangle(200, 100, 250, 150), 0.9, view=3)
    assert {region.kind for region in merge([whole, a_code_on_it])} == {LINE, CODE}


def test_two_lines_lumped_together_are_two_lines() -> None:
    lump = Found(LINE, rectangle(100, 100, 600, 260), 0.4)
    upper, lower = (
        Found(LINE, rectangle(105, 105, 590, 170), 0.8, view=1),
        Found(LINE, rectangle(105, 185, 590, 255), 0.7, view=1),
    )
    assert {region.quad for region in merge([lump, upper, lower])} == {upper.quad, lower.quad}
    letter = Found(LINE, rectangle(105, 105, 160, 160), 0.8, view=1)
    assert [region.quad for region in merge([lump, letter])] == [lump.quad]


def test_a_small_photo_is_seen_whole_only_and_a_large_one_in_tiles_that_cover_it() -> None:
    settings_ = DetectionSettings(input_px=640, tile_px=640, tile_from_px=960, tiled_px=1600, tile_overlap=0.25)
    assert plan_views(500, 300, settings_) == [View(0, 0, 500, 300, 500, 300)]
    assert plan_views(900, 600, settings_) == [View(0, 0, 900, 600, 640, 427)]
    views = plan_views(4000, 3000, settings_)
    assert views[0] == View(0, 0, 4000, 3000, 640, 480)
    covered = np.zeros((3000, 4000), bool)
    for view in views[1:]:
        assert max(view.width, view.height) <= 641
        assert view.width / (view.right - view.left) == pytest.approx(0.4, abs=0.001)
        covered[view.top : view.bottom, view.left : view.right] = True
    assert covered.all()
    for one, other in pairwise(views[1:]):
        if one.top == other.top:
            assert one.right - other.left >= 0.25 * 1600 - 2


def test_a_huge_photo_does_not_take_more_tiles() -> None:
    assert len(plan_views(20_000, 15_000, DetectionSettings())) == len(plan_views(4000, 3000, DetectionSettings()))


def test_the_input_is_padded_evenly_and_scaled() -> None:
    image = np.full((100, 150, 3), (255, 0, 51), np.uint8)
    blob, left, top = letterbox(image, 75, 50)
    assert blob.shape == (1, 3, 64, 96)
    assert (left, top) == (10, 7)
    assert np.allclose(blob[0, :, 30, 40], [1, 0, 0.2])
    assert np.allclose(blob[0, :, 0, 0], 114 / 255)


def test_box_corners_turn_clockwise() -> None:
    (flat, turned) = box_corners(
        np.array([[50, 50], [40, 40], [20, 20], [10, 10]], np.float32), np.array([0, math.pi / 2], np.float32)
    )
    assert np.allclose(flat, [[40, 35], [60, 35], [60, 45], [40, 45]])
    assert np.allclose(turned, [[55, 30], [55, 50], [45, 50], [45, 30]])


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for wrong in ({"input_px": 500}, {"tile_overlap": 1.0}):
        with pytest.raises(TagtraceError):
            DetectionSettings(**wrong)  # type: ignore[arg-type]
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    for path in (broken, tmp_path / "missing.onnx"):
        with pytest.raises(BrokenInstallationError, match=path.name):
            OnnxDetector(path)


def test_a_class_of_other_text_lowers_what_speaks_for_an_advert() -> None:
    output = np.zeros((8, 3), np.float32)
    output[:4] = np.array([[50, 150, 250], [50, 50, 50], [80, 80, 30], [20, 20, 30]], np.float32)
    output[4:7] = np.array([[0.6, 0.1, 0.0], [0.0, 0.0, 0.9], [0.2, 0.7, 0.3]], np.float32)
    lines, codes = candidates(output, ("line", "code", "other"), DetectionSettings())
    assert (lines.kind, codes.kind) == (LINE, CODE)
    assert lines.confidences == pytest.approx([1 - 0.9 * 0.3, 1 - 0.4 * 0.8])
    assert lines.adverts == pytest.approx([0.125, 0.75])
    assert len(codes.quads) == 1 and codes.confidences == pytest.approx([0.9])
