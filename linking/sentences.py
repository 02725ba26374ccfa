"""What linking says in words, sentence by sentence: each has a code, so that others can say it in another language.

``say`` makes the English text that evidence, reasons and logs hold; ``recognise`` finds code and values in such a text again. So
whatever is in a store or a ``results.jsonl`` can be said in any language that has the same codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ..contract import IdentifierKind

SENTENCES: Final = MappingProxyType(
    {
        # Whose a contact is.
        "resource_named": "{kind} {value} of {name} ({shop})",
        "resource": "{kind} {value} of {shop}",
        # How well a listed contact, or none, explains what was read.
        "equal": "the value equals {resource}",
        "alike": "looks like {resource}",
        "alternative": "may also be read as {resource} (probability {share})",
        "fits_better": "the picture fits {resource}, {nats} nats better than the value read",
        "fits_worse": "the picture fits {resource}, {nats} nats worse than the value read",
        "read_so": "read so with probability {share}",
        "unlisted": "an unlisted value with probability {share}",
        "nothing_similar": "no listed resource has this or a similar value",
        "no_shops": "no shop is listed",
        "protected": "protected: never linked to a shop",
        "person_says": "a person says so",
        "too_weak": "too weak ({share}): {reason}",
        # What speaks for a resource or a shop before the reading is looked at.
        "listed": "a listed resource is seen more often than any one unlisted name",
        "listed_kin": "listed, and the name is its shop's",
        "beside": "painted beside {resource}",
        "kin": "has the name '{common}' of {resource}; surprise {nats} nats",
        "shop_share": "share of new names that are of one of {count} listed shops",
        "stranger": "a stranger's name has '{common}' in it once in {times} times",
        "form": "{count} listed names have this form",
        "added_word": "one generic word was added or left out",
        "rivals": "against {count} other meanings",
        "calibration": "from the sum of the evidence to how often such links were right",
        # Earlier sightings.
        "seen_one": "seen on 1 other wall",
        "seen": "seen on {count} other walls",
        "nearby": "{count} of them nearby",
        "lately": "{count} of them within {days} days of this photo",
        "same_cluster": "another photo of this advert shows it",
        "same_code": "seen with the same code before",
        "limit": "earlier sightings weigh {nats} nats at most",
        "limit_share": "they count {share}, as the picture fits what was read better",
        # Two photos of one advert.
        "same_contact": "{kind} {value}",
        "contact_alike": "{kind} {value} looks like {other}",
        "either_read": "one may also be read as the other",
        "other_contacts": "different contacts",
        "both_misread": "both may be misread {kind} {value} ({nats} nats)",
        "same_picture": "the same picture sent again, {count} of 64 bits differ",
        "points": "{match}: {count} points of the pictures agree",
        "metres": "{metres} m apart",
        "no_place": "the place of one is unknown",
        "days": "{days} days apart",
        "step": "{step}: {text} ({nats})",
        "place_unknown_one": "its place is unknown, and one known place shows its contacts",
        "place_unknown_none": "its place is unknown, and no known place shows its contacts",
        "place_unknown_several": "its place is unknown, and several known places show its contacts",
        "read_again": "read again",
    }
)
"""English sentences by their codes; names in braces are values."""


_NUMBER = r"[-+]?\d[\d.]*%?"
_FORMS: Final = MappingProxyType(
    {
        "kind": "|".join(re.escape(str(kind)) for kind in IdentifierKind),
        "step": "[a-z ]+",
        "match": "[a-z_]+",
        "name": ".+",
        **dict.fromkeys(("count", "nats", "share", "days", "metres", "times"), _NUMBER),
    }
)
"""What values of these names look like; others are any text."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that was found in a text: its code, and its values as they stand there."""

    code: str
    values: Mapping[str, str]


def say(code: str, **values: object) -> str:
    """The English sentence of a code. Raises ``KeyError`` for an unknown code, and for a value that is missing."""
    return SENTENCES[code].format_map(values)


def recognise(text: str) -> Said | None:
    """The sentence that a text is, or None. Where two fit, the one with more words of its own is meant."""
    for code, pattern in _patterns():
        if match := pattern.fullmatch(text):
            return Said(code, match.groupdict())
    return None


def parts(text: str) -> Iterator[str]:
    """The sentences of a text that holds several (``a; b``), each recognisable by itself where it can be."""
    pieces = text.split("; ")
    while pieces:
        # A sentence may have a semicolon of its own: the shortest beginning that is one is taken.
        count = next((n for n in range(1, len(pieces) + 1) if recognise("; ".join(pieces[:n])) is not None), 1)
        yield "; ".join(pieces[:count])
        pieces = pieces[count:]


def pattern_of(template: str) -> re.Pattern[str]:
    """What a template looks like when its values are filled in."""
    pieces = re.split(r"\{([a-z_]+)\}", template)
    made = [re.escape(piece) if n % 2 == 0 else f"(?P<{piece}>{_FORMS.get(piece, '.+?')})" for n, piece in enumerate(pieces)]
    return re.compile("".join(made), re.DOTALL)


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    own = {code: len(re.sub(r"\{[a-z_]+\}", "", template)) for code, template in SENTENCES.items()}
    return tuple((code, pattern_of(SENTENCES[code])) for code in sorted(own, key=lambda code: -own[code]))
