"""Quads against shapely as the judge, and crops against pictures whose content is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Quad, TagtraceError
from tagtrace.models import geometry


@st.composite
def rectangles(draw: st.DrawFn, min_side: float = 2.0, min_aspect: float = 1.0) -> Quad:
    """A rotated rectangle, clockwise from any corner's point of view, first side along the long axis."""
    x, y = draw(st.floats(0, 500)), draw(st.floats(0, 500))
    across = draw(st.floats(min_side, 80))
    along = across * draw(st.floats(min_aspect, min_aspect + 8))
    return rectangle_at(x, y, along, across, draw(st.floats(-180, 180)))


def rectangle_at(x: float, y: float, along: float, across: float, degrees: float) -> Quad:
    a = math.radians(degrees)
    u, v = np.array([math.cos(a), math.sin(a)]) * along / 2, np.array([-math.sin(a), math.cos(a)]) * across / 2
    middle = np.array([x, y])
    return geometry.quad_of([middle - u - v, middle + u - v, middle + u + v, middle - u + v])


def clockwise(quad: Quad) -> bool:
    p = np.asarray(quad)
    return float(np.sum(p[:, 0] * np.roll(p[:, 1], -1) - p[:, 1] * np.roll(p[:, 0], -1))) > 0


@given(rectangles(), rectangles())
def test_areas_and_overlaps_agree_with_shapely(first: Quad, second: Quad) -> None:
    a, b = shapely.Polygon(first), shapely.Polygon(second)
    shared = a.intersection(b).area
    assert geometry.area(first) == pytest.approx(a.area, rel=1e-6)
    assert geometry.intersection_area(first, second) == pytest.approx(shared, abs=1e-4)
    assert geometry.iou(first, second) == pytest.approx(shared / a.union(b).area, abs=1e-4)
    assert geometry.share_within(first, second) == pytest.approx(shared / a.area, abs=1e-4)
    assert geometry.iou(first, second) == pytest.approx(geometry.iou(second, first), abs=1e-9)


def test_flat_and_distant_quads_share_nothing() -> None:
    flat: Quad = ((0, 0), (10, 0), (10, 0), (0, 0))
    assert geometry.iou(flat, flat) == 0
    assert geometry.share_within(flat, geometry.rectangle(0, 0, 5, 5)) == 0
    assert geometry.intersection_area(geometry.rectangle(0, 0, 5, 5), geometry.rectangle(6, 6, 9, 9)) == 0


@given(rectangles(min_aspect=1.4), st.integers(0, 3), st.booleans())
def test_min_area_quad_is_clockwise_and_starts_along_the_text(quad: Quad, start: int, mirrored: bool) -> None:
    shuffled = np.roll(np.asarray(quad)[::-1] if mirrored else np.asarray(quad), start, axis=0)
    result = geometry.min_area_quad(shuffled)
    assert clockwise(result)
    along, across = geometry.size(result)
    assert along >= across
    assert geometry.iou(result, quad) > 0.99
    # Read to the right; the exact vertical may fall to either side within float32.
    assert -90.01 <= geometry.angle(result) <= 90.01
    # The direction is that of the rectangle, either way up.
    turned = abs(geometry.angle(result) - geometry.angle(quad)) % 180
    assert min(turned, 180 - turned) < 0.5


@given(st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=1, max_size=20))
def test_min_area_quad_holds_every_point(points: list[tuple[float, float]]) -> None:
    quad = geometry.min_area_quad(points)
    hull = shapely.Polygon(quad).buffer(0.05) if geometry.area(quad) > 0 else shapely.MultiPoint(quad).convex_hull.buffer(0.05)
    assert all(hull.covers(shapely.Point(point)) for point in points)
    if shapely.MultiPoint(points).convex_hull.area > 1e-3:
        best = shapely.oriented_envelope(shapely.MultiPoint(points)).area
        assert geometry.area(quad) <= best * 1.001 + 0.1


def test_nearly_square_rectangles_are_read_along_the_horizontal() -> None:
    tall = geometry.rectangle(0, 0, 50, 55)
    assert geometry.angle(geometry.upright(tall)) == pytest.approx(0)
    assert geometry.angle(geometry.upright(geometry.rectangle(0, 0, 50, 100))) == pytest.approx(90)


@given(rectangles(), st.sampled_from([0, 90, 180, 270]))
def test_turning_moves_the_start_only(quad: Quad, degrees: int) -> None:
    turned = geometry.turn(quad, degrees)
    assert sorted(turned) == sorted(quad)
    difference = (geometry.angle(turned) - geometry.angle(quad) - degrees) % 360
    assert min(difference, 360 - difference) < 1e-3
    assert geometry.turn(turned, 360 - degrees) == quad


def test_turning_by_an_odd_angle_is_refused() -> None:
    with pytest.raises(ValueError, match="90"):
        geometry.turn(geometry.rectangle(0, 0, 2, 1), 45)


@given(rectangles(), st.floats(0, 30), st.floats(0, 30))
def test_expanding_grows_the_sides_and_is_undone_by_shrinking(quad: Quad, along: float, across: float) -> None:
    wide = geometry.expand(quad, along, across)
    length, height = geometry.size(quad)
    assert geometry.size(wide) == pytest.approx((length + 2 * along, height + 2 * across), rel=1e-6)
    assert np.allclose(geometry.expand(wide, -along, -across), quad, atol=1e-6)
    assert geometry.share_within(quad, wide) == pytest.approx(1, abs=1e-6)


def test_a_crop_of_a_pixel_aligned_rectangle_is_the_slice() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    crop = geometry.warp(image, geometry.rectangle(10, 20, 50, 40), 20, 1000)
    assert crop.shape == (20, 40, 3)
    assert np.array_equal(crop, image[20:40, 10:50])


@pytest.mark.parametrize("degrees", [-70, -20, 0, 35, 120, 180])
def test_a_crop_turns_the_text_upright(degrees: float) -> None:
    flag = np.zeros((40, 120, 3), np.uint8)
    flag[:, :60], flag[:20, 60:], flag[20:, 60:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    quad = rectangle_at(200, 200, 120, 40, degrees)
    source = np.array([[0, 0], [120, 0], [120, 40], [0, 40]], np.float32) - 0.5
    transform = cv2.getPerspectiveTransform(source, np.asarray(quad, np.float32) - 0.5)
    scene = cv2.warpPerspective(flag, transform, (400, 400), flags=cv2.INTER_LINEAR)
    crop = geometry.warp(scene, quad, 20, 200)
    assert crop.shape == (20, 60, 3)
    assert [int(np.argmax(crop[y, x])) for y, x in ((10, 10), (4, 45), (16, 45))] == [0, 1, 2]


def test_a_much_smaller_crop_is_an_average_and_no_sample() -> None:
    stripes = np.zeros((400, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = geometry.warp(stripes, geometry.rectangle(0, 0, 800, 400), 50, 1000)
    assert crop.shape == (50, 100, 3)
    assert np.abs(crop.astype(int) - 127).max() <= 3


def test_a_crop_over_the_border_continues_the_picture() -> None:
    image = np.full((50, 50, 3), (10, 200, 30), np.uint8)
    for quad in (geometry.rectangle(-30, -10, 40, 20), geometry.rectangle(60, 60, 90, 75)):
        crop = geometry.warp(image, quad, 16, 100)
        assert crop.shape[0] == 16
        assert np.array_equal(np.unique(crop.reshape(-1, 3), axis=0), [[10, 200, 30]])


def test_a_crop_is_cut_from_a_picture_too_wide_for_cv2() -> None:
    image = np.zeros((40, 40_000, 3), np.uint8)
    image[10:30, 39_000:39_100] = 255
    assert geometry.warp(image, geometry.rectangle(39_000, 10, 39_100, 30), 20, 400).min() == 255


def test_long_text_is_squeezed_and_flat_quads_are_refused() -> None:
    image = np.zeros((100, 400, 3), np.uint8)
    assert geometry.warp(image, geometry.rectangle(0, 0, 400, 10), 32, 256).shape == (32, 256, 3)
    with pytest.raises(TagtraceError, match="no area"):
        geometry.warp(image, geometry.rectangle(5, 5, 50, 5), 32, 256)


@settings(max_examples=50)
@given(st.lists(st.tuples(rectangles(), st.floats(0, 1)), min_size=1, max_size=12), st.floats(0.1, 0.9), st.randoms())
def test_suppression_is_greedy_by_score_and_ignores_the_order(boxes: list[tuple[Quad, float]], threshold: float, random) -> None:  # type: ignore[no-untyped-def]
    def run(given_boxes: list[tuple[Quad, float]]) -> list[tuple[Quad, float]]:
        quads, scores = [quad for quad, _ in given_boxes], [score for _, score in given_boxes]
        return [given_boxes[i] for i in geometry.rotated_nms(quads, scores, threshold)]

    expected: list[tuple[Quad, float]] = []
    for quad, score in sorted(boxes, key=lambda box: (-box[1], box[0])):
        polygon = shapely.Polygon(quad)
        overlaps = [polygon.intersection(shapely.Polygon(k)).area / polygon.union(shapely.Polygon(k)).area for k, _ in expected]
        if any(abs(value - threshold) < 1e-6 for value in overlaps):
            return  # too close to call between two ways of computing it
        if all(value < threshold for value in overlaps):
            expected.append((quad, score))
    assert run(boxes) == expected
    shuffled = list(boxes)
    random.shuffle(shuffled)
    assert run(shuffled) == expected
