"""Comparing two models, the gate before a new one, and the folder of models that it changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tagtrace.cli import run
from tagtrace.contract import ExitCode, TagtraceError
from tagtrace.datasets.truth import AdvertTruth, LineTruth, PhotoTruth, write_truth
from tagtrace.models.library import begin_folder, put_in_use, roll_back
from tagtrace.models.registry import ModelFile, Task, from_file, load_registry, resolve
from tagtrace.training.compare import DataSet, compare_predictions, contestant, data_set
from tagtrace.training.compare_counts import group_photos
from tagtrace.training.compare_speed import speed_of_predictions
from tagtrace.training.compare_stats import StatisticsSettings, difference_of, sign_test
from tagtrace.training.predictions import FoundAdvert, FoundIdentifier, FoundLine, Prediction, prediction_to_json
from tagtrace.training.promote import Limits, judge
from tagtrace.training.runs import manifest_of

QUICK = StatisticsSettings(draws=500)
QUAD = ((10.0, 10.0), (110.0, 10.0), (110.0, 40.0), (10.0, 40.0))


def photo(number: int, wall: str = "") -> PhotoTruth:
    """A photo of one advert with one name; without a wall one of nothing."""
    name = f"zz_test{number}"
    line = LineTruth(text=f"@{name}", canonical=name, kind="telegram", quad=QUAD, legible=True, height_px=20.0)
    ads = (AdvertTruth(wall_id=wall, shop_id="S1", style="stencil", quad=QUAD, lines=(line,)),) if wall else ()
    return PhotoTruth(file=f"{number}.jpg", width=200, height=100, ads=ads, negative=not wall)


def reported(shown: PhotoTruth, right: bool = True, seconds: float = 0.1, cluster: str | None = None) -> Prediction:
    if shown.negative:
        return Prediction(shown.file, seconds=seconds)
    text = shown.ads[0].lines[0].text if right else "@zz_wrong"
    found = FoundIdentifier("telegram", text[1:], 0.9)
    return Prediction(shown.file, (FoundLine(QUAD, text, 0.9),), (found,), (FoundAdvert(QUAD, cluster),), seconds=seconds)


def sets(count: int = 60, empty: int = 30) -> list[PhotoTruth]:
    return [*(photo(n, f"W{n // 2}") for n in range(count)), *(photo(count + n) for n in range(empty))]


def write(path: Path, found: Sequence[Prediction]) -> Path:
    path.write_text("".join(json.dumps(prediction_to_json(p)) + "\n" for p in found), encoding="utf-8")
    return path


def test_photos_of_common_walls_are_one_group() -> None:
    shown = [photo(0, "A"), photo(1, "B"), photo(2), photo(3, "B"), photo(4)]
    both = PhotoTruth(file="5.jpg", width=9, height=9, ads=(photo(6, "A").ads[0], photo(7, "C").ads[0]))
    assert group_photos([*shown, both, photo(8, "C")]) == [0, 1, 2, 1, 3, 0, 0]


def test_an_interval_is_as_wide_as_chance() -> None:
    """Against the known error of a mean of paired differences; and the test finds a difference that is there."""
    rng = np.random.default_rng(2)
    whole = np.ones(400)
    a = rng.random(400) < 0.6
    same = np.where(rng.random(400) < 0.2, rng.random(400) < 0.6, a)
    better = a | (rng.random(400) < 0.2)
    none = difference_of(np.stack([a, whole], 1).astype(float), np.stack([same, whole], 1).astype(float), QUICK)
    assert none.low is not None and none.high is not None and none.p is not None
    assert none.low < 0 < none.high and none.p > 0.05
    spread = np.std(same.astype(float) - a) / 20
    assert none.high - none.low == pytest.approx(2 * 1.96 * spread, rel=0.2)
    clear = difference_of(np.stack([a, whole], 1).astype(float), np.stack([better, whole], 1).astype(float), QUICK)
    assert clear.low is not None and clear.low > 0 and clear.p == pytest.approx(1 / 501)
    assert difference_of(np.zeros((3, 2)), np.ones((3, 2)), QUICK).difference is None


def test_groups_that_hang_together_count_as_one() -> None:
    """Ten photos of one wall say no more than one: the interval over groups is wider than one over photos would be."""
    rng = np.random.default_rng(3)
    per_wall = (rng.random(30) < 0.5).astype(float)
    alone = np.stack([np.repeat(per_wall, 10), np.ones(300)], 1)
    grouped = np.stack([per_wall * 10, np.full(30, 10.0)], 1)
    narrow = difference_of(np.stack([np.zeros(300), np.ones(300)], 1), alone, QUICK)
    wide = difference_of(np.stack([np.zeros(30), np.full(30, 10.0)], 1), grouped, QUICK)
    assert narrow.high is not None and narrow.low is not None and wide.high is not None and wide.low is not None
    assert (wide.high - wide.low) > 2 * (narrow.high - narrow.low)


def test_the_sign_test_is_the_binomial_one() -> None:
    a, b = np.zeros(10), np.array([1.0] * 9 + [-1.0])
    assert sign_test(a, b) == pytest.approx(2 * 11 / 1024)
    assert sign_test(a, a) is None


def test_two_predictions_are_compared_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = sets()
    write_truth(tmp_path / "truth.jsonl", shown)
    one = write(tmp_path / "a.jsonl", [reported(p, n % 3 > 0, 0.2, f"c{n // 2}") for n, p in enumerate(shown)])
    two = write(tmp_path / "b.jsonl", [reported(p, True, 0.1, f"c{n // 4}") for n, p in enumerate(shown)])
    arguments = ["compare", str(one), str(two), "--data", str(tmp_path / "truth.jsonl"), "--out", str(tmp_path / "out")]
    assert run(arguments) == ExitCode.OK
    assert "better" in capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    recall = told["measures"]["identifier_recall"]
    assert recall["a"] == pytest.approx(2 / 3) and recall["b"] == 1.0 and recall["low"] > 0.1 and recall["p"] < 0.01
    clusters = told["measures"]["cluster_f1"]
    assert clusters["a"] == 1.0 and clusters["b"] == pytest.approx(2 * 30 / (2 * 30 + 60)) and clusters["high"] < 0
    assert told["groups"] == 60 and told["empty_photos"] == 30 and len(told["data_sha256"]) == 64
    assert told["speed"]["ratio"] == pytest.approx(0.5) and told["speed"]["in_turn"] is False
    style = next(part for part in told["slices"] if part["of"] == "style")
    assert style["name"] == "stencil" and style["recall"]["difference"] == pytest.approx(1 / 3)
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "## By slice" in text and "| photos of one advert put together" in text
    assert (tmp_path / "out" / "comparison.png").read_bytes()[:4] == b"\x89PNG"
    # The folder means its truth: the same data, the same manifest.
    assert told["data_sha256"] == manifest_of([tmp_path / "truth.jsonl"])[0]
    assert data_set(tmp_path).name == data_set(tmp_path / "truth.jsonl").name == str(tmp_path / "truth.jsonl")


def test_a_side_that_is_not_there_is_named() -> None:
    with pytest.raises(TagtraceError, match=r"none\.jsonl: there is no such"):
        contestant("none.jsonl")
    with pytest.raises(TagtraceError, match="no such model and no such file"):
        contestant("nobody")
    with pytest.raises(TagtraceError, match="two of one task"):
        contestant("tagtrace-detector-3+tagtrace-detector-3")
    known = contestant("tagtrace-recogniser-6")
    assert [model.task for model in known.models] == [Task.DETECTOR, Task.RECOGNISER]


def judged(right: float, limits: Limits, seconds: float = 0.1) -> dict[str, bool]:
    """The verdicts on a model that reports so many of 100 names rightly, against one that reports 80."""
    shown = sets(100, 40)
    data = [DataSet("x", Path("photos"), shown)]
    before = {p.file: reported(p, n % 100 < 80) for n, p in enumerate(shown)}
    after = {p.file: reported(p, n % 100 < right, seconds) for n, p in enumerate(shown)}
    side = contestant("tagtrace-recogniser-6")
    comparison = compare_predictions(side, side, data, [before], [after], speed=speed_of_predictions(before, after, QUICK))
    return {verdict.limit: verdict.kept for verdict in judge(comparison, limits)}


def test_the_gate_names_what_is_not_kept() -> None:
    assert all(judged(80, Limits()).values())
    assert all(judged(95, Limits()).values())
    worse = judged(70, Limits())
    assert not worse["recall_fall"] and not worse["recall_fall_sure"] and not worse["precision_fall"] and worse["slower"]
    slow = judged(80, Limits(), seconds=0.2)
    assert [limit for limit, kept in slow.items() if not kept] == ["slower"]
    few = judged(80, Limits(least_photos=1000, least_empty_photos=41, least_identifiers=101))
    assert [limit for limit, kept in few.items() if not kept] == ["least_photos", "least_empty_photos", "least_identifiers"]
    assert judged(70, Limits(recall_fall=0.11, recall_fall_sure=0.3))["recall_fall_sure"]


def licensed(path: Path, task: Task) -> ModelFile:
    return replace(from_file(path, task), licence="MIT")


def test_a_new_model_is_used_and_the_one_before_can_be_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    begin_folder(folder)
    header = (folder / "weights.toml").read_text().split("[[model]]")[0]
    before = resolve(Task.RECOGNISER, folder=folder)
    weights = tmp_path / "new.onnx"
    for number in (4, 5):
        weights.write_bytes(b"network %d" % number)
        made = put_in_use(licensed(weights, Task.RECOGNISER), f"recogniser-{number}", f"# card {number}\n", folder)
        assert made.path == folder / "weights" / f"recogniser-{number}.onnx" and made.card is not None
        assert resolve(Task.RECOGNISER, folder=folder).name == f"recogniser-{number}"
    assert resolve(Task.DETECTOR, folder=folder).name == resolve(Task.DETECTOR).name
    assert (folder / "weights.toml").read_text().startswith(header), "what people wrote stays"
    with pytest.raises(TagtraceError, match="there is a model recogniser-5 already"):
        put_in_use(licensed(weights, Task.RECOGNISER), "recogniser-5", "", folder)
    with pytest.raises(TagtraceError, match="no licence"):
        put_in_use(from_file(weights, Task.RECOGNISER), "recogniser-6", "", folder)
    with pytest.raises(TagtraceError, match="small letters"):
        put_in_use(from_file(weights, Task.RECOGNISER), "../x", "", folder)

    assert roll_back(folder, Task.RECOGNISER) == ("recogniser-5", "recogniser-4")
    assert roll_back(folder, Task.RECOGNISER) == ("recogniser-4", before.name)
    assert resolve(Task.RECOGNISER, folder=folder).sha256 == before.sha256
    assert {model.name for model in load_registry(folder).models} >= {"recogniser-4", "recogniser-5"}
    with pytest.raises(TagtraceError, match="nothing to go back to"):
        roll_back(folder, Task.RECOGNISER)
    history = [json.loads(line) for line in (folder / "promotions.jsonl").read_text().splitlines()]
    assert [entry.get("promoted") or entry["rolled_back"] for entry in history] == [
        "recogniser-4",
        "recogniser-5",
        "recogniser-5",
        "recogniser-4",
    ]


def test_models_are_listed_shown_and_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "models"
    begin_folder(folder)
    (tmp_path / "d.onnx").write_bytes(b"network")
    put_in_use(licensed(tmp_path / "d.onnx", Task.DETECTOR), "detector-9", "# my card\n", folder)
    assert run(["models", "list", "--json", "--folder", str(folder)]) == ExitCode.OK
    used = {model["name"]: model["in_use"] for model in json.loads(capsys.readouterr().out)}
    assert used["detector-9"] and not used["tagtrace-detector-3"] and used["tagtrace-recogniser-6"]
    assert run(["models", "card", "detector", "--folder", str(folder)]) == ExitCode.OK
    assert capsys.readouterr().out == "# my card\n"
    assert run(["models", "verify", "--folder", str(folder)]) == ExitCode.OK
    assert run(["models", "rollback", "detector", "--folder", str(folder)]) == ExitCode.OK
    assert "tagtrace-detector-3 is in use again" in capsys.readouterr().out
    assert run(["models", "rollback", "detector", "--folder", str(folder)]) == ExitCode.USAGE
