"""Watching a service: how far photos lie from the reference, when that changed, and which look new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from tagtrace.contract import Advert, Analysis, Identifier, IdentifierKind, Line, ModelInfo, Reading
from tagtrace.linking.store import Store
from tagtrace.linking.store.analyses import PhotoFacts, put_analysis
from tagtrace.scoring.drift import Reference, count

pytestmark = pytest.mark.train
BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))


def analysis(number: int, text: str = "@zz_test1", confidence: float = 0.97) -> Analysis:
    item = Identifier(IdentifierKind.TELEGRAM, "zz_test1", text, confidence)
    return Analysis("a.jpg", f"{number:064x}", 9, 9, (Advert(BOX, (Line(BOX, 0.9, Reading(text, confidence)),), (), (item,)),))


def reference() -> Reference:
    return Reference("tests", 100, {}, count(analysis(n) for n in range(100)))


def test_a_change_is_told_with_its_measure_and_chance_is_not() -> None:
    from tagtrace.training.watching import drift_table, own_reference

    mixed = [analysis(n, confidence=0.97 if n % 2 else 0.4) for n in range(100)]
    groups = {
        "same": mixed[:40],
        "worse": [analysis(n, "ЖҰМЫС", 0.4) for n in range(40)],
        "few": [analysis(n, confidence=0.4) for n in range(3)],
    }
    rows = drift_table(own_reference(mixed, "tests"), groups).splitlines()[2:]
    told = {(cells[1], cells[2]): cells[6] for cells in ([cell.strip() for cell in row.split("|")] for row in rows)}
    assert {word for (name, _), word in told.items() if name == "same"} == {"alike"}
    assert told["worse", "script"] == told["worse", "line confidence"] == "much" and told["worse", "photo"] == "alike"
    assert told["few", "line confidence"] == "may be chance"


def test_chance_stays_below_its_bound_as_often_as_it_says() -> None:
    from tagtrace.scoring.drift import stability
    from tagtrace.training.watching import by_chance

    rng = np.random.default_rng(5)
    shares = [0.1, 0.2, 0.3, 0.4]
    below = 0
    for _ in range(400):
        drawn = [dict(zip("abcd", rng.multinomial(size, shares).tolist(), strict=True)) for size in (300, 120)]
        below += stability(*drawn) <= by_chance(*drawn)
    assert 0.92 <= below / 400 <= 0.98


def test_the_index_over_time_rises_where_the_photos_change() -> None:
    from tagtrace.training.watching import draw_over_time, over_time

    photos = [analysis(n) for n in range(60)] + [analysis(n, confidence=0.4) for n in range(60, 120)]
    indices = over_time(reference(), photos, window=30, step=10)
    points = indices["line_confidence"]
    assert [number for number, _ in points] == list(range(30, 121, 10))
    assert max(index for number, index in points if number <= 60) < 0.1 < 0.25 < points[-1][1]
    assert points[-1][1] > points[4][1] > points[3][1]
    assert all(index < 0.1 for _, index in indices["script"])
    assert over_time(reference(), photos[:5], window=30, step=10)["script"][0][0] == 5
    assert draw_over_time(indices, change=60).width > 500
    assert draw_over_time({}).width > 500


def test_measures_are_drawn_beside_the_reference() -> None:
    from tagtrace.training.watching import draw_drift

    found = reference()
    drawn = draw_drift(found, {"now": count([analysis(1, confidence=0.4)]), "nothing": {}})
    assert drawn.width > 1000 and drawn.height > 500


def test_the_photo_that_is_unlike_all_known_ones_is_the_strangest(tmp_path: Path) -> None:
    from tagtrace.training.watching import strange_sheet, strangest

    rng = np.random.default_rng(1)
    known = {f"known{i}": rng.normal(size=6) for i in range(20)}
    arrived = {"alike.jpg": known["known3"] + 0.01, "far.jpg": np.full(6, 9.0), "farther.jpg": np.full(6, -30.0)}
    found = strangest(arrived, known)
    assert [item.name for item in found] == ["farther.jpg", "far.jpg", "alike.jpg"]
    assert found[0].distance > 5 > 0.1 > found[2].distance and found[2].nearest == "known3"
    assert strangest(arrived, known, most=1) == found[:1]
    assert strangest(arrived, {"one": np.zeros(6)}) == strangest({}, known) == []
    for name in arrived:
        PilImage.new("RGB", (90, 60), "grey").save(tmp_path / name)
    assert strange_sheet(found, tmp_path).width > 90


def test_a_store_gives_its_latest_analyses_in_order(tmp_path: Path) -> None:
    from tagtrace.training.watching import read_in

    with Store.open(str(tmp_path / "city.db"), upgrade=True) as store:
        for number in (3, 1, 2):
            store.write(lambda session, n=number: put_analysis(session, analysis(n), (), {}, PhotoFacts("", 9)), "tests")
        again = replace(analysis(3, confidence=0.5), models=(ModelInfo("recogniser", "reader-2", "ab" * 32),))
        store.write(lambda session: put_analysis(session, again, (), {}, PhotoFacts("", 9)), "tests")
        found = read_in(store)
        assert [int(item.sha256, 16) for item in found] == [1, 2, 3], "by when they were read last"
        assert found[-1].adverts[0].lines[0].reading.confidence == pytest.approx(0.5)
        assert [int(item.sha256, 16) for item in read_in(store, [f"{2:064x}"])] == [2]


def test_a_worse_camera_makes_smaller_darker_photos(tmp_path: Path) -> None:
    from tagtrace.training.rehearsal import WORSE_CAMERA, photograph_again

    rng = np.random.default_rng(2)
    bright = rng.integers(120, 255, (60, 90, 3)).astype(np.uint8)
    PilImage.fromarray(bright).save(tmp_path / "a.png")
    (written,) = photograph_again([tmp_path / "a.png"], tmp_path / "out", WORSE_CAMERA)
    with PilImage.open(written) as opened:
        taken = np.asarray(opened.convert("RGB"), np.float64)
    assert taken.shape == (30, 45, 3)
    assert taken.mean() == pytest.approx(bright.mean() * WORSE_CAMERA.brightness, rel=0.05)
    assert taken.std() < 0.5 * bright.std()
