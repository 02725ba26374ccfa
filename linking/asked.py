"""What a person asks for with one word: a photo by its name or SHA-256, or a contact in any usual spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..contract import IdentifierKind
from .canonical import canonical_value
from .priors import Contact

_LEAST_HEX = 6
_HEX = re.compile(rf"[0-9a-fA-F]{{{_LEAST_HEX},64}}")


@dataclass(frozen=True, slots=True)
class Asked:
    """The meanings of a word: ``sha256`` is the beginning of a digest ("" for none), ``contacts`` are canonical."""

    text: str
    name: str
    sha256: str
    contacts: tuple[Contact, ...]


def parse(text: str) -> Asked:
    """All that a word may mean. ``KIND:VALUE`` is a contact alone; six hex digits and more may begin a SHA-256."""
    word = text.strip()
    kind, colon, value = word.partition(":")
    if colon and kind in list(IdentifierKind):
        known = IdentifierKind(kind)
        # What no grammar accepts may still stand in results or in a store: it is looked for as it is.
        return Asked(text, "", "", ((known, canonical_value(known, value) or value),))
    contacts = [(known, canonical_value(known, word)) for known in IdentifierKind]
    sha256 = word.lower() if _HEX.fullmatch(word) else ""
    return Asked(text, word, sha256, tuple((known, value) for known, value in contacts if value is not None))


def name_ends_with(name: str, wanted: str) -> bool:
    """Whether a photo of this name is meant: by its whole name, or by the last parts of its path."""
    return name == wanted or name.endswith(f"/{wanted}")
