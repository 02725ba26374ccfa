"""Local features of adverts: the same wall is found again, another wall is not, and letters alone prove nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tagtrace.contract import Image, Quad, TagtraceError
from tagtrace.linking.features import EXTRACT, AdvertFeatures, extract_features, hashed, match, photo_map, to_upright

WIDTH, HEIGHT = 900, 600
QUAD: Quad = ((250.0, 250.0), (650.0, 250.0), (650.0, 330.0), (250.0, 330.0))


@lru_cache
def wall(seed: int) -> NDArray[np.float32]:
    """A wall with bricks of its own: blotches of two sizes and joints."""
    rng = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH), 130, np.float32)
    for step, strength in ((6, 18.0), (24, 30.0)):
        low = rng.normal(0, strength, (HEIGHT // step + 2, WIDTH // step + 2)).astype(np.float32)
        picture += cv2.resize(low, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return picture


def photo(seed: int, text: str, size: float = 2.0) -> Image:
    """Letters on the wall number ``seed``."""
    picture = np.clip(wall(seed), 0, 255).astype(np.uint8)
    cv2.putText(picture, text, (255, 312), cv2.FONT_HERSHEY_DUPLEX, size, 15, 6, cv2.LINE_AA)
    return np.repeat(picture[..., None], 3, axis=2)


def seen_from(image: Image, matrix: NDArray[np.float64], gain: float = 1.0, quad: Quad = QUAD) -> tuple[Image, Quad]:
    """The same wall through another camera: where its pixels and the advert come to lie."""
    corners = cv2.perspectiveTransform(np.array(quad).reshape(1, 4, 2), matrix)[0]
    out = cv2.warpPerspective(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return np.clip(out * gain, 0, 255).astype(np.uint8), (a, b, c, d)


OBLIQUE = np.array([[0.8, 0.06, 40.0], [-0.05, 0.86, 60.0], [-1.2e-4, 3e-5, 1.0]])


def features(image: Image, quad: Quad = QUAD) -> AdvertFeatures:
    return extract_features(image, quad)


def test_the_same_wall_from_another_side_and_in_other_light_is_the_same_advert() -> None:
    first = photo(1, "@tulpar_kz1")
    other, quad = seen_from(first, OBLIQUE, 0.6)
    a, b = features(first), features(other, quad)
    found = match(a, b)
    assert found.kind == "same_advert"
    assert found.same_advert_log_odds > 2
    assert found.homography is not None
    through = photo_map(a, b, found.homography)
    points = np.array([[[260.0, 260.0], [640.0, 320.0], [450.0, 290.0]]])
    assert np.abs(cv2.perspectiveTransform(points, through) - cv2.perspectiveTransform(points, OBLIQUE)).max() < 4


def test_features_taken_at_another_size_still_map_the_photos() -> None:
    first = photo(1, "@tulpar_kz1")
    other, quad = seen_from(first, OBLIQUE, 0.6)
    a, b = extract_features(first, QUAD, replace(EXTRACT, long_side_px=560, short_side_px=400)), features(other, quad)
    assert a.width != features(first).width
    found = match(a, b)
    assert found.homography is not None
    points = np.array([[[260.0, 260.0], [640.0, 320.0], [450.0, 290.0]]])
    through = cv2.perspectiveTransform(points, photo_map(a, b, found.homography))
    assert np.abs(through - cv2.perspectiveTransform(points, OBLIQUE)).max() < 4


def test_a_copy_of_a_photo_is_told_from_another_photo() -> None:
    first = photo(1, "@tulpar_kz1")
    small = cv2.resize(first, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    copy = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    quad: Quad = tuple((0.8 * x, 0.8 * y) for x, y in QUAD)  # type: ignore[assignment]
    assert match(features(first), features(copy, quad)).kind == "same_photo"


def test_the_same_letters_on_another_wall_are_a_stencil_and_not_the_same_advert() -> None:
    found = match(features(photo(1, "@tulpar_kz1")), features(photo(2, "@tulpar_kz1")))
    assert found.kind in ("same_stencil", "none")
    assert found.same_advert_log_odds < 0


@pytest.mark.parametrize("other", ["@tulpar_kz2", "@tulpar_bot", "@snow_kz1"])
def test_a_sibling_on_another_wall_is_never_the_same_advert(other: str) -> None:
    found = match(features(photo(1, "@tulpar_kz1")), features(photo(2, other)))
    assert found.kind in ("same_stencil", "none")
    assert found.same_advert_log_odds < 0


def test_another_text_on_the_same_wall_is_not_the_same_advert() -> None:
    other, quad = seen_from(photo(1, "@snow_qala"), OBLIQUE, 0.7)
    found = match(features(photo(1, "@tulpar_kz1")), features(other, quad))
    assert found.wall_inliers > 20
    assert found.kind == "none"
    assert found.same_advert_log_odds < 0


def test_other_walls_have_nothing_in_common() -> None:
    assert match(features(photo(1, "@tulpar_kz1")), features(photo(2, "РАБОТА"))).kind == "none"


def test_matching_both_ways_agrees() -> None:
    first = photo(3, "@umit_24")
    other, quad = seen_from(first, OBLIQUE)
    a, b = features(first), features(other, quad)
    there, back = match(a, b), match(b, a)
    assert there.kind == back.kind
    assert abs(there.inliers - back.inliers) <= 0.15 * there.inliers


def test_matching_twice_gives_the_same() -> None:
    first = photo(3, "@umit_24")
    other, quad = seen_from(first, OBLIQUE)
    runs = [match(features(first), features(other, quad)) for _ in range(2)]
    assert runs[0].inliers == runs[1].inliers
    assert runs[0].homography is not None
    assert runs[1].homography is not None
    assert np.array_equal(runs[0].homography, runs[1].homography)


def test_a_bare_wall_has_no_features_and_matches_nothing() -> None:
    bare = features(np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    assert len(bare.points) == 0
    for other in (bare, features(photo(1, "@tulpar_kz1"))):
        found = match(bare, other)
        assert (found.kind, found.inliers, found.homography) == ("none", 0, None)


def test_an_advert_at_the_edge_of_the_photo_is_described_by_what_is_in_the_photo() -> None:
    image = photo(1, "@tulpar_kz1")
    quad: Quad = ((-200.0, 20.0), (300.0, 20.0), (300.0, 120.0), (-200.0, 120.0))
    found = features(image, quad)
    inverse = np.linalg.inv(to_upright(quad))
    back = cv2.perspectiveTransform(found.points.reshape(1, -1, 2).astype(np.float64), inverse)[0]
    assert len(back) > 20
    assert (back > 0).all()


def test_a_quad_without_area_is_refused() -> None:
    with pytest.raises(TagtraceError, match="no area"):
        features(photo(1, "a"), ((5.0, 5.0), (5.0, 5.0), (5.0, 5.0), (5.0, 5.0)))


def test_features_are_few_and_small() -> None:
    found = features(photo(1, "@tulpar_kz1"))
    assert 100 < len(found.points) <= EXTRACT.points
    assert max(found.width, found.height) <= EXTRACT.long_side_px
    assert len(found.to_bytes()) < 40 * EXTRACT.points
    assert 0.2 < found.on_inscription().mean() < 0.9


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_bytes_keep_features(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 640, (count, 2)).astype(np.float32)
    bits = rng.integers(0, 256, (count, 32)).astype(np.uint8)
    old = AdvertFeatures(points, bits, 640, 200, (10.0, 20.0, 600.0, 180.0), QUAD)
    new = AdvertFeatures.from_bytes(old.to_bytes())
    assert np.abs(new.points - points).max(initial=0.0) <= 1 / 64 + 1e-4
    assert np.array_equal(new.descriptors, bits)
    assert (new.width, new.height, new.inner, new.quad) == (old.width, old.height, old.inner, old.quad)


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no features"):
        AdvertFeatures.from_bytes(b"\x07" + data)


def test_features_of_an_earlier_release_are_none_and_todays_are_read() -> None:
    found = features(photo(1, "@tulpar_kz1"))
    assert AdvertFeatures.stored(b"\x01" + found.to_bytes()[1:]) is None
    again = AdvertFeatures.stored(found.to_bytes())
    assert again is not None and np.array_equal(again.descriptors, found.descriptors)
    with pytest.raises(ValueError, match="no features"):
        AdvertFeatures.stored(b"\x07" + found.to_bytes()[1:])


def test_hashes_of_near_descriptors_are_near() -> None:
    rng = np.random.default_rng(0)
    one = rng.gamma(1.0, 20.0, (50, 128)).astype(np.float32)
    bits = [np.unpackbits(hashed(v), axis=1) for v in (one, np.abs(one + rng.normal(0, 2, one.shape).astype(np.float32)))]
    near = (bits[0] != bits[1]).sum(axis=1)
    far = (bits[0] != np.roll(bits[0], 1, axis=0)).sum(axis=1)
    assert near.max() < far.min()
