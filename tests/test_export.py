"""Weights in the forms of other programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from rapidfuzz import fuzz

from tagtrace.cli import run
from tagtrace.contract import Image, TagtraceError
from tagtrace.datasets.lineshards import LineShardWriter
from tagtrace.datasets.truth import read_truth
from tagtrace.models.alphabet import ALPHABET
from tagtrace.models.geometry import warp
from tagtrace.models.recogniser import OnnxRecogniser
from tagtrace.models.registry import Task, resolve
from tagtrace.models.runtime import Runtime, load_network

pytestmark = pytest.mark.train


def test_easyocr_files_hold_the_weights_they_were_made_from(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from tagtrace.training.recogniser_net import Model

    torch.manual_seed(3)
    model = Model(1 + len(ALPHABET))
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "w.safetensors")
    assert run(["export", "easyocr", "--weights", str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "out")]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"tagtrace_line.py", "tagtrace_line.yaml", "tagtrace_line.pth"}
    written = torch.load(tmp_path / "out" / "tagtrace_line.pth", weights_only=True)
    for name, value in model.state_dict().items():
        assert torch.equal(written[f"module.{name}"], value)


def test_a_file_that_is_no_weights_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    assert run(["export", "easyocr", "--weights", str(tmp_path / "bad.safetensors"), "--out", str(tmp_path)]) == 2
    assert "bad.safetensors" in capsys.readouterr().err


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recogniser with random weights, in all forms of a training."""
    import torch

    from tagtrace.models.linecrop import CropSettings
    from tagtrace.training.recogniser import export
    from tagtrace.training.recogniser_net import Model
    from tagtrace.training.recogniser_settings import NetworkSettings

    torch.manual_seed(4)
    sizes = NetworkSettings(stem=8, dims=(16, 24, 32), depths=(1, 1, 1), neck=32, layers=1, heads=2)
    folder = tmp_path_factory.mktemp("tiny")
    export(Model(1 + len(ALPHABET), **asdict(sizes)).eval(), folder, CropSettings(), sizes)
    return folder


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    with LineShardWriter(folder) as writer:
        for number in range(12):
            crop = np.full((48, 240, 3), 190 - 4 * number, np.uint8)
            cv2.putText(crop, f"zz_test{number}", (8, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (20, 20, 20), 2, cv2.LINE_AA)
            writer.add(crop, f"zz_test{number}", height_px=24.0)
    return folder


def test_weights_of_any_size_come_as_onnx(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "onnx", str(tiny / "recogniser.safetensors"), "--out", str(tmp_path / "a.onnx")]) == 0
    assert "log-probabilities within" in capsys.readouterr().out
    blob = np.random.default_rng(0).uniform(-1, 1, (1, 1, 40, 96)).astype(np.float32)
    given, wanted = (load_network(path)[0].run(blob)[0] for path in (tmp_path / "a.onnx", tiny / "recogniser.onnx"))
    np.testing.assert_array_equal(given, wanted)


def painted_lines(root: Path, number: int) -> list[Image]:
    """The legible lines of a photo of the sample, cut out."""
    sample = root / "datasets" / "sample"
    photo = list(read_truth(sample / "truth.jsonl"))[number]
    pixels = np.asarray(cv2.imread(str(sample / "photos" / photo.file))[:, :, ::-1], np.uint8)
    return [warp(pixels, line.quad, 48, 960) for advert in photo.ads for line in advert.lines if line.legible]


def test_an_int8_form_reads_what_the_network_reads_in_half_the_bytes(root: Path, lines: Path, tmp_path: Path) -> None:
    out, known = tmp_path / "int8.onnx", resolve(Task.RECOGNISER)
    assert run(["export", "int8", known.name, "--data", str(lines), "--out", str(out)]) == 0
    assert out.stat().st_size < known.path.stat().st_size / 2
    whole, small = OnnxRecogniser(known.path), OnnxRecogniser(out)
    assert small.alphabet == whole.alphabet and small.crop == whole.crop
    crops = [crop for number in range(12) for crop in painted_lines(root, number)]
    one, other = whole.read(crops), small.read(crops)
    assert len(crops) >= 12
    assert sum(a.text == b.text for a, b in zip(one, other, strict=True)) >= 0.75 * len(crops)
    assert sum(fuzz.ratio(a.text, b.text) for a, b in zip(one, other, strict=True)) / len(crops) > 90
    assert any(a.confidence != b.confidence for a, b in zip(one, other, strict=True)), "it is another network"
    with pytest.raises(TagtraceError, match="OpenVINO runs wrongly"):
        load_network(out, runtime=Runtime.OPENVINO)


def test_what_a_file_does_is_told_by_the_file(tiny: Path, tmp_path: Path) -> None:
    from tagtrace.training.export import find_model, task_of

    assert task_of(tiny / "recogniser.onnx") is task_of(tiny / "recogniser.safetensors") is Task.RECOGNISER
    assert task_of(resolve(Task.DETECTOR).path) is Task.DETECTOR
    assert find_model(str(tiny / "recogniser.onnx")).task is Task.RECOGNISER
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nothing")
    with pytest.raises(TagtraceError, match=r"bad\.onnx: cannot be read"):
        task_of(bad)


def test_a_detector_is_not_calibrated_with_lines_nor_with_nothing(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "int8", "tagtrace-detector-3", "--out", str(tmp_path / "d.onnx"), "--data"]
    assert run([*arguments, str(lines)]) == 2
    assert "a detector is calibrated with whole photos" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run([*arguments, str(tmp_path / "empty")]) == 2
    assert "no photos and no line shards there" in capsys.readouterr().err


def test_openvino_s_own_form_gives_the_same(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    openvino = pytest.importorskip("openvino")
    assert run(["export", "openvino", str(tiny / "recogniser.onnx"), "--out", str(tmp_path / "m.xml")]) == 0
    assert float(capsys.readouterr().out.split("within ")[1]) < 1e-3
    network = openvino.Core().read_model(str(tmp_path / "m.xml"))
    assert network.get_rt_info(["tagtrace", "alphabet"]).astype(str) == ALPHABET
    assert run(["export", "openvino", str(tiny / "recogniser.onnx"), "--out", str(tmp_path / "m.bin")]) == 2
