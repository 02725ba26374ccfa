"""Scoring measured as it runs: real runs of the command on a few photos, and figures that follow from what was seen of them."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tagtrace import cli
from tagtrace.contract import ExitCode, TagtraceError
from tagtrace.datasets.truth import read_truth
from tagtrace.training.benchmark_copies import copies, number_of, original
from tagtrace.training.benchmark_growth import GrowthSettings, benchmark_growth, window
from tagtrace.training.benchmark_run import Job, Look, ScoreRun, records, run_score
from tagtrace.training.benchmark_score import (
    ReaderRounds,
    RoundSettings,
    ScoreBenchmark,
    benchmark_score,
    middle,
    photos_per_second,
)
from tagtrace.training.benchmark_score_text import growth_tables, missing, score_tables, workers_table
from tagtrace.training.benchmark_workers import WorkersSettings, benchmark_workers
from tagtrace.training.tables import Console

READERS = '''
import time
from tagtrace.contract import Line, ModelInfo, Reading


class Reader:
    """Reads the same name in the upper left of every picture, after a while."""

    infos = (ModelInfo("reader", "fixed", "0" * 64),)

    def read_lines(self, images):
        time.sleep(0.05)
        quad = ((10.0, 10.0), (210.0, 10.0), (210.0, 40.0), (10.0, 40.0))
        return [([Line(quad, 0.9, Reading("@snow_qala", 0.95))], []) for _ in images]


def fixed(threads):
    return Reader()
'''
FIXED = ("--reader", "own_score_readers:fixed")


@pytest.fixture
def own_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A reader without networks, where the processes of a run find it."""
    (tmp_path / "own_score_readers.py").write_text(READERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield FIXED[1]
    sys.modules.pop("own_score_readers", None)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three small JPEGs."""
    (tmp_path / "three").mkdir()
    made = [tmp_path / f"three/{n}.jpg" for n in range(3)]
    for n, path in enumerate(made):
        PillowImage.new("RGB", (320, 240), (200, 40 * n, 0)).save(path)
    return made


def shown(*tables: object) -> str:
    console = Console(width=180, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def look(seconds: float, done: int, parent: float = 100.0, workers: float = 200.0) -> Look:
    return Look(seconds, done, parent, workers, 2 * seconds)


RUN = ScoreRun(9.0, (look(0, 0), look(2, 0), look(4, 4), look(5, 8), look(7, 16, 90, 250), look(9, 16, 400, 0)), 16)


def test_copies_have_the_picture_and_not_the_bytes(photos: list[Path], tmp_path: Path) -> None:
    made = copies(photos, 7, tmp_path / "made")
    assert [original(path.name) for path in made] == [f"{n % 3}.jpg" for n in range(7)]
    assert [number_of(path.name) for path in sorted(made)] == list(range(7))
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in made}) == 7
    for number, path in enumerate(made):
        assert np.array_equal(np.asarray(PillowImage.open(path)), np.asarray(PillowImage.open(photos[number % 3])))
    PillowImage.new("RGB", (32, 32)).save(tmp_path / "a.png")
    with pytest.raises(TagtraceError, match=r"a.png: is no JPEG"):
        copies([tmp_path / "a.png"], 2, tmp_path / "more")


def test_what_a_run_took_follows_from_the_looks() -> None:
    assert (RUN.moment(2), RUN.moment(4), RUN.moment(12), RUN.moment(16)) == (3, 4, 6, 7)
    assert RUN.per_photo(4, 16) == 0.25 and RUN.cpu_per_photo(4, 16) == 0.5
    assert RUN.peak_mb() == 400
    assert photos_per_second(RUN, 8) == 4  # the first eight do not count
    assert photos_per_second(RUN, 16) == 4  # with one copy, the first quarter does not
    with pytest.raises(TagtraceError, match="too few"):
        photos_per_second(replace(RUN, records=1), 1)


def test_only_rates_of_one_round_are_compared() -> None:
    own, peer = ReaderRounds("tagtrace", 2, [8.0, 2.0, 6.0]), ReaderRounds("slow", 1, [4.0, 2.0, 1.0], {1: 4.0, 2: 3.0})
    gone = ReaderRounds("gone", 0, error="not installed")
    result = ScoreBenchmark({}, RoundSettings(rounds=3), 5, (own, peer, gone), (), ())
    found = result.against(peer)
    assert found is not None and (found.median, found.least, found.most) == (2, 1, 6)
    assert result.against(gone) is None and result.against_limit() is None and middle([]) is None
    text = shown(*score_tables(result))
    assert "2.00 (1.00 to 6.00)" in text and "1 (with 2: 3.00/s)" in text
    assert missing(result) == ["gone did not run: not installed"]


def test_cost_is_taken_over_whole_rounds_of_the_photos() -> None:
    assert [window(*sizes) for sizes in ((500, 48, 500), (500, 48, 100), (500, 700, 500), (4, 3, 500))] == [480, 96, 500, 3]


def test_a_run_is_watched_to_its_end(photos: list[Path], tmp_path: Path, own_reader: str) -> None:
    copies(photos, 6, tmp_path / "made")
    run = run_score(Job(tmp_path / "made", tmp_path / "out", own_reader, workers=1, looking_s=0.02))
    assert run.records == 6 and {number_of(Path(r["file"]).name) for r in records(tmp_path / "out")} == set(range(6))
    # it reads each photo for 0.05 s
    assert run.per_photo(2, 6) >= 0.04 and run.seconds > 6 * 0.05
    assert any(look.parent_mb > 20 and look.workers_mb > 20 and look.cpu_seconds > 0 for look in run.looks)
    with pytest.raises(TagtraceError, match="there is no reader 'nonesuch'"):
        run_score(Job(tmp_path / "made", tmp_path / "other", "nonesuch"))
    with pytest.raises(TagtraceError, match="longer than 0.01 s"):
        run_score(Job(tmp_path / "made", tmp_path / "late", own_reader, timeout_s=0.01))


def test_growth_compares_a_long_run_with_a_short_one(photos: list[Path], tmp_path: Path, own_reader: str) -> None:
    settings = GrowthSettings((3, 18), 3, workers=1, options=FIXED)
    result = benchmark_growth(photos, tmp_path / "growth", settings)
    assert [run.photos for run in result.runs] == [3, 18]
    assert (result.early.end - result.early.begin, result.late.begin, result.late.end) == (3, 15, 18)
    assert 0.04 < result.late.seconds < result.runs[-1].scoring_seconds <= result.runs[-1].seconds
    assert all(20 < run.scoring["workers_mb"] <= run.peak["workers_mb"] < 2000 for run in result.runs)
    ratios = result.ratios()
    assert ratios["peak memory"] == result.runs[1].peak["all_mb"] / result.runs[0].peak["all_mb"]
    assert "18 photos against 3" in shown(*growth_tables(result)) and json.dumps(result.to_json())
    assert not list((tmp_path / "growth").iterdir())
    with pytest.raises(TagtraceError, match="too near"):
        benchmark_growth(photos, tmp_path, GrowthSettings((3, 6)))


def test_workers_are_compared_with_one(photos: list[Path], own_reader: str) -> None:
    result = benchmark_workers(photos, WorkersSettings((1, 2), rounds=1, copies=4, options=FIXED))
    assert set(result.rates) == {1, 2} and 0 < result.rates[1][0] < 1 / 0.045
    assert result.against_first(1).median == 1
    # no photo is done before the program, and its worker, are there
    assert all(0.2 < start < 30 for starts in result.starts.values() for start in starts)
    assert "times those of 1" in shown(workers_table(result)) and json.dumps(result.to_json())


def test_real_photos_in_a_round_with_another_reader(root: Path, own_reader: str) -> None:
    """tagtrace itself with its models, beside a reader that finds nothing true."""
    sample = root / "datasets/sample"
    photos = [sample / "photos" / name for name in ("sample_0007.jpg", "sample_0012.jpg")]
    truth = [photo for photo in read_truth(sample / "truth.jsonl") if Path(photo.file).name in {p.name for p in photos}]
    settings = RoundSettings(rounds=1, copies=2, peer_copies=2)
    result = benchmark_score(photos, [own_reader, "nonesuch"], truth, settings)
    own, other, gone = result.readers
    assert own.rates[0] > 0 and own.scores is not None and own.scores.detection.f1 == pytest.approx(1, abs=0.2)
    assert other.scores is not None and other.scores.identifiers.all.recall in (0, None) and other.tried
    assert other.rates == [max(other.tried.values())] and "nonesuch" in gone.error
    assert {"decode", "detect", "read"} <= {stage.name for stage in result.stages}
    assert sum(stage.share for stage in result.stages) >= 0.99
    assert json.dumps(result.to_json())


def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["benchmark", "growth", "--counts", "1,many"]) == ExitCode.USAGE
    assert "--counts 1,many: give whole numbers" in capsys.readouterr().err
    assert cli.run(["benchmark", "workers", "--counts", "0,2"]) == ExitCode.USAGE
    assert "the least is 1" in capsys.readouterr().err
