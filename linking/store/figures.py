"""What statistics are made of: things that happened, each at a time and in districts, and the sums of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, tzinfo
from statistics import median
from typing import Any, Final

from rapidfuzz.distance import Levenshtein

from .verdicts import Review, Word

STAGES: Final = ("reported", "read", "verified", "sent", "blocked", "restored", "rejected", "painted")
"""The funnel: reports for the first two, then resources, then physical adverts that were painted over."""
COUNTS: Final = (*STAGES, "adverts", "clusters", "duplicates", "files_again")
"""All that is counted: the stages; adverts in photos, physical adverts first seen, sightings of known ones; files sent again."""
WAYS: Final = (
    "reported_to_read",
    "identified_to_verified",
    "verified_to_sent",
    "sent_to_blocked",
    "blocked_to_restored",
    "seen_to_painted",
)
"""Ways whose median hours are told."""


@dataclass(slots=True)
class Quality:
    """How experts found what was read, by their last word on each advert that was not taken back."""

    confirmed: int = 0
    corrected: int = 0
    rejected: int = 0
    not_advert: int = 0
    characters: int = 0
    """Characters of the lines as experts say that they are."""
    characters_wrong: int = 0
    """Edits (characters put in, left out or exchanged) from the lines as read to those."""
    contacts: int = 0
    """Contacts that experts say are there."""
    contacts_read: int = 0
    """Contacts that were read."""
    contacts_right: int = 0
    """Contacts that were read and are there, exactly."""
    links: int = 0
    """Known contacts that were proposed for what was read (same, or a misread of it)."""
    links_right: int = 0
    """Those of them that experts agreed to."""

    @property
    def right(self) -> float | None:
        """The share of adverts that were read rightly, of those that are adverts and were read."""
        return _share(self.confirmed, self.confirmed + self.corrected)

    @property
    def character_errors(self) -> float | None:
        """Edits per character of the truth."""
        return _share(self.characters_wrong, self.characters)

    @property
    def contact_precision(self) -> float | None:
        """Of the contacts read, the share that is right."""
        return _share(self.contacts_right, self.contacts_read)

    @property
    def contact_recall(self) -> float | None:
        """Of the contacts that are there, the share that was read."""
        return _share(self.contacts_right, self.contacts)

    @property
    def link_precision(self) -> float | None:
        """Of the links proposed, the share that experts agreed to."""
        return _share(self.links_right, self.links)

    def add(self, other: Quality) -> None:
        """Add the counts of another one."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


def quality_of(review: Review) -> Quality:
    """What one word says of the reading. Words of an older tagtrace tell less."""
    found, details = Quality(), review.details
    if review.word is Word.REJECTED:
        found.rejected = 1
    elif review.word is Word.NOT_ADVERT:
        found.not_advert = 1
    elif review.word in (Word.CONFIRMED, Word.CORRECTED):
        read = [str(text) for text in details.get("read", ())]
        texts = [str(text) for text in details.get("texts", read)]
        changed = review.word is Word.CORRECTED or texts != read
        found.confirmed, found.corrected = int(not changed), int(changed)
        if len(texts) == len(read):
            found.characters = sum(map(len, texts))
            found.characters_wrong = sum(map(Levenshtein.distance, read, texts))
        if "read_contacts" in details:
            _contacts(found, details)
    return found


def _contacts(found: Quality, details: Mapping[str, Any]) -> None:
    true, own = _set(details.get("contacts", ())), _set(details["read_contacts"])
    found.contacts, found.contacts_read, found.contacts_right = len(true), len(own), len(true & own)
    proposed = [(kind, value) for _, _, outcome, kind, value in details.get("proposed", ()) if outcome in ("same", "misread")]
    found.links, found.links_right = len(proposed), sum(contact in true for contact in proposed)


def _set(contacts: Iterable[Sequence[Any]]) -> set[tuple[str, str]]:
    return {(str(kind), str(value)) for kind, value in contacts}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened: counts by their names, hours by their way, or what a word says of the reading."""

    at: datetime
    districts: frozenset[str]
    """Where: a resource that was seen in several districts counts in each."""
    counts: tuple[str, ...] = ()
    hours: tuple[str, float] | None = None
    quality: Quality | None = None


@dataclass(slots=True)
class Figures:
    """Sums of facts."""

    counts: Counter[str] = field(default_factory=Counter)
    quality: Quality = field(default_factory=Quality)
    spans: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, fact: Fact) -> None:
        """Add what happened."""
        self.counts.update(fact.counts)
        if fact.hours is not None:
            self.spans[fact.hours[0]].append(fact.hours[1])
        if fact.quality is not None:
            self.quality.add(fact.quality)

    @property
    def hours(self) -> dict[str, float | None]:
        """The median hours of each way; None where nothing went that way."""
        return {name: median(self.spans[name]) if self.spans.get(name) else None for name in WAYS}

    @property
    def reports(self) -> int:
        """Reports that came in."""
        return self.counts["reported"]

    @property
    def adverts(self) -> int:
        """Adverts in photos, those left out that somebody says are none."""
        return self.counts["adverts"]

    @property
    def clusters(self) -> int:
        """Physical adverts that were first seen."""
        return self.counts["clusters"]

    @property
    def duplicates(self) -> int:
        """Sightings of adverts that had been seen before: nobody has to read them again."""
        return self.counts["duplicates"]

    @property
    def painted(self) -> int:
        """Physical adverts that were painted over."""
        return self.counts["painted"]


@dataclass(slots=True)
class Week(Figures):
    """What happened in one week; ``begin`` is its Monday, ``YYYY-MM-DD``."""

    begin: str = ""


@dataclass(slots=True)
class District(Figures):
    """What happened in one district; "" where the place is not known or outside of all."""

    name: str = ""


@dataclass(slots=True)
class DistrictWeek(Figures):
    """What happened in one district in one week."""

    name: str = ""
    begin: str = ""


def week_of(at: datetime, zone: tzinfo) -> str:
    """The Monday of the week of a moment, as the clocks of a time zone have it."""
    there = at.astimezone(zone)
    return (there - timedelta(days=there.weekday())).date().isoformat()
