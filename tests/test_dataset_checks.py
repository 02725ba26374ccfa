"""Checks of data sets: every problem is named by file and line, and nothing stops at the first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from tagtrace import cli
from tagtrace.contract import ExitCode, Quad
from tagtrace.datasets.checks import Severity, check_between, check_set, quad_problem
from tagtrace.datasets.formats.yolo import write_data
from tagtrace.datasets.photos import load_photo, photo_size, without_metadata

QUAD = [[10, 10], [110, 10], [110, 30], [10, 30]]


def paint(path: Path, seed: int, width: int = 200, height: int = 100, **save: object) -> None:
    """A photo with blobs of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    small = PilImage.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    small.resize((width, height), PilImage.Resampling.BICUBIC).save(path, **save)  # type: ignore[arg-type]


def line(**changes: object) -> dict[str, object]:
    base = {"text": "@snow", "canonical": "snow", "kind": "telegram", "quad": QUAD, "legible": True, "height_px": 20}
    return {**base, **changes}


def photo(file: str, *lines: dict[str, object], wall: str = "W1", shop: str = "S1", **changes: object) -> dict[str, object]:
    ads = [{"wall_id": wall, "shop_id": shop, "style": "spray", "quad": QUAD, "lines": list(lines)}] if lines else []
    return {"file": file, "width": 200, "height": 100, "ads": ads, **changes}


def write(folder: Path, *rows: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows_text = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "truth.jsonl").write_text("\n".join(rows_text) + "\n")
    return folder


def test_every_problem_of_a_truth_is_named_by_line(tmp_path: Path) -> None:
    crossed = [[10, 10], [110, 30], [110, 10], [10, 30]]
    backwards = list(reversed(QUAD))
    away = [[x + 500, y] for x, y in QUAD]
    rows = [
        photo("a.png", line(quad=crossed), line(text=" "), line(quad=away), line(text="☃ @x", height_px=3), line(quad=backwards)),
        '{"file": "b.png", "width": 200,',
        photo("gone.png", line()),
        photo("broken.png", line()),
        photo("small.png", line(), width=300),
        photo("c.png", {"text": "@x"}),
        photo("a.png", line()),
        photo("../a.png", line()),
        photo("n.png", line(), negative=True),
        photo("same.png", line()),
    ]
    folder = write(tmp_path / "set", *rows)
    for number, name in enumerate(("a.png", "small.png", "n.png")):
        paint(folder / "photos" / name, number)
    (folder / "photos" / "broken.png").write_bytes((folder / "photos" / "a.png").read_bytes()[:200])
    (folder / "photos" / "same.png").write_bytes((folder / "photos" / "a.png").read_bytes())
    found = {(p.where.rpartition(":")[2], p.code) for p in check_set(folder).problems}
    expected = {
        ("1", "quad"), ("1", "empty-text"), ("1", "outside"), ("1", "alphabet"), ("1", "small"), ("2", "json"), ("3", "no-photo"),
        ("4", "not-a-picture"), ("5", "size"), ("6", "field"), ("7", "name-twice"), ("8", "name"), ("9", "contradiction"),
        ("10", "double"),
    }  # fmt: skip
    assert found == expected


def test_a_sound_set_has_no_problem_and_the_exit_code_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "good", photo("a.jpg", line()), photo("b.jpg", negative=True))
    for number, name in enumerate(("a.jpg", "b.jpg")):
        paint(good / "photos" / name, number)
    assert cli.run(["dataset", "validate", str(good)]) == ExitCode.OK
    assert cli.run(["dataset", "validate", str(tmp_path / "none")]) == ExitCode.USAGE
    (good / "photos" / "b.jpg").unlink()
    capsys.readouterr()
    assert cli.run(["dataset", "validate", str(good), "--json"]) == ExitCode.SOME_FAILED
    (problem,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (problem["code"], problem["where"]) == ("no-photo", f"{good / 'truth.jsonl'}:2")


def test_leaks_between_splits_are_found_by_wall_shop_contact_and_picture(tmp_path: Path) -> None:
    train = write(
        tmp_path / "train",
        photo("a.jpg", line()),
        photo("b.jpg", line(canonical="ice"), wall="W2", shop="S2"),
        photo("c.jpg", line(canonical="rain"), wall="W3", shop="S3"),
        photo("d.jpg"),
    )
    val = write(
        tmp_path / "val",
        photo("a.jpg", line(canonical="fog"), wall="W1", shop="S9"),
        photo("b.jpg", line(canonical="hail"), wall="W8", shop="S2"),
        photo("c.jpg", line(canonical="rain"), wall="W7", shop="S7"),
        photo("d.jpg"),
        photo("e.jpg", line(canonical="sun"), wall="W6", shop="S6"),
    )
    for number, name in enumerate("abcd"):
        paint(train / "photos" / f"{name}.jpg", number)
        paint(val / "photos" / f"{name}.jpg", number + 10)
    paint(val / "photos" / "e.jpg", 20)
    # The same picture smaller and compressed harder.
    PilImage.open(train / "photos/d.jpg").resize((160, 80)).save(val / "photos/d.jpg", quality=40)
    found = [p.message for p in check_between({"train": check_set(train), "val": check_set(val)})]
    assert [message.split(":")[0] for message in found] == ["contact rain", "shop S2", "wall W1", "picture"]
    assert "d.jpg" in found[-1] and "e.jpg" not in " ".join(found)


def test_bad_labels_of_yolo_are_named_by_line(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        paint(tmp_path / f"images/train/{name}.png", number)
    write_data(tmp_path, ["train"])
    labels = tmp_path / "labels/train"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 wide 0.1\n9 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n")
    (labels / "b.txt").write_text("0 0.5 0.5 0.1 nan\n")
    (labels / "stray.txt").write_text("")
    found = {(Path(p.where).name, p.code, p.severity) for p in check_set(tmp_path).problems if p.code != "contradiction"}
    assert found == {
        ("a.txt:2", "label", Severity.ERROR),
        ("a.txt:3", "label", Severity.ERROR),
        ("a.txt:4", "label-twice", Severity.WARNING),
        ("b.txt:1", "label", Severity.ERROR),
        ("stray.txt", "no-photo", Severity.WARNING),
    }


def test_entries_of_other_formats_are_checked_to_the_end(tmp_path: Path) -> None:
    paint(tmp_path / "photos/a.png", 1)
    image = {"id": 1, "file_name": "a.png", "width": 200, "height": 100}
    entries = [{"image_id": 1, "category_id": 9, "bbox": [0, 0, 9, 9]}, {"image_id": 4}, {"image_id": 1, "category_id": 1}]
    coco = {"images": [image], "categories": [{"id": 1, "name": "line"}], "annotations": entries}
    (tmp_path / "annotations.json").write_text(json.dumps(coco))
    problems = [p for p in check_set(tmp_path).problems if p.code == "unreadable"]
    assert ["annotations[0]" in str(problems[0]), "annotations[1]" in str(problems[1])] == [True, True]
    assert len(problems) == 3


def test_quads_are_judged() -> None:
    upright: Quad = ((0, 0), (10, 0), (10, 5), (0, 5))
    assert quad_problem(upright) == ""
    assert "counter-clockwise" in quad_problem((upright[0], upright[3], upright[2], upright[1]))
    assert "cross" in quad_problem((upright[0], upright[2], upright[1], upright[3]))
    assert "no area" in quad_problem((upright[0], (0.01, 0), (0.01, 5), upright[3]))


@pytest.mark.parametrize("save", [{"quality": 80}, {"quality": 90, "progressive": True}, {"quality": 75, "subsampling": 0}])
def test_a_photo_without_metadata_keeps_its_pixels(tmp_path: Path, save: dict[str, object]) -> None:
    exif = PilImage.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    paint(tmp_path / "a.jpg", 3, exif=exif, comment=b"who took it", **save)
    bare, suffix = without_metadata((tmp_path / "a.jpg").read_bytes(), "a.jpg")
    (tmp_path / "bare.jpg").write_bytes(bare)
    assert suffix == ".jpg" and photo_size(tmp_path / "bare.jpg") == (100, 200)
    assert np.array_equal(load_photo(tmp_path / "a.jpg"), load_photo(tmp_path / "bare.jpg"))
    assert b"SecretCamera" not in bare and b"who took it" not in bare
    assert dict(PilImage.open(tmp_path / "bare.jpg").getexif()) == {0x0112: 6}
