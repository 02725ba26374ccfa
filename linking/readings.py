"""One line in several photos, read as one: the evidence of the photos adds up.

Photos are taken from different places, in different light and by different phones, so what blurs a letter in one leaves it clear
in another. A text's score is the sum over the photos of its exact CTC log-likelihood (``models.ctc``) under each, and texts are
tried that no photo proposes as a whole: pieces of several, and single letters exchanged. Two facts bound that sum. Photos of the
same paint share its faults, so each further photo counts less than a whole one. And a photo may show the line half hidden, or
another line, so none can say more than so much against a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from ..contract import Char, Hypothesis, LogProbs, Reading, TagtraceError
from ..models.ctc import align, beam_search, log_likelihood


@dataclass(frozen=True, slots=True)
class TogetherSettings:
    """How the evidence of photos adds up. Shares and probabilities lie in 0..1, evidence in nats."""

    discount: float = 0.6
    """What each further photo counts of the first: 1 if the photos were independent, 0 if they all said the same."""
    most_against: float = 9.0
    """A photo speaks against a text by at most so many nats (compared with the text it prefers)."""
    trust: float = 1.0
    """Each photo counts by its reading's confidence to this power: blur makes a recogniser guess, and guesses are alike."""
    cut: float = 3.0
    """Nats that it costs a text that a photo shows only its beginning or its end: the rest is outside, or behind something."""
    least_shown: int = 4
    """Characters that a photo must show of a text for that."""
    try_from: float = 0.01
    """Other characters are tried where a photo gives them at least this probability."""
    rounds: int = 4
    """How often the best text is varied; it ends earlier when no variant is better."""
    most_texts: int = 96
    """Texts scored in one round at most."""
    hypotheses: int = 16
    """Texts in the combined reading at most."""
    least_char: float = 1e-3
    """Probability of a character that a photo does not list."""
    supports: float = 0.55
    """Share of ``most_against`` within which a photo counts as showing the text that was chosen."""
    sure: float = 0.9
    """Two photos that read different digits at one place, each with at least this confidence, show two different names."""


DEFAULT = TogetherSettings()


def scores(reading: Reading, texts: Sequence[str], settings: TogetherSettings = DEFAULT) -> NDArray[np.float64]:
    """What one photo says about each text: nats compared with the text it read, shape (len(texts),), at least -``most_against``.

    Without log-probabilities its hypotheses and the alternatives of its characters are all it knows.
    """
    if reading.log_probs is not None:
        pieces = [_piece(reading.text, text, settings) for text in texts]
        raw = log_likelihood(reading.log_probs, [*texts, *pieces, reading.text], reading.alphabet)
        cost = np.array([settings.cut if piece != text else 0.0 for piece, text in zip(pieces, texts, strict=True)])
        relative = np.maximum(raw[: len(texts)], raw[len(texts) : -1] - cost) - (raw[-1] if np.isfinite(raw[-1]) else 0.0)
    else:
        relative = np.array([_listed(reading, text) for text in texts])
    # Soft: log(e^score + e^-most) keeps the order of texts that the photo finds hardly possible.
    floor = -settings.most_against
    return np.asarray(np.logaddexp(np.maximum(relative, -1e6), floor) - np.logaddexp(0.0, floor))


def _piece(read: str, text: str, settings: TogetherSettings) -> str:
    """The beginning or the end of ``text`` that a photo shows that reads ``read``; the whole text else."""
    count = len(read)
    if not settings.least_shown <= count < len(text):
        return text
    ours = read.lower()
    start, end = text[:count], text[-count:]
    return max(start, end, key=lambda piece: float(Levenshtein.normalized_similarity(ours, piece.lower())))


def _listed(reading: Reading, text: str) -> float:
    """Log-probability of a text compared with the best, from what the reading lists; minus infinity where it lists nothing."""
    if text == reading.text:
        return 0.0
    known = {h.text: h.log_prob for h in reading.hypotheses}
    if text in known and reading.text in known:
        return known[text] - known[reading.text]
    if len(text) != len(reading.text) or len(reading.chars) != len(text):
        return -np.inf
    total = 0.0
    for char, wanted in zip(reading.chars, text, strict=True):
        if char.text != wanted:
            total += float(np.log(max(dict(char.alternatives).get(wanted, 0.0), 1e-12) / max(char.confidence, 1e-12)))
    return total


def read_together(
    readings: Sequence[Reading], weights: Sequence[float] | None = None, settings: TogetherSettings = DEFAULT
) -> Reading:
    """One reading of one line from its readings in several photos. Pure; the order of the photos does not matter.

    ``weights`` are at least 0, one per reading: 1/n for each of n copies of one photo. ``hypotheses`` are normalised over
    the texts tried; ``chars`` and ``log_probs`` (two steps per character) say how sure every character is now. Readings without
    a text are left out; with one left, it is returned as it is. Raises ``TagtraceError`` where there is no reading.
    """
    if not readings:
        raise TagtraceError("reading together needs at least one reading of the line")
    given = [1.0] * len(readings) if weights is None else list(weights)
    usable = [(r, w) for r, w in zip(readings, given, strict=True) if r.text and w > 0]
    if len(usable) < 2:
        return usable[0][0] if usable else readings[0]
    # An order of its own makes the result independent of the order of the photos, ties and sums included.
    usable.sort(key=lambda item: (-item[0].confidence, item[0].text, -item[1]))
    looks = [rehypothesised(r) for r, _ in usable]
    factors = _factors([w * r.confidence**settings.trust for r, w in usable], settings)
    texts, table = _climb(looks, factors, settings)
    total = factors @ table
    order = sorted(range(len(texts)), key=lambda i: (-total[i], texts[i]))[: settings.hypotheses]
    best = texts[order[0]]
    norm = float(np.logaddexp.reduce(total))
    hypotheses = tuple(Hypothesis(texts[i], float(total[i]) - norm) for i in order)
    support = [n for n in range(len(looks)) if table[n, order[0]] >= -settings.supports * settings.most_against]
    chars = _chars(best, looks, factors, support, settings)
    main = looks[max(support or range(len(looks)), key=lambda n: (table[n, order[0]], -n))]
    confidence = float(np.exp(np.mean([np.log(max(c.confidence, 1e-9)) for c in chars]))) if chars else 0.0
    alphabet = next((look.alphabet for look in (main, *looks) if look.alphabet and set(best) <= set(look.alphabet)), "")
    log_probs = confusion_network(chars, alphabet) if alphabet and chars else None
    return replace(
        main, text=best, confidence=confidence, hypotheses=hypotheses, chars=chars, log_probs=log_probs, alphabet=alphabet
    )


def _factors(weights: Sequence[float], settings: TogetherSettings) -> NDArray[np.float64]:
    """What each photo counts, so that n equal photos count 1 + discount (n - 1) together."""
    shares = np.asarray(weights, np.float64)
    top = float(shares.max())
    effective = top + settings.discount * (float(shares.sum()) - top)
    return np.asarray(shares * effective / shares.sum())


def _climb(
    looks: Sequence[Reading], factors: NDArray[np.float64], settings: TogetherSettings
) -> tuple[list[str], NDArray[np.float64]]:
    """Texts worth a look, and what every photo says of them, shape (photos, texts)."""
    texts = list(dict.fromkeys([*(r.text for r in looks), *(h.text for r in looks for h in r.hypotheses)]))[: settings.most_texts]
    table = np.stack([scores(look, texts, settings) for look in looks])
    best = ""
    for _ in range(settings.rounds):
        leader = texts[min(range(len(texts)), key=lambda i: (-float(factors @ table[:, i]), texts[i]))]
        if leader == best:
            break
        best = leader
        known = set(texts)
        fresh = [t for t in _variants(best, looks, settings) if t not in known][: settings.most_texts]
        if not fresh:
            break
        table = np.hstack([table, np.stack([scores(look, fresh, settings) for look in looks])])
        texts += fresh
    return texts, table


def _variants(best: str, looks: Sequence[Reading], settings: TogetherSettings) -> list[str]:
    """Texts near the best: with a piece as another photo reads it, and with one character that a photo thinks possible."""
    out: dict[str, None] = {}
    for look in looks:
        for other in dict.fromkeys([look.text, *(h.text for h in look.hypotheses[:3])]):
            for step in Levenshtein.opcodes(best, other):
                if step.tag != "equal":
                    out[best[: step.src_start] + other[step.dest_start : step.dest_end] + best[step.src_end :]] = None
    swaps: dict[str, float] = {}
    for look in looks:
        for place, char in enumerate(aligned(look, best)):
            options = dict(char.alternatives) | {char.text: char.confidence}
            for text, probability in options.items():
                if text != best[place] and probability >= settings.try_from:
                    changed = best[:place] + text + best[place + 1 :]
                    swaps[changed] = max(swaps.get(changed, 0.0), probability)
    return [*out, *sorted(swaps, key=lambda text: (-swaps[text], text))]


def aligned(look: Reading, text: str) -> tuple[Char, ...]:
    """The characters of ``text`` as one photo sees them, each with confidence and alternatives; empty where it cannot tell."""
    if look.log_probs is not None:
        try:
            chars = align(look.log_probs, text, look.alphabet)
        except TagtraceError:  # longer than its time steps, or with characters that it does not know
            return ()
        return chars if len(chars) == len(text) else ()
    return look.chars if len(look.chars) == len(text) and look.text == text else ()


def _chars(
    best: str, looks: Sequence[Reading], factors: NDArray[np.float64], support: Sequence[int], settings: TogetherSettings
) -> tuple[Char, ...]:
    """The characters of the best text with the combined evidence of the photos that show it (naive Bayes per character)."""
    seen = [(aligned(looks[n], best), float(factors[n])) for n in support]
    seen = [(chars, factor) for chars, factor in seen if chars]
    if not seen:
        return ()
    out = []
    for place, text in enumerate(best):
        options: dict[str, None] = {text: None}
        for chars, _ in seen:
            options.update(dict.fromkeys(other for other, _ in chars[place].alternatives))
        total = np.zeros(len(options))
        for chars, factor in seen:
            here = dict(chars[place].alternatives) | {chars[place].text: chars[place].confidence}
            total += factor * np.log([max(here.get(option, 0.0), settings.least_char) for option in options])
        share = np.exp(total - np.logaddexp.reduce(total))
        ranked = sorted(zip(options, share.tolist(), strict=True), key=lambda item: (-item[1], item[0]))
        others = tuple((option, value) for option, value in ranked if option != text and value >= 1e-3)[:5]
        out.append(Char(text, float(share[0]), others))
    return tuple(out)


def confusion_network(chars: Sequence[Char], alphabet: str) -> LogProbs:
    """Characters as CTC log-probabilities: ``float32``, shape (2 len(chars) + 1, 1 + len(alphabet)), blanks between them.

    What a character and its alternatives leave of probability 1 goes half to the blank and half to all other characters.
    """
    table = np.full((2 * len(chars) + 1, 1 + len(alphabet)), 1e-6, np.float64)
    table[::2, 0] = 1.0
    column = {c: i for i, c in enumerate(alphabet, 1)}
    for number, char in enumerate(chars):
        row = table[2 * number + 1]
        listed = {char.text: char.confidence, **{c: p for c, p in char.alternatives if c in column and c != char.text}}
        left = max(1.0 - sum(listed.values()), 1e-4)
        row[:] = left / 2 / len(alphabet)
        row[0] = left / 2
        for text, probability in listed.items():
            row[column[text]] = max(probability, row[column[text]])
    return np.asarray(np.log(table / table.sum(axis=1, keepdims=True)), np.float32)


def rehypothesised(reading: Reading) -> Reading:
    """The reading with hypotheses from its log-probabilities, where a store kept only these."""
    if reading.hypotheses or reading.log_probs is None:
        return reading
    return replace(reading, hypotheses=beam_search(reading.log_probs, reading.alphabet))


def disagree(a: Reading, b: Reading, settings: TogetherSettings = DEFAULT) -> bool:
    """Whether two readings of a line show two different names: other digits at one place, each read with confidence."""
    ours, theirs = a.text.lower(), b.text.lower()
    if len(a.chars) != len(a.text) or len(b.chars) != len(b.text) or len(ours) != len(a.text) or len(theirs) != len(b.text):
        return False
    for step in Levenshtein.opcodes(ours, theirs):
        if step.tag != "replace":
            continue
        for i, j in zip(range(step.src_start, step.src_end), range(step.dest_start, step.dest_end), strict=True):
            digits = ours[i].isdigit() and theirs[j].isdigit()
            if digits and min(a.chars[i].confidence, b.chars[j].confidence) >= settings.sure:
                return True
    return False
