"""A short training run of the detector from end to end, its export, and going on from that."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_detector import line_at

from tagtrace.contract import Detector, Image, Region, RegionKind, TagtraceError
from tagtrace.models.detector import DetectionSettings, OnnxDetector
from tagtrace.models.geometry import around, bounds, centre, iou, rectangle
from tagtrace.models.merging import MergeSettings
from tagtrace.models.runtime import Runtime
from tagtrace.training.detector import TrainingResult, check_layout, export_detector, measure_detector, train_detector
from tagtrace.training.detector_settings import Augmentation, DetectorSettings, load_settings

LINE, CODE = RegionKind.LINE, RegionKind.CODE

COMPARED = 40
"""How many of the best boxes are compared with ultralytics' own."""


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
def test_an_export_is_compared_with_what_was_trained(
    trained: tuple[DetectorSettings, TrainingResult], exported: Path, tmp_path: Path
) -> None:
    import onnx

    from tagtrace.models.registry import Task, resolve
    from tagtrace.training.export import MAX_BOX_PX, MAX_SCORE, compare_detector

    boxes, scores = compare_detector(trained[1].weights, exported)
    assert boxes <= MAX_BOX_PX and scores <= MAX_SCORE
    assert compare_detector(trained[1].weights, resolve(Task.DETECTOR).path)[1] > MAX_SCORE, "another network"
    graph = onnx.load(exported)
    best = onnx.helper.make_node("Slice", ["all", "from", "end", "axis"], ["output0"])  # the best cells are cut away
    numbers = {"from": [100], "end": [1 << 40], "axis": [2]}
    graph.graph.initializer.extend(onnx.numpy_helper.from_array(np.array(values), name) for name, values in numbers.items())
    for node in graph.graph.node:
        node.output[:] = ["all" if name == "output0" else name for name in node.output]
    graph.graph.node.append(best)
    onnx.save(graph, tmp_path / "less.onnx")
    assert compare_detector(trained[1].weights, tmp_path / "less.onnx")[1] > MAX_SCORE, "cells are missing"


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
