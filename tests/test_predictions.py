"""Predictions files: read with what may be left out, refused by file and line, and scored as the scorer of walls3d does."""

import importlib.util
import json
import random
import string
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tagtrace.contract import IdentifierKind, Quad, Resource, TagtraceError
from tagtrace.datasets.truth import PhotoTruth, read_truth
from tagtrace.training.metrics import score
from tagtrace.training.predictions import FoundAdvert, FoundLine, Prediction, parse_prediction, read_predictions

SHARED = Path(__file__).resolve().parents[2] / "shared" / "walls3d"
QUAD: Quad = ((0, 0), (100, 0), (100, 20), (0, 20))


# --- reading ----------------------------------------------------------------------------------------


def test_predictions_are_read_with_what_may_be_left_out(tmp_path: Path) -> None:
    record = {"file": "night/a.jpg", "lines": [{"quad": QUAD, "text": None}], "ads": [{"quad": QUAD, "cluster": 7}]}
    (tmp_path / "p.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({"file": "b.jpg"}) + "\n")
    predictions = read_predictions(tmp_path / "p.jsonl")
    assert predictions["a.jpg"].lines == (FoundLine(QUAD, "", 0.0),)
    assert predictions["a.jpg"].adverts == (FoundAdvert(QUAD, "7"),)
    assert predictions["b.jpg"] == Prediction("b.jpg")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], "must be an object"),
        ({"lines": []}, "file must be text"),
        ({"file": "a", "lines": [{"text": "x"}]}, r"lines\[0\]: quad must be four corners"),
        ({"file": "a", "lines": {}, "ads": {"x": 1}}, "ads must be a list"),
        ({"file": "a", "identifiers": [{"kind": "phone", "value": 7}]}, r"identifiers\[0\]: value must be text"),
        ({"file": "a", "seconds": "fast"}, "seconds must be a finite number"),
        ({"file": "b"}, "already"),
    ],
)
def test_bad_predictions_are_reported_with_file_and_line(tmp_path: Path, record: Any, words: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"file": "b"}\n' + json.dumps(record) + "\n")
    with pytest.raises(TagtraceError, match=words) as caught:
        read_predictions(path)
    assert str(caught.value).startswith(f"{path}:2")


def test_a_prediction_may_name_its_photo_by_path() -> None:
    assert parse_prediction({"file": "/data/night/a.jpg"}, "x").file == "a.jpg"


# --- the scorer that comes with the photos ----------------------------------------------------------


def corrupted(text: str, rng: random.Random) -> str:
    letters = list(text)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        spot = rng.randrange(len(letters) + 1)
        letters[spot : spot + rng.choice([0, 1])] = rng.choice(["", rng.choice(string.ascii_lowercase + "аеос ")])
    return "".join(letters)


def moved(corners: Quad, rng: random.Random) -> list[list[float]]:
    size = max(abs(corners[2][1] - corners[0][1]), 4)
    dx, dy = rng.gauss(0, size / 4), rng.gauss(0, size / 4)
    return [[round(x + dx, 1), round(y + dy, 1)] for x, y in corners]


def invented_record(truth: PhotoTruth, rng: random.Random) -> dict[str, Any]:
    """What a middling reader might report about a photo."""
    lines, identifiers, ads = [], [], []
    shops = ["SS001", "SS003", "SS005", None, None]
    for ad in truth.ads:
        if rng.random() < 0.8:
            ads.append({"quad": moved(ad.quad, rng), "cluster": rng.choice(["c1", "c2", ad.wall_id]), "shop_cluster": ad.shop_id})
        for one in ad.lines:
            if rng.random() < 0.8:
                lines.append({"quad": moved(one.quad, rng), "text": corrupted(one.text, rng), "conf": round(rng.random(), 1)})
            if one.kind != "word" and rng.random() < 0.8:
                kind = "telegram" if one.kind == "qr" else rng.choice([one.kind] * 5 + ["url", "tg", "handle", "btc"])
                shop = rng.choice([*shops, ad.shop_id, ad.shop_id])
                value = one.text if rng.random() < 0.3 else corrupted(one.canonical, rng)
                identifiers.append({"kind": kind, "value": value, "conf": rng.random(), "shop_id": shop})
    for d in truth.distractors:
        if rng.random() < 0.6:
            lines.append({"quad": moved(d.quad, rng), "text": d.text, "conf": 0.3})
            identifiers.append({"kind": "phone", "value": d.text, "conf": 0.2, "shop_id": rng.choice(shops)})
    if rng.random() < 0.4:
        lines.append({"quad": [[5, 5], [90, 9], [90, 30], [5, 26]], "text": "l", "conf": None})
    whole = {"cluster": "c9", "shop_cluster": None} if rng.random() < 0.2 else {}
    return {
        "file": truth.file,
        "seconds": round(rng.random(), 3),
        "lines": lines,
        "identifiers": identifiers,
        "ads": ads,
        **whole,
    }


@pytest.fixture(scope="module")
def scorer() -> ModuleType:
    if not (SHARED / "score.py").exists():
        pytest.skip("the walls3d photos are not beside the repository")
    spec = importlib.util.spec_from_file_location("walls3d_score", SHARED / "score.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_same(expected: Any, ours: Any, where: str = "") -> None:
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in ours, f"{where}.{key} is missing"
            assert_same(value, ours[key], f"{where}.{key}")
    else:
        assert ours == (expected if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9)), where


@pytest.mark.parametrize("seed", range(6))
def test_the_same_numbers_as_the_scorer_of_the_photos(scorer: ModuleType, tmp_path: Path, seed: int) -> None:
    photos = read_truth(SHARED / "sample")
    rng = random.Random(seed)
    records = [invented_record(p, rng) for p in photos if rng.random() < 0.9]
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    raw, registry = scorer.load(SHARED / "sample")
    expected = scorer.score(raw, {r["file"]: r for r in records}, registry)
    shops = [Resource(IdentifierKind(r["kind"]), r["value"], r["shop_id"]) for r in registry]
    ours = score(photos, read_predictions(path), shops).to_json()
    assert expected["detection"]["tp"] > 20 and expected["identifiers"]["all"]["predicted"] > 20
    assert_same(expected, ours)
