"""Lines and codes to adverts: what belongs together, in reading order, whatever the order of the input."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import Code, Line, Quad, Reading
from tagtrace.inference.grouping import Group, group


def quad(x: float, y: float, width: float, height: float) -> Quad:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def line(text: str, x: float, y: float, width: float = 300.0, height: float = 40.0) -> Line:
    return Line(quad(x, y, width, height), 0.9, Reading(text, 0.9))


def code(payload: str, x: float, y: float, side: float = 120.0) -> Code:
    return Code(payload, "QRCode", quad(x, y, side, side))


def texts(groups: list[Group]) -> list[list[str]]:
    return [[item.reading.text for item in lines] + [c.payload for c in codes] for lines, codes in groups]


def turned(item: Line, degrees: float, scale: float = 1.0) -> Line:
    """The line after the whole photo was turned about the origin and scaled."""
    a = math.radians(degrees)
    points = [(scale * (x * math.cos(a) - y * math.sin(a)), scale * (x * math.sin(a) + y * math.cos(a))) for x, y in item.quad]
    return Line((points[0], points[1], points[2], points[3]), item.confidence, item.reading)


ADVERT = [line("РАБОТА", 0, 0, 200, 44), line("@zhuldyz_kz1", 0, 60, 320, 40), line("+7 749 555 00 11", 10, 115, 330, 36)]
OTHER = [line("БЫСТРО", 700, 20, 180, 40), line("@lampa_kz", 700, 75, 220, 40)]


def test_lines_of_one_inscription_are_one_advert_in_reading_order() -> None:
    assert texts(group(ADVERT[::-1], [])) == [["РАБОТА", "@zhuldyz_kz1", "+7 749 555 00 11"]]


def test_two_adverts_side_by_side_and_one_above_the_other_stay_two() -> None:
    assert texts(group(ADVERT + OTHER, [])) == [["РАБОТА", "@zhuldyz_kz1", "+7 749 555 00 11"], ["БЫСТРО", "@lampa_kz"]]
    below = [line("@lampa_kz", 0, 300)]
    assert len(group(ADVERT + below, [])) == 2


def test_pieces_of_a_row_are_read_along_it() -> None:
    row = [line("555 00 11", 230, 3, 200), line("+7 749", 0, 0, 180), line("ТЕЛЕФОН", 0, -60, 200)]
    assert texts(group(row, [])) == [["ТЕЛЕФОН", "+7 749", "555 00 11"]]


def test_a_smaller_inscription_farther_along_the_row_is_another_advert() -> None:
    row = [line("+7 749", 0, 0, 180, 40), line("87490001122", 240, 8, 200, 24)]
    assert texts(group(row, [])) == [["+7 749"], ["87490001122"]]


def test_size_and_direction_tell_inscriptions_apart() -> None:
    big = [line("GRAFFITI", 0, 0, 900, 300), line("@zhuldyz_kz1", 0, 310, 300, 30)]
    assert len(group(big, [])) == 2
    crossed = [line("@zhuldyz_kz1", 0, 0), turned(line("@lampa_kz", 0, 0), 40)]
    assert len(group(crossed, [])) == 2


def test_centred_and_left_aligned_lines_of_different_length() -> None:
    assert len(group([line("ШОП", 200, 0, 80), line("@zhuldyz_kz_almaty", 0, 55, 480)], [])) == 1
    assert len(group([line("ШОП", 0, 0, 80), line("@zhuldyz_kz_almaty", 0, 55, 480)], [])) == 1


@pytest.mark.parametrize("degrees", [-35.0, 12.0, 90.0, 180.0])
@pytest.mark.parametrize("scale", [0.2, 3.0])
def test_turn_and_scale_do_not_matter(degrees: float, scale: float) -> None:
    lines = [turned(item, degrees, scale) for item in ADVERT + OTHER]
    random.Random(1).shuffle(lines)
    found = sorted(texts(group(lines, [])), key=len)
    assert found == [["БЫСТРО", "@lampa_kz"], ["РАБОТА", "@zhuldyz_kz1", "+7 749 555 00 11"]]


def test_a_code_belongs_to_its_sticker() -> None:
    lines = [line("@zhuldyz_kz1", 0, 0, 160, 24), line("@lampa_kz", 400, 0, 160, 24)]
    codes = [code("A", 20, 40), code("B", 420, 40)]
    assert texts(group(lines, codes)) == [["@zhuldyz_kz1", "A"], ["@lampa_kz", "B"]]


def test_a_code_between_two_lines_joins_them_and_a_far_one_stands_alone() -> None:
    poster = [line("МАГАЗИН", 0, 0, 200, 36), line("t.me/zhuldyz_kz1", 0, 230, 200, 30)]
    assert texts(group(poster, [code("A", 10, 60, 150)])) == [["МАГАЗИН", "t.me/zhuldyz_kz1", "A"]]
    assert texts(group([line("МАГАЗИН", 0, 0)], [code("A", 900, 900)])) == [["МАГАЗИН"], ["A"]]
    assert texts(group([], [code("A", 0, 0), code("B", 10, 500)])) == [["A"], ["B"]]


def test_nothing_gives_nothing() -> None:
    assert group([], []) == []


def test_degenerate_quads_do_not_raise() -> None:
    point = ((5.0, 5.0),) * 4
    flat = ((0.0, 0.0), (10.0, 0.0), (10.0, 0.0), (0.0, 0.0))
    found = group([Line(point, 0.1, Reading("a", 0.1)), Line(flat, 0.1, Reading("b", 0.1))], [Code("x", "QRCode", point)])
    assert sorted(t for item in texts(found) for t in item) == ["a", "b", "x"]


BOXES = st.tuples(st.integers(0, 1500), st.integers(0, 1000), st.integers(20, 500), st.integers(8, 120), st.integers(-30, 30))


@settings(max_examples=80, deadline=None)
@given(st.lists(BOXES, max_size=14), st.lists(BOXES, max_size=3), st.randoms(use_true_random=False))
def test_every_region_is_in_one_advert_and_order_does_not_matter(
    boxes: list[tuple[int, int, int, int, int]], squares: list[tuple[int, int, int, int, int]], rng: random.Random
) -> None:
    lines = [turned(line(str(i), x, y, w, h), a) for i, (x, y, w, h, a) in enumerate(boxes)]
    codes = [code(f"c{i}", x, y, w) for i, (x, y, w, _, _) in enumerate(squares)]
    first = texts(group(lines, codes))
    assert sorted(t for item in first for t in item) == sorted([str(i) for i in range(len(lines))] + [c.payload for c in codes])
    shuffled, mixed = rng.sample(lines, len(lines)), rng.sample(codes, len(codes))
    same_places = len({item.quad for item in lines}) == len(lines) and len({c.quad for c in codes}) == len(codes)
    if same_places:
        assert texts(group(shuffled, mixed)) == first


def test_many_lines_are_grouped_quickly() -> None:
    rng = np.random.default_rng(0)
    lines = [line(str(i), float(x), float(y), 200, 30) for i, (x, y) in enumerate(rng.uniform(0, 4000, (120, 2)))]
    assert sum(len(item[0]) for item in group(lines, [])) == 120
