"""What the recogniser takes for what: counts that were measured, and what an edit costs by them, in nats.

The counts stand in ``confusions.toml``, which ``tagtrace train confusions`` writes. Characters are compared in the folded form of
``inference.identifiers.fold.latin_view``: lower case, look-alike letters of other alphabets as Latin ones, without spaces.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..contract import BrokenInstallationError
from ..inference.identifiers.fold import latin_view

FILE = Path(__file__).with_name("confusions.toml")

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_.-+@:/"
"""The characters of folded values; their codes are 1, 2, … in this order."""
OTHER = len(CHARACTERS) + 1
"""The code of any other character."""
CODES = OTHER + 1
"""How many codes there are; 0 stands for nothing (padding)."""

LOOKALIKES = """
0o o0 1l 1i 1j 17 l1 li lj l7 i1 il ij j1 ji 71 7l 5s s5 8b b8 6b b6 6g g6 9g g9 9q gq qg 2z z2 uv vu nh hn co oc ec ce ao oa
"""
"""Pairs (painted, read) that stencils and hands confuse, from the domain notes (3.3): possible also where none was counted."""


@dataclass(frozen=True, slots=True)
class CostSettings:
    """How counts become costs."""

    unseen: float = 0.02
    """Count given to a confusion that was never seen …"""
    lookalike: float = 1.0
    """… and to one of ``LOOKALIKES``."""
    most_nats: float = 9.0
    """No edit costs more than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Confusions:
    """Counts over lines of contacts that were read by one recogniser.

    ``seen`` counts each painted character, ``substituted`` (painted, read) pairs, ``deleted`` painted characters that were not
    read, ``inserted`` read characters that were not painted, ``merged`` two painted characters read as one (``rn`` → ``m``) and
    ``split`` one read as two. ``shares`` are the shares of errors (edits per painted character) of the contacts that were read
    wrong, ascending. ``lines`` is how many lines were counted and ``recogniser`` the SHA-256 of its file.
    """

    seen: Mapping[str, int]
    substituted: Mapping[tuple[str, str], int]
    deleted: Mapping[str, int]
    inserted: Mapping[str, int]
    merged: Mapping[tuple[str, str], int] = field(default_factory=dict)
    split: Mapping[tuple[str, str], int] = field(default_factory=dict)
    shares: tuple[float, ...] = ()
    lines: int = 0
    recogniser: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """Costs in nats, never negative: ``substitute[painted, read]``, ``delete[painted]`` (not read), ``insert[read]`` (added).

    ``float32``; indices are codes (see ``encode``), index 0 costs nothing.
    """

    substitute: NDArray[np.float32]
    delete: NDArray[np.float32]
    insert: NDArray[np.float32]


def code_table() -> NDArray[np.uint8]:
    """Code of each byte of an ASCII text, shape (256,): capitals count as small letters."""
    table = np.full(256, OTHER, np.uint8)
    for code, char in enumerate(CHARACTERS, 1):
        table[ord(char)] = table[ord(char.upper())] = code
    return table


_TABLE = code_table()


def encode(text: str) -> NDArray[np.uint8]:
    """The codes of a text in its folded form, spaces left out; shape (characters,)."""
    folded = latin_view(text).replace(" ", "")
    return _TABLE[np.frombuffer(folded.encode("ascii", "replace"), np.uint8)]


def costs(table: Confusions, settings: CostSettings | None = None) -> Costs:
    """-log of the smoothed share of each confusion among the readings of the painted character."""
    settings = settings or CostSettings()
    counts = np.full((CODES, CODES), settings.unseen)
    for pair in LOOKALIKES.split():
        counts[code_of(pair[0]), code_of(pair[1])] = settings.lookalike
    for (painted, read), count in table.substituted.items():
        counts[code_of(painted), code_of(read)] += count
    seen = np.ones(CODES)
    lost, added = np.full(CODES, settings.lookalike), np.full(CODES, settings.lookalike)
    for char, count in table.seen.items():
        seen[code_of(char)] += count
    for char, count in table.deleted.items():
        lost[code_of(char)] += count
    for char, count in table.inserted.items():
        added[code_of(char)] += count
    substitute = _nats(counts / seen[:, None], settings)
    np.fill_diagonal(substitute, 0.0)
    delete, insert = _nats(lost / seen, settings), _nats(added * CODES / seen.sum(), settings)
    for array in (substitute, delete, insert):
        array[0] = 0.0
    substitute[:, 0] = 0.0
    return Costs(substitute, delete, insert)


def _nats(shares: NDArray[np.float64], settings: CostSettings) -> NDArray[np.float32]:
    return np.clip(-np.log(np.minimum(shares, 1.0)), 0.0, settings.most_nats).astype(np.float32)


def code_of(char: str) -> int:
    """The code of one folded character."""
    return CHARACTERS.find(char) + 1 or OTHER


def toml_text(table: Confusions) -> str:
    """The counts as the text of their file."""
    out = [
        "# Written by `tagtrace train confusions`: what the recogniser took for what, on lines of contacts; folded characters.",
        "",
    ]
    out += [f'recogniser = "{table.recogniser}"', f"lines = {table.lines}"]
    out += [
        "# edits per painted character of each contact that was extracted with a wrong value",
        f"shares = [{', '.join(f'{s:.3f}' for s in table.shares)}]",
    ]
    for name in ("seen", "deleted", "inserted"):
        counts: Mapping[str, int] = getattr(table, name)
        out += ["", f"[{name}]", *(f'"{char}" = {count}' for char, count in sorted(counts.items()))]
    for name in ("substituted", "merged", "split"):
        pairs: Mapping[tuple[str, str], int] = getattr(table, name)
        ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        out += ["", f"[{name}]", *(f'"{painted} {read}" = {count}' for (painted, read), count in ordered)]
    return "\n".join(out) + "\n"


def read_confusions(path: Path) -> Confusions:
    """Read a file that ``toml_text`` wrote; raises ``BrokenInstallationError`` naming it when it is missing or wrong."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        seen, deleted, inserted = ({str(k): int(v) for k, v in data[name].items()} for name in ("seen", "deleted", "inserted"))
        substituted, merged, split = (
            {_pair(k): int(v) for k, v in data[name].items()} for name in ("substituted", "merged", "split")
        )
        shares = tuple(float(share) for share in data["shares"])
        lines, recogniser = int(data["lines"]), str(data["recogniser"])
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{path}: not a table of confusions ({error!r}); restore it or run `tagtrace train confusions`"
        raise BrokenInstallationError(message) from error
    return Confusions(seen, substituted, deleted, inserted, merged, split, shares, lines, recogniser)


def _pair(text: str) -> tuple[str, str]:
    painted, read = text.split(" ")
    return painted, read


@lru_cache(maxsize=1)
def bundled() -> Confusions:
    """The confusions that come with tagtrace."""
    return read_confusions(FILE)
