"""Trainings that repeat: the same seed gives the same weights, and so does a run that was killed and went on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tagtrace.cli import run
from tagtrace.contract import ExitCode

pytestmark = pytest.mark.train
WAIT_S = 120.0


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tagtrace.datasets.lineshards import LineShardWriter

    folder = tmp_path_factory.mktemp("lines")
    with LineShardWriter(folder) as writer:
        for i in range(40):
            text = ("@zz_test7", "t.me/zz_te", "+7 700 12", "zz11ll.kz")[i % 4]
            picture = np.full((48, 220, 3), 180, np.uint8)
            cv2.putText(picture, text, (8, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (20, 20 + i, 20), 2, cv2.LINE_AA)
            writer.add(picture, text, height_px=24.0)
    return folder


def recogniser_config(folder: Path, lines: Path, name: str, **changes: object) -> Path:
    values = {
        "data": [str(lines)],
        "held_out": str(lines),
        "out": str(folder / name),
        "start": "scratch",
        "steps": 24,
        "workers": 0,
        "log_every": 4,
        "checkpoint_steps": 5,
        "seed": 7,
        **changes,
    }
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    text += "[batch]\nbatch_px = 1500\n[network]\nstem = 8\ndims = [16, 24, 32]\ndepths = [1, 1, 1]\nneck = 32\nlayers = 1\n"
    path = folder / f"{name}.toml"
    path.write_text(f"{text}heads = 2\n", encoding="utf-8")
    return path


def killed_after(checkpoint: Path, arguments: list[str]) -> None:
    """Start the command line in a process of its own, and kill it as soon as ``checkpoint`` is there."""
    program = [sys.executable, "-m", "tagtrace.cli", *arguments]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + WAIT_S
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
    finally:
        process.kill()
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert checkpoint.exists()


def recogniser_weights(folder: Path) -> dict[str, bytes]:
    """The tensors; what the file says beside them comes in any order."""
    from safetensors.torch import load_file

    return {name: value.numpy().tobytes() for name, value in load_file(folder / "recogniser.safetensors").items()}


def test_the_same_seed_gives_the_same_recogniser_also_after_a_kill(lines: Path, tmp_path: Path) -> None:
    import torch

    for name in ("one", "two"):
        assert run(["train", "recogniser", "--config", str(recogniser_config(tmp_path, lines, name))]) == ExitCode.OK
    wanted = recogniser_weights(tmp_path / "one")
    assert recogniser_weights(tmp_path / "two") == wanted
    other = recogniser_config(tmp_path, lines, "other", seed=8)
    assert run(["train", "recogniser", "--config", str(other)]) == ExitCode.OK
    assert recogniser_weights(tmp_path / "other") != wanted

    config = recogniser_config(tmp_path, lines, "killed")
    command = ["train", "recogniser", "--config", str(config)]
    killed_after(tmp_path / "killed" / "last.pt", command)
    state = torch.load(tmp_path / "killed" / "last.pt", weights_only=True)
    assert 0 < state["step"] < 24 and state["taken"] > 0, "killed within an epoch"
    assert not (tmp_path / "killed" / "result.json").exists()
    assert run(command) == ExitCode.OK
    assert recogniser_weights(tmp_path / "killed") == wanted
    rows = [json.loads(row) for row in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20, 24]


def test_a_run_tells_what_made_it(lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = recogniser_config(tmp_path, lines, "run", steps=4)
    assert run(["train", "recogniser", "--config", str(config)]) == ExitCode.OK
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["settings"]["seed"] == 7 and told["settings"]["network"]["dims"] == [16, 24, 32]
    assert told["environment"]["libraries"]["torch"] and len(told["data"]["sha256"]) == 64
    listed = (tmp_path / "run" / "manifest.tsv").read_text().splitlines()
    assert len(listed) == told["data"]["files"] == 4
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 4
    changed = recogniser_config(tmp_path, lines, "run", steps=8, seed=9)
    capsys.readouterr()
    assert run(["train", "recogniser", "--config", str(changed)]) == ExitCode.USAGE
    assert "begun with seed = 7, now it is 9" in capsys.readouterr().err


def test_training_stops_early_and_takes_the_best_weights(lines: Path, tmp_path: Path) -> None:
    import torch

    # at a rate of 0 no evaluation is better than the first
    config = recogniser_config(tmp_path, lines, "run", steps=200, eval_steps=2, patience=3, learning_rate=0.0)
    assert run(["train", "recogniser", "--config", str(config)]) == ExitCode.OK
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["stopped_early"] is True and result["steps"] == 8
    best = torch.load(tmp_path / "run" / "best.pt", weights_only=True)["average"]
    from safetensors.torch import load_file

    for name, value in load_file(tmp_path / "run" / "recogniser.safetensors").items():
        assert torch.equal(best[name], value), name


@pytest.mark.parametrize("model", ["recogniser", "detector"])
@pytest.mark.parametrize(("device", "words"), [("cuda", "no CUDA device"), ("mps", "mps"), ("tpu", "choose cpu, cuda")])
def test_a_device_that_is_not_there_is_named(
    lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], device: str, words: str, model: str
) -> None:
    import torch

    if device != "tpu" and getattr(torch, "cuda" if device == "cuda" else "mps").is_available():
        pytest.skip(f"there is a device {device} here")
    if model == "recogniser":
        arguments = ["--config", str(recogniser_config(tmp_path, lines, "run"))]
    else:
        arguments = ["--data", str(detector_data(tmp_path / "data")), "--out", str(tmp_path / "run")]
    assert run(["train", model, *arguments, "--device", device]) == ExitCode.USAGE
    assert words in capsys.readouterr().err


def detector_data(folder: Path, train: int = 8) -> Path:
    """Bright bars are lines, on dark noise."""
    rng = np.random.default_rng(5)
    for split, count in (("train", train), ("val", 2)):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            picture = rng.integers(40, 90, (96, 128, 3)).astype(np.uint8)
            x, y = int(rng.integers(8, 40)), int(rng.integers(10, 60))
            cv2.rectangle(picture, (x, y), (x + 70, y + 16), (240, 230, 60), -1)
            corners = ((x, y), (x + 70, y), (x + 70, y + 16), (x, y + 16))
            cv2.imwrite(str(folder / "images" / split / f"{i}.png"), picture)
            row = " ".join(f"{value:.5f}" for px, py in corners for value in (px / 128, py / 96))
            (folder / "labels" / split / f"{i}.txt").write_text(f"0 {row}\n", encoding="utf-8")
    return folder


def detector_command(data: Path, out: Path, **changes: object) -> list[str]:
    values = {"steps": 12, "batch": 2, "input_px": 64, "log_every": 1, "cache": "none", **changes}
    out.mkdir(parents=True, exist_ok=True)
    config = out.parent / f"{out.name}.toml"
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    config.write_text(f'data = "{data}"\nout = "{out}"\n{text}', encoding="utf-8")
    return ["train", "detector", "--config", str(config)]


def detector_weights(folder: Path) -> dict[str, np.ndarray]:
    import torch

    state = torch.load(folder / "weights" / "last.pt", weights_only=False)["model"].state_dict()
    return {name: value.numpy() for name, value in state.items()}


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def test_the_same_seed_gives_the_same_detector_also_after_a_kill(tmp_path: Path) -> None:
    import torch

    data = detector_data(tmp_path / "data")
    for name in ("one", "two"):
        assert run(detector_command(data, tmp_path / name)) == ExitCode.OK
    wanted = detector_weights(tmp_path / "one")
    assert same(detector_weights(tmp_path / "two"), wanted)
    assert run(detector_command(data, tmp_path / "other", seed=2)) == ExitCode.OK
    assert not same(detector_weights(tmp_path / "other"), wanted)

    command, state = detector_command(data, tmp_path / "killed"), tmp_path / "killed" / "weights" / "state.pt"
    killed_after(state, command)
    assert torch.load(state, weights_only=True)["batches"] in (4, 8), "killed after a whole epoch, before the last"
    assert run([*command, "--resume"]) == ExitCode.OK
    assert same(detector_weights(tmp_path / "killed"), wanted)
    rows = [json.loads(row) for row in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "cls_loss" in row] == list(range(1, 13))
    assert [float(row["lr0"]) for row in rows if "cls_loss" in row][-1] < 1e-4, "the rate ends with the last batch"
