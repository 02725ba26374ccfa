"""The retraining loop tried out: spoilt labels are found, decisions become labels, lines are cut out, curves are drawn."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tagtrace import cli
from tagtrace.contract import ExitCode, TagtraceError
from tagtrace.datasets.checks import check_between, check_set
from tagtrace.datasets.formats.convert import read_set
from tagtrace.datasets.linecrops import write_line_crops
from tagtrace.datasets.lineshards import LineShards
from tagtrace.datasets.overview import overview
from tagtrace.datasets.plots import CODE_COLOUR, LINE_COLOUR, draw_labels, draw_overview, draw_photos, tile
from tagtrace.datasets.truth import AdvertTruth, LineTruth, PhotoTruth, read_truth, write_truth
from tagtrace.linking.store import Store
from tagtrace.linking.store.verdicts import Word

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos of the sample with legible lines, as a set of their own."""
    sample = Path(__file__).parent.parent / "datasets/sample"
    photos = [p for p in read_truth(sample) if any(x.legible and x.kind != "qr" for ad in p.ads for x in ad.lines)][:6]
    folder = tmp_path_factory.mktemp("some")
    (folder / "photos").mkdir()
    for photo in photos:
        (folder / "photos" / photo.file).write_bytes((sample / "photos" / photo.file).read_bytes())
    write_truth(folder / "truth.jsonl", photos)
    return folder


def test_what_is_spoilt_is_found(some: Path, tmp_path: Path) -> None:
    from tagtrace.training.predictions import FoundLine, Prediction
    from tagtrace.training.rehearsal import spoil
    from tagtrace.training.suspicious import Doubt, suspicious

    before = check_set(some)
    assert before.errors == 0
    spoilt = spoil(some, tmp_path / "copy")
    after = check_set(tmp_path / "copy")
    assert "quad" in {p.code for p in after.problems if p.severity == "error"}
    assert {(d.first, d.second) for d in after.doubles} == {tuple(sorted((spoilt.copied_again, spoilt.wrong_text[0])))}
    assert check_between({"a": before, "b": after})
    # A reader that reads everything as it is painted sees what was typed wrong and what was forgotten.
    found = {}
    for photo in read_truth(some):
        lines = [x for ad in photo.ads for x in ad.lines if x.legible and x.kind != "qr"]
        found[photo.file] = Prediction(photo.file, tuple(FoundLine(x.quad, x.text, 0.99) for x in lines))
    ranked = suspicious(read_set(tmp_path / "copy"), found)
    photo, painted, wrong = spoilt.wrong_text
    assert (Doubt.TEXT, photo, wrong, painted) in {(i.doubt, i.photo, i.labelled, i.read) for i in ranked}
    assert (Doubt.UNLABELLED, *spoilt.missing_line) in {(i.doubt, i.photo, i.read) for i in ranked}
    with pytest.raises(TagtraceError, match="is not empty"):
        spoil(some, tmp_path / "copy")
    (tmp_path / "few").mkdir()
    write_truth(tmp_path / "few/truth.jsonl", read_truth(some)[:2])
    with pytest.raises(TagtraceError, match="three are needed"):
        spoil(tmp_path / "few", tmp_path / "none")


def test_who_knows_the_truth_decides_and_labels_say_what_is_painted(some: Path, tmp_path: Path) -> None:
    from tagtrace.scoring.run import ScoreRequest, score_photos
    from tagtrace.training.from_store import write_labels_of
    from tagtrace.training.rehearsal import RehearsalSettings, decide_by_truth

    truth = read_truth(some)
    # One contact is painted otherwise than it will be read: that has to be corrected.
    first = next(p for p in truth if any(x.legible and x.kind == "telegram" for ad in p.ads for x in ad.lines))
    ads = tuple(replace(ad, lines=tuple(_renamed(x) for x in ad.lines)) for ad in first.ads)
    truth = [replace(p, ads=ads) if p is first else p for p in truth]
    store = str(tmp_path / "city.db")
    Store.open(store, upgrade=True).close()
    photos = tuple(some / "photos" / p.file for p in truth)
    kept = str(tmp_path / "kept")
    score_photos(ScoreRequest(photos, tmp_path / "scored", store=store, keep_photos=kept, formats=("predictions",), workers=1))
    with Store.open(store) as opened:
        part = decide_by_truth(opened, truth, some / "photos", RehearsalSettings(photos=2))
        rest = decide_by_truth(opened, truth, some / "photos")
        assert sum(decide_by_truth(opened, truth, some / "photos").values()) == 0, "nothing is left open"
        said = part + rest
        assert said[Word.CONFIRMED] and said[Word.CORRECTED]
        written = write_labels_of(opened, tmp_path / "labels")
    assert written.photos > 0
    texts = {line.text for p in read_set(tmp_path / "labels") for ad in p.ads for line in ad.lines}
    assert any("zz_other_name" in text for text in texts)


def _renamed(line: LineTruth) -> LineTruth:
    if line.kind != "telegram" or not line.legible:
        return line
    return replace(line, text="@zz_other_name", canonical="zz_other_name", part=(1, 1))


def test_lines_are_cut_out_as_they_are_painted(some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["dataset", "lines", str(some), "--out", str(tmp_path / "lines")]) == ExitCode.OK
    said = capsys.readouterr().out
    shards = LineShards(tmp_path / "lines")
    wanted = [x for p in read_truth(some) for ad in p.ads for x in ad.lines if x.legible and x.kind != "qr"]
    assert len(shards) == len(wanted) and f"{len(wanted)} lines of 6 photos" in said
    assert "because nobody can read it" in said
    # The crops say what the labels say: the recogniser reads most of them so.
    from tagtrace.models.recogniser import OnnxRecogniser
    from tagtrace.models.registry import Task, resolve

    reader = OnnxRecogniser(resolve(Task.RECOGNISER).path)
    readings = reader.read([shards[i][0] for i in range(len(shards))])
    same = sum(r.text.lower() == str(shards[i][1]["text"]).lower() for i, r in enumerate(readings))
    assert same >= len(shards) // 2
    assert cli.run(["dataset", "lines", str(some), "--out", str(tmp_path / "lines")]) == ExitCode.USAGE


def test_lines_that_teach_nothing_are_counted_with_their_reason(tmp_path: Path) -> None:
    from PIL import Image as PilImage

    quad = ((5.0, 5.0), (60.0, 5.0), (60.0, 20.0), (5.0, 20.0))
    flat = ((5.0, 5.0), (60.0, 5.0), (60.0, 5.0), (5.0, 5.0))
    lines = tuple(
        LineTruth(text=text, canonical=text, kind=kind, quad=where, legible=legible, height_px=15)
        for text, kind, where, legible in (
            ("@zz_test", "telegram", quad, True),
            ("@zz_test", "telegram", quad, False),
            (" ", "word", quad, True),
            ("@zz_test", "telegram", flat, True),
            ("漢字", "word", quad, True),
            ("zz", "qr", quad, True),
        )
    )
    advert = AdvertTruth(wall_id="W", shop_id="", style="print", quad=quad, lines=lines)
    write_truth(tmp_path / "truth.jsonl", [PhotoTruth(file="a.png", width=80, height=40, ads=(advert,))])
    (tmp_path / "photos").mkdir()
    PilImage.new("RGB", (80, 40), "grey").save(tmp_path / "photos/a.png")
    done = write_line_crops(tmp_path, tmp_path / "lines")
    assert (done.crops, done.photos, sorted(done.left_out.values())) == (1, 1, [1, 1, 1, 1])


def test_pictures_of_a_set_show_its_labels_and_counts(some: Path) -> None:
    photos = read_truth(some)
    found = overview(photos)
    assert draw_overview(found, ["lines by kind", "no such view", "lines by script"]).width > 500
    assert draw_overview(found, []).height > 0
    sheet = draw_photos(photos, some / "photos", most=4, columns=2)
    assert sheet.width > 2 * 460 and sheet.height > 2 * 200
    photo = next(p for p in photos if any(x.legible for ad in p.ads for x in ad.lines))
    shown = np.asarray(draw_labels(photo, np.zeros((photo.height, photo.width, 3), np.uint8)))
    colours = {tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (LINE_COLOUR, CODE_COLOUR)}
    assert {tuple(pixel) for pixel in shown.reshape(-1, 3).tolist()} & colours
    assert tile([], []).width > 0


# --- curves and tables ------------------------------------------------------------------------


def test_curves_are_drawn_while_a_run_records_and_a_damaged_record_is_named(tmp_path: Path) -> None:
    from tagtrace.training.curves import curves_of, draw_curves, live_curves, read_metrics

    assert read_metrics(tmp_path) == []
    path = tmp_path / "metrics.jsonl"
    shown = []
    with live_curves(tmp_path, shown.append, every_s=0.05):
        path.write_text('{"step": 1, "loss": 3.0, "epoch": 1}\n{"step": 2, "lo', encoding="utf-8")
        while not shown:
            time.sleep(0.02)
    assert len(shown) >= 2 and shown[0].width > 100
    path.write_text('{"step": 1, "loss": 3.0, "epoch": 1}\n{"step": 2, "loss": 2.0, "cer": 0.5}\n', encoding="utf-8")
    rows = read_metrics(tmp_path)
    assert curves_of(rows) == {"loss": ([1, 2], [3.0, 2.0]), "cer": ([2], [0.5])}
    assert draw_curves({"a": rows, "b": rows}, ("loss",)).height > 100
    path.write_text('{"step": 1}\n[]\n', encoding="utf-8")
    with pytest.raises(TagtraceError, match=r"metrics.jsonl:2: not an object of numbers"):
        read_metrics(tmp_path)


def test_a_run_is_stopped_as_by_the_button(tmp_path: Path) -> None:
    from tagtrace.training.curves import live_curves

    # A shell that runs the tests in the background has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), live_curves(tmp_path, lambda picture: None, stop_after=3):
        for step in range(1, 600):
            with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "loss": 1.0}) + "\n")
            time.sleep(0.05)


def test_two_evaluations_stand_side_by_side(some: Path) -> None:
    from tagtrace.training.evaluate import evaluate
    from tagtrace.training.predictions import FoundLine, Prediction
    from tagtrace.training.views import confusion_table, line_table, slices_plot

    photos = read_truth(some)
    painted = {p.file: [x for ad in p.ads for x in ad.lines if x.legible and x.kind != "qr"] for p in photos}
    good, bad = {}, {}
    for name, lines in painted.items():
        good[name] = Prediction(name, tuple(FoundLine(x.quad, x.text, 0.9) for x in lines))
        bad[name] = Prediction(name, tuple(FoundLine(x.quad, "7" + x.text[1:], 0.9) for x in lines[:1]))
    evaluations = {"good": evaluate(photos, good), "bad": evaluate(photos, bad)}
    rows = line_table(evaluations).splitlines()
    assert rows[2].startswith("| good | ") and rows[3].startswith("| bad | ")
    found = [int(row.split("|")[2]) for row in rows[2:]]
    assert found[0] > found[1] > 0
    assert slices_plot(evaluations, ("height", "style")).width > slices_plot(evaluations, ("no such",)).width
    assert "| 7 |" in confusion_table(evaluations["bad"])
