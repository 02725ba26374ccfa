"""The generator of photos and line crops: the same seed gives the same data, and the truth tells what the picture shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from tagtrace.datasets.fonts import catalogue
from tagtrace.datasets.lineshards import LineShards
from tagtrace.datasets.synth.camera import View, homography, map_points
from tagtrace.datasets.synth.compose import Shot, SynthSettings, compose
from tagtrace.datasets.synth.glyphs import ink_box, set_line
from tagtrace.datasets.synth.layout import painted_block
from tagtrace.datasets.synth.legibility import judge
from tagtrace.datasets.synth.lines import LineSettings, cut, label, line_crops, upright_rectangle
from tagtrace.datasets.synth.paint import STYLES, apply_style, cut_bridges
from tagtrace.datasets.synth.run import Job, split_backgrounds, synthesise
from tagtrace.datasets.truth import PhotoTruth, read_truth
from tagtrace.datasets.world import World

pytestmark = pytest.mark.train

SMALL = SynthSettings(long_side_min=416, long_side_max=448)


@pytest.fixture(scope="module")
def world() -> World:
    return World(3, "val")


def shots(world: World, count: int, settings: SynthSettings = SMALL, seed: int = 5) -> Iterator[Shot]:
    fonts = catalogue("val")
    for number in range(count):
        yield compose(np.random.default_rng([seed, number]), world, fonts, settings, f"{number}.jpg", "val")


def test_the_same_seed_gives_the_same_photo(world: World) -> None:
    first, again = (next(shots(world, 1)) for _ in range(2))
    assert np.array_equal(first.picture, again.picture)
    assert first.truth == again.truth


def test_photos_hold_adverts_negatives_and_every_truth_fits_its_picture(world: World) -> None:
    made = list(shots(world, 24))
    assert {bool(shot.truth.negative) for shot in made} == {True, False}
    for shot in made:
        assert shot.picture.shape == (shot.truth.height, shot.truth.width, 3)
        if shot.truth.negative:
            assert not shot.truth.ads
    legible = [line for shot in made for ad in shot.truth.ads for line in ad.lines if line.legible]
    assert len(legible) >= 8
    for line in legible:
        assert line.contrast is not None and line.contrast > 5
        assert line.in_frame is not None and line.in_frame > 0.9


@pytest.mark.parametrize("style", ["stencil", "stamp", "marker"])
def test_the_quads_of_a_block_hold_its_ink_tightly(world: World, style: str) -> None:
    fonts = catalogue("val")
    for seed in range(6):
        rng = np.random.default_rng([8, seed])
        block = painted_block(rng, world.advert(rng, style), style, fonts, 40.0)
        inside = np.zeros(block.ink.shape, bool)
        for line in block.lines:
            x0, y0, x1, y1 = (int(v) for v in (*line.quad[0], *line.quad[2]))
            box = block.ink[y0:y1, x0:x1] > 0.5
            # Ink reaches near to every side: a quad that is shifted or too large leaves a side bare.
            assert box[:, : max(6, (x1 - x0) // 6)].any() and box[:, -max(6, (x1 - x0) // 6) :].any()
            assert box[: (y1 - y0) // 3].any() and box[-((y1 - y0) // 3) :].any()
            inside[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4] = True
        assert block.ink[inside].sum() > 0.93 * block.ink.sum()


@pytest.mark.parametrize("style", STYLES)
def test_every_paint_covers_letters_and_leaves_the_wall(style: str) -> None:
    rng = np.random.default_rng(1)
    font = next(f for f in catalogue("val") if f.group == "sans")
    mask = set_line(rng, "ҚЫЗМЕТ @bot_8", font, 60)
    paint = apply_style(rng, style, mask, 60)
    assert paint.shape == mask.shape
    assert paint.min() >= 0 and paint.max() <= 1
    assert paint[mask > 0.9].mean() > 0.35
    assert paint[:5].mean() < 0.05


def test_bridges_open_every_counter_in_any_script() -> None:
    font = next(f for f in catalogue("val") if f.group == "sans")
    for text in ("O8B@", "ОФБЯ", "ҒӨҚӘ"):
        mask = set_line(np.random.default_rng(0), text, font, 80)
        cut_mask = cut_bridges(np.random.default_rng(0), mask, 80)

        def islands(picture: np.ndarray) -> int:
            return cv2.connectedComponents((picture < 0.5).astype(np.uint8), connectivity=4)[0] - 2

        assert islands(cut_mask) < islands(mask)


def test_a_frontal_camera_only_scales() -> None:
    view = View(640, 480, 0, 0, 0, 0.5, 700)
    points = np.array([[10, 20], [110, 20]], np.float32)
    seen = map_points(homography(view, (10, 20), (320, 240)), points)
    assert np.allclose(seen, [[320, 240], [370, 240]], atol=1e-3)


def test_crops_show_their_text_within_limits(world: World) -> None:
    crops = list(islice(line_crops(np.random.default_rng(2), world, catalogue("val"), LineSettings(wall_side=500)), 30))
    for crop in crops:
        assert 8 <= crop.picture.shape[0] <= LineSettings().crop_height
        assert crop.text.text.strip()
        assert crop.height_px >= 8


def test_labels_ask_only_for_what_a_picture_can_show() -> None:
    assert label("ТГ: @mаgаzin_kz", "telegram") == "ТГ: @magazin_kz"
    assert label("ЅНОР_КZ1", "telegram") == "SHOP_KZ1"
    assert label("РАБОТА", "word") == "РАБОТА"
    assert label("https://омега-ара.қаз", "url") == "https://омега-ара.қаз"


def test_the_rectangle_of_a_quad_keeps_its_start() -> None:
    for angle in range(0, 360, 30):
        turn = np.array(
            [[np.cos(np.radians(angle)), np.sin(np.radians(angle))], [-np.sin(np.radians(angle)), np.cos(np.radians(angle))]]
        )
        quad = (np.array([[0, 0], [100, 3], [98, 22], [2, 20]]) @ turn + 300).astype(np.float32)
        box = upright_rectangle(quad)
        assert np.linalg.norm(box - quad, axis=1).max() < 12


def test_cutting_out_a_line_keeps_its_direction() -> None:
    picture = np.zeros((200, 400, 3), np.uint8)
    picture[90:110, 100:200] = 255  # the left half of the quad is white
    quad = np.array([[100, 90], [300, 90], [300, 110], [100, 110]], np.float32)
    crop = cut(np.random.default_rng(0), picture, quad, 48).astype(float).mean(axis=2)
    third = crop.shape[1] // 3
    assert crop[:, :third].mean() > 2 * crop[:, -third:].mean()


def test_legibility_falls_with_contrast_and_cover() -> None:
    font = next(f for f in catalogue("val") if f.group == "sans")
    mask = set_line(np.random.default_rng(0), "tulpar_kz1", font, 30)
    x0, y0, x1, y1 = ink_box(mask)
    quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    bare = np.zeros(mask.shape, np.float32)
    strong = np.repeat((200 - 150 * mask)[..., None], 3, axis=2).astype(np.uint8)
    faint = np.repeat((200 - 3 * mask)[..., None], 3, axis=2).astype(np.uint8)
    assert judge(quad, strong, mask, bare, 0.0).legible
    assert not judge(quad, faint, mask, bare, 0.0).legible
    assert not judge(quad, strong, mask, bare + 0.6, 0.0).legible
    assert not judge(quad, strong, mask, bare, 20.0).legible


def test_a_data_set_does_not_depend_on_workers_and_can_grow(tmp_path: Path) -> None:
    def make(folder: str, workers: int, lines: int) -> Path:
        job = Job(str(tmp_path / folder), 4, "val", (), (), SMALL, LineSettings(wall_side=400))
        synthesise(job, 3, lines, workers)
        return tmp_path / folder / "val"

    one, two = make("one", 1, 40), make("two", 2, 40)
    assert (one / "truth.jsonl").read_text("utf-8") == (two / "truth.jsonl").read_text("utf-8")
    assert [r["text"] for r in LineShards(one / "lines").rows] == [r["text"] for r in LineShards(two / "lines").rows]
    assert sum(1 for _ in (one / "photos").iterdir()) == 3
    assert json.loads((one / "settings.json").read_text())["seed"] == 4


def test_a_saved_photo_is_turned_by_exif_and_tells_place_and_time(tmp_path: Path) -> None:
    synthesise(Job(str(tmp_path), 9, "val", (), (), SMALL, LineSettings()), 8, 0)
    truth: list[PhotoTruth] = read_truth(tmp_path / "val" / "truth.jsonl")
    assert {photo.orientation for photo in truth} != {1}
    for photo in truth:
        with Image.open(tmp_path / "val" / "photos" / photo.file) as stored:
            assert ImageOps.exif_transpose(stored).size == (photo.width, photo.height)
            degrees, minutes, seconds = stored.getexif().get_ifd(0x8825)[2]
        assert photo.lat is not None
        assert abs(float(degrees) + float(minutes) / 60 + float(seconds) / 3600 - photo.lat) < 1e-4


def test_backgrounds_are_shared_out_between_splits(tmp_path: Path) -> None:
    for number in range(20):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number:02d}.png")
    parts = [set(split_backgrounds([tmp_path], split)) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [16, 2, 2]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
