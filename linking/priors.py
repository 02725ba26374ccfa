"""What earlier sightings of a resource say of the next one: how often it is seen, near, lately, on this wall, with this code.

They help where the picture leaves a value open, and there only. Sellers rotate names: a frequent handle that was blocked comes
back with another number or letter, so that a name is frequent tells nothing about which of its siblings a wall shows. Hence what
was read clearly is never outvoted, and where numbers are in doubt earlier sightings do not count (``prior_share``).

Walls are counted and not photos: ten reports of one advert are one wall. All of it is pure; a store brings in the numbers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import h3.api.numpy_int as h3

from ..contract import Evidence, IdentifierKind, Resource
from .sentences import say

Contact = tuple[IdentifierKind, str]
LIMIT = "limit"
"""Name of the step that takes back what earlier sightings weigh too much."""
STEPS = ("seen", "nearby", "lately", "same cluster", "same code")
"""Names of the steps that earlier sightings give."""


@dataclass(frozen=True, slots=True)
class PriorSettings:
    """How much earlier sightings weigh (nats), and what counts as one."""

    seen_nats: float = 0.5
    """Evidence for a listed resource per doubling of the walls that are known to show it, wherever they are …"""
    near_nats: float = 1.0
    """… of those nearby …"""
    lately_nats: float = 0.5
    """… and of those seen in the same weeks."""
    same_cluster_nats: float = 3.0
    """Evidence for a resource that another photo of the same advert shows."""
    same_code_nats: float = 3.0
    """Evidence for a resource that was seen together with the same code."""
    most_nats: float = 5.0
    """All of it together never weighs more than this: what the picture shows has to stay able to contradict it."""
    fades_over_nats: float = 3.0
    """It counts the less, the worse the picture fits a listed value that was not read, and not at all from so many nats on."""
    sure_from: float = 0.5
    """Readings less certain than this are no sighting of their value."""
    near_resolution: int = 7
    """h3 resolution of "nearby": the same cell or one beside it (7: cells of about 5 km2)."""
    lately_days: float = 60.0
    """Sightings at most so many days before or after the photo at hand are of the same weeks."""
    most_beside_code: int = 8
    """A code that was seen beside more different contacts than this is everybody's and tells nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Earlier sightings of a resource, counted in walls: all, those near the advert, those of the same weeks; and whether the
    advert's cluster or a code beside it is known to go with the resource."""

    total: int = 0
    near: int = 0
    lately: int = 0
    same_cluster: bool = False
    same_code: bool = False


@runtime_checkable
class PriorSource(Protocol):
    """What is known of resources from earlier sightings, as seen from the place and time of the advert at hand."""

    def seen(self, resource: Resource) -> Seen:
        """The earlier sightings of one listed resource."""
        ...


@dataclass(frozen=True, slots=True)
class EarlierSighting:
    """A photo that shows a contact: its SHA-256, the cluster of the advert ("" for none), its place (degrees), its time (UTC)."""

    photo: str
    cluster: str = ""
    lat: float | None = None
    lon: float | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class View:
    """The advert at hand: its photo, the cluster that it joins, its place in degrees, its time, and the codes in it."""

    photo: str
    cluster: str = ""
    lat: float | None = None
    lon: float | None = None
    at: datetime | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """Earlier sightings of contacts, and the photos that show a contact beside a code (by the code's payload)."""

    earlier: Mapping[Contact, Sequence[EarlierSighting]] = field(default_factory=dict)
    beside: Mapping[str, Mapping[Contact, frozenset[str]]] = field(default_factory=dict)
    settings: PriorSettings = field(default_factory=PriorSettings)

    def at(self, view: View) -> PriorSource:
        """What is known, as seen from an advert; the advert's own photo never speaks for itself."""
        return _AsSeenFrom(self, view)


@dataclass(frozen=True, slots=True)
class _AsSeenFrom:
    memory: Memory
    view: View

    def seen(self, resource: Resource) -> Seen:
        """The earlier sightings of one listed resource."""
        contact = (resource.kind, resource.value)
        settings, view = self.memory.settings, self.view
        found = count(self.memory.earlier.get(contact, ()), view, settings)
        for payload in view.codes:
            shown = self.memory.beside.get(payload, {})
            if len(shown) <= settings.most_beside_code and shown.get(contact, frozenset()) - {view.photo}:
                return Seen(found.total, found.near, found.lately, found.same_cluster, True)
        return found


def count(earlier: Sequence[EarlierSighting], view: View, settings: PriorSettings) -> Seen:
    """Count the walls that show a resource as seen from an advert; its order does not matter.

    The advert's own cluster is not counted again: it is told apart (``same_cluster``). A sighting without a place is never
    nearby, one without a time of no weeks; a sighting in no cluster is a wall of its own.
    """
    walls: dict[str, list[EarlierSighting]] = defaultdict(list)
    for sighting in earlier:
        if sighting.photo != view.photo:
            walls[sighting.cluster or sighting.photo].append(sighting)
    own = walls.pop(view.cluster, []) if view.cluster else []
    around = _cells_around(view, settings)
    span = timedelta(days=settings.lately_days)
    near = sum(any(_cell(sighting, settings) in around for sighting in wall) for wall in walls.values()) if around else 0
    lately = sum(any(_together(sighting.at, view.at, span) for sighting in wall) for wall in walls.values())
    return Seen(len(walls), near, lately, bool(own))


def _cell(sighting: EarlierSighting, settings: PriorSettings) -> int | None:
    if sighting.lat is None or sighting.lon is None:
        return None
    return int(h3.latlng_to_cell(sighting.lat, sighting.lon, settings.near_resolution))


def _cells_around(view: View, settings: PriorSettings) -> frozenset[int]:
    if view.lat is None or view.lon is None:
        return frozenset()
    own = h3.latlng_to_cell(view.lat, view.lon, settings.near_resolution)
    return frozenset(int(cell) for cell in h3.grid_disk(own, 1))


def _together(a: datetime | None, b: datetime | None, span: timedelta) -> bool:
    return a is not None and b is not None and abs(a - b) <= span


def prior_share(doubt: float, numbers_sure: bool, settings: PriorSettings) -> float:
    """What earlier sightings count for a listed value, 0..1: all where it is what was read, nothing where numbers are in doubt.

    ``doubt`` is how much worse the picture fits the value than what was read (nats, 0 for the value read).
    """
    if not numbers_sure:
        return 0.0
    return min(1.0, max(0.0, 1.0 + min(doubt, 0.0) / settings.fades_over_nats))


def prior_steps(seen: Seen, share: float, settings: PriorSettings) -> tuple[Evidence, ...]:
    """The steps that earlier sightings add to a waterfall, each with its reason; ``share`` as ``prior_share`` gives it."""
    walls = say("seen_one") if seen.total == 1 else say("seen", count=seen.total)
    lately = say("lately", count=seen.lately, days=f"{settings.lately_days:.0f}")
    found = (
        (settings.seen_nats * math.log2(1 + seen.total), walls),
        (settings.near_nats * math.log2(1 + seen.near), say("nearby", count=seen.near)),
        (settings.lately_nats * math.log2(1 + seen.lately), lately),
        (settings.same_cluster_nats * seen.same_cluster, say("same_cluster")),
        (settings.same_code_nats * seen.same_code, say("same_code")),
    )
    steps = [Evidence(name, nats, text) for name, (nats, text) in zip(STEPS, found, strict=True) if nats > 0]
    total = math.fsum(step.nats for step in steps)
    kept = min(total, settings.most_nats) * share
    if not steps or kept <= 0:
        return ()
    if kept < total:
        words = [say("limit", nats=f"{settings.most_nats:g}")] if total > settings.most_nats else []
        words += [say("limit_share", share=f"{share:.0%}")] if share < 1 else []
        steps.append(Evidence(LIMIT, kept - total, "; ".join(words)))
    return tuple(steps)
