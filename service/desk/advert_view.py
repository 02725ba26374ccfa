"""What the pages show of one advert: readings with their doubts, contacts with their proposals, sightings, history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ...contract import Advert, Analysis, Char, Flag, Identifier, IdentifierKind, Link, Outcome, Quad
from ...linking.features import match, upright_frame
from ...linking.sightings import Key
from ...linking.store import people
from ...linking.store.clusters import cluster_events
from ...linking.store.loading import latest_with_links
from ...linking.store.reviews import Review, reviews_of
from ...linking.store.sights import Sight, features_of, find_sights, resource_facts
from ..problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

Session = Any
"""A transaction of the store: what it is made of is the store's affair."""
DOUBT_STEPS = (0.98, 0.9, 0.7, 0.4)
"""Confidences at which a character's mark changes, from sure to hardly readable."""
MOST_SIGHTINGS = 60
_PROPOSING = (Outcome.SAME, Outcome.MISREAD, Outcome.SIBLING)
_UNCOUNTED = frozenset({Flag.UNSURE, Flag.PROTECTED, Flag.OBSOLETE})


@dataclass(frozen=True, slots=True)
class CharView:
    """A character with its doubt (0 sure … 4 hardly readable) and what else it could be."""

    text: str
    confidence: float
    doubt: int
    alternatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the waterfall; ``left`` and ``width`` are per mille of the field."""

    name: str
    nats: float
    text: str
    left: int
    width: int


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact, what is proposed for it, and where its resource stands."""

    item: Identifier
    link: Link | None
    counted: bool
    """Whether confirming the advert confirms it."""
    state: str
    shop_id: str | None
    steps: tuple[Step, ...]
    zero: int
    """Where no odds lie in the waterfall, per mille."""

    @property
    def proposed(self) -> bool:
        """Whether a shop is proposed."""
        return self.link is not None and self.link.outcome in _PROPOSING


@dataclass(frozen=True, slots=True)
class AdvertView:
    """Everything on the page of an advert."""

    key: Key
    analysis: Analysis
    advert: Advert
    lines: tuple[tuple[CharView, ...], ...]
    contacts: tuple[ContactView, ...]
    own: Sight
    sightings: tuple[Sight, ...]
    """Those of its cluster, itself among them."""
    reviews: tuple[Review, ...]
    events: tuple[tuple[datetime, str, str, str], ...]
    """Time, person, what, why."""

    @property
    def name(self) -> str:
        """How addresses name it."""
        return f"{self.key[0]}-{self.key[1]}"

    @property
    def surest(self) -> float:
        """Confidence of the least sure contact, or of the least sure line where there is none."""
        contacts = [item.item.confidence for item in self.contacts if item.counted]
        return min(contacts or [line.reading.confidence for line in self.advert.lines], default=0.0)


def key_of(name: str) -> Key:
    """The key of an advert that an address names. Raises ``ProblemError`` 404 for what is none."""
    sha256, dash, number = name.rpartition("-")
    if not dash or len(sha256) != 64 or not number.isdigit() or len(number) > 4 or not set(sha256) <= set("0123456789abcdef"):
        raise ProblemError(404, "There is no such advert.", "no-advert")
    return sha256, int(number)


def load_view(session: Session, key: Key) -> AdvertView:
    """An advert with everything around it. Raises ``ProblemError`` 404 for an unknown one."""
    found = latest_with_links(session, key[0])
    own = next(iter(find_sights(session, keys=[key])), None)
    if found is None or own is None:
        raise ProblemError(404, "There is no such advert.", "no-advert")
    analysis, links = found
    advert = analysis.adverts[key[1]]
    sightings = find_sights(session, cluster=own.cluster, limit=MOST_SIGHTINGS) if own.cluster else [own]
    reviews = reviews_of(session, [sight.key for sight in sightings])
    return AdvertView(
        key,
        analysis,
        advert,
        tuple(_chars(line.reading.text, line.reading.chars, line.reading.confidence) for line in advert.lines),
        contacts_view(session, advert.identifiers, links[key[1]]),
        own,
        tuple(sightings),
        tuple(reviews),
        _events(session, own.cluster, reviews),
    )


def _chars(text: str, chars: Sequence[Char], confidence: float) -> tuple[CharView, ...]:
    if not chars:
        return tuple(CharView(char, confidence, doubt_of(confidence), ()) for char in text)
    return tuple(
        CharView(char.text, char.confidence, doubt_of(char.confidence), tuple(other for other, _ in char.alternatives))
        for char in chars
    )


def doubt_of(confidence: float) -> int:
    """The mark of a confidence: 0 sure … 4 hardly readable."""
    return sum(confidence < step for step in DOUBT_STEPS)


def contacts_view(session: Session, items: Sequence[Identifier], links: Sequence[Link | None]) -> tuple[ContactView, ...]:
    """Contacts with their links, and where their resources stand."""
    meant = [_meant(item, link) for item, link in zip(items, links, strict=True)]
    facts: Mapping[tuple[IdentifierKind, str], tuple[str, str | None]] = resource_facts(session, meant)
    return tuple(
        ContactView(
            item,
            link,
            not _UNCOUNTED & set(item.flags),
            facts.get(contact, ("", None))[0],
            link.shop_id if link is not None and link.shop_id else facts.get(contact, ("", None))[1],
            *_steps(link),
        )
        for item, link, contact in zip(items, links, meant, strict=True)
    )


def _meant(item: Identifier, link: Link | None) -> tuple[IdentifierKind, str]:
    if link is not None and link.outcome is Outcome.MISREAD and link.resource is not None:
        return link.resource.kind, link.resource.value
    return item.kind, item.value


def _steps(link: Link | None) -> tuple[tuple[Step, ...], int]:
    if link is None or not link.evidence:
        return (), 0
    sums = [0.0, *accumulate(step.nats for step in link.evidence)]
    low, high = min(sums), max(sums)
    scale = 1000.0 / max(high - low, 1.0)
    return tuple(
        Step(step.name, step.nats, step.text, round((min(a, b) - low) * scale), max(6, round(abs(b - a) * scale)))
        for step, a, b in zip(link.evidence, sums[:-1], sums[1:], strict=True)
    ), round(-low * scale)


def _events(session: Session, cluster: str, reviews: Sequence[Review]) -> tuple[tuple[datetime, str, str, str], ...]:
    found = [(review.at, review.actor, f"word.{review.word}", review.why) for review in reviews]
    if cluster:
        found += [
            (event.at, event.actor, f"cluster.{event.kind}", "; ".join(event.why)) for event in cluster_events(session, cluster)
        ]
    return tuple(sorted(found, key=lambda row: row[0], reverse=True))


def names_of(session: Session) -> dict[str, str]:
    """The names of people as the audit log calls them (``person 3``)."""
    return {f"person {person.id}": person.name or person.login for person in people.list_people(session)}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two adverts beside each other: its upright picture, and its matched points in it."""

    key: Key
    quad: Quad
    width: int
    height: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two adverts with the points that agree, pairwise in order; ``kind`` as ``features.Match`` has it ("" without features)."""

    kind: str
    inliers: int
    wall_inliers: int
    sides: tuple[Side, Side] | None


_NEAR_PX = 4.0
"""Points that the homography brings so close are the same point, pixels of the upright pictures."""
_MOST_POINTS = 60


def compare(session: Session, a: Key, b: Key) -> Pair:
    """Two adverts beside each other. The points are those of the first that lie on one of the second."""
    first, second = features_of(session, a), features_of(session, b)
    if first is None or second is None:
        return Pair("", 0, 0, None)
    found = match(first, second)
    points: list[tuple[tuple[float, float], tuple[float, float]]] = []
    if found.homography is not None and len(second.points):
        mapped = cv2.perspectiveTransform(first.points.reshape(1, -1, 2).astype(np.float64), found.homography)[0]
        for own, at in zip(first.points, mapped, strict=True):
            gaps = ((second.points - at) ** 2).sum(axis=1)
            best = int(gaps.argmin())
            if gaps[best] <= _NEAR_PX**2:
                points.append(((float(own[0]), float(own[1])), (float(second.points[best][0]), float(second.points[best][1]))))
    step = max(1, len(points) // _MOST_POINTS)
    shown = points[::step][:_MOST_POINTS]
    sides = [
        Side(key, upright_frame(features.quad)[0], features.width, features.height, tuple(pair[n] for pair in shown))
        for n, (key, features) in enumerate(((a, first), (b, second)))
    ]
    return Pair(found.kind, found.inliers, found.wall_inliers, (sides[0], sides[1]))
