"""The forms that results take: JSON and its schema, predictions as scorers read them, tables, GeoJSON, the report."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import BinaryIO

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as PilImage

from tagtrace.contract import (
    Advert,
    Analysis,
    Char,
    Code,
    Failure,
    FailureCode,
    Flag,
    Hypothesis,
    Identifier,
    IdentifierKind,
    Line,
    ModelInfo,
    Reading,
    Resource,
)
from tagtrace.linking.shops import Shops
from tagtrace.scoring import annotate
from tagtrace.scoring.placing import place_all
from tagtrace.scoring.records import analysis_from_json, analysis_to_json, dump, result_to_json, schema
from tagtrace.scoring.settings import RunSettings, ScoreSettings
from tagtrace.scoring.worker import crop_path
from tagtrace.scoring.writers import FORMATS, WRITERS, Batch
from tagtrace.scoring.writers.tables import csv_safe

K = IdentifierKind
HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)> & \"ЖҰМЫС\""
QUAD = ((20.0, 20.0), (180.0, 24.0), (180.0, 60.0), (20.0, 56.0))
MODELS = (ModelInfo("detector", "d1", "a" * 64), ModelInfo("recogniser", "r1", "b" * 64))


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def analysis(number: int, name: str, *texts: str, place: tuple[float, float] | None = (43.25, 76.9)) -> Analysis:
    chars = tuple(Char(char, 0.9, (("x", 0.05), ("й", 0.01))) for char in texts[0]) if texts else ()
    hypotheses = (Hypothesis(texts[0], -0.25), Hypothesis("", float("-inf"))) if texts else ()
    lines = tuple(Line(QUAD, 0.9, Reading(text, 0.8, hypotheses, chars if text == texts[0] else ())) for text in texts)
    found = tuple(
        Identifier(K.TELEGRAM, text[1:], text, 0.87654321, (("other", 0.1),), (Flag.REPAIRED,), (index,), (0,))
        for index, text in enumerate(texts)
        if text.startswith("@")
    )
    advert = Advert(QUAD, lines, (Code("https://t.me/x?start=1", "QRCode", QUAD),), found)
    lat, lon = place or (None, None)
    return Analysis(
        *(name, sha(number), 400, 300),
        adverts=(advert,) if texts else (),
        models=MODELS,
        taken_at=datetime(2026, 7, 20, 22, 39, 23, 900_000, tzinfo=UTC),
        lat=lat,
        lon=lon,
        report_id="R-1",
        seconds=0.25,
        stages=(("decode", 0.05), ("read", 0.2)),
    )


def failed(name: str) -> Analysis:
    return Analysis(name, "", 0, 0, failure=Failure(FailureCode.MISSING, f"{name}: there is no such file"))


def batch(tmp_path: Path, *analyses: Analysis) -> Batch:
    shops = Shops([Resource(K.TELEGRAM, "tulpar_kz1", "A", "Тұлпар"), Resource(K.TELEGRAM, "umitsnow", "=B", HOSTILE)])
    settings = ScoreSettings()
    hashed = [(item, 0x0123456789ABCDEF if item.adverts else None) for item in analyses]
    results = place_all(hashed, shops, settings.links, settings.clusters)
    return Batch(tuple(results), shops, {**settings.to_json(), "engine": {}}, settings.run, tmp_path / "crops")


def everything(tmp_path: Path) -> Batch:
    return batch(
        tmp_path,
        analysis(1, "a.jpg", "@tulpar_kz1"),
        analysis(2, "b.jpg", HOSTILE, "@umitsnow", place=(43.25, 76.9001)),
        analysis(3, "c/қала.jpg", "@tulpar_kz1", place=None),
        analysis(4, "bare.jpg"),
        failed("<b>gone</b>.jpg"),
    )


def written(write: Callable[[Batch, BinaryIO], None], from_batch: Batch) -> bytes:
    file = io.BytesIO()
    write(from_batch, file)
    return file.getvalue()


def rows(name: str, from_batch: Batch) -> list[dict]:
    return [json.loads(line) for line in written(WRITERS[name].write, from_batch).decode().splitlines()]


# --- JSON ---


def test_results_follow_the_schema(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    records = rows("results", everything(tmp_path))
    assert len(records) == 5
    for record in records:
        validator.validate(record)
    damaged = {**records[0], "adverts": [{**records[0]["adverts"][0], "surprise": 1}]}
    assert not validator.is_valid(damaged) and not validator.is_valid({**records[0], "lat": 143})
    assert not validator.is_valid({**records[0], "schema_version": "2.0"})


def test_records_are_read_back_as_they_were() -> None:
    first = analysis(1, "a.jpg", "@tulpar_kz1", "РАБОТА")
    record = json.loads(dump(analysis_to_json(first, 5)))
    again, picture_hash = analysis_from_json(record)
    assert picture_hash == 5 and analysis_to_json(again, 5) == analysis_to_json(first, 5)
    assert again.adverts[0].identifiers[0].alternatives == (("other", 0.1),)
    assert again.adverts[0].lines[0].reading.chars[0] == Char("@", 0.9, (("x", 0.05), ("й", 0.01)))
    assert again.taken_at == datetime(2026, 7, 20, 22, 39, 23, tzinfo=UTC)
    lost, none = analysis_from_json(analysis_to_json(failed("x.jpg"), None))
    assert none is None and lost.failure == failed("x.jpg").failure
    with pytest.raises(ValueError, match=r"version 2\.0"):
        analysis_from_json({**record, "schema_version": "2.0"})


def test_results_can_be_read_as_records(tmp_path: Path) -> None:
    result = everything(tmp_path).results[0]
    again, _ = analysis_from_json(json.loads(dump(result_to_json(result, {}))))
    assert [(i.kind, i.value) for i in again.adverts[0].identifiers] == [(K.TELEGRAM, "tulpar_kz1")]


def test_json_holds_no_infinity_and_keeps_letters() -> None:
    text = dump(analysis_to_json(analysis(1, "қала.jpg", "@ә"), None))
    assert "Infinity" not in text and "қала.jpg" in text and "-1000000.0" in text


def test_predictions(tmp_path: Path) -> None:
    first, second, third, bare, gone = rows("predictions", everything(tmp_path))
    assert first["file"] == "a.jpg" and first["seconds"] == 0.25
    assert first["lines"] == [{"quad": [list(corner) for corner in QUAD], "text": "@tulpar_kz1", "conf": 0.9}]
    assert first["identifiers"] == [{"kind": "telegram", "value": "tulpar_kz1", "conf": 0.876543, "shop_id": "A"}]
    assert first["ads"][0]["cluster"] == third["ads"][0]["cluster"] != second["ads"][0]["cluster"]
    assert bare["ads"] == [] and "failure" not in bare
    assert gone["failure"] == "missing" and gone["lines"] == []


SCORER = Path(__file__).parents[2] / "shared" / "walls3d" / "score.py"


@pytest.mark.skipif(not SCORER.exists(), reason="the scorer is not here")
def test_the_scorer_reads_predictions(tmp_path: Path) -> None:
    made = batch(tmp_path, analysis(1, "a.jpg", "@tulpar_kz1"))
    (tmp_path / "predictions.jsonl").write_bytes(written(WRITERS["predictions"].write, made))
    line = {"text": "@tulpar_kz1", "canonical": "tulpar_kz1", "kind": "telegram", "part": [1, 1], "quad": QUAD, "legible": True}
    advert = {"wall_id": "W", "shop_id": "A", "style": "spray", "quad": QUAD, "lines": [line]}
    truth = {"file": "a.jpg", "negative": False, "ads": [advert], "distractors": [], "difficulty": "easy"}
    (tmp_path / "truth.jsonl").write_text(json.dumps(truth))
    (tmp_path / "registry.csv").write_text("shop_id,shop_name,kind,value\nA,Tulpar,telegram,tulpar_kz1\n")
    arguments = ["--truth", tmp_path, "--pred", tmp_path / "predictions.jsonl", "--json", tmp_path / "out.json"]
    subprocess.run([sys.executable, SCORER, *map(str, arguments)], check=True, capture_output=True, timeout=120)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["detection"]["f1"] == 1.0 and found["identifiers"]["all"]["recall"] == 1.0
    assert found["linking"]["accuracy"] == 1.0 and found["clustering"]["given"]


# --- tables ---


def table(name: str, from_batch: Batch) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(WRITERS[name].write, from_batch).decode(), newline="")))


def test_identifiers_table(tmp_path: Path) -> None:
    first, second, third = table("identifiers", everything(tmp_path))
    assert (first["file"], first["kind"], first["value"], first["raw"]) == ("a.jpg", "telegram", "tulpar_kz1", "@tulpar_kz1")
    assert (first["outcome"], first["shop_id"], first["shop_name"], first["flags"]) == ("same", "A", "Тұлпар", "repaired")
    assert (first["lat"], first["taken_at"], first["report_id"]) == ("43.25", "2026-07-20T22:39:23Z", "R-1")
    assert second["shop_name"] == HOSTILE and second["shop_id"] == "'=B"
    assert third["lat"] == "" and third["cluster"] == first["cluster"]


@pytest.mark.parametrize("text", ["=1+1", "+1-cmd|' /C calc'!A0", "-2+3", "@SUM(1+9)*cmd|' /C calc'!A0", "\t=1", "@a b"])
def test_formulas_are_defused(text: str) -> None:
    assert csv_safe(text) == "'" + text


@pytest.mark.parametrize("text", ["+77010000000", "@tulpar_kz1", "+AbC-d_e", "plain", "", "a=b", 5, 0.5])
def test_plain_values_stay_as_they_are(text: object) -> None:
    assert csv_safe(text) == text


def test_clusters_table(tmp_path: Path) -> None:
    found = {row["identifiers"]: row for row in table("clusters", everything(tmp_path))}
    tulpar = found["telegram:tulpar_kz1"]
    assert (tulpar["photos"], tulpar["adverts"], tulpar["shop_id"], tulpar["lat"]) == ("2", "2", "A", "43.25")
    assert tulpar["files"] == "a.jpg; c/қала.jpg" and tulpar["first_seen"] == tulpar["last_seen"] == "2026-07-20T22:39:23Z"
    assert found["telegram:umitsnow"]["photos"] == "1"


def test_parquet(tmp_path: Path) -> None:
    data = written(WRITERS["adverts"].write, everything(tmp_path))
    found = pq.read_table(io.BytesIO(data)).to_pylist()
    assert [row["file"] for row in found] == ["a.jpg", "b.jpg", "c/қала.jpg"]
    assert found[0]["quad"] == [list(corner) for corner in QUAD]
    assert found[1]["text"] == HOSTILE + "\n@umitsnow" and found[2]["lat"] is None
    assert found[0]["identifiers"][0] | {"raw": None} == {
        "kind": "telegram",
        "value": "tulpar_kz1",
        "raw": None,
        "outcome": "same",
        "shop_id": "A",
        "confidence": 0.87654321,
        "link_probability": found[0]["identifiers"][0]["link_probability"],
        "flags": ["repaired"],
    }
    assert found[0]["taken_at"] == datetime(2026, 7, 20, 22, 39, 23, tzinfo=UTC)
    empty = pq.read_table(io.BytesIO(written(WRITERS["adverts"].write, batch(tmp_path, failed("x.jpg")))))
    assert empty.num_rows == 0 and "cluster" in empty.column_names


def test_geojson(tmp_path: Path) -> None:
    found = json.loads(written(WRITERS["geojson"].write, everything(tmp_path)))
    assert [feature["properties"]["file"] for feature in found["features"]] == ["a.jpg", "b.jpg"]
    assert found["features"][0]["geometry"] == {"type": "Point", "coordinates": [76.9, 43.25]}
    assert "report_id" not in found["features"][0]["properties"]


# --- pictures ---


def test_annotated_pictures_show_what_was_found() -> None:
    wall = np.full((300, 400, 3), 200, np.uint8)
    advert = analysis(1, "a.jpg", "@tulpar_kz1").adverts[0]
    drawn = annotate.annotated(wall, [advert], 2000)
    assert drawn.shape == wall.shape and (drawn[18:62, 18:182] != 200).any() and (drawn[200:, 300:] == 200).all()
    assert (wall == 200).all(), "the photo itself stays as it is"
    assert annotate.annotated(wall, [advert], 100).shape == (75, 100, 3)
    assert (annotate.annotated(wall, [], 2000) == 200).all()


def test_label_font_knows_kazakh_letters() -> None:
    font = annotate._font(40)
    missing = font.getmask("\ufffe").getbbox(), bytes(font.getmask("\ufffe"))
    for letter in "ӘҒҚҢӨҰҮҺІәғқңөұүһіЯж@₸№":
        assert (font.getmask(letter).getbbox(), bytes(font.getmask(letter))) != missing, letter


def test_crop_stays_inside_the_photo() -> None:
    wall = np.zeros((300, 400, 3), np.uint8)
    wall[20:60, 20:180] = 255
    piece = annotate.crop(wall, QUAD, 1000, 0.1)
    assert piece.shape == (72, 192, 3) and piece[36, 96, 0] > 200
    outside = ((500.0, 500.0), (600.0, 500.0), (600.0, 550.0), (500.0, 550.0))
    assert min(annotate.crop(wall, outside, 100, 0.1).shape) >= 1
    assert max(annotate.crop(wall, QUAD, 50, 0.1).shape) == 50


def test_jpegs_carry_no_metadata() -> None:
    picture = PilImage.open(io.BytesIO(annotate.jpeg(np.zeros((20, 20, 3), np.uint8), 80)))
    assert not picture.getexif() and set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


# --- report ---


class Page(HTMLParser):
    """The tags and scripts of a page, as a browser splits it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in self.texts else ""
        if self._inside:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside][-1] += data


def report(tmp_path: Path) -> tuple[str, Page]:
    made = everything(tmp_path)
    made.crops.mkdir()
    crop_path(made.crops, sha(1), 0).write_bytes(annotate.jpeg(np.zeros((20, 20, 3), np.uint8), 80))
    text = written(WRITERS["report"].write, made).decode()
    return text, Page(text)


def test_report_holds_everything(tmp_path: Path) -> None:
    data = json.loads(report(tmp_path)[1].texts["script"][0])
    assert (data["photos"], len(data["adverts"]), len(data["failures"])) == (5, 3, 1)
    first, second, _ = data["adverts"]
    assert first["crop"].startswith("data:image/jpeg;base64,") and second["crop"] is None
    assert PilImage.open(io.BytesIO(base64.b64decode(first["crop"].split(",")[1]))).size == (20, 20)
    assert (first["shop"], first["shopName"], first["ids"][0]["outcome"]) == ("A", "Тұлпар", "same")
    assert second["text"] == HOSTILE + "\n@umitsnow"
    assert data["failures"][0] == {
        "file": "<b>gone</b>.jpg",
        "code": "missing",
        "message": "<b>gone</b>.jpg: there is no such file",
    }
    assert data["provenance"]["models"][0]["sha256"] == "a" * 64
    assert "R-1" not in json.dumps(data), "reports stay out of what is handed around"


def test_hostile_text_cannot_leave_its_block(tmp_path: Path) -> None:
    text, page = report(tmp_path)
    assert len(page.texts["script"]) == 2
    assert not [tag for tag, _ in page.tags if tag in ("img", "b", "iframe", "object", "link")]
    assert HOSTILE not in text and "onerror=alert(1)>" not in text


def test_report_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    text, page = report(tmp_path)
    policy = next(
        a["content"] or "" for tag, a in page.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for name, content in (("script", page.texts["script"][1]), ("style", page.texts["style"][0])):
        assert rules[f"{name}-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    assert not [a for _, a in page.tags if any(name.startswith("on") or name == "style" for name in a)]
    assert not [a for tag, a in page.tags if a.get("src") or (a.get("href") or "#")[0] != "#"]
    assert not re.search(r"https?://(?!t\.me/|www\.w3\.org/2000/svg)", text)
    assert "innerHTML" not in text and "eval(" not in text


def test_report_shows_the_surest_when_there_are_too_many(tmp_path: Path) -> None:
    made = replace(everything(tmp_path), run=RunSettings(report_crops=0))
    made.crops.mkdir()
    crop_path(made.crops, sha(1), 0).write_bytes(b"x")
    page = Page(written(WRITERS["report"].write, made).decode())
    assert [advert["crop"] for advert in json.loads(page.texts["script"][0])["adverts"]] == [None] * 3


CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_report_in_a_browser(tmp_path: Path) -> None:
    """The page works from the disk, shows hostile text as text, and its filters are filled."""
    text, _ = report(tmp_path)
    path = tmp_path / "report.html"
    path.write_text(text, "utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--lang=en", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [str(CHROMIUM), *options, "--virtual-time-budget=3000", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    shown = done.stdout
    assert "3 of 3 adverts" in shown and "5 photos, 3 adverts, 2 clusters, 1 failed" in shown, done.stderr[-2000:]
    assert shown.count('class="card"') == 3 and shown.count("<circle") == 2
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown and "&lt;b&gt;gone&lt;/b&gt;.jpg" in shown
    assert '<option value="A">Тұлпар (A)</option>' in shown


def test_every_format_is_named_once() -> None:
    assert len(set(FORMATS)) == len(FORMATS) == 8 and len({writer.file for writer in WRITERS.values()}) == 7
