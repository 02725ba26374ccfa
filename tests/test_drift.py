"""Whether what comes in looks as the validation photos did: the index, its reference, and the gauge that all processes give."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import service_helpers as helpers
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import (
    Advert,
    Analysis,
    Failure,
    FailureCode,
    Identifier,
    IdentifierKind,
    Line,
    Reading,
    TagtraceError,
)
from tagtrace.linking.store import Store
from tagtrace.linking.store.photos import PhotoFiles
from tagtrace.models.registry import default_folder, load_registry
from tagtrace.scoring.build import build_engine
from tagtrace.scoring.drift import (
    REFERENCE_NAME,
    Reference,
    count,
    drift,
    read_reference,
    script_of,
    stability,
    write_reference,
)
from tagtrace.service.jobs.reading import ReportReader, score_settings
from tagtrace.service.jobs.worker import Worker

BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
Counts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 1000), min_size=1)


def analysis(*texts: str, confidence: float = 0.97) -> Analysis:
    lines = tuple(Line(BOX, 0.9, Reading(text, confidence)) for text in texts)
    item = Identifier(IdentifierKind.TELEGRAM, "tulpar_kz1", "@tulpar_kz1", confidence)
    return Analysis("a.jpg", "a" * 64, 9, 9, (Advert(BOX, lines, (), (item,)),) if texts else ())


def test_what_is_counted() -> None:
    failed = replace(analysis(), failure=Failure(FailureCode.TRUNCATED, "cut"))
    assert count([analysis("@tulpar_kz1", "ЖҰМЫС БАР"), analysis(), failed]) == {
        "identifier_confidence": {"<=0.99": 1},
        "identifier_kind": {"telegram": 1},
        "line_confidence": {"<=0.99": 2},
        "lines": {"<=0": 1, "<=2": 1},
        "photo": {"adverts": 1, "failed": 1, "none": 1},
        "script": {"kazakh": 1, "latin": 1},
    }


@pytest.mark.parametrize(
    ("text", "script"),
    [("@abc", "latin"), ("РАБОТА", "cyrillic"), ("жұмыс", "kazakh"), ("пиши @abc", "mixed"), ("+7 701", "none"), ("", "none")],
)
def test_scripts(text: str, script: str) -> None:
    assert script_of(text) == script


def test_the_index_is_that_of_the_textbook() -> None:
    """Half and half against nine to one; the smoothing hardly counts with so many."""
    expected = (0.9 - 0.5) * math.log(0.9 / 0.5) + (0.1 - 0.5) * math.log(0.1 / 0.5)
    assert stability({"a": 50_000, "b": 50_000}, {"a": 90_000, "b": 10_000}) == pytest.approx(expected, rel=1e-3)


@given(one=Counts, other=Counts)
def test_the_index_is_never_negative_and_the_same_both_ways(one: dict[str, int], other: dict[str, int]) -> None:
    assert stability(one, other) >= 0
    assert stability(one, other) == pytest.approx(stability(other, one), abs=1e-9)
    assert stability(one, one) == 0


def test_a_reference_comes_back_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    made = Reference("some photos", 3, {"reader": "0" * 64}, count([analysis("@a"), analysis()]))
    path = tmp_path / "reference.json"
    write_reference(path, made)
    assert read_reference(path) == made
    path.write_text('{"source": 1}', encoding="utf-8")
    with pytest.raises(TagtraceError, match=r"reference\.json: is no reference"):
        read_reference(path)
    with pytest.raises(TagtraceError, match="cannot be read"):
        read_reference(tmp_path / "none.json")


def test_the_shipped_reference_is_of_the_shipped_models() -> None:
    shipped = read_reference(default_folder() / REFERENCE_NAME)
    known = {model.name: model.sha256 for model in load_registry().models}
    read = {name: sha256 for name, sha256 in shipped.models.items() if name in known}
    assert read == {name: known[name] for name in read} and len(read) >= 2, "make it again with `tagtrace models reference`"
    assert shipped.photos == sum(shipped.measures["photo"].values()) >= 200
    assert drift(shipped, shipped.measures) == dict.fromkeys(shipped.measures, 0.0)


def test_every_process_tells_the_same_drift(tmp_path: Path, store_url: str) -> None:
    path = tmp_path / "reference.json"
    write_reference(path, Reference("latin names", 1, {}, count([analysis("t.me/sample_kz1", confidence=0.99)] * 50)))
    values = {"reader": "service_helpers:light_reader", "drift_reference": str(path), "drift_photos": 3}
    settings = helpers.make_settings(tmp_path, store_url, **values)
    with helpers.client_of(settings) as client, Store.open(settings.store) as store:
        worker = Worker(
            settings, store, ReportReader(build_engine(score_settings(settings)), settings, store, PhotoFiles(settings.photos))
        )
        for number in range(3):
            assert "tagtrace_drift{" not in client.get("/metrics").text, "too few photos to tell"
            sent = client.post("/v1/reports", files={"photo": ("a.png", helpers.picture(number + 1), "image/png")})
            assert sent.status_code == 202 and worker.step()
        with helpers.client_of(settings) as other:
            told = [
                {line for line in each.get("/metrics").text.splitlines() if line.startswith("tagtrace_drift")}
                for each in (client, other)
            ]
    assert told[0] == told[1]
    assert "tagtrace_drift_photos 3.0" in told[0]
    indices = {line.split("{")[1].split("}")[0]: float(line.split()[-1]) for line in told[0] if "{" in line}
    assert indices['measure="script"'] == 0 and indices['measure="line_confidence"'] == 0, json.dumps(indices)
