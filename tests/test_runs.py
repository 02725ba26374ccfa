"""Settings from files, and runs on record: in plain files, in TensorBoard, and with a word where a library is missing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tagtrace.contract import TagtraceError
from tagtrace.training.runs import RunRecord, TrackingSettings, begin_run, manifest_of
from tagtrace.training.settings_file import build_settings, load_settings_file


@dataclass(frozen=True)
class Inner:
    size: int = 3
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    place: Path
    name: str = ""
    pair: tuple[float, float] = (0.0, 1.0)
    many: tuple[str, ...] = ()
    limit: int | None = None
    fast: bool = False
    inner: Inner = field(default_factory=Inner)


def test_every_field_can_be_set_and_what_is_given_wins(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('place = "a"\nname = "x"\npair = [1, 2.5]\nmany = ["b"]\nlimit = 4\nfast = true\n[inner]\nshare = 1\n')
    wanted = Outer(Path("a"), "y", (1.0, 2.5), ("b",), 4, True, Inner(3, 1.0))
    assert load_settings_file(Outer, path, {"name": "y", "fast": None}) == wanted
    assert load_settings_file(Outer, None, {"place": "a"}) == Outer(Path("a"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('place = "a"\nnaem = "x"\n', "s.toml: unknown setting naem; known are"),
        ('name = "x"\n', "s.toml: place must be given"),
        ('place = "a"\nname = 3\n', "s.toml: name is 3; it must be a text in quotes"),
        ('place = "a"\nfast = 1\n', "fast is 1; it must be true or false"),
        ('place = "a"\nlimit = true\n', "limit is True; it must be a whole number"),
        ('place = "a"\npair = [1]\n', "pair has 1 values; it takes 2"),
        ('place = "a"\ninner = 3\n', "inner is a table"),
        ('place = "a"\n[inner]\nsieze = 1\n', "s.toml [inner]: unknown setting sieze"),
        ('place = "a"\n[inner]\nshare = "a"\n', "share is 'a'; it must be a number"),
        ("place = \n", "s.toml: cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(TagtraceError, match=re.escape(words)):
        load_settings_file(Outer, path)


def test_every_settings_class_of_the_trainings_can_be_loaded(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    from tagtrace.training.calibration import CalibrationSettings
    from tagtrace.training.detector_settings import DetectorSettings
    from tagtrace.training.promote import PromoteSettings
    from tagtrace.training.recogniser_settings import RecogniserSettings

    built = build_settings(DetectorSettings, {"data": "a", "out": "b", "augmentation": {"mosaic": 1}, "hours": 2}, "here")
    assert (built.data, built.hours, built.augmentation.mosaic) == (Path("a"), 2.0, 1.0)
    assert build_settings(RecogniserSettings, {"augment": {"shrink_px": [9, 20]}}, "here").augment.shrink_px == (9, 20)
    assert build_settings(CalibrationSettings, {"draw": {"crops": 30}}, "here").draw.crops == 30
    gate = {"limits": {"slower": 2}, "compare": {"statistics": {"draws": 10}}}
    assert build_settings(PromoteSettings, gate, "here").compare.statistics.draws == 10


def begun(folder: Path, inner: Inner, data: Path, tracking: TrackingSettings | None = None, *, resume: bool = False) -> RunRecord:
    return begin_run(folder, "test", inner, [data], tracking, resume=resume, may_change=frozenset({"share"}))


def test_a_run_goes_on_with_the_same_settings_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("a")
    record = begun(tmp_path / "run", Inner(), data)
    for step in (1, 2, 3):
        record.log(step, {"loss": 1 / step})
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # cut off by a kill
    (data / "b.txt").write_text("b")
    again = begun(tmp_path / "run", Inner(share=0.1), data, resume=True)
    again.forget_after(2)
    again.log(3, {"loss": 0.3})
    rows = [json.loads(row) for row in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3] and rows[-1]["loss"] == 0.3
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert len(told["begun"]) == 2 and told["begun"][0]["data"] != told["begun"][1]["data"], "other data are seen"
    with pytest.raises(TagtraceError, match="begun with size = 3, now it is 4"):
        begun(tmp_path / "run", Inner(size=4), data, resume=True)
    assert not again.complete
    again.finish({"cer": 0.1})
    assert again.complete and json.loads((tmp_path / "run" / "result.json").read_text())["cer"] == 0.1


def test_the_manifest_is_of_contents_and_names_not_of_places(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "x.txt").write_text("x")
        (tmp_path / name / "labels.cache").write_text(name)
    first, rows = manifest_of([tmp_path / "one"])
    assert manifest_of([tmp_path / "two"]) == (first, rows) and [name for name, _ in rows] == ["0/sub/x.txt"]
    (tmp_path / "two" / "sub" / "x.txt").write_text("y")
    assert manifest_of([tmp_path / "two"])[0] != first


@pytest.mark.parametrize(
    ("tracking", "extra"), [({"tensorboard": True}, "tensorboard"), ({"mlflow": "sqlite:///x.db"}, "mlflow")]
)
def test_a_tracker_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking: dict[str, object], extra: str
) -> None:
    import importlib

    def nothing(name: str, *_: object) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", nothing)
    with pytest.raises(TagtraceError, match=rf"{extra} is not installed .* pip install 'tagtrace\[{extra}\]'"):
        begun(tmp_path / "run", Inner(), tmp_path, TrackingSettings(**tracking))  # type: ignore[arg-type]


def test_tensorboard_gets_what_the_file_gets(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    record = begun(tmp_path / "run", Inner(), tmp_path, TrackingSettings(tensorboard=True))
    record.log(5, {"loss": 0.25})
    record.finish({"cer": 0.1})
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(5, 0.25)]


def test_mlflow_gets_what_the_file_gets(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    record = begun(tmp_path / "run", Inner(), tmp_path, TrackingSettings(mlflow=uri))
    record.log(5, {"loss": 0.25})
    record.finish({"cer": 0.125})
    run = mlflow.get_run((tmp_path / "run" / "mlflow.txt").read_text().strip())
    assert run.data.metrics == {"loss": 0.25, "cer": 0.125} and run.data.params["size"] == "3"
