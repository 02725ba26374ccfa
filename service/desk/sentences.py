"""What the program says in English, in the language of the page: reasons of links, errors, notes that a machine wrote.

Linking's sentences have codes (``linking.sentences``), with a text for each in the section ``reason`` of the catalogues. Others
are known by their English text, which the sections ``fault`` (errors) and ``said`` (notes) of the English catalogue hold, with
names in braces for what changes. A sentence that nobody knows stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ...linking import sentences
from .catalogues import catalogue

Catalogue = Mapping[str, str]
_SECTIONS = ("fault.", "said.")
_WORDS: Mapping[str, str] = {"kind": "kind", "step": "step", "match": "match", "track": "track"}
"""Names of values that are words of the store, and the section that says them."""
_STATES = frozenset({"old", "new", "state"})
_NESTED = frozenset({"resource", "reason", "text", "what"})
_NUMBERS = frozenset({"nats", "share", "days"})


def translate(text: str, words: Catalogue) -> str:
    """A text of the program in the language of ``words``; what is no sentence that is known stays as it is."""
    if words is catalogue("en") or not text:
        return text
    for key, pattern in _patterns():
        if match := pattern.fullmatch(text):
            return _filled(words[key], match.groupdict(), words)
    return "; ".join(_reason(part, words) for part in sentences.parts(text))


def _reason(text: str, words: Catalogue) -> str:
    found = sentences.recognise(text)
    template = None if found is None else words.get(f"reason.{found.code}")
    return text if found is None or template is None else _filled(template, found.values, words)


def _filled(template: str, values: Mapping[str, str], words: Catalogue) -> str:
    def word(section: str, value: str) -> str:
        return words.get(f"{section}.{value.replace(' ', '_')}", value)

    def told(name: str, value: str) -> str:
        if name in _WORDS:
            return word(_WORDS[name], value)
        if name in _STATES:
            return word("state", value)
        if name == "allowed":
            return ", ".join(word("state", part) for part in value.split(", "))
        if name in _NESTED:
            return translate(value, words)
        return value.replace(".", ",") if name in _NUMBERS else value

    return template.format_map({name: told(name, value) for name, value in values.items()})


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The English sentences as patterns, those with most words of their own first."""
    known = [(key, template) for key, template in catalogue("en").items() if key.startswith(_SECTIONS)]
    known.sort(key=lambda item: (-len(re.sub(r"\{[a-z_]+\}", "", item[1])), item[0]))
    return tuple((key, sentences.pattern_of(template)) for key, template in known)
