"""The shared words of the identifier grammars: where a text comes from, a text seen in three ways, and a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from ...contract import Flag, IdentifierKind
from .fold import clean, latin_view, lower_view


class Source(StrEnum):
    """Where a text comes from: it decides how much a grammar forgives.

    ``CODE`` and ``TYPED`` texts are literal; in ``PAINTED`` ones characters are misread, lost and look alike.
    """

    CODE = "code"
    TYPED = "typed"
    PAINTED = "painted"


@dataclass(frozen=True)
class View:
    """One line of text, cleaned, and the same text in lower case and folded to Latin by shape; all three of equal length.

    ``index[i]`` is the position in the original text that character ``i`` of the cleaned text comes from.
    """

    original: str
    text: str
    index: tuple[int, ...]

    @classmethod
    def of(cls, original: str) -> View:
        """Clean one line of text (control and invisible characters out, compatibility forms to plain ones)."""
        text, index = clean(original)
        return cls(original, text, index)

    @cached_property
    def lower(self) -> str:
        """The text in lower case, character by character."""
        return lower_view(self.text)

    @cached_property
    def latin(self) -> str:
        """The text in lower case, with every look-alike of another alphabet replaced by its Latin shape."""
        return latin_view(self.text)

    def raw(self, start: int, end: int) -> str:
        """The stretch of the original text that ``text[start:end]`` comes from."""
        if start >= end:
            return ""
        return self.original[self.index[start] : self.index[end - 1] + 1]


@dataclass(frozen=True, slots=True)
class Found:
    """One identifier found in one text.

    ``start:end`` is the whole stretch, anchor included, ``core`` the part that spells the value (both in the cleaned text).
    ``form`` is the probability that something written so is an identifier of this kind at all; ``share`` the probability
    that it is this value, where one spelling allows several (they are separate findings with the same stretch).
    ``verified`` says that a checksum confirms the value.
    """

    kind: IdentifierKind
    value: str
    start: int
    end: int
    core: tuple[int, int]
    form: float
    share: float = 1.0
    flags: tuple[Flag, ...] = ()
    verified: bool = False


def overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two half-open stretches have a character in common."""
    return a[0] < b[1] and b[0] < a[1]


def free(spans: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether no stretch in ``spans`` overlaps ``start:end``."""
    return all(not overlap(span, (start, end)) for span in spans)
