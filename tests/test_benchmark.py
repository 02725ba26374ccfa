"""The benchmark: engines in processes of their own, measured and compared; one that cannot run does not stop the others."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from typer.testing import CliRunner

from tagtrace.contract import TagtraceError
from tagtrace.datasets.truth import AdvertTruth, LineTruth, PhotoTruth, write_truth
from tagtrace.training.benchmark import (
    Benchmark,
    BenchmarkSettings,
    EngineResult,
    StageTime,
    benchmark,
    photo_files,
    write_benchmark,
)
from tagtrace.training.benchmark_text import benchmark_report
from tagtrace.training.metrics import score
from tagtrace.training.predictions import FoundIdentifier, Prediction, read_predictions

READERS = '''
import os, sys, time
from tagtrace.contract import Line, ModelInfo, Reading


class Reader:
    """Reads the same handle in the upper left of every picture."""

    infos = (ModelInfo("reader", "fixed", "0" * 64),)

    def __init__(self, text, seconds):
        self.text, self.seconds = text, seconds

    def read_lines(self, images):
        time.sleep(self.seconds)
        print("engines may print")
        quad = ((10.0, 10.0), (210.0, 10.0), (210.0, 40.0), (10.0, 40.0))
        return [([Line(quad, 0.9, Reading(self.text, 0.95))], []) for _ in images]


def right(threads):
    assert os.environ["OMP_NUM_THREADS"] == str(threads)
    return Reader("@snow_qala", 0.0)


def slow(threads):
    return Reader("@fog_kz1", 0.05)


def crash(threads):
    sys.exit("the engine fell over")
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photos with their truth, and the module ``own_readers`` where worker processes find it."""
    (tmp_path / "own_readers.py").write_text(READERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "photos").mkdir()
    for i in range(3):
        PillowImage.new("RGB", (320, 240), (200, 40 * i, 0)).save(tmp_path / f"photos/{i}.png")
    write_truth(tmp_path / "truth.jsonl", [truth(f"{i}.png") for i in range(3)])
    yield tmp_path
    sys.modules.pop("own_readers", None)


def truth(file: str) -> PhotoTruth:
    quad = ((10.0, 10.0), (210.0, 10.0), (210.0, 40.0), (10.0, 40.0))
    line = LineTruth(text="@snow_qala", canonical="snow_qala", kind="telegram", quad=quad, legible=True, height_px=30.0)
    advert = AdvertTruth(wall_id="W", shop_id="S", style="spray", quad=quad, lines=(line,))
    return PhotoTruth(file=file, width=320, height=240, ads=(advert,))


def test_engines_are_measured_side_by_side(folder: Path) -> None:
    photos = photo_files([folder / "photos"])
    readers = ("own_readers:right", "own_readers:slow", "own_readers:crash", "nonesuch")
    settings = BenchmarkSettings(workers=2, threads=1, warm_up=1, repeats=2)
    result = benchmark(photos, readers, [truth(p.name) for p in photos], settings)
    right, slow, crash, unknown = result.engines
    assert right.error == "" and right.photos == 3 and right.failures == ()
    assert right.scores is not None and right.scores.identifiers.all.recall == 1 and right.scores.detection.f1 == 1
    assert slow.scores is not None and slow.scores.identifiers.all.recall == 0
    assert slow.seconds is not None and slow.seconds.median >= 0.05 and slow.stages is not None
    assert slow.stages["read"].median >= 0.05 > slow.stages["decode"].median
    assert right.photos_per_second > slow.photos_per_second > 0
    assert 20 < right.peak_memory_mb < 2000
    assert right.models == ({"task": "reader", "name": "fixed", "sha256": "0" * 64},)
    assert "fell over" in crash.error
    assert "there is no reader 'nonesuch'" in unknown.error
    text = benchmark_report(result)
    assert "| own_readers:right | 1.000 | 1.000 | 1.000 |" in text and "the engine fell over" in text
    write_benchmark(result, text, folder / "out")
    written = json.loads((folder / "out/benchmark.json").read_text())
    assert [e["reader"] for e in written["engines"]] == list(readers)
    assert written["engines"][0]["scores"]["identifiers"]["all"]["recall"] == 1
    predictions = read_predictions(folder / "out/predictions_own_readers_right.jsonl")
    assert predictions["0.png"].identifiers[0].value == "snow_qala"


def engine(reader: str, recall: int, speed: float) -> EngineResult:
    photos = [truth(f"{i}.png") for i in range(4)]
    found = {f"{i}.png": Prediction(f"{i}.png", identifiers=(FoundIdentifier("telegram", "snow_qala"),)) for i in range(recall)}
    return EngineResult(reader, photos=4, photos_per_second=speed, scores=score(photos, found), seconds=StageTime(1, 1))


def test_the_comparison_is_with_the_peer_of_the_highest_recall() -> None:
    engines = (engine("tagtrace", 3, 8.0), engine("fast", 1, 16.0), engine("good", 2, 2.0), EngineResult("gone", error="no"))
    comparison = Benchmark({}, BenchmarkSettings(), engines).comparison
    assert comparison is not None
    assert (comparison.peer, comparison.recall_ratio, comparison.speed_ratio) == ("good", 1.5, 4.0)
    assert Benchmark({}, BenchmarkSettings(), engines[1:]).comparison is None
    assert Benchmark({}, BenchmarkSettings(), engines[:1]).comparison is None


def test_photos_are_found_in_folders_and_by_the_truth(folder: Path) -> None:
    assert [p.name for p in photo_files([folder / "photos", folder / "photos/1.png"])] == ["0.png", "1.png", "2.png"]
    assert [p.name for p in photo_files([folder / "photos"], [truth("1.png"), truth("9.png")])] == ["1.png"]
    with pytest.raises(TagtraceError, match="no photos there that are in the truth"):
        photo_files([folder / "photos"], [truth("9.png")])
    with pytest.raises(TagtraceError, match="no such file"):
        photo_files([folder / "gone"])


def test_an_engine_that_takes_too_long_is_ended(folder: Path) -> None:
    settings = BenchmarkSettings(threads=1, repeats=10000, warm_up=0, timeout_s=4)
    (slow,) = benchmark(photo_files([folder / "photos"]), ["own_readers:slow"], settings=settings).engines
    assert "longer than 4 s" in slow.error


def test_the_command_writes_its_files(folder: Path) -> None:
    import typer

    from tagtrace.training import commands_benchmark

    app = typer.Typer()
    app.command()(commands_benchmark.readers)
    arguments = [str(folder / "photos"), "--truth", str(folder / "truth.jsonl"), "--peers", "own_readers:right", "--peers-only"]
    shown = CliRunner().invoke(app, [*arguments, "--threads", "1", "--limit", "2", "--out", str(folder / "out")])
    assert shown.exit_code == 0, shown.output
    names = {p.name for p in (folder / "out").iterdir()}
    assert names == {"benchmark.json", "benchmark.md", "predictions_own_readers_right.jsonl"}
    assert len(read_predictions(folder / "out/predictions_own_readers_right.jsonl")) == 2
    assert "tagtrace benchmark readers photos/" in (commands_benchmark.readers.__doc__ or "")
