"""Decisions of the review desk as labels, what to label next, and labels that are probably wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageDraw

from tagtrace import cli
from tagtrace.contract import Advert, Analysis, Code, ExitCode, IdentifierKind, Line, ModelInfo, Quad, Reading
from tagtrace.datasets.checks import check_set
from tagtrace.datasets.formats.convert import read_set
from tagtrace.datasets.truth import AdvertTruth, DistractorTruth, LineTruth, PhotoTruth, read_truth, write_truth
from tagtrace.inference.identifiers import extract_advert
from tagtrace.linking.sightings import Sighting
from tagtrace.linking.store import Store, reviews
from tagtrace.linking.store.analyses import PhotoFacts, put_analysis
from tagtrace.linking.store.clusters import put_sightings
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.linking.store.verdicts import Word
from tagtrace.training.from_store import FromStoreSettings, labels_of, write_labels_of
from tagtrace.training.kinds import Meaning, meanings, with_kinds
from tagtrace.training.picking import Candidate, disagreement, pick, uncertainty
from tagtrace.training.predictions import FoundLine, Prediction
from tagtrace.training.suspicious import Doubt, suspicious

pytestmark = pytest.mark.train
TELEGRAM = IdentifierKind.TELEGRAM
SIZE = (320, 240)


def quad(row: int, wide: int = 200) -> Quad:
    top = 20.0 + 40 * row
    return ((20.0, top), (20.0 + wide, top), (20.0 + wide, top + 30), (20.0, top + 30))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "city.db")) as opened:
        yield opened


def put(
    store: Store, photos: PhotoFiles, seed: int, *adverts: tuple[str, ...], kept: bool = True, confidence: float = 0.9
) -> str:
    """A photo whose adverts were read so; its SHA-256."""
    picture = PilImage.new("RGB", SIZE, (200 - seed * 7, 190, 150 + seed * 9))
    ImageDraw.Draw(picture).ellipse((seed * 20, 150, seed * 20 + 60, 230), fill=(seed * 25, 80, 40))
    exif = PilImage.Exif()
    exif[0x010F] = "SecretCamera"
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif, quality=90)
    sha256 = photos.put(buffer.getvalue())
    found = []
    row = 0
    for texts in adverts:
        lines = []
        for text in texts:
            lines.append(Line(quad(row), 0.9, Reading(text, confidence)))
            row += 1
        codes = (Code("https://t.me/qr_shop", "QRCode", quad(5, 30)),) if "code" in texts[-1] else ()
        found.append(Advert(lines[0].quad, tuple(lines), codes, extract_advert(lines, codes)))
    analysis = Analysis("a.jpg", sha256, *SIZE, tuple(found), models=(ModelInfo("recogniser", "reader-1", "ab" * 32),))
    facts = PhotoFacts(photos.url if kept else "", len(buffer.getvalue()))
    store.write(lambda session: put_analysis(session, analysis, (), {}, facts), "tests")
    now = datetime.now(UTC)
    seen = [Sighting(sha256, n, advert.identifiers, lat=51.1, lon=71.4 + seed, taken_at=now) for n, advert in enumerate(found)]
    put_sightings(store, seen, at=now, actor="tests")
    return sha256


def test_decisions_become_labels_and_only_what_a_person_said(store: Store, tmp_path: Path) -> None:
    photos = PhotoFiles(tmp_path / "kept")
    right = put(store, photos, 1, ("ДОСТАВКА", "@snow_shop1"))
    wrong = put(store, photos, 2, ("@sn0w_shop2", "code"), ("ПАРИКМАХЕРСКАЯ",))
    half = put(store, photos, 3, ("@ice_shop3",), ("@ice_shop4",))
    gone = put(store, photos, 4, ("@ice_shop5",), kept=False)
    machine = put(store, photos, 5, ("@ice_shop6",))
    poor = put(store, photos, 6, ("@ice_shop7",))
    back = put(store, photos, 7, ("@ice_shop8",))
    store.write(lambda session: reviews.confirm(session, (right, 0)), "person 1")
    contacts = [(TELEGRAM, "snow_shop2")]
    store.write(lambda session: reviews.correct(session, (wrong, 0), ["@snow_shop2", "code"], contacts), "person 2")
    store.write(lambda session: reviews.record(session, (wrong, 1), Word.NOT_ADVERT), "person 2")
    store.write(lambda session: reviews.confirm(session, (half, 0)), "person 1")
    store.write(lambda session: reviews.confirm(session, (gone, 0)), "person 1")
    store.write(lambda session: reviews.confirm(session, (machine, 0)), "script")
    store.write(lambda session: reviews.record(session, (poor, 0), Word.REJECTED), "person 1")
    said = store.write(lambda session: reviews.confirm(session, (back, 0)), "person 1")
    store.write(lambda session: reviews.undo(session, said.id), "person 1")

    done = write_labels_of(store, tmp_path / "out")
    assert (done.photos, done.adverts, done.others, sum(done.left_out.values())) == (2, 2, 1, 3)
    truth = {p.extra["source"]["sha256"]: p for p in read_truth(tmp_path / "out")}
    assert set(truth) == {right, wrong}
    word, name = truth[right].ads[0].lines
    # Nobody said that the word was read well; the contact is confirmed.
    assert (word.legible, word.extra["text_from"]) == (False, "machine")
    assert (name.text, name.kind, name.canonical, name.legible) == ("@snow_shop1", "telegram", "snow_shop1", True)
    corrected, other, code = truth[wrong].ads[0].lines
    assert (corrected.text, corrected.canonical, corrected.extra["text_from"]) == ("@snow_shop2", "snow_shop2", "person")
    assert other.legible and (code.kind, code.canonical, code.extra["payload_kind"]) == ("qr", "qr_shop", "telegram")
    (sign,) = truth[wrong].distractors
    assert (sign.kind, sign.text, sign.lines is not None) == ("not_advert", "ПАРИКМАХЕРСКАЯ", True)
    assert truth[right].ads[0].wall_id and len({ad.wall_id for p in truth.values() for ad in p.ads}) == 2
    assert [p for p in check_set(tmp_path / "out").problems if p.severity == "error"] == []
    for file in (tmp_path / "out/photos").iterdir():
        assert b"SecretCamera" not in file.read_bytes()
    assert "person 1" not in (tmp_path / "out/truth.jsonl").read_text()
    # A rejected advert may be one: it teaches that it is none only where that is wanted.
    wanted = labels_of(store, FromStoreSettings(rejected_is_negative=True))
    assert [p.negative for p in wanted.photos] == [False, False, True]


def test_the_store_commands_make_labels_and_pick_what_is_undecided(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = PhotoFiles(tmp_path / "kept")
    sure = put(store, photos, 1, ("@snow_shop1",), confidence=0.99)
    unsure = put(store, photos, 3, ("@ice_shop3",), confidence=0.5)
    decided = put(store, photos, 6, ("@rain_shop",))
    store.write(lambda session: reviews.confirm(session, (decided, 0)), "person 1")
    place, out = str(tmp_path / "city.db"), tmp_path / "labels"
    assert cli.run(["dataset", "from-store", "--store", place, "--out", str(out)]) == ExitCode.OK
    assert "1 photos, 1 adverts" in capsys.readouterr().out
    chosen = tmp_path / "next"
    assert (
        cli.run(["dataset", "pick", "--store", place, "--labelled", str(out), "--count", "5", "--out", str(chosen)])
        == ExitCode.OK
    )
    rows = list(csv.DictReader((chosen / "pick.csv").open()))
    assert [row["name"] for row in rows] == [unsure, sure]
    assert all(row["reason"] for row in rows)
    tasks = json.loads((chosen / "label-studio.json").read_text())
    assert [task["data"]["tagtrace"]["file"] for task in tasks] == [f"{unsure[:16]}.jpg", f"{sure[:16]}.jpg"]
    assert "@ice_shop3" in json.dumps(tasks[0]["predictions"], ensure_ascii=False)
    assert len(list((chosen / "photos").iterdir())) == 2
    assert cli.run(["dataset", "pick", "--out", str(tmp_path / "x")]) == ExitCode.USAGE


def test_a_corrected_task_comes_back_with_kinds(tmp_path: Path) -> None:
    """Picked, corrected in Label Studio, converted: the meaning of the typed text is found."""
    frame = {"to_name": "image", "original_width": 320, "original_height": 240}
    shape = {"points": [[10, 10], [50, 10], [50, 20], [10, 20]]}
    result = [
        {**frame, "id": "n", "type": "polygonlabels", "value": {**shape, "polygonlabels": ["line"]}},
        {**frame, "id": "n", "type": "textarea", "value": {**shape, "text": ["t.me/ice_shop9"]}},
    ]
    path = tmp_path / "label-studio.json"
    path.write_text(json.dumps([{"data": {"ocr": "a.png"}, "annotations": [{"result": result}]}]))
    PilImage.new("RGB", SIZE).save(tmp_path / "a.png")
    assert cli.run(["dataset", "convert", str(path), "--to", "truth", "--out", str(tmp_path / "out")]) == ExitCode.OK
    (line,) = read_set(tmp_path / "out")[0].ads[0].lines
    assert (line.kind, line.canonical, line.text) == ("telegram", "ice_shop9", "t.me/ice_shop9")


def test_lines_get_the_meaning_of_the_contacts_that_are_there() -> None:
    assert meanings(["ДОСТАВКА", "@ice_shop9"]) == [Meaning("word", "ДОСТАВКА"), Meaning("telegram", "ice_shop9")]
    assert meanings(["@ice_shop9"], [(TELEGRAM, "other")]) == [Meaning("word", "@ice_shop9")]
    # Written so that no grammar finds it, but the person says that it is the contact.
    assert meanings(["тг Ice_Shop9 !"], [(TELEGRAM, "ice_shop9")])[0] == Meaning("telegram", "ice_shop9")
    photo = PhotoTruth(file="a", width=9, height=9, ads=(AdvertTruth(wall_id="", shop_id="", style="", quad=quad(0), lines=()),))
    assert with_kinds([photo]) == [photo]


# --- picking ----------------------------------------------------------------------------------


def seen(*lines: tuple[str, float]) -> Prediction:
    return Prediction("a.jpg", tuple(FoundLine(quad(row), text, conf) for row, (text, conf) in enumerate(lines)))


def test_doubt_and_difference_are_measured() -> None:
    assert uncertainty(seen(("@a", 1.0)))[0] == 0 and uncertainty(seen())[0] == 0
    doubt, why = uncertainty(seen(("@snow", 0.5), ("@b", 1.0)))
    assert doubt == pytest.approx(0.5) and why == "unsure of line '@snow' (0.50)"
    assert disagreement(seen(("@snow", 0.9)), seen(("@SNOW", 0.9))) == (0.0, "")
    assert disagreement(seen(("@snow", 0.9)), seen(("@show", 0.9)))[0] == pytest.approx(0.2)
    assert disagreement(seen(("@snow", 0.9)), seen())[0] == 1.0


def test_picks_are_diverse_reasoned_and_do_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(1)
    same = rng.normal(size=8)
    flat = [Candidate(f"flat{i}", seen(("@a", 0.55)), features=same + 0.01 * rng.normal(size=8)) for i in range(6)]
    apart = [Candidate(f"apart{i}", seen(("@a", 0.95)), features=4 * rng.normal(size=8)) for i in range(3)]
    differ = Candidate("differ", seen(("@snow", 0.99)), seen(("@rain", 0.99)), features=same + 0.5)
    picks = pick([*flat, *apart, differ], 6, {"known": same})
    assert sum(p.name.startswith("flat") for p in picks) <= 2
    assert {p.name for p in picks} >= {"differ", "apart0", "apart1", "apart2"}
    assert "the models read '@snow' and '@rain'" in {p.reason for p in picks}
    assert any(p.reason.startswith("looks like nothing labelled") for p in picks)
    assert pick([differ, *reversed(apart), *reversed(flat)], 6, {"known": same}) == picks
    walls = [Candidate(f"w{i}", seen(("@a", 0.5)), wall="one") for i in range(3)]
    assert len(pick(walls, 3)) == 1


# --- labels that are probably wrong -----------------------------------------------------------


def test_labels_that_the_models_contradict_come_first() -> None:
    def line(row: int, text: str) -> LineTruth:
        return LineTruth(text=text, canonical=text, kind="word", quad=quad(row), legible=True, height_px=30)

    advert = AdvertTruth(
        wall_id="W", shop_id="S", style="", quad=quad(0), lines=(line(0, "@snow"), line(1, "@rain"), line(2, "@fog"))
    )
    sign = DistractorTruth(text="КАФЕ", quad=quad(4), kind="sign")
    truth = PhotoTruth(file="a.jpg", width=320, height=240, ads=(advert,), distractors=(sign,))
    found = (
        FoundLine(quad(0), "@snow", 0.99),
        FoundLine(quad(1), "@train", 0.98),
        FoundLine(quad(3), "@hail", 0.9),
        FoundLine(quad(4), "КАФЕ", 0.9),
    )
    ranked = suspicious(
        [truth, PhotoTruth(file="unread.jpg", width=9, height=9, ads=(advert,))], {"a.jpg": Prediction("a.jpg", found)}
    )
    assert [(s.doubt, s.labelled, s.read) for s in ranked] == [
        (Doubt.NOT_SEEN, "@fog", ""),
        (Doubt.UNLABELLED, "", "@hail"),
        (Doubt.TEXT, "@rain", "@train"),
    ]


def test_the_command_finds_labels_that_were_spoilt(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = [p for p in read_truth(root / "datasets/sample") if any(x.legible for ad in p.ads for x in ad.lines)][:6]
    rows = []
    for photo in listed:
        lines = [x for ad in photo.ads for x in ad.lines if x.legible and x.kind != "qr"]
        found = [{"quad": x.quad, "text": x.text, "conf": 0.97} for x in lines]
        rows.append(json.dumps({"file": photo.file, "lines": found, "identifiers": [], "ads": []}))
    (tmp_path / "predictions.jsonl").write_text("\n".join(rows) + "\n")
    first = listed[0].ads[0]
    spoilt = replace(next(x for x in first.lines if x.legible), text="QQQQQQ")
    lines = tuple(spoilt if x.legible and x.quad == spoilt.quad else x for x in first.lines)
    write_truth(
        tmp_path / "truth.jsonl", [replace(listed[0], ads=(replace(first, lines=lines), *listed[0].ads[1:])), *listed[1:]]
    )
    arguments = ["--predictions", str(tmp_path / "predictions.jsonl"), "--photos", str(root / "datasets/sample/photos")]
    assert cli.run(["dataset", "suspicious", str(tmp_path), *arguments, "--out", str(tmp_path / "out")]) == ExitCode.OK
    assert "labelled 'QQQQQQ'" in capsys.readouterr().out.splitlines()[0]
    with PilImage.open(tmp_path / "out/suspicious_text.png") as sheet:
        assert sheet.width > 300
