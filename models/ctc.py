"""What a CTC recogniser's log-probabilities say: the best text, other texts, and how probable a given text is.

CTC (Graves et al. 2006) gives each time step a distribution over blank and characters; a text's probability is the sum over
all paths that spell it once equal neighbours are merged and blanks removed. Everything here takes ``LogProbs`` of shape
(steps, 1 + len(alphabet)), blank in column 0, and needs NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contract import Char, Hypothesis, LogProbs, TagtraceError

BLANK = 0
"""Column of the CTC blank."""


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How far decoding looks beyond the best path."""

    beam: int = 12
    """Prefixes kept after each time step."""
    hypotheses: int = 8
    """Texts returned at most."""
    min_symbol: float = 1e-3
    """Probability below which a character is not tried at a time step."""
    max_symbols: int = 6
    """Characters tried at a time step at most."""
    alternatives: int = 5
    """Other characters listed per character at most."""
    min_alternative: float = 1e-3
    """Probability below which an alternative is not listed."""


def log_softmax(logits: NDArray[np.float32]) -> LogProbs:
    """Log-probabilities over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), np.float32)


def best_path(log_probs: LogProbs, alphabet: str, settings: DecodeSettings | None = None) -> tuple[Char, ...]:
    """The characters along the most probable path, each with its confidence and alternatives.

    A character's confidence is its probability at the time step where it is surest; so is that of its alternatives.
    """
    _check(log_probs, alphabet)
    return _chars(log_probs, log_probs.argmax(1), alphabet, settings or DecodeSettings())


def align(log_probs: LogProbs, text: str, alphabet: str, settings: DecodeSettings | None = None) -> tuple[Char, ...]:
    """The characters of ``text`` along its most probable path (Viterbi), each with its confidence and alternatives.

    Raises TagtraceError where ``text`` cannot be: too long for the time steps, or not written in ``alphabet``.
    """
    _check(log_probs, alphabet)
    known = {c: i for i, c in enumerate(alphabet, 1)}
    path = _viterbi(log_probs, [known.get(c, -1) for c in text])
    if path is None:
        raise TagtraceError(f"{text!r} cannot be a reading of {len(log_probs)} time steps in this alphabet")
    return _chars(log_probs, path, alphabet, settings or DecodeSettings())


def _viterbi(log_probs: LogProbs, columns: list[int]) -> NDArray[np.intp] | None:
    """The column of each time step on the best path that spells ``columns``; None where there is none."""
    if min(columns, default=0) < 0 or not len(log_probs):
        return None
    labels, lengths = _labels([columns])
    label, size = labels[0], int(lengths[0])
    skip = np.zeros(size, bool)
    skip[2:] = (label[2:] != BLANK) & (label[2:] != label[:-2])
    score = np.full(size, -np.inf)
    score[:2] = log_probs[0, label[:2]]
    came = np.zeros((len(log_probs), size), np.intp)
    for number, row in enumerate(log_probs[1:], 1):
        options = np.full((3, size), -np.inf)
        options[0] = score
        options[1, 1:] = score[:-1]
        options[2, 2:] = np.where(skip[2:], score[:-2], -np.inf)
        came[number] = options.argmax(0)
        score = options.max(0) + row[label]
    state = size - 1 if size == 1 or score[-1] >= score[-2] else size - 2
    if np.isneginf(score[state]):
        return None
    states = [state]
    for number in range(len(log_probs) - 1, 0, -1):
        state -= int(came[number, state])
        states.append(state)
    return np.asarray(label[np.array(states[::-1], np.intp)])


def _chars(log_probs: LogProbs, path: NDArray[np.intp], alphabet: str, settings: DecodeSettings) -> tuple[Char, ...]:
    """One ``Char`` per run of equal columns on ``path`` that is not blank."""
    if not len(path):
        return ()
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = np.append(starts[1:], len(path))
    chars = []
    for start, end in zip(starts, ends, strict=True):
        column = int(path[start])
        if column == BLANK:
            continue
        peak = np.exp(log_probs[start:end].max(0).astype(np.float64))
        confidence = float(min(peak[column], 1.0))
        peak[[BLANK, column]] = 0.0
        likely = np.flatnonzero(peak >= settings.min_alternative)
        others = likely[np.argsort(-peak[likely], kind="stable")][: settings.alternatives]
        listed = tuple((alphabet[i - 1], float(peak[i])) for i in others.tolist())
        chars.append(Char(alphabet[column - 1], confidence, listed))
    return tuple(chars)


def beam_search(log_probs: LogProbs, alphabet: str, settings: DecodeSettings | None = None) -> tuple[Hypothesis, ...]:
    """Distinct texts, most probable first; ``log_prob`` is exact (summed over all paths), the choice of texts is a beam's.

    Never empty for at least one time step; the empty text is a text like others.
    """
    settings = settings or DecodeSettings()
    _check(log_probs, alphabet)
    prefixes = _search(np.exp(log_probs.astype(np.float64)), settings)
    texts = ["".join(alphabet[ord(c) - 1] for c in prefix) for prefix in prefixes]
    scores = log_likelihood(log_probs, texts, alphabet)
    ranked = sorted(zip(scores.tolist(), texts, strict=True), key=lambda found: (-found[0], found[1]))
    return tuple(Hypothesis(text, score) for score, text in ranked[: settings.hypotheses])


def _search(probs: NDArray[np.float64], settings: DecodeSettings) -> list[str]:
    """Prefix beam search. Prefixes are strings whose characters are column numbers; their two numbers are the probability of
    all paths so far that end in blank and in the last character, scaled so that the best stays near 1."""
    beam: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}
    for row, tried in zip(probs, _symbols(probs, settings), strict=True):
        blank = float(row[BLANK])
        if not tried:
            # The most common step, between two letters: no text grows, so none overtakes another but by what it ends in.
            beam = {
                prefix: ((a + b) * blank, b * float(row[ord(prefix[-1])]) if prefix else 0.0) for prefix, (a, b) in beam.items()
            }
            continue
        grown: dict[str, tuple[float, float]] = {}
        for prefix, (ends_blank, ends_char) in beam.items():
            last = ord(prefix[-1]) if prefix else -1
            whole = ends_blank + ends_char
            stay = ends_char * float(row[last]) if prefix else 0.0
            old = grown.get(prefix, (0.0, 0.0))
            grown[prefix] = (old[0] + whole * blank, old[1] + stay)
            for column, probability in tried:
                mass = (ends_blank if column == last else whole) * probability
                if mass > 0.0:
                    longer = prefix + chr(column)
                    old = grown.get(longer, (0.0, 0.0))
                    grown[longer] = (old[0], old[1] + mass)
        kept = sorted(grown.items(), key=lambda entry: -(entry[1][0] + entry[1][1]))[: settings.beam]
        scale = 1.0 / max(kept[0][1][0] + kept[0][1][1], 1e-300)
        beam = {prefix: (a * scale, b * scale) for prefix, (a, b) in kept}
    return sorted(beam, key=lambda prefix: -sum(beam[prefix]))


def _symbols(probs: NDArray[np.float64], settings: DecodeSettings) -> list[list[tuple[int, float]]]:
    """Per time step the characters worth trying: their columns and probabilities, the most probable first."""
    found: list[list[tuple[int, float]]] = [[] for _ in probs]
    worth = probs >= settings.min_symbol
    worth[:, BLANK] = False
    steps, columns = np.nonzero(worth)
    for step, column, probability in zip(steps.tolist(), columns.tolist(), probs[steps, columns].tolist(), strict=True):
        found[step].append((column, probability))
    return [sorted(tried, key=lambda symbol: -symbol[1])[: settings.max_symbols] for tried in found]


def log_likelihood(log_probs: LogProbs, texts: Sequence[str], alphabet: str) -> NDArray[np.float64]:
    """Natural logarithm of the probability of each text, shape (len(texts),); ``-inf`` where a text cannot be.

    The forward algorithm over all texts at once. It runs on scaled probabilities, and again on logarithms for texts so
    improbable that they underflow.
    """
    _check(log_probs, alphabet)
    scores = np.full(len(texts), -np.inf)
    known = {c: i for i, c in enumerate(alphabet, 1)}
    usable = [n for n, text in enumerate(texts) if len(text) <= len(log_probs) and all(c in known for c in text)]
    if not usable:
        return scores
    encoded = [[known[c] for c in texts[n]] for n in usable]
    table = np.asarray(log_probs, np.float64)
    found = _forward_scaled(table, encoded)
    lost = np.flatnonzero(np.isneginf(found))
    if len(lost):
        found[lost] = _forward_log(table, [encoded[n] for n in lost])
    scores[usable] = found
    return scores


def _labels(encoded: list[list[int]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Texts with blanks around each character, padded with blanks: (texts, 2 * longest + 1), and their lengths in states."""
    lengths = np.array([2 * len(e) + 1 for e in encoded], np.intp)
    labels = np.full((len(encoded), int(lengths.max())), BLANK, np.intp)
    for row, columns in zip(labels, encoded, strict=True):
        row[1 : 2 * len(columns) : 2] = columns
    return labels, lengths


_SCALED_EVERY = 4
"""Steps after which probabilities are scaled."""
_LEAST_PEAK, _UNDERFLOW = 1e-40, 1e-260
"""Where the largest probability falls below the first between two scalings, or that of a text below the second, digits may have
been lost: it is worked out again as a logarithm."""


def _prefixes(encoded: list[list[int]]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The distinct prefixes of all texts as a tree: parent and last column of each, and the prefix that each text is.

    Prefix 0 is the empty one (its column is blank, its parent itself); a parent comes before its children.
    """
    numbers: dict[tuple[int, int], int] = {}
    parents, columns, ends = [0], [BLANK], []
    for text in encoded:
        node = 0
        for column in text:
            key = (node, column)
            node = numbers.get(key, 0)
            if not node:
                node = numbers[key] = len(parents)
                parents.append(key[0])
                columns.append(column)
        ends.append(node)
    return np.array(parents, np.intp), np.array(columns, np.intp), np.array(ends, np.intp)


def _forward_scaled(table: NDArray[np.float64], encoded: list[list[int]]) -> NDArray[np.float64]:
    """The forward algorithm on probabilities, over the tree of prefixes: what texts have in common is worked out once.

    Per prefix there are two states: paths that end in its last character, and those that end in a blank after it. All are
    scaled by the largest every few steps. Texts that underflow get ``-inf``.
    """
    parents, columns, ends = _prefixes(encoded)
    # a character may follow another without a blank between them, unless it is the same one
    follows = (columns != columns[parents]).astype(np.float64)
    # nothing ends in the last character of the empty text: it follows a prefix beyond the last, which no path reaches
    parents[0] = size = len(parents)
    blanks = np.exp(table[:, BLANK]).tolist()
    emitted = np.zeros((len(table), size + 1))
    np.exp(table[:, columns], out=emitted[:, :size])
    in_char, in_blank, before, direct = np.zeros(size + 1), np.zeros(size + 1), np.zeros(size + 1), np.empty(size)
    in_blank[0] = 1.0
    total = 0.0
    for step, (row, blank) in enumerate(zip(emitted, blanks, strict=True), 1):
        np.multiply(in_char.take(parents, out=direct), follows, out=direct)
        np.add(in_blank.take(parents), direct, out=before[:size])
        in_blank += in_char
        in_blank *= blank
        in_char += before
        in_char *= row
        if step % _SCALED_EVERY == 0 or step == len(table):
            peak = max(float(in_char.max()), float(in_blank.max()))
            if peak < _LEAST_PEAK:
                return np.full(len(ends), -np.inf)
            in_char /= peak
            in_blank /= peak
            total += np.log(peak)
    ending = in_char[ends] + in_blank[ends]
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(ending > _UNDERFLOW, total + np.log(ending), -np.inf))


def _forward_log(table: NDArray[np.float64], encoded: list[list[int]]) -> NDArray[np.float64]:
    """The forward algorithm on logarithms, text by text side by side: slower, and without limits."""
    labels, lengths = _labels(encoded)
    skip = np.zeros(labels.shape, bool)
    skip[:, 2:] = (labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])
    rows = np.arange(len(labels))
    state = np.full(labels.shape, -np.inf)
    state[:, :2] = table[0][labels[:, :2]]
    for row in table[1:]:
        reached = state.copy()
        reached[:, 1:] = np.logaddexp(reached[:, 1:], state[:, :-1])
        reached[:, 2:] = np.where(skip[:, 2:], np.logaddexp(reached[:, 2:], state[:, :-2]), reached[:, 2:])
        state = reached + row[labels]
    before = np.where(lengths > 1, state[rows, np.maximum(lengths - 2, 0)], -np.inf)
    return np.asarray(np.logaddexp(state[rows, lengths - 1], before))


def _check(log_probs: LogProbs, alphabet: str) -> None:
    if log_probs.ndim != 2 or log_probs.shape[1] != len(alphabet) + 1:
        raise TagtraceError(
            f"log-probabilities of shape {log_probs.shape} do not fit an alphabet of {len(alphabet)} characters: "
            f"(steps, {len(alphabet) + 1}) is needed, blank first"
        )
