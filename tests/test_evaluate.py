"""Measures: against hand-counted cases, and number for number against the scorer that comes with the walls3d photos."""

import importlib.util
import json
import random
import string
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import IdentifierKind, Quad, Resource, TagtraceError
from tagtrace.datasets.truth import AdvertTruth, DistractorTruth, LineTruth, PhotoTruth, read_truth
from tagtrace.training.matching import comparable, match_photo, overlap, scored_kinds, true_identifiers
from tagtrace.training.metrics import score, score_clusters
from tagtrace.training.predictions import FoundAdvert, FoundIdentifier, FoundLine, Prediction, parse_prediction, read_predictions

SHARED = Path(__file__).resolve().parents[2] / "shared" / "walls3d"


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


@given(labels)
def test_b_cubed_is_the_mean_over_items(pairs: list[tuple[int, int]]) -> None:
    truth, clusters = [f"t{a}" for a, _ in pairs], [f"c{b}" for _, b in pairs]
    result = score_clusters(truth, clusters)
    items = range(len(pairs))
    p = np.mean([np.mean([truth[j] == truth[i] for j in items if clusters[j] == clusters[i]]) for i in items])
    r = np.mean([np.mean([clusters[j] == clusters[i] for j in items if truth[j] == truth[i]]) for i in items])
    assert (result.bcubed["p"], result.bcubed["r"]) == (pytest.approx(p), pytest.approx(r))
    assert score_clusters(truth, truth).pairwise.fp == 0


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


# --- predictions files ------------------------------------------------------------------------------


def test_predictions_are_read_with_what_may_be_left_out(tmp_path: Path) -> None:
    record = {"file": "night/a.jpg", "lines": [{"quad": quad(0, 0), "text": None}], "ads": [{"quad": quad(0, 0), "cluster": 7}]}
    (tmp_path / "p.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({"file": "b.jpg"}) + "\n")
    predictions = read_predictions(tmp_path / "p.jsonl")
    assert predictions["a.jpg"].lines == (FoundLine(quad(0, 0), "", 0.0),)
    assert predictions["a.jpg"].adverts == (FoundAdvert(quad(0, 0), "7"),)
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
