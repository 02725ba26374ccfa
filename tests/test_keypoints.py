"""Points and descriptions of pictures, against what is known of the pictures, and against OpenCV's SIFT."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tagtrace.linking.keypoints import DESCRIPTION, Keypoints, describe, find

LEAST = 0.01
Grey = NDArray[np.uint8]


def wall(seed: int = 0, height: int = 200, width: int = 300) -> Grey:
    """Blotches of three sizes."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width), 128.0)
    for sigma, strength in ((1.2, 40), (3, 90), (8, 200)):
        picture += strength * cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), sigma)
    return np.clip(picture, 0, 255).astype(np.uint8)


def found_in(picture: Grey, least: float = LEAST) -> Keypoints:
    return find(picture, np.full(picture.shape, 255, np.uint8), least)


def described(picture: Grey) -> tuple[Keypoints, NDArray[np.float32]]:
    found = found_in(picture)
    return found, describe(found, np.arange(len(found.at)))


@pytest.mark.parametrize(("sigma", "octave"), [(1.8, 0), (3.6, 1), (7.2, 2)])
@pytest.mark.parametrize("bright", [True, False])
def test_a_blob_is_found_where_it_is_in_the_octave_of_its_size(sigma: float, octave: int, bright: bool) -> None:
    y, x = np.mgrid[0:120, 0:160]
    blob = np.exp(-((x - 70.3) ** 2 + (y - 51.6) ** 2) / (2 * sigma**2))
    found = found_in(np.rint(128 + (100 if bright else -100) * blob).astype(np.uint8))
    strongest = int(found.strength.argmax())
    assert found.at[strongest] == pytest.approx((70.3, 51.6), abs=0.2)
    assert found.octave[strongest] == octave


def test_an_edge_is_no_point_and_its_corner_is() -> None:
    picture = np.full((120, 160), 60, np.uint8)
    picture[40:, 50:] = 200
    at = found_in(picture).at
    assert len(at)
    # along the two edges, away from the corner and the frame, there is nothing
    assert np.hypot(*(at - (50, 40)).T).max() < 25


def test_nothing_is_found_on_a_flat_picture_or_outside_the_mask() -> None:
    assert len(found_in(np.full((100, 100), 77, np.uint8)).at) == 0
    assert len(found_in(np.full((5, 400), 77, np.uint8)).at) == 0
    picture = wall()
    mask = np.zeros(picture.shape, np.uint8)
    mask[:, :150] = 255
    at = find(picture, mask, LEAST).at
    assert len(at) > 20
    assert at[:, 0].max() < 151


def test_more_contrast_that_is_asked_for_leaves_the_strongest() -> None:
    picture = wall()
    many, few = found_in(picture), found_in(picture, 4 * LEAST)
    assert 0 < len(few.at) < len(many.at)
    # in both cases half of what is asked for is looked at first, so only the strength decides
    assert few.strength.min() >= 4 * 255 * LEAST / 3
    assert sorted(few.strength) == sorted(many.strength[many.strength >= 4 * 255 * LEAST / 3])


def test_points_are_mostly_those_of_sift() -> None:
    picture = wall(3)
    ours = found_in(picture, 0.04).at
    theirs = cv2.SIFT.create(contrastThreshold=0.04).detect(picture, None)
    # SIFT also looks at twice the size, for blobs that are too small here, and takes those as large as the picture
    theirs = np.array([p.pt for p in theirs if 3.6 < p.size < 20 and 10 < p.pt[0] < 290 and 10 < p.pt[1] < 190])
    near = np.hypot(*np.moveaxis(theirs[:, None] - ours[None], -1, 0)).min(axis=1) < 1.5
    assert len(theirs) > 50
    assert near.mean() > 0.8


def test_other_light_changes_descriptions_little() -> None:
    picture = wall(1)
    found, one = described(picture)
    dimmed = np.rint(picture * 0.6 + 30).astype(np.uint8)
    other = found_in(dimmed)
    two = describe(Keypoints(found.at, found.strength, found.octave, other.smoothed), np.arange(len(found.at)))
    likeness = (one * two).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    assert np.median(likeness) > 0.995


def test_what_is_shifted_is_described_the_same() -> None:
    whole = wall(2, 240, 340)
    # by a multiple of what the last octave is halved by, so that the same pixels stay
    (a, one), (b, two) = described(whole[20:220, 20:320]), described(whole[24:224, 28:328])
    both = [(n, m) for n in range(len(a.at)) for m in range(len(b.at)) if np.allclose(a.at[n] - (8, 4), b.at[m], atol=1e-3)]
    inner = [(n, m) for n, m in both if ((a.at[n] > 70) & (a.at[n] < (230, 130))).all()]
    assert len(inner) > 10
    for n, m in inner:
        assert np.allclose(one[n], two[m], atol=2e-3)


def test_different_places_are_described_differently() -> None:
    _, one = described(wall(1))
    unlike = one @ one.T / np.outer(np.linalg.norm(one, axis=1), np.linalg.norm(one, axis=1))
    np.fill_diagonal(unlike, 0.0)
    assert np.median(unlike) < 0.8


def test_a_description_points_where_the_edges_go() -> None:
    """A picture turned by a right angle has the same description with its fields and directions turned."""
    picture = wall(4, 201, 201)
    found = found_in(picture)
    turned = np.ascontiguousarray(np.rot90(picture))
    back = found_in(turned)
    one = describe(found, np.arange(len(found.at))).reshape(-1, 4, 4, 8)
    two = describe(back, np.arange(len(back.at))).reshape(-1, 4, 4, 8)
    checked = 0
    for n in np.flatnonzero(found.octave == 0):
        x, y = found.at[n]
        close = np.flatnonzero((np.abs(back.at - (y, 200 - x)).max(axis=1) < 1e-3) & (back.octave == 0))
        if len(close) == 1 and 40 < x < 160 and 40 < y < 160:
            # counter-clockwise by a right angle: what went right goes up, two directions on
            expected = np.roll(np.rot90(one[n], axes=(0, 1)), -2, axis=-1)
            likeness = (expected * two[close[0]]).sum() / np.linalg.norm(expected) / np.linalg.norm(two[close[0]])
            assert likeness > 0.97
            checked += 1
    assert checked > 10


def test_nothing_chosen_is_nothing_described() -> None:
    found = found_in(wall())
    assert describe(found, np.zeros(0, np.intp)).shape == (0, DESCRIPTION)
