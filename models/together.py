"""Several looks at one line, read as one: the evidence of every look counts for every text that any of them proposes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..contract import Char, Hypothesis, Reading
from .ctc import align, log_likelihood


def together(readings: Sequence[Reading]) -> Reading:
    """One reading of several looks (crops) at the same line, as many hypotheses as the first has.

    Each text that any look proposes is scored by every look's exact CTC log-likelihood, and the scores are averaged, not added:
    looks at one photo are far from independent. Characters are those of the look that knows the best text best, with
    confidences and alternatives averaged where the looks agree on the number of characters. Looks without log-probabilities, or
    read the other way up than the first, are left out; with one look left, it is returned as it is.
    """
    first = readings[0]
    looks = [r for r in readings if r.log_probs is not None and r.flipped == first.flipped and r.hypotheses]
    if len(looks) < 2:
        return first
    texts = list(dict.fromkeys(h.text for look in looks for h in look.hypotheses))
    scores = np.stack([log_likelihood(_table(look), texts, look.alphabet) for look in looks])
    mean = scores.mean(axis=0)
    order = [int(i) for i in np.argsort(-mean, kind="stable") if np.isfinite(mean[i])][: len(first.hypotheses)]
    if not order:
        return first
    best = texts[order[0]]
    able = [n for n in range(len(looks)) if np.isfinite(scores[n, order[0]])]
    main = max(able, key=lambda n: scores[n, order[0]])
    aligned = [align(_table(looks[n]), best, looks[n].alphabet) for n in able]
    chars = _averaged(aligned[able.index(main)], aligned)
    confidence = float(np.exp(np.mean([np.log(max(c.confidence, 1e-9)) for c in chars]))) if chars else 0.0
    hypotheses = tuple(Hypothesis(texts[i], float(mean[i])) for i in order)
    return replace(looks[main], text=best, confidence=confidence, hypotheses=hypotheses, chars=chars)


def _table(look: Reading) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    assert look.log_probs is not None
    return look.log_probs


def _averaged(main: Sequence[Char], aligned: Sequence[Sequence[Char]]) -> tuple[Char, ...]:
    """The characters of ``main`` with what all looks think of them."""
    out = []
    for place, char in enumerate(main):
        others = [chars[place] for chars in aligned if len(chars) == len(main)]
        weights: dict[str, float] = {}
        for other in others:
            for text, probability in other.alternatives:
                weights[text] = weights.get(text, 0.0) + probability / len(others)
        alternatives = tuple(sorted(weights.items(), key=lambda item: (-item[1], item[0]))[: max(5, len(char.alternatives))])
        out.append(Char(char.text, sum(other.confidence for other in others) / len(others), alternatives))
    return tuple(out)
