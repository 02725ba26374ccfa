"""Misreads of known values, drawn as the recogniser makes them: to measure what a look-up finds again."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..inference.identifiers.fold import latin_view
from ..linking.confusions import CHARACTERS, LOOKALIKES, Confusions

MEASURED = "measured"
"""Edits of every sort, as many and as often as they were counted."""
SUBSTITUTED, DELETED, INSERTED = "one substitution", "one deletion", "one insertion"
LOOKALIKE, SEPARATOR, STROKES = "look-alike", "separator lost", "rn/m, vv/w, cl/d"
ERRORS = (MEASURED, SUBSTITUTED, DELETED, INSERTED, LOOKALIKE, SEPARATOR, STROKES)
"""The kinds of error that can be drawn."""

_STROKES = (("rn", "m"), ("m", "rn"), ("vv", "w"), ("w", "vv"), ("cl", "d"), ("d", "cl"))
_SEPARATORS = "_.-"


@dataclass(frozen=True, slots=True)
class MisreadSettings:
    """What is drawn. ``most_share`` is in edits per painted character."""

    most_share: float = 0.5
    """Lines that were misread worse than this are left out."""
    unseen: float = 0.02
    """Weight of a confusion that was never counted, against the counts."""


class Misreader:
    """Draws misreads by counted confusions. The same generator state gives the same misreads."""

    def __init__(self, table: Confusions, draw: random.Random, settings: MisreadSettings | None = None) -> None:
        settings = settings or MisreadSettings()
        self._draw = draw
        self._shares = [share for share in table.shares if share <= settings.most_share]
        self._as = {painted: _Wheel(_row(table.substituted, painted, settings.unseen)) for painted in CHARACTERS}
        self._alike = {
            painted: [pair[1] for pair in LOOKALIKES.split() if pair[0] == painted and pair[1] != painted]
            for painted in CHARACTERS
        }
        self._new = _Wheel({char: table.inserted.get(char, 0) + settings.unseen for char in CHARACTERS})
        self._wrong = {c: _rate(_total(table.substituted, c) + _total(table.merged, c), table.seen.get(c, 0)) for c in CHARACTERS}
        self._lost = {c: _rate(table.deleted.get(c, 0) + 0.5 * _total(table.merged, c), table.seen.get(c, 0)) for c in CHARACTERS}
        added = sum(table.inserted.values()) + sum(table.split.values())
        self._added = _rate(added, sum(table.seen.values()))

    def read(self, value: str, error: str = MEASURED) -> str | None:
        """A misread of the value, folded, with errors of one kind of ``ERRORS``; None where the value has no place for it."""
        text = latin_view(value)
        if error == MEASURED:
            return self._measured(text)
        if error == LOOKALIKE:
            return self._at(
                text, [i for i, c in enumerate(text) if self._alike.get(c)], lambda c: self._draw.choice(self._alike[c])
            )
        if error == SEPARATOR:
            return self._at(text, [i for i, c in enumerate(text) if c in _SEPARATORS], lambda c: "")
        if error == STROKES:
            return self._strokes(text)
        edit = {SUBSTITUTED: self._substitute, DELETED: self._delete, INSERTED: self._insert}[error]
        return edit(text)

    def _measured(self, text: str) -> str:
        """So many edits as a misread line of this length had, each of a kind and at a place as they were counted."""
        edits = max(1, round(self._draw.choice(self._shares) * len(text)))
        wrong, lost = (sum(rates.get(c, 0.0) for c in text) for rates in (self._wrong, self._lost))
        added = self._added * len(text)
        for edit in self._draw.choices((self._substitute, self._delete, self._insert), (wrong, lost, added), k=edits):
            text = edit(text)
        return text

    def _substitute(self, text: str) -> str:
        at = self._place(text, self._wrong)
        return text[:at] + self._as[text[at]].draw(self._draw) + text[at + 1 :] if text[at] in self._as else text

    def _delete(self, text: str) -> str:
        at = self._place(text, self._lost)
        return text[:at] + text[at + 1 :] if len(text) > 1 else text

    def _insert(self, text: str) -> str:
        at = self._draw.randrange(len(text) + 1)
        return text[:at] + self._new.draw(self._draw) + text[at:]

    def _strokes(self, text: str) -> str | None:
        found = [(i, old, new) for old, new in _STROKES for i in range(len(text)) if text.startswith(old, i)]
        if not found:
            return None
        at, old, new = self._draw.choice(found)
        return text[:at] + new + text[at + len(old) :]

    def _at(self, text: str, places: Sequence[int], changed: Callable[[str], str]) -> str | None:
        if not places:
            return None
        at = self._draw.choice(places)
        return text[:at] + changed(text[at]) + text[at + 1 :]

    def _place(self, text: str, rates: Mapping[str, float]) -> int:
        return self._draw.choices(range(len(text)), [rates.get(c, 1e-4) for c in text])[0]


class _Wheel:
    """Draws keys by their weights."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._keys = list(weights)
        self._sums = list(accumulate(weights.values()))

    def draw(self, draw: random.Random) -> str:
        return self._keys[min(bisect(self._sums, draw.random() * self._sums[-1]), len(self._keys) - 1)]


def _row(counts: Mapping[tuple[str, str], int], painted: str, unseen: float) -> dict[str, float]:
    return {read: counts.get((painted, read), 0) + unseen for read in CHARACTERS if read != painted}


def _total(counts: Mapping[tuple[str, str], int], painted: str) -> int:
    return sum(count for (left, _), count in counts.items() if painted in left)


def _rate(count: float, seen: int) -> float:
    """Smoothed share, never 0."""
    return (count + 0.2) / (seen + 20.0)
