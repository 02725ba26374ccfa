"""The notebooks: both forms in step, no outputs, no logic of their own, and their sizes. ``make notebooks`` executes them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tagtrace.contract import TagtraceError

pytest.importorskip("jupytext")
pytestmark = pytest.mark.train
NAMES = (
    "01_look_at_the_data",
    "02_train_the_detector",
    "03_train_the_recogniser",
    "04_compare_and_promote",
    "05_from_corrections_to_training",
    "06_watch_the_service",
)


def test_every_notebook_is_there_in_both_forms_and_in_step(root: Path) -> None:
    folder = root / "notebooks"
    for ending in (".py", ".ipynb"):
        assert sorted(path.stem for path in folder.glob(f"*{ending}")) == list(NAMES)
    checked = subprocess.run([sys.executable, str(root / "tools/notebooks.py"), "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_no_outputs_and_says_what_it_is(root: Path, name: str) -> None:
    notebook = json.loads((root / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))
    cells = notebook["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    first, last = ("".join(cells[i]["source"]) for i in (0, -1))
    assert first.startswith(f"# {int(name[:2])}. ") and "?**" in first and "Takes about" in first and "`tiny`" in first
    assert last.startswith("## What next")
    assert "scale_of()" in "".join(code[0]["source"])


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_holds_no_logic_that_a_test_cannot_reach(root: Path, name: str) -> None:
    tree = ast.parse((root / f"notebooks/{name}.py").read_text(encoding="utf-8"))
    defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.While)]
    assert not defined
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert any(module.startswith("tagtrace.training") for module in imported)


def test_the_size_comes_from_the_environment_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tagtrace.training.notebook import SCALES, folder_of, gate, scale_of

    assert scale_of() is SCALES["tiny"]
    monkeypatch.setenv("TAGTRACE_NOTEBOOK", "laptop")
    assert scale_of() is SCALES["laptop"] and scale_of("gpu").device == "cuda"
    with pytest.raises(TagtraceError, match="'huge'; choose one of tiny, laptop, gpu"):
        scale_of("huge")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert folder_of(SCALES["tiny"]) == tmp_path / "data/notebooks/tiny"
    monkeypatch.setenv("TAGTRACE_NOTEBOOK_FOLDER", str(tmp_path / "elsewhere"))
    assert folder_of(SCALES["gpu"]) == tmp_path / "elsewhere/gpu"
    # Where a model may go into service, the limits are those of `tagtrace promote`.
    from tagtrace.training.promote import Limits

    assert gate(SCALES["laptop"]).limits == gate(SCALES["gpu"]).limits == Limits() != gate(SCALES["tiny"]).limits
    assert SCALES["laptop"].val_photos >= Limits().least_photos


@pytest.mark.parametrize("name", ["tiny", "laptop", "gpu"])
def test_every_size_has_settings_that_hold_together(name: str, tmp_path: Path) -> None:
    from tagtrace.training.notebook import comparison, detector_run, recogniser_run, scale_of

    scale = scale_of(name)
    detector = detector_run(scale, tmp_path / "yolo", tmp_path / "det")
    assert (detector.device, detector.seed) == (scale.device, scale.seed) and detector.epochs > 1, "else it cannot be stopped"
    recogniser = recogniser_run(scale, (tmp_path,), tmp_path, tmp_path / "rec")
    assert 0 < recogniser.checkpoint_steps <= recogniser.eval_steps < recogniser.steps
    assert recogniser.device == scale.device and recogniser.batch.max_batch == scale.recogniser_batch
    assert 0 < comparison(scale).speed.photos <= scale.val_photos


def test_walls_are_made_once_and_no_wall_is_on_two_sides(tmp_path: Path) -> None:
    from dataclasses import replace

    from tagtrace.datasets.formats.convert import read_set
    from tagtrace.datasets.lineshards import LineShards
    from tagtrace.datasets.splitting import find_leaks
    from tagtrace.training.notebook import SCALES, detector_run, make_walls, recogniser_run
    from tagtrace.training.recogniser_data import TrainBatches

    scale = replace(SCALES["tiny"], train_photos=3, val_photos=2, report_photos=2, train_lines=6, val_lines=4)
    told: list[str] = []
    walls = make_walls(tmp_path, scale, told.append)
    assert len(told) == 3
    stamp = (walls.train / "truth.jsonl").stat().st_mtime_ns
    assert make_walls(tmp_path, scale, told.append) == walls and len(told) == 3
    assert (walls.train / "truth.jsonl").stat().st_mtime_ns == stamp
    sets = {name: read_set(getattr(walls, name)) for name in ("train", "val", "reports")}
    assert [len(photos) for photos in sets.values()] == [3, 2, 2]
    named = [replace(photo, file=f"{name}/{photo.file}") for name, photos in sets.items() for photo in photos]
    leaks = find_leaks(named, {photo.file: photo.file.split("/")[0] for photo in named})
    # Names of walls follow the names of photos; what stands on them does not.
    assert [leak for leak in leaks if not leak.startswith("wall ")] == []
    assert (len(LineShards(walls.train_lines)), len(LineShards(walls.val_lines))) == (6, 4)
    longer = make_walls(tmp_path, replace(scale, train_lines=8), told.append)
    assert len(LineShards(longer.train_lines)) == 8
    assert detector_run(scale, walls.yolo, tmp_path / "det").weights is not None
    settings = recogniser_run(scale, (walls.train_lines,), walls.val_lines, tmp_path / "rec")
    assert Path(settings.start).is_file()
    assert len(TrainBatches(LineShards(settings.data), settings.crop, settings.batch, settings.augment, 1, 0)) > 0
