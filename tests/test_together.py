"""Several looks at one line: the evidence of all of them decides."""

from __future__ import annotations

import numpy as np
import pytest

from tagtrace.contract import Reading
from tagtrace.models.ctc import beam_search, best_path, log_likelihood
from tagtrace.models.together import together

ALPHABET = "abc"


def look(*steps: dict[str, float], flipped: bool = False) -> Reading:
    """A reading whose time steps hold the given probabilities; the rest goes to the blank."""
    table = np.full((2 * len(steps), 4), 1e-4, np.float32)
    for number, step in enumerate(steps):
        for char, probability in step.items():
            table[2 * number, 1 + ALPHABET.index(char)] = probability
        table[2 * number, 0] = max(1e-4, 1 - sum(step.values()))
        table[2 * number + 1, 0] = 1
    table = np.log(table / table.sum(axis=1, keepdims=True))
    hypotheses = beam_search(table, ALPHABET)
    return Reading(hypotheses[0].text, 0.5, hypotheses, best_path(table, ALPHABET), table, ALPHABET, flipped)


def test_a_doubtful_letter_is_decided_by_the_look_that_sees_it() -> None:
    doubtful = look({"a": 0.98}, {"b": 0.52, "c": 0.47})
    clear = look({"a": 0.9}, {"c": 0.95})
    both = together([doubtful, clear])
    assert doubtful.text == "ab"
    assert both.text == "ac"
    assert [c.text for c in both.chars] == ["a", "c"]


def test_scores_are_the_mean_of_the_looks() -> None:
    looks = [look({"a": 0.8, "b": 0.2}), look({"a": 0.6, "c": 0.4})]
    for hypothesis in together(looks).hypotheses:
        expected = np.mean(
            [log_likelihood(r.log_probs, [hypothesis.text], ALPHABET)[0] for r in looks if r.log_probs is not None]
        )
        assert hypothesis.log_prob == pytest.approx(expected, abs=1e-6)


def test_order_of_looks_does_not_change_the_text() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        looks = [look(*({"a": p, "b": 0.95 - p} for p in rng.uniform(0.05, 0.9, 3))) for _ in range(2)]
        assert together(looks).text == together(looks[::-1]).text


def test_a_look_of_the_other_way_up_or_without_evidence_is_left_out() -> None:
    clear = look({"a": 0.9})
    assert together([clear, look({"b": 0.99}, flipped=True)]) is clear
    assert together([clear, Reading("b", 1.0)]) is clear
