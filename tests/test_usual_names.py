"""Of several names that a line may spell, the more usual one: what the model of names weighs, and what it must not."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace import cli
from tagtrace.contract import Hypothesis, IdentifierKind, Line, Quad, Reading
from tagtrace.inference.identifiers import ExtractSettings, extract_advert
from tagtrace.inference.identifiers.usual import FILE, NameModel, count_grams, load_grams, name_model, save_grams

QUAD: Quad = ((0, 0), (200, 0), (200, 20), (0, 20))


def read_as(*texts: tuple[str, float]) -> Line:
    """A line that a recogniser reads as one of ``texts``, with their probabilities."""
    hypotheses = tuple(Hypothesis(text, math.log(share)) for text, share in texts)
    return Line(QUAD, 0.9, Reading(texts[0][0], 0.9, hypotheses))


def names_of(line: Line, options: ExtractSettings) -> list[str]:
    found = [i for i in extract_advert([line], (), options) if i.kind is IdentifierKind.TELEGRAM]
    return [found[0].value, *(value for value, _ in found[0].alternatives)] if found else []


def test_the_usual_name_wins_where_the_picture_is_in_doubt() -> None:
    line = read_as(("t.me/zelquar_heb74", 0.5), ("t.me/zelquar_hub74", 0.35), ("t.me/zelquar_h8b74", 0.1))
    options = ExtractSettings(unsure_from=0.0)
    assert names_of(line, options)[0] == "zelquar_hub74"
    assert names_of(line, replace(options, usual_weight=0.0))[0] == "zelquar_heb74"


def test_sites_are_weighed_by_the_name_before_their_suffix() -> None:
    line = read_as(("https://zelquar-strget.kz", 0.5), ("https://zelquar-street.kz", 0.4))
    (site,) = extract_advert([line], (), ExtractSettings(unsure_from=0.0))
    assert site.value == "zelquar-street.kz"


def test_what_the_picture_shows_clearly_stays() -> None:
    line = read_as(("t.me/zelquar_heb74", 0.998), ("t.me/zelquar_hub74", 0.002))
    assert names_of(line, ExtractSettings(unsure_from=0.0))[0] == "zelquar_heb74"


def test_no_digit_is_more_usual_than_another() -> None:
    """Siblings differ in a digit: the model must never turn one into the other."""
    model = name_model()
    assert len({round(model.log_prob(f"zelquar_kz{digit}"), 9) for digit in "0123456789"}) == 1
    line = read_as(("@zelquar_kz3", 0.5), ("@zelquar_kz8", 0.45))
    assert names_of(line, ExtractSettings(unsure_from=0.0)) == ["zelquar_kz3", "zelquar_kz8"]


def test_probabilities_of_the_claims_are_kept_together() -> None:
    line = read_as(("t.me/zelquar_heb74", 0.5), ("t.me/zelquar_hub74", 0.4))
    options = ExtractSettings(unsure_from=0.0)
    (weighed,) = extract_advert([line], (), options)
    (plain,) = extract_advert([line], (), replace(options, usual_weight=0.0))
    total = [item.confidence + sum(p for _, p in item.alternatives) for item in (weighed, plain)]
    assert total[0] == pytest.approx(total[1], abs=0.01)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("abc_1", min_size=1, max_size=7), min_size=1, max_size=8), st.text("abc", max_size=3))
def test_what_may_follow_adds_up_to_one(names: list[str], before: str) -> None:
    from tagtrace.inference.identifiers.usual import END, SIGNS

    model = NameModel(count_grams(names))
    assert sum(model.next("^" + before, sign) for sign in SIGNS + END) == pytest.approx(1.0)


@pytest.mark.train
def test_the_shipped_model_is_what_its_command_makes(tmp_path: Path) -> None:
    made = tmp_path / FILE
    assert cli.run(["train", "names", "--out", str(made)]) == 0
    shipped = resources.files("tagtrace.inference.identifiers") / FILE
    # the same names, whatever a version of zlib makes of them
    assert gzip.decompress(made.read_bytes()) == gzip.decompress(shipped.read_bytes())


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    counts = count_grams(["abcab", "abd"])
    for name in ("a.tsv.gz", "b.tsv.gz"):
        save_grams(counts, tmp_path / name)
    stored = (tmp_path / "a.tsv.gz").read_bytes()
    assert stored == (tmp_path / "b.tsv.gz").read_bytes()
    assert load_grams(stored).log_prob("abd") == pytest.approx(NameModel(counts).log_prob("abd"))
