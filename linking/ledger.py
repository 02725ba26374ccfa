"""The log of clusters: what happened to them, who or what did it, and why. It is only ever added to.

Replaying the log from the start gives the state, so the log is the truth and the tables are its summary. Cluster ids never change
their meaning: an id is created once, a merged one points on to the one that survived, and none is used again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..contract import TagtraceError
from .sightings import Key

FRESH = "fresh"
"""The paint state that every cluster starts with; the log names only changes."""


class EventKind(StrEnum):
    """What can happen to clusters; see ``Event`` for what the fields mean in each."""

    CREATED = "created"
    JOINED = "joined"
    LEFT = "left"
    MERGED = "merged"
    SPLIT = "split"
    MUST_LINK = "must_link"
    CANNOT_LINK = "cannot_link"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. ``number`` counts from 1 without gaps; ``at`` is in UTC and given by the caller.

    - created: ``sightings``, seen for the first time, are the new cluster ``cluster``.
    - joined: ``sightings``, seen for the first time, are in ``cluster``.
    - left: ``sightings`` went from ``cluster`` to ``other``.
    - split: the same, and ``other`` is a new cluster.
    - merged: everything left in ``other`` is in ``cluster``, and ``other`` points on to it.
    - must_link, cannot_link: a person says of the two ``sightings`` that they show the same advert, or not.
    - state: ``cluster`` is now as ``other`` says (fresh, painted_over, back_again).
    """

    number: int
    at: datetime
    actor: str
    kind: EventKind
    cluster: str = ""
    other: str = ""
    sightings: tuple[Key, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(slots=True)
class LedgerState:
    """What the log amounts to: the sightings of every living cluster, where merged ids point, people's rules, paint states."""

    clusters: dict[str, set[Key]] = field(default_factory=dict)
    into: dict[str, str] = field(default_factory=dict)
    rules: dict[tuple[Key, Key], bool] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    last: int = 0

    def resolve(self, cluster: str) -> str:
        """The living cluster that an id stands for."""
        return follow(self.into, cluster)


def follow(into: Mapping[str, str], cluster: str) -> str:
    """Follow redirects to their end."""
    while cluster in into:
        cluster = into[cluster]
    return cluster


def pair(a: Key, b: Key) -> tuple[Key, Key]:
    """Two keys in order: a rule is the same whichever was named first."""
    return (a, b) if a <= b else (b, a)


def replay(events: Iterable[Event], state: LedgerState | None = None) -> LedgerState:
    """The state after the events, which go on from ``state`` where one is given (it is changed in place).

    A log that contradicts itself (a gap in the numbers, a cluster created twice, a sighting that leaves where it is not) raises
    ``TagtraceError`` with the number of the event.
    """
    state = state or LedgerState()
    for event in events:
        if event.number != state.last + 1:
            raise _broken(event, f"follows event {state.last}: events are missing or out of order")
        state.last = event.number
        _apply(state, event)
    return state


def _apply(state: LedgerState, event: Event) -> None:
    kind = event.kind
    if kind in (EventKind.MUST_LINK, EventKind.CANNOT_LINK):
        state.rules[pair(*event.sightings)] = kind is EventKind.MUST_LINK
    elif kind is EventKind.STATE:
        _living(state, event, event.cluster)
        state.states[event.cluster] = event.other
        if event.other == FRESH:
            del state.states[event.cluster]
    elif kind is EventKind.CREATED:
        _create(state, event, event.cluster).update(event.sightings)
    elif kind is EventKind.JOINED:
        _living(state, event, event.cluster).update(event.sightings)
    elif kind is EventKind.MERGED:
        into = _living(state, event, event.cluster)
        into |= _living(state, event, event.other)
        del state.clusters[event.other]
        state.states.pop(event.other, None)
        state.into[event.other] = event.cluster
    else:
        source = _living(state, event, event.cluster)
        if not source.issuperset(event.sightings):
            raise _broken(event, f"takes sightings from {event.cluster} that are not in it")
        source.difference_update(event.sightings)
        into = _create(state, event, event.other) if kind is EventKind.SPLIT else _living(state, event, event.other)
        into.update(event.sightings)


def _living(state: LedgerState, event: Event, cluster: str) -> set[Key]:
    if cluster not in state.clusters:
        raise _broken(event, f"names the cluster {cluster!r}, which does not exist then")
    return state.clusters[cluster]


def _create(state: LedgerState, event: Event, cluster: str) -> set[Key]:
    if cluster in state.clusters or cluster in state.into:
        raise _broken(event, f"creates the cluster {cluster!r} a second time")
    return state.clusters.setdefault(cluster, set())


def _broken(event: Event, what: str) -> TagtraceError:
    return TagtraceError(f"the log of clusters is damaged: event {event.number} ({event.kind}) {what}; restore it from a backup")
