"""How a painted Telegram name is read: folding to Latin, joining spaced and dotted pieces, and repairs by the rules of names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...contract import Flag
from .base import Source
from .fold import Likeness, fold_char

NAME_LENGTH = 32
"""Longest Telegram name (tdlib ``is_valid_username``)."""

_BOT_TAIL = re.compile(r"(?:b0t|80t|8ot|6ot|60t|bo7|b07)$")
_SPACED = re.compile(r"\S{1,2}(?: {1,2}\S{1,2}){3,}(?=\s|$)")
_TOKEN = re.compile(r"[^\s/?#@|()\[\]{}<>\"'«»:;!,*+=\\]+")
_COMMA = re.compile(r"(?<=\w),(?=\w)")


@dataclass(frozen=True, slots=True)
class Name:
    """One way to read a painted name: the canonical value, its share among the ways, how well it is formed, remarks."""

    value: str
    share: float
    form: float
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class _Folded:
    value: str
    form: float
    flags: tuple[Flag, ...]


def is_valid_name(name: str) -> bool:
    """tdlib's ``is_valid_username``: 1–32 of ``[A-Za-z0-9_]``, a letter first, no ``_`` at the end, no ``__``."""
    return (
        0 < len(name) <= NAME_LENGTH
        and name.isascii()
        and name[0].isalpha()
        and name.replace("_", "a").isalnum()
        and not name.endswith("_")
        and "__" not in name
    )


def take(text: str, start: int, source: Source) -> tuple[int, str, bool]:
    """The stretch of ``text`` from ``start`` that spells a name: its end, its characters, and whether it is in pieces.

    A name ends at the first space, except where it is painted letter by letter (``o a s i s 3 8``) or broken at an underscore.
    """
    if source is not Source.CODE:
        spaced = _SPACED.match(text, start)
        if spaced:
            pieces = spaced.group().split()
            if sum(map(len, pieces)) <= 1.5 * len(pieces):
                return spaced.end(), "".join(pieces), True
    match = _TOKEN.match(text, start)
    if not match:
        return start, "", False
    end, piece, joined = match.end(), match.group(), False
    if source is Source.PAINTED and _COMMA.match(text, end) and (more := _TOKEN.match(text, end + 1)):
        piece, end, joined = piece + "." + more.group(), more.end(), True
    while source is not Source.CODE and end + 1 < len(text) and text[end] == " ":
        more = _TOKEN.match(text, end + 1)
        tail_bot = more is not None and more.group().lower() in ("bot", "_bot", "вот", "b0t")
        if not more or not (piece.endswith("_") or more.group().startswith("_") or tail_bot) or not more.group().isascii():
            break
        glue = "_" if tail_bot and not (piece.endswith("_") or more.group().startswith("_")) else ""
        piece, end, joined = piece + glue + more.group(), more.end(), True
    return end, piece, joined


def _fold(piece: str, source: Source) -> _Folded | None:
    """The Latin letters of a piece, if they can be told; None when it is a word of another alphabet."""
    letters = [c for c in piece if c.isalpha()]
    ascii_letters = sum(c.isascii() for c in letters)
    worst = Likeness.LATIN
    out: list[str] = []
    for char in piece:
        folded = fold_char(char)
        if folded is None:
            return None
        out.append(folded[0])
        worst = max(worst, folded[1])
    flags = (Flag.MIXED_SCRIPT,) if worst > Likeness.LATIN else ()
    if worst is Likeness.LATIN:
        return _Folded("".join(out), 1.0, flags)
    if worst is Likeness.EXACT and not ascii_letters:
        return _Folded("".join(out), 0.8, flags)
    if worst >= Likeness.STREET and not ascii_letters:
        return None
    if worst is Likeness.WEAK and (source is not Source.PAINTED or ascii_letters < 0.6 * len(letters)):
        return None
    return _Folded("".join(out), 0.6 if worst is Likeness.WEAK else 0.97, flags)


def _repair(name: str) -> tuple[str, float]:
    """Bring a misread name within the rules: single underscores, none at the edges, ``b0t`` at the end is ``bot``."""
    form = 1.0
    fixed = _BOT_TAIL.sub("bot", name)
    if "__" in fixed:
        fixed, form = re.sub(r"_{2,}", "_", fixed), form * 0.85
    if fixed.startswith("_") or fixed.endswith("_"):
        fixed, form = fixed.strip("_"), form * 0.6
    return fixed, form


def _zero_context(name: str, i: int) -> float:
    """Probability that the ``0`` or ``o`` at ``i`` is an ``o``, from its neighbours alone."""
    left = name[:i].rstrip("0")[-1:]
    right = name[i + 1 :].lstrip("0")[:1]
    if i == 0 or (left.isalpha() and right.isalpha()):
        return 0.8
    if left == "_" and right.isalpha():
        return 0.8
    if left.isalpha() and right == "_":
        return 0.5
    if left.isdigit() and (right.isdigit() or not right):
        return 0.2
    return 0.5 if left.isalpha() and not right else 0.2


def _zero_readings(name: str, source: Source) -> list[tuple[str, float]]:
    """The ways to read the zeros of a name: on a wall ``0`` and ``o`` are one shape, and their neighbours tell."""
    if source is Source.CODE or "0" not in name:
        return [(name, 1.0)]
    guess = "".join("o" if c == "0" and _zero_context(name, i) >= 0.8 else c for i, c in enumerate(name))
    if guess == name:
        return [(name, 1.0)]
    if source is Source.TYPED and name[0].isalpha():
        return [(name, 0.8), (guess, 0.2)]
    return [(guess, 0.8), (name, 0.2)]


def read_name(piece: str, source: Source, spaced: bool = False) -> list[Name]:
    """All ways to read the characters of a painted or typed name, most probable first; empty when it cannot be one.

    Dots are deleted as Telegram itself does; ``-`` in a painted name is a misread ``_``.
    """
    literal = piece.strip(".-·•").lower()
    flags: tuple[Flag, ...] = (Flag.JOINED,) if spaced else ()
    form = 0.97 if spaced else 1.0
    plain = re.sub(r"[.·•]", "", literal)
    if plain != literal:
        flags, form = (*dict.fromkeys((*flags, Flag.JOINED)),), form * 0.95
    original_case = re.sub(r"[.·•]", "", piece.strip(".-·•"))
    if "-" in plain:
        if source is Source.CODE:
            return []
        original_case, form, flags = original_case.replace("-", "_"), form * 0.85, (*flags, Flag.REPAIRED)
    folded = _fold(original_case, source)
    if folded is None:
        return []
    flags = (*flags, *folded.flags)
    fixed, repair_form = (folded.value, 1.0) if source is Source.CODE else _repair(folded.value)
    names = []
    for value, share in _zero_readings(fixed, source):
        remarks = (*flags, Flag.REPAIRED) if value != folded.value else flags
        if is_valid_name(value):
            names.append(Name(value, share, form * repair_form * folded.form, tuple(dict.fromkeys(remarks))))
    return names
