"""How two photos may spell one contact: near misreads of it are told from two names by the recogniser's own log-probabilities.

A blurred ``kz_hub`` is read ``kz_hu8`` once and ``kz_nub`` another time; no reading shows the contact, and yet each picture finds
the other's text nearly as probable as its own. Two names that are read clearly and differ in one digit are as near as letters go,
but each picture speaks against the other by many nats. So each photo is asked how probable the other's text is (the CTC forward
score, as in ``likelihood``), and the best text that both may show counts. Everything is pure, and small enough to be kept.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from ..contract import IdentifierKind, LogProbs, Reading
from ..inference.identifiers.base import Found, Source, View
from ..inference.identifiers.scan import scan
from ..models.alphabet import ALPHABET
from ..models.ctc import log_likelihood
from ..models.logprobs import pack, unpack
from .readings import rehypothesised

_TEXTS = 8
"""Texts of a line that are looked at for contacts, the most probable ones."""
_LEAST = -60.0
"""No photo speaks more against a text, in nats."""


@dataclass(frozen=True, slots=True)
class Spelt:
    """A contact as one line of a photo may spell it.

    ``forms`` are the ways to read it, the best first: the text of it in the line, and the canonical value. ``before`` and
    ``after`` are the rest of the line. ``texts`` are the most probable texts of the whole line; ``sure`` the confidences of
    the characters of the first form (empty where unknown), and ``packed`` the log-probabilities (``models.logprobs``).
    """

    kind: IdentifierKind
    forms: tuple[tuple[str, str], ...]
    before: str
    after: str
    texts: tuple[str, ...]
    sure: tuple[float, ...]
    packed: bytes


@dataclass(frozen=True, slots=True)
class Common:
    """The text that two photos together find most probable: its value, and what both say of it compared with what each read
    itself, in nats (0: both read just that). ``read`` are the values that they read themselves."""

    kind: IdentifierKind
    value: str
    nats: float
    read: tuple[str, str]


def spelt(readings: Sequence[Reading]) -> tuple[Spelt, ...]:
    """The contacts that the lines of an advert may spell, however unsure; one per line and kind.

    Readings without log-probabilities of the package's alphabet say nothing.
    """
    found = []
    for reading in readings:
        if reading.log_probs is not None and reading.alphabet == ALPHABET:
            found += _spelt(rehypothesised(reading))
    return tuple(found)


def _spelt(reading: Reading) -> list[Spelt]:
    assert reading.log_probs is not None
    ranked = sorted(reading.hypotheses, key=lambda h: -h.log_prob)
    texts = tuple(dict.fromkeys(h.text for h in ranked))[:_TEXTS] or (reading.text,)
    first: dict[IdentifierKind, tuple[str, int, int]] = {}
    forms: dict[IdentifierKind, dict[str, str]] = {}
    for text in texts:
        for item in scan(text, Source.PAINTED):
            start, end = _core(text, item)
            if start < end:
                first.setdefault(item.kind, (text, start, end))
                forms.setdefault(item.kind, {}).setdefault(text[start:end], item.value)
    packed = pack(reading.log_probs) if first else b""
    out = []
    for kind, (text, start, end) in first.items():
        whole = text == reading.text and len(reading.chars) == len(text)
        sure = tuple(round(char.confidence, 3) for char in reading.chars[start:end]) if whole else ()
        out.append(Spelt(kind, tuple(forms[kind].items()), text[:start], text[end:], texts, sure, packed))
    return out


def _core(text: str, item: Found) -> tuple[int, int]:
    """Where the value of a finding stands in the text as read."""
    index = View.of(text).index
    start, end = item.core
    return (index[start], index[end - 1] + 1) if start < end else (0, 0)


def common(a: Sequence[Spelt], b: Sequence[Spelt]) -> Common | None:
    """The contact that two adverts most probably have in common; None where they spell none of one kind. Symmetric."""
    found = [_common(*_ordered(x, y)) for x in a for y in b if x.kind == y.kind]
    return max(found, key=lambda c: (c.nats, c.kind, c.value, c.read), default=None)


def _ordered(a: Spelt, b: Spelt) -> tuple[Spelt, Spelt]:
    return (a, b) if (a.packed, a.before, a.forms) <= (b.packed, b.before, b.forms) else (b, a)


@lru_cache(maxsize=1 << 14)
def _common(a: Spelt, b: Spelt) -> Common:
    values = dict(b.forms) | dict(a.forms)
    parts = sorted(values)
    total = _against(a, parts) + _against(b, parts)
    best = int(total.argmax())
    return Common(a.kind, values[parts[best]], float(total[best]), (a.forms[0][1], b.forms[0][1]))


def _against(line: Spelt, parts: Sequence[str]) -> NDArray[np.float64]:
    """Log-likelihood of the line with each text in place of its contact, minus that of its best text, in nats."""
    texts = [line.before + part + line.after for part in parts]
    distinct = {text: number for number, text in enumerate(dict.fromkeys((*line.texts, *texts)))}
    scores = log_likelihood(_unpacked(line.packed), list(distinct), ALPHABET)
    best = max(float(scores[distinct[text]]) for text in line.texts)
    if not np.isfinite(best):
        return np.full(len(texts), _LEAST)
    return np.asarray(np.clip(scores[[distinct[text] for text in texts]] - best, _LEAST, 0.0))


@lru_cache(maxsize=256)
def _unpacked(packed: bytes) -> LogProbs:
    return unpack(packed)


def told_apart(a: Sequence[Spelt], b: Sequence[Spelt], sure: float) -> bool:
    """Whether both show another digit at one place of a contact, each read with at least the confidence ``sure``."""
    return any(x.kind == y.kind and _other_digit(*_ordered(x, y), sure) for x in a for y in b)


def _other_digit(a: Spelt, b: Spelt, sure: float) -> bool:
    ours, theirs = a.forms[0][0].lower(), b.forms[0][0].lower()
    if len(a.sure) != len(ours) or len(b.sure) != len(theirs):
        return False
    for step in Levenshtein.opcodes(ours, theirs):
        if step.tag == "replace":
            for i, j in zip(range(step.src_start, step.src_end), range(step.dest_start, step.dest_end), strict=False):
                if ours[i].isdigit() and theirs[j].isdigit() and min(a.sure[i], b.sure[j]) >= sure:
                    return True
    return False


def to_bytes(words: Sequence[Spelt]) -> bytes:
    """As bytes for a store."""
    rows = [[str(w.kind), w.forms, w.before, w.after, w.texts, w.sure, b64encode(w.packed).decode("ascii")] for w in words]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def from_bytes(data: bytes) -> tuple[Spelt, ...]:
    """What ``to_bytes`` gave. Raises ``ValueError`` for other bytes."""
    try:
        return tuple(
            Spelt(
                IdentifierKind(kind),
                tuple((str(part), str(value)) for part, value in forms),
                str(before),
                str(after),
                tuple(str(text) for text in texts),
                tuple(float(share) for share in sure),
                b64decode(packed, validate=True),
            )
            for kind, forms, before, after, texts, sure, packed in json.loads(data)
        )
    except (TypeError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"no words: {error}") from error
