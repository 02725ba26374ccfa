"""YOLO and COCO: what is written is read again, bad files are reported by name and line, quads are clipped to the picture."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from shapely.geometry import Polygon, box

from tagtrace.contract import Quad, TagtraceError
from tagtrace.datasets.formats.annotations import AnnotatedPhoto, Annotation, LabelRule, annotate, around, clip_quad
from tagtrace.datasets.formats.coco import read_coco, write_coco
from tagtrace.datasets.formats.yolo import export_yolo, label_path, parse_label, read_data, read_yolo, write_data, write_labels
from tagtrace.datasets.truth import AdvertTruth, DistractorTruth, LineTruth, PhotoTruth

UPRIGHT: Quad = ((10, 10), (110, 10), (110, 30), (10, 30))


def line(quad: Quad = UPRIGHT, **changes: object) -> LineTruth:
    base: dict[str, object] = {"text": "@snow", "canonical": "snow", "kind": "telegram", "legible": True, "height_px": 20.0}
    return LineTruth(quad=quad, **{**base, **changes})  # type: ignore[arg-type]


def photo(*lines: LineTruth, file: str = "a.jpg", width: int = 200, height: int = 100) -> PhotoTruth:
    adverts = (AdvertTruth(wall_id="W", shop_id="S", style="spray", quad=UPRIGHT, lines=lines),) if lines else ()
    return PhotoTruth(file=file, width=width, height=height, ads=adverts)


def save_photo(path: Path, width: int = 200, height: int = 100, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    PillowImage.new("RGB", (width, height), "grey").save(path, exif=exif)


# --- which lines are labelled, and clipping -------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"legible": True, "height_px": 3.0, "contrast": 1.0}, True),
        ({"legible": False}, True),
        ({"legible": False, "height_px": 5.9}, False),
        ({"legible": False, "visible": 0.29}, False),
        ({"legible": False, "in_frame": 0.49}, False),
        ({"legible": False, "contrast": 3.9}, False),
        ({"legible": False, "kind": "qr", "height_px": 15.0}, False),
        ({"legible": False, "kind": "qr", "height_px": 17.0}, True),
    ],
)
def test_the_rule_labels_what_can_be_seen(changes: dict[str, object], wanted: bool) -> None:
    assert LabelRule().wants(line(**changes)) is wanted
    assert bool(annotate([photo(line(**changes))])[0].annotations) is wanted


def test_codes_and_lines_get_their_classes() -> None:
    found = annotate([photo(line(), line(kind="qr", height_px=60.0))])[0].annotations
    assert [a.label for a in found] == ["line", "code"]


def test_a_line_that_leaves_the_picture_is_cut_across_its_reading_direction() -> None:
    assert clip_quad(UPRIGHT, 200, 100) == UPRIGHT
    cut = clip_quad(((-50, 10), (50, 20), (50, 40), (-50, 30)), 200, 100)
    assert np.allclose(cut, ((0, 15), (50, 20), (50, 40), (0, 35)), atol=1e-3)  # type: ignore[arg-type]
    upside_down = clip_quad(((250, 40), (150, 40), (150, 20), (250, 20)), 200, 100)
    assert np.allclose(upside_down, ((200, 40), (150, 40), (150, 20), (200, 20)), atol=1e-3)  # type: ignore[arg-type]
    assert clip_quad(((300, 10), (400, 10), (400, 30), (300, 30)), 200, 100) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(-100, 300), st.floats(-100, 200), st.floats(20, 200), st.floats(8, 60), st.floats(0, 6.28), st.floats(0.6, 1.0))
def test_clipped_quads_cover_what_is_seen_and_stay_inside(
    x: float, y: float, w: float, h: float, turn: float, taper: float
) -> None:
    flat = np.array([[-w / 2, -h / 2], [w / 2, -h / 2 * taper], [w / 2, h / 2 * taper], [-w / 2, h / 2]])
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    quad: Quad = tuple((float(a), float(b)) for a, b in flat @ spin.T + (x, y))  # type: ignore[assignment]
    seen = Polygon(quad).intersection(box(0, 0, 200, 100))
    cut = clip_quad(quad, 200, 100)
    if cut is None:
        assert seen.area < 1e-6
        return
    assume(seen.area > 1)
    assert np.min(cut) >= 0 and np.max(cut, axis=0)[0] <= 200 and np.max(cut, axis=0)[1] <= 100
    shape = Polygon(cut).convex_hull
    assert shape.intersection(seen).area / seen.area > 0.5
    # Still read in the same direction.
    before, after = np.subtract(quad[1], quad[0]), np.subtract(cut[1], cut[0])
    assert float(np.dot(before, after)) >= -1e-6


def test_polygons_of_other_tools_become_rectangles_along_the_text() -> None:
    assert around(np.array([[0, 0], [50, 0], [100, 0], [100, 20], [0, 20]], dtype=float)) == pytest.approx(
        np.array([[0, 0], [100, 0], [100, 20], [0, 20]])
    )


# --- round trips ----------------------------------------------------------------------------------

coordinates = st.tuples(st.floats(0, 200), st.floats(0, 100))
quads = st.tuples(coordinates, coordinates, coordinates, coordinates)
texts = st.text('aZ0ЖҰ"\\\n\u2028😀 ', max_size=6)
annotations = st.builds(Annotation, st.sampled_from(["line", "code"]), quads, texts, texts, texts, st.booleans())
annotated = st.builds(
    AnnotatedPhoto, st.just("images/train/a.png"), st.just(200), st.just(100), st.lists(annotations, max_size=4).map(tuple)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("yolo")
    save_photo(root / "images/train/a.png")
    write_data(root, ["train"])
    return root


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(annotated)
def test_yolo_oriented_boxes_survive_a_round_trip(folder: Path, wanted: AnnotatedPhoto) -> None:
    write_labels([AnnotatedPhoto("train/a.png", 200, 100, wanted.annotations)], folder / "labels")
    (found,) = read_yolo(folder, "train")
    assert (found.file, found.width, found.height) == (wanted.file, 200, 100)
    assert [a.label for a in found.annotations] == [a.label for a in wanted.annotations]
    for a, b in zip(found.annotations, wanted.annotations, strict=True):
        assert np.allclose(a.quad, b.quad, atol=2e-4)


def test_yolo_upright_boxes_survive_a_round_trip(folder: Path) -> None:
    tilted: Quad = ((20, 20), (60, 10), (70, 30), (30, 40))
    write_labels([AnnotatedPhoto("train/a.png", 200, 100, (Annotation("code", tilted),))], folder / "labels", oriented=False)
    assert len((folder / "labels/train/a.txt").read_text().split()) == 5
    (found,) = read_yolo(folder, "train")
    assert np.allclose(found.annotations[0].quad, ((20, 10), (70, 10), (70, 40), (20, 40)), atol=2e-4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(annotated, max_size=3))
def test_coco_survives_a_round_trip(tmp_path_factory: pytest.TempPathFactory, wanted: list[AnnotatedPhoto]) -> None:
    path = tmp_path_factory.mktemp("coco") / "a.json"
    assert write_coco(path, wanted) == sum(len(p.annotations) for p in wanted)
    assert read_coco(path) == wanted


def test_coco_boxes_and_many_cornered_polygons_are_read(tmp_path: Path) -> None:
    data = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}],
        "categories": [{"id": 3, "name": "line"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 30, 10]},
            {"id": 2, "image_id": 7, "category_id": 3, "segmentation": [[0, 0, 40, 0, 80, 0, 80, 10, 0, 10]]},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(data))
    (found,) = read_coco(tmp_path / "a.json")
    assert found.annotations[0].quad == ((1, 2), (31, 2), (31, 12), (1, 12))
    assert np.allclose(found.annotations[1].quad, ((0, 0), (80, 0), (80, 10), (0, 10)), atol=1e-3)


# --- export ---------------------------------------------------------------------------------------


def test_export_writes_a_folder_that_is_read_again(tmp_path: Path) -> None:
    save_photo(tmp_path / "photos/a.jpg")
    save_photo(tmp_path / "photos/b.jpg", 100, 200, orientation=6)
    truth = [
        photo(line(), line(kind="qr", height_px=50.0, quad=((150, 50), (220, 50), (220, 90), (150, 90)))),
        photo(file="b.jpg"),
    ]
    export_yolo(truth, tmp_path / "photos", tmp_path / "out", "train")
    data = export_yolo(truth[:1], tmp_path / "photos", tmp_path / "out", "val", photo_copy="copy")
    assert read_data(data).names == ("line", "code", "other")
    found = read_yolo(tmp_path / "out", "train")
    assert [p.file for p in found] == ["images/train/a.jpg", "images/train/b.jpg"]
    assert [a.label for a in found[0].annotations] == ["line", "code"]
    assert np.allclose(found[0].annotations[1].quad, ((150, 50), (200, 50), (200, 90), (150, 90)), atol=1e-2)
    assert (tmp_path / "out/labels/train/b.txt").read_text() == "", "a photo without adverts has an empty label file"
    assert len(read_yolo(tmp_path / "out", "val")) == 1
    assert not Path((tmp_path / "out/data.yaml").read_text().split()[1]).is_absolute()
    moved = tmp_path / "moved"
    (tmp_path / "out").rename(moved)
    assert len(read_yolo(moved, "train")) == 2


def test_export_refuses_photos_that_do_not_match_the_truth(tmp_path: Path) -> None:
    save_photo(tmp_path / "a.jpg", 100, 200)
    with pytest.raises(TagtraceError, match=r"a\.jpg: is \(100, 200\).*truth says \(200, 100\)"):
        export_yolo([photo(line())], tmp_path, tmp_path / "out")
    with pytest.raises(TagtraceError, match=r"none\.jpg: cannot be read as a picture"):
        export_yolo([photo(line(), file="none.jpg")], tmp_path, tmp_path / "out")


def test_only_the_last_images_folder_becomes_labels() -> None:
    assert label_path(Path("/images/data/images/val/a.b.jpg")) == Path("/images/data/labels/val/a.b.txt")


def test_lines_of_other_text_have_a_class_of_their_own() -> None:
    sign = DistractorTruth(text="КАФЕ", quad=UPRIGHT, kind="sign", lines=(line(kind="word", text="КАФЕ"),))
    (annotated,) = annotate([replace(photo(line()), distractors=(sign,))])
    assert [(a.label, a.text) for a in annotated.annotations] == [("line", line().text), ("other", "КАФЕ")]
    whole = replace(sign, lines=None)  # a truth that does not tell the lines apart says nothing about them
    (annotated,) = annotate([replace(photo(line()), distractors=(whole,))])
    assert [a.label for a in annotated.annotations] == ["line"]


# --- bad files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("0 0.5 0.5 0.1", "found 4"),
        ("0 0.1 0.1 0.2 0.1 0.2", "found 6"),
        ("line 0.5 0.5 0.1 0.1", "whole number"),
        ("3 0.5 0.5 0.1 0.1", "class 3"),
        ("0 0.5 0.5 0.1 wide", "wide"),
        ("0 0.5 nan 0.1 0.1", "must lie in 0..1"),
        ("0 50 50 10 10", "must lie in 0..1"),
    ],
)
def test_bad_label_rows_are_reported_with_file_and_line(tmp_path: Path, row: str, words: str) -> None:
    save_photo(tmp_path / "images/train/a.png")
    write_data(tmp_path, ["train"])
    labels = tmp_path / "labels/train/a.txt"
    labels.parent.mkdir(parents=True)
    labels.write_text("0 0.5 0.5 0.1 0.1\n\n" + row + "\n")
    with pytest.raises(TagtraceError) as caught:
        read_yolo(tmp_path, "train")
    assert str(caught.value).startswith(f"{labels}:3: ")
    assert words in str(caught.value)


def test_coordinates_a_hair_outside_are_moved_to_the_edge() -> None:
    found = parse_label("0 0 0 1.004 0 1.004 1 0 1", ("line",), 100, 50, "x")
    assert found.quad == ((0, 0), (100, 0), (100, 50), (0, 50))


def test_bad_data_files_are_reported(tmp_path: Path) -> None:
    data = tmp_path / "data.yaml"
    for text, words in [
        ("names: [line]\ntrain: [a\n", r"data.yaml:3: is not YAML"),
        ("names: [line]\n", "names no photos"),
        ("train: images\n", "'names' must be"),
        ("train: images\nnames: {1: line}\n", "'names' must be"),
        ("- 1\n", "expected keys"),
    ]:
        data.write_text(text)
        with pytest.raises(TagtraceError, match=words):
            read_data(tmp_path)
    data.write_text("train: images\nnames: [line]\n")
    with pytest.raises(TagtraceError, match="is not there"):
        read_yolo(tmp_path, "train")
    with pytest.raises(TagtraceError, match="no split 'test'"):
        read_yolo(tmp_path, "test")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"annotations": [{"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1]}]}, r"annotations\[0\].*'category_id' is 9"),
        ({"annotations": [{"image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, r"annotations\[0\].*'image_id' is 5"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1]}]}, r"annotations\[0\].*'bbox'"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "segmentation": {"counts": "x"}}]}, "run-length"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1]]}]}, "'segmentation' must be a flat list"),
        ({"annotations": [{"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1, 1]]}]}, "at least three corners"),
        ({"annotations": {}}, "'annotations' must be a list"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "width": "w", "height": 1}]}, r"images\[0\].*'width'"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "width": 1, "height": 1}] * 2}, r"images\[1\].*twice"),
    ],
)
def test_bad_coco_entries_are_reported(tmp_path: Path, change: dict[str, object], words: str) -> None:
    good: dict[str, object] = {"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
                               "categories": [{"id": 1, "name": "line"}], "annotations": []}  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(TagtraceError, match=words) as caught:
        read_coco(path)
    assert str(path) in str(caught.value)


def test_broken_json_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": [],\n"categories": [}')
    with pytest.raises(TagtraceError, match=r"a\.json:2: is not JSON"):
        read_coco(tmp_path / "a.json")
