"""The truth format: round trips keep everything, and bad files are reported by file, line and field."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagtrace.contract import TagtraceError
from tagtrace.datasets.datacard import Credit, data_card, write_data_card
from tagtrace.datasets.truth import (
    LINE_KINDS,
    AdvertTruth,
    DistractorTruth,
    LineTruth,
    PhotoTruth,
    iter_truth,
    photo_to_json,
    read_truth,
    write_truth,
)

SQUARE = [[0, 0], [100, 0], [100, 20], [0, 20]]


def record(**changes: Any) -> dict[str, Any]:
    line = {"text": "@Snow_Qala", "canonical": "snow_qala", "kind": "telegram", "part": [1, 1], "evasion": "mixed_case",
            "quad": SQUARE, "height_px": 20, "legible": True, "visible": 0.9, "stencil_font": "x"}  # fmt: skip
    advert = {"wall_id": "W1", "shop_id": "S1", "style": "stencil", "quad": SQUARE, "lines": [line], "paint": {"colour": "red"}}
    base = {"file": "a.jpg", "width": 640, "height": 480, "negative": False, "lat": 43.2, "lon": 76.9, "ads": [advert],
            "taken_at": "2026-07-21T10:39:23", "distractors": [{"text": "12", "quad": SQUARE, "kind": "house", "font": 3}],
            "light": "sun", "weather": ["dry", None]}  # fmt: skip
    return {**base, **changes}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return path


def test_unknown_fields_survive_a_round_trip_at_every_level(tmp_path: Path) -> None:
    photos = read_truth(write(tmp_path / "truth.jsonl", record()))
    assert photos[0].extra == {"weather": ["dry", None]}
    assert photos[0].ads[0].lines[0].extra == {"stencil_font": "x"}
    assert write_truth(tmp_path / "again.jsonl", photos) == 1
    assert json.loads((tmp_path / "again.jsonl").read_text(encoding="utf-8")) == json.loads(photo_to_json(photos[0]))
    written = json.loads((tmp_path / "again.jsonl").read_text(encoding="utf-8"))
    assert {k: written[k] for k in record()} == record()
    assert "yaw" not in written, "an unknown value is left out, not written as null"
    assert read_truth(tmp_path / "again.jsonl") == photos


def test_folder_is_read_through_its_truth_file_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text("\n" + json.dumps(record()) + "\n\n", encoding="utf-8")
    assert [p.file for p in read_truth(tmp_path)] == ["a.jpg"]


def test_photo_without_adverts_is_negative_unless_it_says_otherwise(tmp_path: Path) -> None:
    bare = {"file": "b.jpg", "width": 1, "height": 1, "ads": []}
    photos = read_truth(write(tmp_path / "t.jsonl", bare, record()))
    assert [p.negative for p in photos] == [True, False]
    assert photos[0].distractors == ()


def broken_line(**changes: Any) -> dict[str, Any]:
    bad = record()
    bad["ads"][0]["lines"][0].update(changes)
    return bad


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([1, 2], ["expected an object"]),
        (record(width="640"), ["'width'", "number", '"640"']),
        (record(width=0), ["'width'", "at least 1"]),
        (record(height=2.5), ["'height'", "whole"]),
        (record(file=""), ["'file'"]),
        (record(negative="no"), ["'negative'", "true or false"]),
        (record(taken_at="yesterday"), ["'taken_at'", "ISO 8601"]),
        (record(ads={}), ["'ads'", "a list"]),
        (record(distractors=[{"text": "a", "kind": "sign"}]), ["distractors[0]", "'quad'", "missing"]),
        (broken_line(quad=[[0, 0], [1, 0], [1, 1]]), ["ads[0], lines[0]", "'quad'", "four corners"]),
        (broken_line(quad=[[0, 0], [1, 0], [1, 1], [0, "x"]]), ["'quad'"]),
        (broken_line(kind="telegrm"), ["'kind'", "telegram", "telegrm"]),
        (broken_line(part=[2, 1]), ["'part'", "[2, 1]"]),
        (broken_line(part=[True, 1]), ["'part'"]),
        (broken_line(legible=None), ["'legible'"]),
        (broken_line(height_px=True), ["'height_px'"]),
    ],
)
def test_bad_records_are_reported_with_file_line_and_field(tmp_path: Path, bad: object, words: list[str]) -> None:
    path = write(tmp_path / "truth.jsonl", record(file="good.jpg"), bad)
    with pytest.raises(TagtraceError) as caught:
        read_truth(path)
    assert str(caught.value).startswith(f"{path}:2")
    for word in words:
        assert word in str(caught.value)


def test_bad_files_are_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(TagtraceError, match="none.jsonl: cannot be read"):
        read_truth(tmp_path / "none.jsonl")
    (tmp_path / "cut.jsonl").write_text(json.dumps(record()) + '\n{"file": "b.j', encoding="utf-8")
    with pytest.raises(TagtraceError, match=r"cut.jsonl:2: is not JSON"):
        read_truth(tmp_path / "cut.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TagtraceError, match="binary.jsonl: is not UTF-8"):
        read_truth(tmp_path / "binary.jsonl")
    with pytest.raises(TagtraceError, match=r"twice.jsonl:2.*line 1 already"):
        read_truth(write(tmp_path / "twice.jsonl", record(), record()))


def test_reading_is_lazy_and_writing_is_all_or_nothing(tmp_path: Path) -> None:
    photos = iter_truth(write(tmp_path / "truth.jsonl", record(), {"file": "bad"}))
    assert next(photos).file == "a.jpg"
    kept = write(tmp_path / "kept.jsonl", record(file="old.jpg"))
    with pytest.raises(TagtraceError, match="truth.jsonl:2"):
        write_truth(kept, iter_truth(tmp_path / "truth.jsonl"))
    assert [p.file for p in read_truth(kept)] == ["old.jpg"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept.jsonl", "truth.jsonl"]
    with pytest.raises(TagtraceError, match="cannot be written"):
        write_truth(tmp_path / "no" / "such" / "folder.jsonl", [])


finite = st.floats(-5000, 5000, allow_nan=False)
points = st.tuples(finite, finite)
quads = st.tuples(points, points, points, points)
names = st.text('aZ0ЖҰ"\\\n\u2028\u00a0😀 ', min_size=1, max_size=6)
extras = st.dictionaries(names.map(lambda n: "x_" + n), st.none() | st.booleans() | st.integers() | names, max_size=2)
shares = st.none() | st.floats(0, 1)
lines = st.builds(LineTruth, text=names, canonical=names, kind=st.sampled_from(sorted(LINE_KINDS)), quad=quads,
                  legible=st.booleans(), height_px=st.floats(0, 500), part=st.sampled_from([(1, 1), (1, 2)]),
                  evasion=names, visible=shares, in_frame=shares,
                  contrast=shares, rule=st.none() | st.integers(0, 9), extra=extras)  # fmt: skip
adverts = st.builds(AdvertTruth, wall_id=names, shop_id=names, style=names, quad=quads,
                    lines=st.lists(lines, max_size=2).map(tuple), extra=extras)  # fmt: skip
distractors = st.builds(DistractorTruth, text=names, quad=quads, kind=names, extra=extras,
                        lines=st.none() | st.lists(lines, min_size=1, max_size=2).map(tuple))  # fmt: skip
photo_truths = st.builds(PhotoTruth, file=names, width=st.integers(1, 9000), height=st.integers(1, 9000), negative=st.booleans(),
                         ads=st.lists(adverts, max_size=2).map(tuple), distractors=st.lists(distractors, max_size=2).map(tuple),
                         lat=st.none() | st.floats(-90, 90), yaw=shares, style=names, orientation=st.none() | st.integers(1, 8),
                         taken_at=st.none() | st.datetimes().map(lambda d: d.isoformat()), extra=extras)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(photo_truths, max_size=2, unique_by=lambda p: p.file))
def test_any_truth_survives_a_round_trip(tmp_path_factory: pytest.TempPathFactory, photos: list[PhotoTruth]) -> None:
    path = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    write_truth(path, photos)
    assert read_truth(path) == photos


def test_the_types_cannot_be_changed() -> None:
    photo = PhotoTruth(file="a.jpg", width=1, height=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        photo.file = "b.jpg"  # type: ignore[misc]


# --- the data card --------------------------------------------------------------------------------


def test_the_data_card_counts_what_is_there(tmp_path: Path) -> None:
    photos = read_truth(write(tmp_path / "t.jsonl", record(), record(file="b.jpg"), {"file": "c.jpg", "width": 320, "height": 240,
                              "ads": [], "negative_kind": "bare", "yaw": -50}))  # fmt: skip
    credits = [Credit("Red | brick", "A. Author", "CC BY 4.0", "a collection")]
    write_data_card(photos, tmp_path / "CARD.md", "Walls", credits=credits)
    card = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    for expected in (
        "# Walls",
        "| photos | 3 |",
        "| without an advert | 1 (33.3 %) |",
        "| pixels | 320 × 240 to 640 × 480 |",
        "| adverts | 2 of 1 walls and 1 shops |",
        "| text lines | 2, legible 2 (100.0 %) |",
        "| bare | 1 (33.3 %) |",
        "| house | 2 (100.0 %) |",
        "| mixed_case | 2 (100.0 %) |",
        "| 16-24 px | 2 (100.0 %) |",
        "| 45-60 deg | 1 (33.3 %) |",
        "| Red \\| brick | A. Author | CC BY 4.0 | a collection |",
    ):
        assert expected in card, expected


def test_the_data_card_of_nothing_says_so() -> None:
    assert "There are no photos" in data_card([])
