"""How probable a picture is if the wall says a given value: the forward score of the recogniser, against its free reading.

The candidate takes the place of what was read in its line, in the same manner (see ``spellings.rewritten``); the rest of the
line stays as read. Its CTC log-likelihood minus that of the best free reading is the evidence of the picture in nats: 0 for what
was read itself, and the more negative the more the picture speaks against it. An edit distance cannot say that: one character
that was hardly seen costs little, one that was seen clearly costs all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contract import Advert, Identifier, Reading, Resource
from ..models.ctc import log_likelihood
from .spellings import rewritten, spellings


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A stretch of one line that an identifier was read from: ``before + part + after`` is a hypothesis of ``reading``."""

    reading: Reading
    before: str
    part: str
    after: str


def log_ratios(places: Sequence[Slot], identifier: Identifier, values: Sequence[str]) -> NDArray[np.float64]:
    """Log-likelihood of each value minus that of the best free reading of the same lines, in nats: shape (len(values),).

    ``places`` are the ``slots`` of the identifier, one at least, and ``values`` canonical values of its kind. The score of a
    value is that of its best spelling; an identifier cut over several lines is scored in all of them together. ``-inf`` where
    a value cannot be in the picture at all.
    """
    forms = [_forms(places, identifier, value) for value in values]
    total = [np.zeros(len(form)) for form in forms]
    for number, slot in enumerate(places):
        texts = [slot.before + parts[number] + slot.after for form in forms for parts in form]
        scores = score(slot.reading, texts)
        splits = np.cumsum([len(form) for form in forms])[:-1]
        for sums, part in zip(total, np.split(scores, splits), strict=True):
            sums += part
    return np.array([float(sums.max()) if len(sums) else -np.inf for sums in total])


def score(reading: Reading, texts: Sequence[str]) -> NDArray[np.float64]:
    """Log-likelihood of each text minus that of the best hypothesis of the reading, in nats; all in one batch.

    ``ValueError`` for a reading without log-probabilities.
    """
    if reading.log_probs is None:
        raise ValueError("a reading without log-probabilities gives no likelihoods")
    free = [hypothesis.text for hypothesis in reading.hypotheses] or [reading.text]
    distinct = {text: number for number, text in enumerate(dict.fromkeys((*free, *texts)))}
    scores = log_likelihood(reading.log_probs, list(distinct), reading.alphabet)
    best = max(scores[distinct[text]] for text in free)
    if not np.isfinite(best):
        return np.full(len(texts), -np.inf)
    return np.asarray(scores[[distinct[text] for text in texts]] - best) if texts else np.zeros(0)


def slots(advert: Advert, identifier: Identifier) -> tuple[Slot, ...]:
    """The stretches that spell an identifier, in order: one, or one per line where it is cut; empty where they are not found.

    They are not found where the identifier is from a code, or a line has no log-probabilities.
    A value that stands in several lines is looked up in the first line that spells it as ``identifier.raw`` says.
    """
    parts = identifier.raw.split("\n")
    for start in range(len(identifier.lines) - len(parts) + 1):
        lines = identifier.lines[start : start + len(parts)]
        if any(line >= len(advert.lines) for line in lines):
            continue
        found = [_slot(advert.lines[line].reading, part) for line, part in zip(lines, parts, strict=True)]
        complete = tuple(slot for slot in found if slot is not None)
        if len(complete) == len(parts):
            return complete
    return ()


def _slot(reading: Reading, part: str) -> Slot | None:
    if reading.log_probs is None or not part:
        return None
    texts = dict.fromkeys((*(hypothesis.text for hypothesis in reading.hypotheses), reading.text))
    for text in texts:
        at = text.find(part)
        if at >= 0:
            return Slot(reading, text[:at], part, text[at + len(part) :])
    return None


def _forms(places: Sequence[Slot], identifier: Identifier, value: str) -> list[tuple[str, ...]]:
    """The ways to write a value in the slots: one part per slot. Usual spellings where the manner of the wall is not known."""
    if value == identifier.value:
        return [tuple(slot.part for slot in places)]
    raw = "\n".join(slot.part for slot in places)
    texts = rewritten(raw, identifier.kind, identifier.value, value)
    if not texts and len(places) == 1:
        texts = spellings(Resource(identifier.kind, value, ""))
    forms = [tuple(text.split("\n")) for text in texts]
    return [parts for parts in forms if len(parts) == len(places)]
