"""CTC decoding against brute force: every path of tiny matrices is enumerated."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagtrace.contract import TagtraceError
from tagtrace.models import ctc
from tagtrace.models.ctc import DecodeSettings, align, beam_search, best_path, log_likelihood, log_softmax

ALPHABET = "abc"


def matrix(seed: int, steps: int, size: int = 3, sharpness: float = 2.0) -> np.ndarray:
    return log_softmax(np.random.default_rng(seed).normal(0, sharpness, (steps, size + 1)).astype(np.float32))


def brute(log_probs: np.ndarray, alphabet: str) -> dict[str, float]:
    """Probability of every text, by enumeration of all paths."""
    found: dict[str, float] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        text = "".join(alphabet[c - 1] for c, _ in itertools.groupby(path) if c)
        found[text] = found.get(text, 0.0) + float(np.exp(sum(float(log_probs[t, c]) for t, c in enumerate(path))))
    return found


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.3, 4.0))
def test_likelihood_equals_enumeration(seed: int, steps: int, sharpness: float) -> None:
    log_probs = matrix(seed, steps, sharpness=sharpness)
    truth = brute(log_probs, ALPHABET)
    texts = list(truth)
    np.testing.assert_allclose(
        np.exp(log_likelihood(log_probs, texts, ALPHABET)), [truth[t] for t in texts], rtol=1e-4, atol=1e-9
    )
    assert sum(truth.values()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("sharpness", [10.0, 40.0])
def test_likelihood_is_exact_where_probabilities_are_far_apart(sharpness: float) -> None:
    alphabet = "".join(map(chr, range(97, 197)))
    for seed in range(120):
        rng = np.random.default_rng(seed)
        log_probs = matrix(seed, int(rng.integers(40, 100)), len(alphabet), sharpness)
        texts = ["".join(rng.choice(list(alphabet), rng.integers(1, 20))) for _ in range(12)]
        columns = [[alphabet.index(char) + 1 for char in text] for text in texts]
        exact = ctc._forward_log(log_probs.astype(np.float64), columns)
        np.testing.assert_allclose(log_likelihood(log_probs, texts, alphabet), exact, rtol=1e-9)


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0.3, 4.0))
def test_wide_beam_finds_the_most_probable_texts_in_order(seed: int, steps: int, sharpness: float) -> None:
    log_probs = matrix(seed, steps, sharpness=sharpness)
    truth = brute(log_probs, ALPHABET)
    found = beam_search(log_probs, ALPHABET, DecodeSettings(beam=2000, hypotheses=10, min_symbol=0.0, max_symbols=4))
    best = sorted(truth.values(), reverse=True)[:10]
    np.testing.assert_allclose([np.exp(h.log_prob) for h in found], best, rtol=1e-3, atol=1e-8)
    for hypothesis in found:
        assert np.exp(hypothesis.log_prob) == pytest.approx(truth[hypothesis.text], rel=1e-3, abs=1e-8)
    assert len({h.text for h in found}) == len(found)


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_default_beam_is_ordered_and_never_worse_than_the_best_path(seed: int, steps: int) -> None:
    log_probs = matrix(seed, steps, sharpness=5.0)
    found = beam_search(log_probs, ALPHABET)
    scores = [h.log_prob for h in found]
    assert scores == sorted(scores, reverse=True)
    greedy = "".join(c.text for c in best_path(log_probs, ALPHABET))
    assert found[0].log_prob >= log_likelihood(log_probs, [greedy], ALPHABET)[0] - 1e-6


def peaked(columns: list[int], strength: float = 12.0) -> np.ndarray:
    logits = np.zeros((len(columns), len(ALPHABET) + 1), np.float32)
    logits[np.arange(len(columns)), columns] = strength
    return log_softmax(logits)


def test_repeats_need_a_blank() -> None:
    assert "".join(c.text for c in best_path(peaked([1, 1, 0, 1, 2, 2]), ALPHABET)) == "aab"
    assert beam_search(peaked([1, 1, 0, 1, 2, 2]), ALPHABET)[0].text == "aab"
    assert np.isneginf(log_likelihood(peaked([1, 1, 1]), ["aaa"], ALPHABET)[0]), "five steps are the least for aaa"
    assert log_likelihood(peaked([1, 0, 1]), ["aa"], ALPHABET)[0] > -0.01


def test_alternatives_and_confidence() -> None:
    probs = np.array([[0.02, 0.7, 0.25, 0.03], [0.9, 0.05, 0.03, 0.02]], np.float32)
    (char,) = best_path(np.log(probs), ALPHABET)
    assert char.text == "a" and char.confidence == pytest.approx(0.7, abs=1e-5)
    assert [a for a, _ in char.alternatives] == ["b", "c"]
    assert char.alternatives[0][1] == pytest.approx(0.25, abs=1e-5)
    found = {h.text: np.exp(h.log_prob) for h in beam_search(np.log(probs), ALPHABET)}
    assert found["a"] == pytest.approx(0.7 * 0.9 + 0.7 * 0.05 + 0.02 * 0.05, rel=1e-4)
    assert found["b"] == pytest.approx(0.25 * 0.9 + 0.25 * 0.03 + 0.02 * 0.03, rel=1e-4)


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_alignment_spells_the_text_along_its_best_path(seed: int, steps: int) -> None:
    log_probs = matrix(seed, steps)
    greedy = best_path(log_probs, ALPHABET)
    assert align(log_probs, "".join(c.text for c in greedy), ALPHABET) == greedy
    for text in ("", "a", "ab"):
        if len(text) <= steps:
            assert "".join(c.text for c in align(log_probs, text, ALPHABET)) == text


def test_alignment_refuses_what_cannot_be() -> None:
    for text in ("aab", "x"):
        with pytest.raises(TagtraceError, match="cannot be a reading"):
            align(matrix(1, 3), text, ALPHABET)


def test_nothing_to_read() -> None:
    assert best_path(peaked([0, 0, 0]), ALPHABET) == ()
    assert beam_search(peaked([0, 0, 0]), ALPHABET)[0].text == ""
    assert best_path(np.zeros((0, 4), np.float32), ALPHABET) == ()


def test_impossible_texts() -> None:
    scores = log_likelihood(matrix(1, 3), ["abca", "x", "ab", ""], ALPHABET)
    assert np.isneginf(scores[:2]).all() and np.isfinite(scores[2:]).all()
    assert log_likelihood(matrix(1, 3), [], ALPHABET).shape == (0,)


def test_hopeless_texts_keep_a_finite_score() -> None:
    """200 characters at e^-20 each underflow a double; their order still counts."""
    log_probs = peaked([1, 0] * 200, strength=20.0)
    worse, bad = log_likelihood(log_probs, ["b" * 150, "a" * 150], ALPHABET)
    assert -np.inf < worse < bad < -700


def test_wrong_alphabet_is_refused() -> None:
    with pytest.raises(TagtraceError, match="blank first"):
        beam_search(matrix(1, 3), "abcd")


def test_a_line_decodes_in_milliseconds() -> None:
    alphabet = "".join(chr(0x4E00 + i) for i in range(178))
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (80, 179)).astype(np.float32)
    logits[np.arange(80), np.where(rng.random(80) < 0.6, 0, rng.integers(1, 179, 80))] += 9
    log_probs = log_softmax(logits)
    start = time.perf_counter()
    for _ in range(5):
        beam_search(log_probs, alphabet)
    assert (time.perf_counter() - start) / 5 < 0.1, "generous, as test machines are busy"
