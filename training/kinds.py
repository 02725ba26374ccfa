"""What the lines of an advert mean: which line shows which contact, found by the grammar that scoring uses.

For texts that people typed: in the review desk, in Label Studio, in CVAT.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..contract import Flag, Identifier, IdentifierKind
from ..datasets.truth import CODE_KIND, WORD_KIND, AdvertTruth, LineTruth, PhotoTruth
from ..inference.identifiers import extract_payload, extract_text
from .matching import fold

Contact = tuple[IdentifierKind, str]
PAYLOAD_KIND = "payload_kind"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a line means: ``kind`` and ``canonical`` as in ``LineTruth``, and ``part`` where a contact runs over several lines."""

    kind: str
    canonical: str
    part: tuple[int, int] = (1, 1)


def meanings(texts: Sequence[str], contacts: Iterable[Contact] | None = None) -> list[Meaning]:
    """The meaning of each line of an advert; lines that show no contact are words.

    With ``contacts`` only these count: a line that shows one of them is found by the grammar, else by its letters.
    """
    found = [Meaning(WORD_KIND, text) for text in texts]
    wanted = None if contacts is None else set(contacts)
    items = extract_text("\n".join(text.replace("\n", " ").replace("\r", " ") for text in texts))
    shown: set[Contact] = set()
    for item in items:
        if wanted is None or (item.kind, item.value) in wanted:
            shown.add((item.kind, item.value))
            _assign(found, item)
    for kind, value in sorted((wanted or set()) - shown):
        letters = fold(value)
        holding = [i for i, text in enumerate(texts) if letters and letters in fold(text) and found[i].kind == WORD_KIND]
        for i in holding:
            found[i] = Meaning(kind.value, value)
    return found


def _assign(found: list[Meaning], item: Identifier) -> None:
    joined = Flag.JOINED in item.flags and len(item.lines) > 1
    for place, number in enumerate(item.lines, 1):
        # A line has one meaning: the first contact that it shows.
        if number < len(found) and found[number].kind == WORD_KIND:
            found[number] = Meaning(item.kind.value, item.value, (place, len(item.lines)) if joined else (1, 1))


def payload_line(payload: str, line: LineTruth) -> LineTruth:
    """A code's line with what its payload means."""
    items = extract_payload(payload)
    if not items:
        return replace(line, kind=CODE_KIND, text=payload, canonical=payload)
    extra = {**line.extra, PAYLOAD_KIND: items[0].kind.value}
    return replace(line, kind=CODE_KIND, text=payload, canonical=items[0].value, extra=extra)


def with_kinds(photos: Iterable[PhotoTruth]) -> list[PhotoTruth]:
    """The photos with the meaning of lines filled in that have none yet: words whose canonical value is their text."""
    return [replace(photo, ads=tuple(map(_filled, photo.ads))) for photo in photos]


def _filled(advert: AdvertTruth) -> AdvertTruth:
    found = meanings([line.text for line in advert.lines])
    lines = []
    for line, meaning in zip(advert.lines, found, strict=True):
        bare = line.canonical in ("", line.text)
        if line.kind == CODE_KIND and bare and line.text:
            lines.append(payload_line(line.text, line))
        elif line.kind == WORD_KIND and bare and meaning.kind != WORD_KIND:
            lines.append(replace(line, kind=meaning.kind, canonical=meaning.canonical, part=meaning.part))
        else:
            lines.append(line)
    return replace(advert, lines=tuple(lines))
