"""Packed log-probabilities say nearly what the whole ones say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.models.ctc import log_likelihood
from tagtrace.models.logprobs import pack, unpack

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789_@./"


def table(seed: int, steps: int, sharpness: float = 4.0) -> np.ndarray:
    scores = np.random.default_rng(seed).normal(0, sharpness, (steps, 1 + len(ALPHABET)))
    return (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.floats(4.0, 9.0))
def test_steps_keep_their_probabilities(seed: int, steps: int, sharpness: float) -> None:
    whole = table(seed, steps, sharpness)
    back = unpack(pack(whole))
    assert back.shape == whole.shape and back.dtype == np.float32
    np.testing.assert_allclose(np.exp(back).sum(axis=1), 1.0, atol=1e-4)
    strong = np.exp(whole) > 0.01
    np.testing.assert_allclose(np.exp(back)[strong], np.exp(whole)[strong], rtol=0.12)


def test_a_step_between_many_characters_keeps_all_that_matter() -> None:
    probs = np.full((1, 178), 1e-6)
    probs[0, 10:60] = 0.0199
    whole = np.log(probs / probs.sum()).astype(np.float32)
    np.testing.assert_allclose(np.exp(unpack(pack(whole)))[0, 10:60], 0.02, rtol=0.12)


def test_likelihoods_stay_and_bytes_are_few() -> None:
    whole = table(3, 40)
    texts = ["abc", "tulpar_kz1", "zzz"]
    before, after = (log_likelihood(t, texts, ALPHABET) for t in (whole, unpack(pack(whole))))
    finite = before > -60
    np.testing.assert_allclose(after[finite], before[finite], atol=0.05 * 40)
    assert len(pack(whole)) < whole.nbytes / 4


@pytest.mark.parametrize("data", [b"", b"abc", b"\x02\x01\x00\x01\x00xx", pack(table(1, 3))[:-2]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no packed log-probabilities"):
        unpack(data)
