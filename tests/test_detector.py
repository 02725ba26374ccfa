"""One box per object however a photo was cut; the network's boxes in the right place; a short training run from end to end."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import BrokenInstallationError, Detector, Image, Quad, Region, RegionKind, TagtraceError
from tagtrace.models.detector import DetectionSettings, OnnxDetector, View, box_corners, candidates, letterbox, plan_views
from tagtrace.models.geometry import around, bounds, centre, iou, quad_of, rectangle, size
from tagtrace.models.merging import Found, MergeSettings, merge
from tagtrace.models.runtime import Runtime
from tagtrace.training.detector import TrainingResult, check_layout, export_detector, measure_detector, train_detector
from tagtrace.training.detector_settings import Augmentation, DetectorSettings, load_settings

LINE, CODE = RegionKind.LINE, RegionKind.CODE
COMPARED = 40
"""How many of the best boxes are compared with ultralytics' own."""
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


def write_data(folder: Path, train: int = 16, val: int = 4, side: int = 160) -> Path:
    """A tiny data set in the YOLO-OBB layout: bright slanted bars are lines, checkerboards are codes."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            image, rows = draw_photo(rng, side)
            cv2.imwrite(str(folder / "images" / split / f"{i}.png"), image[..., ::-1])
            (folder / "labels" / split / f"{i}.txt").write_text("\n".join(rows), encoding="utf-8")
    return folder


def draw_photo(rng: np.random.Generator, side: int) -> tuple[Image, list[str]]:
    image = rng.integers(60, 110, (side, side * 3 // 2, 3)).astype(np.uint8)
    height, width = image.shape[:2]
    line = line_at(
        rng.uniform(0.4, 0.6) * width, rng.uniform(0.2, 0.4) * height, 0.5 * width, 0.12 * height, rng.uniform(-20, 20)
    )
    cv2.fillConvexPoly(image, np.asarray(line, np.int32), (250, 240, 60))
    code = rectangle(*(0.1 * width, 0.6 * height), *(0.1 * width + 0.3 * height, 0.9 * height))
    board = np.kron(rng.integers(0, 2, (8, 8)), np.ones((4, 4))).astype(np.uint8) * 255
    x0, y0, x1, y1 = (round(value) for value in bounds(code))
    image[y0:y1, x0:x1] = cv2.resize(board, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)[..., None]
    rows = [
        f"{number} " + " ".join(f"{value:.6f}" for point in quad for value in (point[0] / width, point[1] / height))
        for number, quad in ((0, line), (1, code))
    ]
    return image, rows


def test_settings_come_from_toml_and_arguments_win(tmp_path: Path) -> None:
    file = tmp_path / "detector.toml"
    file.write_text('data = "walls"\nout = "runs/a"\nepochs = 3\n[augmentation]\ndegrees = 5\n', encoding="utf-8")
    loaded = load_settings(file, epochs=9, weights=None)
    assert (loaded.data, loaded.epochs, loaded.augmentation) == (Path("walls"), 9, Augmentation(degrees=5.0))
    file.write_text('data = "walls"\nepoch = 3\n', encoding="utf-8")
    with pytest.raises(TagtraceError, match=r"detector.toml: unknown setting epoch"):
        load_settings(file)
    file.write_text('data = "walls"\n', encoding="utf-8")
    with pytest.raises(TagtraceError, match=r"detector.toml: out must be given"):
        load_settings(file)
    with pytest.raises(TagtraceError, match="input_px"):
        DetectorSettings(data=Path("a"), out=Path("b"), input_px=100)


def test_bad_labels_are_named_with_their_line(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", train=2, val=1)
    assert check_layout(data) == {"train": 2, "val": 1}
    label = data / "labels" / "train" / "1.txt"
    good = label.read_text(encoding="utf-8")
    for bad in ("0 0.1 0.2", "7 " + "0.5 " * 8, "0 " + "1.5 " * 8, "line " + "0.5 " * 8):
        label.write_text(f"{good}\n{bad}\n", encoding="utf-8")
        with pytest.raises(TagtraceError, match=r"1\.txt:3"):
            check_layout(data)
    with pytest.raises(TagtraceError, match="no such folder"):
        check_layout(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[DetectorSettings, TrainingResult]:
    """A short run from noise; no weights are needed for it."""
    folder = tmp_path_factory.mktemp("detector")
    data = write_data(folder / "data")
    chosen = DetectorSettings(
        data=data,
        out=folder / "run",
        input_px=160,
        epochs=8,
        batch=4,
        learning_rate=4e-3,
        log_every=4,
        augmentation=Augmentation(scale=0.2),
    )
    return chosen, train_detector(chosen)


@pytest.fixture(scope="module")
def exported(trained: tuple[DetectorSettings, TrainingResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_detector(trained[1].weights, tmp_path_factory.mktemp("exported") / "tiny.onnx", input_px=128)


@pytest.mark.train
def test_a_run_learns_logs_and_keeps_checkpoints(trained: tuple[DetectorSettings, TrainingResult]) -> None:
    chosen, result = trained
    logged = [json.loads(line) for line in (chosen.out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in logged if "cls_loss" in row]
    assert [row["step"] for row in rows] == list(range(4, 33, 4))
    assert logged[-1]["map50"] == pytest.approx(result.map50, abs=0.02)
    assert rows[-1]["cls_loss"] < 0.8 * rows[0]["cls_loss"]
    assert rows[-1]["lr0"] < 0.1 * max(row["lr0"] for row in rows)
    assert result.weights.is_file()
    assert (chosen.out / "weights" / "last.pt").is_file()
    assert result.photos_per_second > 0
    assert measure_detector(result.weights, chosen.data, input_px=160)["map50"] == pytest.approx(result.map50, abs=0.02)


@pytest.mark.train
def test_the_onnx_network_gives_what_ultralytics_gives(trained: tuple[DetectorSettings, TrainingResult], exported: Path) -> None:
    from tagtrace.training.ultralytics_offline import offline_ultralytics

    image, _ = draw_photo(np.random.default_rng(9), 230)
    reference = (
        offline_ultralytics()
        .YOLO(str(trained[1].weights))
        .predict(image[..., ::-1], imgsz=160, conf=1e-6, iou=1.0, max_det=COMPARED, verbose=False, device="cpu")[0]
        .obb
    )
    assert len(reference) == COMPARED
    everything = MergeSettings(same_iou=2, nms_iou=2, contained_share=2)
    options = DetectionSettings(
        input_px=160,
        line_confidence=1e-6,
        code_confidence=1e-6,
        nms_iou=2,
        min_side_px=0,
        max_candidates=1000,
        threads=1,
        runtime=Runtime.ONNXRUNTIME,
        merge=everything,
    )
    (regions,) = OnnxDetector(exported, options).detect([image])
    for corners, confidence, number in zip(
        reference.xyxyxyxy.numpy(), reference.conf.numpy(), reference.cls.numpy(), strict=True
    ):
        # ultralytics scales both axes by one factor, though the sides were rounded: up to half a pixel of the network's input.
        here = [r for r in regions if np.abs(np.sort(np.asarray(r.quad), axis=0) - np.sort(corners, axis=0)).max() < 1.1]
        kind = (LINE, CODE, LINE)[int(number)]
        assert any(
            best_class(region) == pytest.approx(float(confidence), rel=2e-3)
            if region.kind is kind
            else kind is CODE and region.confidence >= float(confidence)  # its two classes of text together outweigh the code
            for region in here
        )


def best_class(region: Region) -> float:
    """The better of the two class scores l and o of a line: its confidence is 1 - (1 - l)(1 - o), its advert l / (l + o)."""
    share = region.advert * (1 - region.advert)
    total = region.confidence if share < 1e-9 else (1 - (1 - 4 * share * region.confidence) ** 0.5) / (2 * share)
    return max(region.advert, 1 - region.advert) * total


@pytest.mark.train
def test_an_export_is_compared_with_what_was_trained(trained: tuple[DetectorSettings, TrainingResult], exported: Path) -> None:
    from tagtrace.models.registry import Task, resolve
    from tagtrace.training.export import MAX_BOX_PX, MAX_SCORE, compare_detector

    boxes, scores = compare_detector(trained[1].weights, exported)
    assert boxes <= MAX_BOX_PX and scores <= MAX_SCORE
    assert compare_detector(trained[1].weights, resolve(Task.DETECTOR).path)[1] > MAX_SCORE, "another network"


@pytest.mark.train
def test_an_exported_network_can_be_trained_on(trained: tuple[DetectorSettings, TrainingResult], exported: Path) -> None:
    import onnxruntime
    import torch

    from tagtrace.training.detector import CLASS_NAMES
    from tagtrace.training.detector_start import checkpoint_of

    settings = trained[0]
    photos = sorted((settings.data / "images" / "train").iterdir())
    target = settings.out / "again.pt"
    checkpoint_of(exported, settings.architecture, list(CLASS_NAMES.values()), photos, 160, target)
    network = torch.load(target, weights_only=False)["model"].eval()
    picture = np.random.default_rng(3).random((1, 3, 160, 160), dtype=np.float32)
    with torch.no_grad():
        given = network(torch.from_numpy(picture))[0].numpy()
    wanted = onnxruntime.InferenceSession(exported).run(None, {"images": picture})[0]
    fine, coarse = (160 // 8) ** 2, given.shape[2] - (160 // 8) ** 2  # the export has the best cells of the finest grid first
    for cell in wanted[0].T[:-coarse]:
        assert (np.abs(given[0, :, :fine] - cell[:, None]).max(axis=0) < 0.05).any()
    assert np.abs(given[:, :4, fine:] - wanted[:, :4, -coarse:]).max() < 0.05
    assert np.abs(given[:, 4:-1, fine:] - wanted[:, 4:-1, -coarse:]).max() < 1e-4
    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(float(norm.running_var.max()) != 1.0 for norm in norms)  # measured, so that training begins where the export ended


def test_a_class_of_other_text_lowers_what_speaks_for_an_advert() -> None:
    output = np.zeros((8, 3), np.float32)
    output[:4] = np.array([[50, 150, 250], [50, 50, 50], [80, 80, 30], [20, 20, 30]], np.float32)
    output[4:7] = np.array([[0.6, 0.1, 0.0], [0.0, 0.0, 0.9], [0.2, 0.7, 0.3]], np.float32)
    lines, codes = candidates(output, ("line", "code", "other"), DetectionSettings())
    assert (lines.kind, codes.kind) == (LINE, CODE)
    assert lines.confidences == pytest.approx([1 - 0.9 * 0.3, 1 - 0.4 * 0.8])
    assert lines.adverts == pytest.approx([0.125, 0.75])
    assert len(codes.quads) == 1 and codes.confidences == pytest.approx([0.9])


@pytest.mark.train
def test_the_exported_network_is_a_detector_for_any_shape(exported: Path) -> None:
    detector = OnnxDetector(
        exported, DetectionSettings(input_px=160, tile_px=160, tile_from_px=240, tiled_px=320, line_confidence=0.02)
    )
    assert isinstance(detector, Detector)
    assert (detector.info.task, detector.info.name, len(detector.info.sha256)) == ("detector", "tiny", 64)
    rng = np.random.default_rng(4)
    images = [
        draw_photo(rng, 150)[0],
        np.ascontiguousarray(draw_photo(rng, 400)[0].transpose(1, 0, 2)),
        np.zeros((1, 1, 3), np.uint8),
    ]
    together = detector.detect(images)
    assert together == [detector.detect([image])[0] for image in images]
    for regions, image in zip(together, images, strict=True):
        assert [region.confidence for region in regions] == sorted((region.confidence for region in regions), reverse=True)
        assert all(in_or_near(region, image) for region in regions)


def in_or_near(region: Region, image: Image) -> bool:
    x, y = centre(region.quad)
    return 0 <= x <= image.shape[1] and 0 <= y <= image.shape[0] and iou(around([region.quad]), region.quad) > 0.99


@pytest.mark.train
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    from tagtrace.training.detector_run import OfflineTrainer

    chosen = DetectorSettings(
        data=write_data(tmp_path / "data", train=8), out=tmp_path / "run", input_px=96, epochs=4, batch=4, log_every=1
    )
    with pytest.raises(TagtraceError, match=r"state\.pt: no checkpoint"):
        train_detector(chosen, resume=True)

    count = OfflineTrainer._count_batch

    def pull_the_plug(trainer: OfflineTrainer) -> None:
        count(trainer)
        if trainer.epoch == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OfflineTrainer, "_count_batch", pull_the_plug)
        with pytest.raises(KeyboardInterrupt):
            train_detector(chosen)
    train_detector(chosen, resume=True)
    rows = [json.loads(line) for line in (chosen.out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["epoch"] for row in rows if "cls_loss" in row] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert (chosen.out / "results.csv").read_text(encoding="utf-8").count("\n") == 5
    with pytest.raises(TagtraceError, match="complete"):
        train_detector(chosen, resume=True)


@pytest.mark.train
def test_missing_weights_are_named(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", train=2, val=1)
    with pytest.raises(TagtraceError, match=r"nothing\.pt"):
        train_detector(DetectorSettings(data=data, out=tmp_path / "run", weights=tmp_path / "nothing.pt"))
    with pytest.raises(TagtraceError, match=r"nothing\.pt"):
        export_detector(tmp_path / "nothing.pt", tmp_path / "a.onnx")
