"""Walls, light, scenery and textures of the photo generator: shapes, ranges, repeatability, and what they promise about boxes."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PilImage

from tagtrace import cli
from tagtrace.contract import TagtraceError
from tagtrace.datasets.synth import noise, scenery, shadows
from tagtrace.datasets.synth.light import MODES, light_field
from tagtrace.datasets.synth.occluders import occluders
from tagtrace.datasets.synth.scenery import ScenerySettings, furnish, scenery_behind
from tagtrace.datasets.synth.surroundings import SurroundingSettings, surroundings
from tagtrace.datasets.synth.textures import ATTRIBUTION, TexturePack, background_credits, unpack_debian_textures
from tagtrace.datasets.synth.walls import MATERIALS, Wall, WallSettings, make_wall

SIZE = (180, 240)
BOXES = ((70.0, 60.0, 170.0, 110.0),)


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def _flat(value: float = 0.5, relief: NDArray[np.float32] | None = None) -> Wall:
    flat = np.full(SIZE, 0.5, np.float32)
    return Wall(np.full((*SIZE, 3), value, np.float32), flat if relief is None else relief, 0.0, "plaster", 100.0)


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("shape", [(180, 240), (97, 61)])
def test_wall_has_the_promised_shape_range_and_texture(material: str, shape: tuple[int, int]) -> None:
    for seed in range(4):
        wall = make_wall(_rng(seed), *shape, material)
        assert wall.material == material
        assert wall.albedo.shape == (*shape, 3) and wall.albedo.dtype == np.float32
        assert wall.relief.shape == shape and wall.relief.dtype == np.float32
        for field in (wall.albedo, wall.relief):
            assert np.isfinite(field).all() and field.min() >= 0 and field.max() <= 1
        assert 0 <= wall.gloss <= 1
        assert wall.albedo.std() > 0.002 and wall.relief.std() > 0.002


def test_same_seed_same_wall_other_seed_another() -> None:
    first, again, other = make_wall(_rng(3), *SIZE), make_wall(_rng(3), *SIZE), make_wall(_rng(4), *SIZE)
    assert np.array_equal(first.albedo, again.albedo) and np.array_equal(first.relief, again.relief)
    assert not np.array_equal(first.albedo, other.albedo)


def test_materials_are_drawn_with_variety() -> None:
    assert len({make_wall(_rng(seed), 40, 40).material for seed in range(60)}) >= 8


def test_rough_render_is_rougher_than_plaster() -> None:
    def slope(material: str) -> float:
        return float(np.mean([np.abs(np.diff(make_wall(_rng(s), *SIZE, material).relief)).mean() for s in range(6)]))

    assert slope("shuba") > 1.2 * slope("plaster")


def test_two_tone_walls_differ_below_the_line() -> None:
    settings = WallSettings(two_tone_share=1.0)
    plain = WallSettings(two_tone_share=0.0)
    jumps = []
    for chosen in (settings, plain):
        walls = [make_wall(_rng(seed), *SIZE, "plaster", settings=chosen) for seed in range(8)]
        jumps.append(np.mean([np.abs(np.diff(wall.albedo.mean(axis=(1, 2)))).max() for wall in walls]))
    assert jumps[0] > 3 * jumps[1]


def test_unknown_material_and_missing_backgrounds_say_what_to_do() -> None:
    with pytest.raises(TagtraceError, match="plaster"):
        make_wall(_rng(), *SIZE, "jelly")
    with pytest.raises(TagtraceError, match="--backgrounds"):
        make_wall(_rng(), *SIZE, "background")


def test_background_picture_becomes_a_wall_even_when_it_is_small(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    PilImage.new("RGB", (50, 30), (200, 20, 20)).save(path)
    wall = make_wall(_rng(), *SIZE, "background", [path])
    assert wall.material == "background" and wall.albedo.shape == (*SIZE, 3)
    red, green, _ = wall.albedo.mean(axis=(0, 1))
    assert red > 2 * green


def test_broken_background_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(TagtraceError, match=r"broken\.jpg"):
        make_wall(_rng(), *SIZE, "background", [path])


@pytest.mark.parametrize("mode", MODES)
def test_light_is_positive_finite_and_repeatable(mode: str) -> None:
    wall = make_wall(_rng(2), *SIZE)
    for seed in range(5):
        light = light_field(_rng(seed), wall, mode)
        assert light.shape == (*SIZE, 3) and light.dtype == np.float32
        assert np.isfinite(light).all() and light.min() >= 0
        assert 0.03 < light.mean() < 2.0
        assert np.array_equal(light, light_field(_rng(seed), wall, mode))


def test_sun_is_brighter_than_dusk_and_night_is_warmer_than_shade() -> None:
    def mean(mode: str) -> NDArray[np.float32]:
        return np.mean([light_field(_rng(s), _flat(), mode).mean(axis=(0, 1)) for s in range(12)], axis=0)

    assert mean("sun").mean() > 1.3 * mean("dusk").mean()
    night, shade = mean("night"), mean("shade")
    assert night[0] / night[2] > 1.2 * shade[0] / shade[2]


def test_relief_is_shaded_and_a_flat_wall_is_not() -> None:
    step = np.full(SIZE, 0.3, np.float32)
    step[60:120, 80:160] = 0.7
    edges = np.zeros(SIZE, bool)
    edges[58:62, 90:150] = True
    for seed in range(4):
        lit, plain = (light_field(_rng(seed), _flat(relief=relief), "overcast") for relief in (step, None))
        ratio = lit.mean(axis=2) / plain.mean(axis=2)
        assert np.abs(ratio[edges] - 1).max() > 0.02
        assert np.allclose(ratio[80:100, 100:140], 1)


def test_unknown_light_names_the_modes() -> None:
    with pytest.raises(TagtraceError, match="overcast"):
        light_field(_rng(), _flat(), "laser")


@pytest.mark.parametrize("kind", shadows.KINDS)
def test_every_shadow_covers_something_but_not_everything(kind: object) -> None:
    assert callable(kind)
    shares = [float((kind(_rng(seed), 80, 100) > 127).mean()) for seed in range(8)]
    assert 0 < np.mean(shares) < 0.95


def test_solid_things_stay_clear_of_the_boxes() -> None:
    settings = ScenerySettings(mean_objects=6, mean_marks=0)
    touched = 0
    for seed in range(25):
        wall = _flat()
        out = scenery_behind(_rng(seed), wall.albedo, BOXES, scale=60.0, settings=settings)
        assert np.array_equal(out[60:110, 70:170], wall.albedo[60:110, 70:170])
        assert (wall.albedo == 0.5).all()  # the argument is left alone
        touched += not np.array_equal(out, wall.albedo)
    assert touched > 15


def test_furnish_smooths_the_relief_under_things_only() -> None:
    rough = noise.ramp(noise.grain(_rng(9), *SIZE), -3, 3)
    wall = _flat(relief=rough)
    out = furnish(_rng(5), wall, BOXES, ScenerySettings(mean_objects=8, mean_marks=0))
    changed = (out.albedo != wall.albedo).any(axis=2)
    evened = out.relief != wall.relief
    assert evened.any() and out.relief[evened].std() < 0.5 * rough.std()
    assert (changed | ~evened).mean() > 0.99
    assert out.material == wall.material and np.array_equal(wall.relief, rough)


@pytest.mark.parametrize("mark", scenery._MARKS)
def test_marks_change_the_wall_and_keep_it_in_range(mark: object) -> None:
    assert callable(mark)
    changed = 0
    for seed in range(8):
        canvas = np.full((*SIZE, 3), 0.5, np.float32)
        mark(_rng(seed), canvas, 80.0)
        assert np.isfinite(canvas).all() and canvas.min() >= 0 and canvas.max() <= 1
        changed += bool((canvas != 0.5).any())
    assert changed >= 6


def test_occluders_hide_no_more_than_allowed_and_mask_what_they_change() -> None:
    hidden = []
    for seed in range(30):
        canvas = np.full((*SIZE, 3), 0.43, np.float32)
        out, mask = occluders(_rng(seed), canvas, BOXES, max_cover=0.2, count=3)
        assert out.shape == canvas.shape and out.dtype == np.float32 and out.min() >= 0 and out.max() <= 1
        assert mask.shape == SIZE and mask.dtype == np.float32 and mask.min() >= 0 and mask.max() <= 1
        assert mask[60:110, 70:170].mean() <= 0.2
        assert np.allclose(out[mask == 0], 0.43, atol=1e-4)
        assert (canvas == np.float32(0.43)).all()
        hidden.append(float(mask.mean()))
    assert np.mean(hidden) > 0.02


def test_occluders_are_lit_like_the_wall() -> None:
    canvas = np.full((*SIZE, 3), 0.1, np.float32)
    dark = np.full((*SIZE, 3), 0.1, np.float32)
    for seed in range(10):
        out, mask = occluders(_rng(seed), canvas, (), light=dark, count=2)
        plain, _ = occluders(_rng(seed), canvas, (), count=2)
        if (mask > 0.9).sum() > 50:
            assert out[mask > 0.9].mean() < 0.4 * plain[mask > 0.9].mean()


def test_surroundings_keep_out_of_the_boxes() -> None:
    always = SurroundingSettings(ground_share=1, top_share=1, side_share=1)
    x0, y0, x1, y1 = (int(part) for part in BOXES[0])
    for seed in range(15):
        canvas = np.full((*SIZE, 3), 0.43, np.float32)
        light = light_field(_rng(seed), _flat())
        out = surroundings(_rng(seed), canvas, BOXES, light, always)
        assert out.shape == canvas.shape and out.min() >= 0 and out.max() <= 1
        assert (out[y0:y1, x0:x1] == np.float32(0.43)).all()
        assert (out != np.float32(0.43)).any(axis=2).mean() > 0.05


@pytest.mark.parametrize(("cell", "octaves", "stretch"), [(2.0, 1, 1.0), (9.0, 3, 1.0), (60.0, 5, 3.0), (500.0, 2, 1.0)])
def test_noise_is_centred_and_of_even_strength(cell: float, octaves: int, stretch: float) -> None:
    fields = [noise.fbm(_rng(seed), 130, 170, cell, octaves, stretch=stretch) for seed in range(60)]
    assert all(field.shape == (130, 170) and field.dtype == np.float32 for field in fields)
    stack = np.stack(fields)
    assert abs(stack.mean()) < 0.15
    assert 0.35 < stack.std() < 1.1


def test_grain_has_unit_deviation_at_any_blur() -> None:
    for blur in (0.0, 0.8, 2.0):
        field = noise.grain(_rng(), 300, 300, blur)
        assert abs(float(field.mean())) < 0.1
        assert 0.7 < float(field.std()) < 1.3


def test_stamp_clips_at_every_edge() -> None:
    patch, alpha = np.ones((20, 20, 3), np.float32), np.ones((20, 20), np.float32)
    for x, y, area in ((-10, -10, 100), (30, 35, 50), (-50, 0, 0), (10, 10, 400)):
        canvas = np.zeros((40, 40, 3), np.float32)
        noise.stamp(canvas, patch, alpha, x, y)
        assert int(canvas[:, :, 0].sum()) == area


def _archive(tmp_path: Path) -> TexturePack:
    noise_picture = _rng().integers(0, 255, (256, 256, 3), dtype=np.uint8)

    def data(pixels: NDArray[np.uint8], form: str) -> bytes:
        buffer = io.BytesIO()
        PilImage.fromarray(pixels).save(buffer, form)
        return buffer.getvalue()

    with zipfile.ZipFile(tmp_path / "pack.pk3", "w") as archive:
        archive.writestr("textures/walls/brick01.png", data(noise_picture, "PNG"))
        archive.writestr("textures/walls/brick01_nm.png", data(noise_picture, "PNG"))
        archive.writestr("textures/walls/brick02.tga", data(noise_picture, "TGA"))
        archive.writestr("textures/walls/brick_flat.png", data(np.full((256, 256, 3), 90, np.uint8), "PNG"))
        archive.writestr("textures/walls/brick_small.png", data(noise_picture[:64, :64], "PNG"))
        archive.writestr("textures/walls/brick_sign.png", data(noise_picture, "PNG"))
        archive.writestr("textures/sky/blue.png", data(noise_picture, "PNG"))
    terms = "Files: *\nLicense: GPL-2+\n\nFiles:\n base/textures/walls/brick02.tga\nCopyright: B\nLicense: CC-BY-3.0\n"
    (tmp_path / "copyright").write_text(terms, encoding="utf-8")
    take, leave = ("textures/walls/*",), ("textures/walls/*sign*",)
    return TexturePack("some-textures", tmp_path / "pack.pk3", tmp_path / "copyright", "base/", take, leave)


def test_textures_are_unpacked_with_their_licences(tmp_path: Path) -> None:
    out = tmp_path / "out"
    paths = unpack_debian_textures(out, [_archive(tmp_path)])
    assert [path.name for path in paths] == ["some_walls_brick01.png", "some_walls_brick02.png"]
    assert all(cv2.imread(str(path)) is not None for path in paths)
    rows = [line.split("\t") for line in (out / ATTRIBUTION).read_text("utf-8").splitlines()]
    licences = {row[0]: row[4] for row in rows[1:]}
    assert licences == {"some_walls_brick01.png": "GPL-2+", "some_walls_brick02.png": "CC-BY-3.0"}
    assert (out / "some-textures.copyright").is_file()


def test_missing_and_damaged_packages_say_what_to_install(tmp_path: Path) -> None:
    pack = _archive(tmp_path)
    pack.archive.write_bytes(b"broken")
    with pytest.raises(TagtraceError, match="reinstall the package some-textures"):
        unpack_debian_textures(tmp_path / "out", [pack])
    pack.archive.unlink()
    with pytest.raises(TagtraceError, match="apt install some-textures"):
        unpack_debian_textures(tmp_path / "out", [pack])


@pytest.mark.train
def test_the_data_card_names_whom_the_backgrounds_are_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagtrace.datasets.synth.textures.PACKS", (_archive(tmp_path),))
    assert cli.run(["textures", "--out", str(tmp_path / "walls")]) == 0
    assert cli.run(["synth", "--out", str(tmp_path), "--count", "1", "--backgrounds", str(tmp_path / "walls"), "--no-yolo"]) == 0
    card = (tmp_path / "train" / "DATACARD.md").read_text("utf-8")
    for licence in ("GPL-2+", "CC-BY-3.0"):
        assert re.search(rf"pictures of walls: 1 \| see some-textures.copyright \| {re.escape(licence)} \|", card)
    assert "License: CC-BY-3.0" in (tmp_path / "train" / "some-textures.copyright").read_text("utf-8")


def test_only_the_pictures_of_the_split_are_credited(tmp_path: Path) -> None:
    paths = unpack_debian_textures(tmp_path / "walls" / "debian", [_archive(tmp_path)])
    (credit,) = background_credits([tmp_path / "walls"], paths[1:])
    assert (credit.licence, credit.title) == ("CC-BY-3.0", "pictures of walls: 1")
    (tmp_path / "walls" / "debian" / ATTRIBUTION).write_text("name\tlicence\n")
    with pytest.raises(TagtraceError, match="SOURCES.tsv: no column file, package, version, path"):
        background_credits([tmp_path / "walls"], paths)
