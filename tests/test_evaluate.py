"""Measures against hand-counted cases, their slices, the report with its pictures, and the command that writes it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from typer.testing import CliRunner, Result

from tagtrace.contract import IdentifierKind, Image, ModelInfo, Quad, Reading, Region, RegionKind, Resource, TagtraceError
from tagtrace.datasets.truth import AdvertTruth, DistractorTruth, LineTruth, PhotoTruth, write_truth
from tagtrace.training.commands_evaluate import evaluate as evaluate_command
from tagtrace.training.evaluate import evaluate, write_evaluation
from tagtrace.training.evaluate_parts import evaluate_detector, evaluate_recogniser
from tagtrace.training.matching import comparable, match_photo, overlap, scored_kinds, true_identifiers
from tagtrace.training.metrics import score, score_clusters
from tagtrace.training.predictions import FoundIdentifier, FoundLine, Prediction
from tagtrace.training.slices import Slice, confusions, script, slice_lines, slice_photos


def quad(x: float, y: float, w: float = 100, h: float = 20) -> Quad:
    return ((x, y), (x + w, y), (x + w, y + h), (x, y + h))


def line(text: str, x: float, y: float, kind: str = "telegram", legible: bool = True, **more: Any) -> LineTruth:
    base = {"canonical": text.lstrip("@").lower(), "height_px": 20.0, "quad": quad(x, y)}
    return LineTruth(text=text, kind=kind, legible=legible, **{**base, **more})


def photo(file: str, *adverts: AdvertTruth, distractors: tuple[DistractorTruth, ...] = (), **more: Any) -> PhotoTruth:
    return PhotoTruth(
        file=file, width=640, height=480, ads=adverts, distractors=distractors, negative=not adverts, difficulty="easy", **more
    )


def advert(*lines: LineTruth, wall: str = "W1", shop: str = "S1", style: str = "spray", at: Quad | None = None) -> AdvertTruth:
    return AdvertTruth(wall_id=wall, shop_id=shop, style=style, quad=at or lines[0].quad, lines=lines)


def found(text: str, at: Quad, confidence: float = 0.9) -> FoundLine:
    return FoundLine(at, text, confidence)


def handle(value: str, shop: str | None = None, kind: str = "telegram") -> FoundIdentifier:
    return FoundIdentifier(kind, value, 0.9, shop)


# --- matching -------------------------------------------------------------------------------------


def test_overlap_of_quads() -> None:
    assert overlap(quad(0, 0), quad(0, 0)) == (1.0, 1.0)
    assert overlap(quad(0, 0, 10, 10), quad(5, 0, 10, 10)) == (pytest.approx(1 / 3), 0.5)
    assert overlap(quad(0, 0), quad(300, 0)) == (0, 0)
    backwards: Quad = ((0, 20), (100, 20), (100, 0), (0, 0))
    assert overlap(backwards, quad(0, 0))[0] == 1, "the order of the corners does not matter"


def test_lines_are_matched_once_and_what_cannot_be_read_does_not_count() -> None:
    truth = photo(
        "a.jpg",
        advert(line("@snow", 0, 0), line("@fog", 0, 50), line("smear", 0, 100, legible=False), line("qr", 0, 200, kind="qr")),
        distractors=(DistractorTruth(text="12", quad=quad(300, 300, 50, 50), kind="house"),),
    )
    lines = (
        found("@snow", quad(2, 0), 0.5),
        found("@snow again", quad(0, 0), 0.4),
        found("?", quad(0, 100)),
        found("code", quad(0, 200)),
        found("12", quad(310, 310, 30, 30)),
        found("wall", quad(500, 0)),
    )
    match = match_photo(truth, Prediction("a.jpg", lines))
    assert [(p.truth.text, p.found.text) for p in match.pairs] == [("@snow", "@snow")]
    assert [t.text for _, t in match.missed] == ["@fog"]
    assert [f.text for f in match.false] == ["12", "wall", "@snow again"]
    assert match.false_on_distractors == 1


@pytest.mark.parametrize(
    ("kind", "a", "b"),
    [
        ("telegram", "https://t.me/Snow_Qala", "@snow_qala"),
        ("invite", "t.me/joinchat/AbC", "+abc"),
        ("url", "HTTPS://www.Snow.kz/", "snow.kz"),
        ("onion", "http://abc.onion/x", "abc"),
        ("phone", "8 (749) 555-41-97", "+77495554197"),
        ("phone", "7495554197", "+7 749 555 41 97"),
        ("instagram", "https://Snow", "snow"),
    ],
)
def test_equal_identifiers_compare_equal(kind: str, a: str, b: str) -> None:
    assert comparable(kind, a) == comparable(kind, b)


def test_addresses_in_which_case_matters_keep_it() -> None:
    assert comparable("btc", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT") != comparable("btc", "1boatslrhtknngkdxeeobr76b53lettpyt")


def test_a_split_identifier_is_legible_when_every_part_is() -> None:
    def parts(second: bool) -> PhotoTruth:
        first = line("snow", 0, 0, canonical="snowqala", part=(1, 2))
        return photo("a.jpg", advert(first, line("qala", 0, 30, canonical="snowqala", part=(2, 2), legible=second)))

    for legible in (True, False):
        (identifier,) = true_identifiers(parts(legible), ("telegram",)).values()
        assert (identifier.value, identifier.legible, len(identifier.lines)) == ("snowqala", legible, 2)


def test_a_code_holds_what_its_payload_says() -> None:
    code = line("https://snow.kz", 0, 0, kind="qr", canonical="snow.kz", extra={"payload_kind": "url"})
    plain = line("https://t.me/snow", 0, 100, kind="qr", canonical="snow")
    seen = true_identifiers(photo("a.jpg", advert(code, plain)), ("telegram", "url"))
    assert list(seen) == [("url", "snow.kz"), ("telegram", "snow")]
    assert all(i.coded for i in seen.values())


def test_other_kinds_are_measured_where_the_truth_has_them() -> None:
    truth = photo("a.jpg", advert(line("snow", 0, 0, kind="instagram")))
    assert "instagram" in scored_kinds([truth])
    prediction = Prediction("a.jpg", identifiers=(handle("snow", kind="instagram"), handle("x@y.kz", kind="email")))
    ids = score([truth], {"a.jpg": prediction}).identifiers
    assert (ids.all.recall, ids.all.precision, ids.by_kind["instagram"].recall) == (1, 1, 1)
    assert ids.not_measured == {"email": 1}


# --- scores ---------------------------------------------------------------------------------------


def test_hand_counted_case() -> None:
    photos = [
        photo("a.jpg", advert(line("@snow_qala", 0, 0), line("ДОСТАВКА", 0, 50, kind="word"))),
        photo("b.jpg", advert(line("@fog_kz1", 0, 0), wall="W2", shop="S2")),
        photo("c.jpg", distractors=(DistractorTruth(text="+7 749 555 41 97", quad=quad(0, 0), kind="sign"),)),
    ]
    predictions = {
        "a.jpg": Prediction(
            "a.jpg", (found("@snow_gala", quad(0, 0)), found("ДОСТАВКА", quad(0, 50))), (handle("snow_gala"),), seconds=1.0
        ),
        "b.jpg": Prediction("b.jpg", (found("@fog_kz1", quad(0, 0)),), (handle("fog_kz1", "S3"),), seconds=3.0),
        "c.jpg": Prediction("c.jpg", (found("+77495554197", quad(0, 0)),), (handle("+77495554197", kind="phone"),)),
    }
    shops = [Resource(IdentifierKind.TELEGRAM, "fog_kz2", "S3"), Resource(IdentifierKind.TELEGRAM, "snow_qala", "S1")]
    result = score(photos, predictions, shops)
    d = result.detection
    assert (d.tp, d.fp, d.fn, d.fp_on_distractors) == (3, 1, 0, 1)
    assert (d.p, d.r, d.f1) == (0.75, 1.0, pytest.approx(6 / 7))
    assert d.cer == pytest.approx(1 / 26) and d.ad_recall == 1
    assert (d.negatives, d.fp_per_negative, d.fp_per_negative_off_text) == (1, 1, 0)
    ids = result.identifiers
    assert (ids.all.recall, ids.all.precision, ids.missed_by_one_char) == (0.5, pytest.approx(1 / 3), 1)
    assert ids.all.from_distractors == 1
    links = result.linking
    assert (links.registered.none, links.unknown.wrong, links.sibling_confusion) == (1, 1, 1)
    assert links.accuracy == 0
    assert result.seconds is not None and result.seconds.median == 2


def test_a_photo_that_nobody_reported_counts_as_empty() -> None:
    result = score([photo("a.jpg", advert(line("@snow", 0, 0)))], {})
    assert (result.photos, result.predicted, result.detection.fn, result.identifiers.all.recall) == (1, 0, 1, 0.0)
    assert result.detection.cer is None and result.seconds is None


def test_photos_in_folders_are_found_by_their_names() -> None:
    truth = photo("night/a.jpg", advert(line("@snow", 0, 0)))
    assert score([truth], {"a.jpg": Prediction("a.jpg", (found("@snow", quad(0, 0)),))}).detection.r == 1


labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12)


@settings(deadline=None)
@given(labels)
def test_b_cubed_is_the_mean_over_items(pairs: list[tuple[int, int]]) -> None:
    truth, clusters = [f"t{a}" for a, _ in pairs], [f"c{b}" for _, b in pairs]
    result = score_clusters(truth, clusters)
    items = range(len(pairs))
    p = np.mean([np.mean([truth[j] == truth[i] for j in items if clusters[j] == clusters[i]]) for i in items])
    r = np.mean([np.mean([clusters[j] == clusters[i] for j in items if truth[j] == truth[i]]) for i in items])
    assert (result.bcubed["p"], result.bcubed["r"]) == (pytest.approx(p), pytest.approx(r))
    assert score_clusters(truth, truth).pairwise.fp == 0


# --- slices and confusions --------------------------------------------------------------------------


def one(slices: list[Slice], of: str, name: str) -> Slice:
    (wanted,) = (s for s in slices if (s.of, s.name) == (of, name))
    return wanted


def test_slices_count_each_legible_line_once_per_dimension() -> None:
    truth = photo(
        "a.jpg",
        advert(
            line("@snow_qala", 0, 0, height_px=14.0, evasion="upper"),
            line("ҚЫЗМЕТ", 0, 50, kind="word", height_px=14.0),
            line("лист", 0, 100, kind="word", height_px=200.0),
            line("smear", 0, 150, legible=False),
        ),
        yaw=-25.0,
        light="night",
    )
    prediction = Prediction("a.jpg", (found("@snow_gala", quad(0, 0)), found("лист", quad(0, 100))), (handle("snow_qala"),))
    slices = slice_lines([match_photo(truth, prediction)])
    for of in {s.of for s in slices}:
        assert sum(s.lines for s in slices if s.of == of) == 3
        assert sum(s.identifiers for s in slices if s.of == of) == 1
    small = one(slices, "height", "12-16 px")
    assert (small.lines, small.found, small.recall, small.cer) == (2, 1, 0.5, 0.1)
    assert (small.exact, small.identifier_recall) == (0, 1)
    assert one(slices, "height", "96+ px").exact == 1
    assert one(slices, "yaw", "20-30 deg").lines == 3
    assert one(slices, "pitch", "unknown").lines == 3
    assert [s.name for s in slices if s.of == "script"] == ["cyrillic", "kazakh", "latin"]
    assert one(slices, "evasion", "upper").exact_identifiers == 1
    assert one(slices, "light", "night").found == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [("@snow", "latin"), ("Клад", "cyrillic"), ("ЖҰМЫС", "kazakh"), ("ТГ: @x", "mixed"), ("+7 749", "none")],
)
def test_scripts(text: str, expected: str) -> None:
    assert script(text) == expected


def test_false_alarms_are_sliced_by_what_the_photo_shows() -> None:
    bare = photo("a.jpg", negative_kind="bare")
    match = match_photo(bare, Prediction("a.jpg", (found("wall", quad(0, 0)),), (handle("wall_1"),)))
    (shows,) = (s for s in slice_photos([match]) if s.of == "shows")
    assert (shows.name, shows.photos, shows.false_lines, shows.precision) == ("bare", 1, 1, 0)


def test_characters_are_aligned_to_find_confusions() -> None:
    pairs = [("snow_qala", "snow_gala"), ("QALA", "gala"), ("oasis38", "oasis3"), ("abc", "abxc"), ("ночь", "другое слово")]
    by_pair = {(c.truth, c.read): (c.count, c.share) for c in confusions(pairs)}
    assert by_pair == {("q", "g"): (2, 1.0), ("8", ""): (1, 1.0), ("", "x"): (1, None)}
    assert confusions(pairs)[0].truth == "q", "the most frequent one comes first"


# --- the report and the pictures ----------------------------------------------------------------------


def paint(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.new("RGB", (640, 480), colour).save(path)


def test_evaluation_writes_numbers_a_report_and_pictures_of_the_misses(tmp_path: Path) -> None:
    photos = [
        photo("a.jpg", advert(line("@snow_qala", 0, 0), line("КЛАД | СКЛАД", 0, 50, kind="word"))),
        photo("b.jpg", advert(line("@fog_kz1", 0, 0), wall="W2", shop="S2")),
    ]
    paint(tmp_path / "photos/a.jpg", (200, 30, 30))
    paint(tmp_path / "photos/b.jpg", (30, 30, 200))
    lines = (found("@snow_gala", quad(0, 0)), found("rust", quad(400, 400)))
    predictions = {"a.jpg": Prediction("a.jpg", lines, (handle("snow_gala"),))}
    evaluation = evaluate(photos, predictions)
    write_evaluation(evaluation, tmp_path / "out", tmp_path / "photos", "Walls")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    sheets = {"missed_identifiers.png", "false_identifiers.png", "missed_lines.png", "misread_lines.png", "false_lines.png"}
    assert names == {"metrics.json", "report.md", *sheets}
    written = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert written["detection"]["tp"] == 1 and written["identifiers"]["all"]["missed_by_one_char"] == 1
    assert written["confusions"][0] == {"truth": "q", "read": "g", "count": 1, "share": 1.0}
    assert [m["truth"] for m in written["misses"]["missed_identifiers"]] == ["@snow_qala [telegram]", "@fog_kz1 [telegram]"]
    report = (tmp_path / "out/report.md").read_text(encoding="utf-8")
    assert "# Walls" in report and "![missed_lines](missed_lines.png)" in report and "КЛАД \\| СКЛАД" in report
    sheet = np.asarray(PillowImage.open(tmp_path / "out/missed_lines.png"))
    colours = {tuple(int(v) // 40 for v in sheet[30, x]) for x in (20, 500)}
    assert colours == {(5, 0, 0), (0, 0, 5)}, "the crops come from their photos"


def test_a_photo_that_cannot_be_shown_does_not_stop_the_report(tmp_path: Path) -> None:
    photos = [photo("gone.jpg", advert(line("@snow_qala", 0, 0)))]
    write_evaluation(evaluate(photos, {}), tmp_path, tmp_path)
    assert (tmp_path / "missed_lines.png").exists()
    perfect = {"gone.jpg": Prediction("gone.jpg", (found("@snow_qala", quad(0, 0)),), (handle("snow_qala"),))}
    write_evaluation(evaluate(photos, perfect), tmp_path / "clean", tmp_path)
    assert {p.name for p in (tmp_path / "clean").iterdir()} == {"metrics.json", "report.md"}


# --- the command, and models alone --------------------------------------------------------------------


class ByColour:
    """A recogniser that knows one word per colour of the wall."""

    info = ModelInfo("recogniser", "by-colour", "0" * 64)

    def read(self, crops: Sequence[Image], upright: bool = False, quick: bool = False) -> list[Reading]:
        return [Reading("@snow_qala" if crop[:, :, 0].mean() > 100 else "@fog_kz7", 0.9) for crop in crops]

    def complete(self, reading: Reading) -> Reading:
        return reading


class Upright:
    """A detector that finds the same line and code in every picture."""

    info = ModelInfo("detector", "upright", "0" * 64)

    def detect(self, images: Sequence[Image]) -> list[list[Region]]:
        code = Region(RegionKind.CODE, quad(300, 300, 50, 50), 0.8)
        return [[Region(RegionKind.LINE, quad(3, 1), 0.9), code] for _ in images]


@pytest.fixture
def walls(tmp_path: Path) -> tuple[Path, list[PhotoTruth]]:
    """Two photos in a folder, one with a code, and their truth."""
    code = line("https://t.me/fog_kz1", 300, 300, kind="qr", canonical="fog_kz1", quad=quad(300, 300, 50, 50))
    photos = [
        photo("a.jpg", advert(line("@snow_qala", 0, 0), line("КЛАД", 0, 60, kind="word", legible=False))),
        photo("b.jpg", advert(line("@fog_kz1", 0, 0), code, wall="W2", shop="S2")),
    ]
    paint(tmp_path / "walls/photos/a.jpg", (200, 30, 30))
    paint(tmp_path / "walls/photos/b.jpg", (30, 30, 200))
    write_truth(tmp_path / "walls/truth.jsonl", photos)
    return tmp_path / "walls", photos


def test_a_recogniser_alone_reads_the_true_lines(walls: tuple[Path, list[PhotoTruth]]) -> None:
    folder, photos = walls
    told: list[tuple[int, int]] = []
    result = evaluate_recogniser(photos, folder / "photos", ByColour(), progress=lambda *n: told.append(n))
    assert told == [(1, 2), (2, 2)]
    assert (result.scores.detection.f1, result.scores.detection.cer) == (1.0, pytest.approx(1 / 18))
    assert (result.confusions[0].truth, result.confusions[0].read) == ("1", "7")
    assert result.scores.identifiers.all.recall == 0.5


def test_a_detector_alone_is_measured_by_its_quads(walls: tuple[Path, list[PhotoTruth]]) -> None:
    folder, photos = walls
    result = evaluate_detector(photos, folder / "photos", Upright())
    assert (result.lines.scores.detection.tp, result.lines.scores.detection.fp) == (2, 0)
    assert (result.codes.tp, result.codes.fp, result.codes.fn) == (1, 1, 0)


def test_photos_of_another_truth_are_refused(walls: tuple[Path, list[PhotoTruth]]) -> None:
    folder, photos = walls
    PillowImage.new("RGB", (640, 479)).save(folder / "photos/a.jpg")
    with pytest.raises(TagtraceError, match="640 × 479 pixels, but the truth says 640 × 480"):
        evaluate_detector(photos, folder / "photos", Upright())


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(evaluate_command)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_command_measures_a_predictions_file(walls: tuple[Path, list[PhotoTruth]], tmp_path: Path) -> None:
    folder, _ = walls
    predictions = {"file": "a.jpg", "lines": [{"quad": quad(0, 0), "text": "@snow_qala", "conf": 1}],
                   "identifiers": [{"kind": "telegram", "value": "snow_qala", "shop_id": "S1"}]}  # fmt: skip
    (tmp_path / "p.jsonl").write_text(json.dumps(predictions))
    (tmp_path / "shops.csv").write_text("shop_id,shop_name,kind,value\nS1,Snow,telegram,snow_qala\n")
    done = invoke(folder, "--predictions", tmp_path / "p.jsonl", "--shops", tmp_path / "shops.csv", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "recall 0.500 of 2" in done.output
    written = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert written["linking"]["registered"] == {"n": 1, "right": 1, "wrong": 0, "none": 0}
    assert (tmp_path / "out/missed_identifiers.png").exists()


def test_the_command_scores_the_photos_first(
    walls: tuple[Path, list[PhotoTruth]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = walls
    (tmp_path / "blind_reader.py").write_text(BLIND)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    done = invoke(folder / "truth.jsonl", "--reader", "blind_reader:make", "--out", tmp_path / "out", "--workers", 1)
    assert done.exit_code == 0, (done.output, done.exception)
    written = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert (written["photos"], written["predicted"], written["detection"]["fn"]) == (2, 2, 2)


BLIND = """
class Reader:
    infos = ()

    def read_lines(self, images):
        return [([], []) for _ in images]


def make(threads):
    return Reader()
"""


def test_wrong_use_of_the_command_is_explained(walls: tuple[Path, list[PhotoTruth]], tmp_path: Path) -> None:
    folder, _ = walls
    (tmp_path / "p.jsonl").write_text('{"file": "other.jpg"}\n')
    out = ("--out", tmp_path / "out")
    for arguments, words in [
        ((folder, "--predictions", tmp_path / "p.jsonl"), "no prediction for any photo"),
        ((folder, "--predictions", tmp_path / "p.jsonl", "--only", "detector"), "not both"),
        ((folder, "--model", "x"), "--only recogniser or --only detector"),
        ((folder, "--reader", "rapidocr", "--photos", tmp_path), "2 are missing"),
        ((tmp_path / "gone.jsonl",), "cannot be read"),
    ]:
        done = invoke(*arguments, *out)
        assert isinstance(done.exception, TagtraceError) and words in str(done.exception)
