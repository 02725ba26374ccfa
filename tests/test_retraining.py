"""The whole loop from the command line: make data, train both models, export, compare, promote, score, take back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from service_helpers import client_of, make_settings

from tagtrace.cli import run
from tagtrace.contract import ExitCode
from tagtrace.models.registry import Task, load_registry, resolve

pytestmark = [pytest.mark.train, pytest.mark.slow]
LOOSE = """
[limits]
least_photos = 4
least_empty_photos = 0
least_identifiers = 1
recall_fall = 0.5
recall_fall_sure = 1.0
precision_fall = 0.5
precision_fall_sure = 1.0
cer_rise = 0.5
false_adverts_rise = 1.0
cluster_fall = 1.0
slower = 50.0
[compare]
workers = 1
[compare.statistics]
draws = 100
[compare.speed]
photos = 2
repeats = 1
"""
"""A gate that models of a few steps pass: here the way is tested, not the models."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walls")
    for split, seed in (("train", 3), ("val", 4)):
        arguments = ["--split", split, "--count", "6", "--lines", "24", "--seed", str(seed)]
        assert run(["synth", "--out", str(folder), *arguments]) == ExitCode.OK
    return folder


def test_from_data_to_a_model_in_use(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text(LOOSE, encoding="utf-8")
    truth, models = data / "val" / "truth.jsonl", tmp_path / "models"
    shipped = {task: resolve(task) for task in (Task.DETECTOR, Task.RECOGNISER)}

    trained = {Task.DETECTOR: tmp_path / "detector.onnx", Task.RECOGNISER: tmp_path / "rec" / "recogniser.onnx"}
    config = tmp_path / "settings.toml"
    config.write_text('cache = "none"\nwarmup_epochs = 0.0\n', encoding="utf-8")
    arguments = ["--data", data / "yolo", "--weights", shipped[Task.DETECTOR].path, "--out", tmp_path / "det", "--steps", 2]
    arguments += ["--config", config, "--input-px", 320, "--batch", 2]
    assert run(["train", "detector", *map(str, arguments)]) == ExitCode.OK
    best = tmp_path / "det" / "weights" / "best.pt"
    assert run(["export", "onnx", str(best), "--out", str(trained[Task.DETECTOR])]) == ExitCode.OK
    assert "scores within" in capsys.readouterr().out

    start = shipped[Task.RECOGNISER].path.with_suffix(".safetensors")
    lines = [str(data / split / "lines") for split in ("train", "val")]
    config = tmp_path / "recogniser-settings.toml"
    config.write_text("workers = 0\n[batch]\nbatch_px = 1500\n", encoding="utf-8")
    arguments = ["--data", lines[0], "--held-out", lines[1], "--start", start, "--out", tmp_path / "rec", "--steps", 2]
    assert run(["train", "recogniser", "--config", str(config), *map(str, arguments)]) == ExitCode.OK

    for task, file in trained.items():
        arguments = ["--task", task.value, "--data", truth, "--config", gate, "--folder", models, "--name", f"my-{task}"]
        assert run(["promote", str(file), *map(str, arguments), "--out", str(tmp_path / "promotion")]) == ExitCode.OK
        assert resolve(task, folder=models).name == f"my-{task}"
    card = (models / "cards" / "my-recogniser.md").read_text(encoding="utf-8")
    assert "tagtrace train recogniser" in card and "exact identifiers of legible adverts (recall)" in card
    assert (models / "weights" / "my-recogniser.safetensors").is_file()

    monkeypatch.setenv("TAGTRACE_MODELS", str(models))
    assert run(["models", "verify"]) == ExitCode.OK
    photos = str(data / "val" / "photos")
    assert run(["score", photos, "--out", str(tmp_path / "results"), "--format", "results", "--workers", "1"]) == ExitCode.OK
    rows = [json.loads(row) for row in (tmp_path / "results" / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 6
    assert {"my-detector", "my-recogniser"} <= {model["name"] for row in rows for model in row["models"]}
    serve_them(next((data / "val" / "photos").iterdir()), tmp_path / "service")
    refuse_a_worse_one(data, tmp_path, capsys)
    assert run(["models", "rollback", "recogniser"]) == ExitCode.OK
    assert resolve(Task.RECOGNISER).sha256 == shipped[Task.RECOGNISER].sha256


def serve_them(photo: Path, folder: Path) -> None:
    """The service reads with the promoted models."""
    with client_of(make_settings(folder)) as client:
        answer = client.post("/v1/analyse", files={"photo": (photo.name, photo.read_bytes(), "image/jpeg")})
    assert answer.status_code == 200, answer.text
    assert {"my-detector", "my-recogniser"} <= {model["name"] for model in answer.json()["models"]}


def refuse_a_worse_one(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recogniser that knows nothing, against a gate that is loose in all but recall."""
    import torch

    from tagtrace.models.alphabet import ALPHABET
    from tagtrace.models.linecrop import CropSettings
    from tagtrace.training.recogniser import export
    from tagtrace.training.recogniser_net import Model

    torch.manual_seed(1)
    (tmp_path / "worse").mkdir()
    export(Model(1 + len(ALPHABET)), tmp_path / "worse", CropSettings())
    gate = tmp_path / "strict.toml"
    gate.write_text(LOOSE.replace("recall_fall = 0.5", "recall_fall = 0.0").replace("cer_rise = 0.5", "cer_rise = 9.0"))
    before = [model.name for model in load_registry().models]
    capsys.readouterr()
    arguments = ["--task", "recogniser", "--data", data / "val" / "truth.jsonl", "--config", gate, "--out", tmp_path / "refused"]
    code = run(["promote", str(tmp_path / "worse" / "recogniser.onnx"), *map(str, arguments)])
    said = capsys.readouterr()
    assert code == ExitCode.REFUSED
    assert "is refused: recall_fall" in said.err and "FAILS  recall_fall = 0" in said.out
    assert [model.name for model in load_registry().models] == before


def test_a_damaged_label_file_is_named_by_its_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(data / "yolo", tmp_path / "yolo")
    label = next(path for path in sorted((tmp_path / "yolo" / "labels" / "train").iterdir()) if path.stat().st_size)
    rows = label.read_text(encoding="utf-8").splitlines()
    label.write_text("\n".join([*rows, "0 0.1 nothing"]) + "\n", encoding="utf-8")
    arguments = ["--data", str(tmp_path / "yolo"), "--out", str(tmp_path / "run")]
    assert run(["train", "detector", *arguments]) == ExitCode.USAGE
    assert f"{label.name}:{len(rows) + 1}: not a row of numbers" in capsys.readouterr().err
