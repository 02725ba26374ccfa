"""The font catalogue: splits that share no family, coverage of the letters that are needed, and a pick that suits the style."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tagtrace.contract import TagtraceError
from tagtrace.datasets import fonts
from tagtrace.datasets.fonts import Font, catalogue, covers, pick

RUSSIAN = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя"
KAZAKH = "ӘҒҚҢӨҰҮҺІәғқңөұүһі"
HANDLE = "@abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-+"

try:
    INSTALLED = bool(catalogue("train"))
except TagtraceError:
    INSTALLED = False
needs_fonts = pytest.mark.skipif(not INSTALLED, reason="the fonts of the extra `train` are not installed")


@needs_fonts
def test_splits_share_no_family_and_no_file() -> None:
    found = {split: catalogue(split) for split in fonts.SPLITS}
    families = {split: {font.family for font in faces} for split, faces in found.items()}
    files = {split: {font.path for font in faces} for split, faces in found.items()}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not families[a] & families[b]
        assert not files[a] & files[b]
    assert len(families["train"]) > 3 * len(families["test"]) > 3 * len(families["val"]) > 20


@needs_fonts
@pytest.mark.parametrize("split", fonts.SPLITS)
def test_every_split_can_write_kazakh_by_hand_in_display_and_in_sans(split: str) -> None:
    able = Counter(font.group for font in catalogue(split) if covers(font, RUSSIAN + KAZAKH))
    assert all(able[group] for group in ("hand", "display", "sans"))


@needs_fonts
def test_every_listed_font_writes_handles() -> None:
    for split in fonts.SPLITS:
        assert [font.name for font in catalogue(split) if not covers(font, HANDLE)] == []


@needs_fonts
def test_names_are_unique_and_the_order_is_fixed() -> None:
    names = [font.name for font in catalogue("train")]
    assert len(set(names)) == len(names)
    assert names == sorted(names)


@needs_fonts
def test_pick_covers_the_text_and_suits_the_style() -> None:
    faces, rng = catalogue("train"), np.random.default_rng(0)
    groups = {style: Counter(pick(rng, faces, "@snow_lake7", style).group for _ in range(400)) for style in ("stencil", "marker")}
    assert groups["marker"]["hand"] > 150
    assert groups["stencil"]["hand"] < 40
    for _ in range(100):
        assert covers(pick(rng, faces, "ЖҰМЫС №1", "marker"), "ЖҰМЫС №1")


@needs_fonts
def test_a_family_with_many_faces_is_no_likelier_than_one_with_a_single_face() -> None:
    faces, rng = [font for font in catalogue("train") if font.group == "slab"], np.random.default_rng(1)
    seen = Counter(pick(rng, faces, "abc").family for _ in range(800))
    assert max(seen.values()) < 1.6 * min(seen.values())


@needs_fonts
def test_pick_is_repeatable_and_says_what_is_missing() -> None:
    faces = catalogue("test")
    first, again = ([pick(rng, faces, "работа", "spray") for _ in range(30)] for rng in map(np.random.default_rng, (4, 4)))
    assert first == again
    with pytest.raises(TagtraceError, match="漢"):
        pick(np.random.default_rng(0), faces, "漢")


@needs_fonts
def test_weights_of_a_variable_font_are_drawn_differently() -> None:
    rubik = {font.weight: font for font in catalogue("train") if font.name.startswith("Rubik@")}
    ink = {weight: sum(fonts.load(font, 64).getmask("НАМ")) for weight, font in rubik.items() if weight}
    assert ink[400] < ink[600] < ink[800]


@needs_fonts
def test_a_face_loads_at_the_size_asked_for() -> None:
    font = catalogue("val")[0]
    small, large = (fonts.load(font, size).getbbox("H")[3] - fonts.load(font, size).getbbox("H")[1] for size in (20, 80))
    assert 3.4 < large / small < 4.6


@needs_fonts
def test_a_folder_adds_its_fonts_to_one_split_only(tmp_path: Path) -> None:
    source = next(font.path for font in catalogue("train") if not font.axes)
    shutil.copy(source, tmp_path / "Quillpaint-Regular.ttf")
    (tmp_path / "readme.txt").write_text("not a font")
    holding = [split for split in fonts.SPLITS if any(font.family == "quillpaint" for font in catalogue(split, [tmp_path]))]
    assert holding == [fonts.split_of("quillpaint")]
    added = next(font for font in catalogue(holding[0], [tmp_path]) if font.family == "quillpaint")
    assert added.group == "hand", "guessed from `paint` in its name"


def test_a_folder_that_is_missing_and_a_broken_font_are_named(tmp_path: Path) -> None:
    with pytest.raises(TagtraceError, match="nowhere"):
        catalogue("train", [tmp_path / "nowhere"])
    broken = tmp_path / "Broken-Regular.ttf"
    broken.write_bytes(b"this is no font")
    with pytest.raises(TagtraceError, match=r"Broken-Regular\.ttf"):
        catalogue(fonts.split_of("broken"), [tmp_path])


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(TagtraceError, match="holdout"):
        catalogue("holdout")


def test_without_fonts_the_message_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "distributions", list)
    with pytest.raises(TagtraceError, match="fontpkg-pacifico"):
        catalogue("val")


def test_the_listed_packages_are_those_of_the_train_extra() -> None:
    assert len(fonts.packages()) == len(set(fonts.packages())) == len(fonts.FAMILIES)
    project = Path(fonts.__file__).parents[1] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("not a source tree")
    text = project.read_text(encoding="utf-8")
    assert [package for package in fonts.packages() if f'"{package}' not in text] == []


def test_unlisted_families_keep_their_split_and_group() -> None:
    assert fonts.split_of("quillpaint") == fonts.split_of("quillpaint")
    assert Counter(fonts.split_of(f"family{i}") for i in range(400)).most_common()[0][0] == "train"
    assert fonts.group_of("some-stencil") == "stencil"
    assert fonts.group_of("plainface") == "sans"


def test_a_static_font_has_no_weight() -> None:
    assert Font("a.ttf", "a", "sans", "a").weight is None
    assert Font("a.ttf", "a", "sans", "a", (("wght", 700.0),)).weight == 700


def test_faces_without_small_letters_are_labelled_as_they_are_seen() -> None:
    faces = {font.family: font for font in fonts.catalogue("train")}
    assert {family for family, font in faces.items() if fonts.is_unicase(font)} >= {"bebas-neue", "bungee", "luckiest-guy"}
    assert not any(fonts.is_unicase(faces[family]) for family in ("roboto", "rajdhani", "caveat", "black-ops-one"))
    assert fonts.as_shown(faces["bungee"], "t.me/shop_kz") == "T.ME/SHOP_KZ"
    assert fonts.as_shown(faces["roboto"], "t.me/shop_kz") == "t.me/shop_kz"


def test_a_folder_named_after_a_split_gives_its_fonts_to_that_split(tmp_path: Path) -> None:
    source = next(font for font in fonts.catalogue("train") if font.family == "bungee")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "Elsewhere-Regular.ttf").write_bytes(Path(source.path).read_bytes())
    found = {split: [f for f in fonts.catalogue(split, [tmp_path]) if f.family == "elsewhere"] for split in fonts.SPLITS}
    assert [bool(found[split]) for split in fonts.SPLITS] == [False, True, False]
