"""What a run learns from earlier ones: which known adverts its photos show, how those read, and where contacts were seen before.

Nothing of the run itself is in it: photos that are scored again count with what they show now. So the results of a run depend on
what the store held when it began, and not on the order of its photos.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..contract import Advert
from ..linking.clusters import ClusterSettings, Key, Sighting
from ..linking.priors import Contact, Memory, PriorSettings

if TYPE_CHECKING:
    from ..linking.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class StoredAdvert:
    """An advert as an earlier run read it, with the picture hash of its photo."""

    key: Key
    advert: Advert
    picture_hash: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """The clusters that a run's sightings will be in, by key, and the clearest earlier adverts of each of these clusters."""

    clusters: Mapping[Key, str] = field(default_factory=dict)
    earlier: Mapping[str, Sequence[StoredAdvert]] = field(default_factory=dict)


class Past(Protocol):
    """Where earlier runs are kept."""

    def join(self, sightings: Sequence[Sighting], most: int) -> Joined:
        """Where sightings will belong, with at most ``most`` earlier adverts per cluster; nothing is changed."""
        ...

    def remember(self, contacts: Collection[Contact], payloads: Collection[str], settings: PriorSettings) -> Memory:
        """Earlier sightings of contacts, and what was seen with codes."""
        ...


@dataclass(frozen=True, slots=True)
class StorePast:
    """The past that a store holds, but for the photos of the run (``photos``: their SHA-256)."""

    store: Store
    photos: Container[str]
    clusters: ClusterSettings

    def join(self, sightings: Sequence[Sighting], most: int) -> Joined:
        """See ``Past``."""
        from ..linking.store.clusters import foresee
        from ..linking.store.loading import clearest_adverts

        with self.store.read() as session:
            clusters, members = foresee(session, sightings, self.clusters)
            others = {name: [key for key in keys if key[0] not in self.photos] for name, keys in members.items()}
            found = clearest_adverts(session, others, most)
        earlier = {name: [StoredAdvert(*item) for item in items] for name, items in found.items()}
        return Joined(clusters, earlier)

    def remember(self, contacts: Collection[Contact], payloads: Collection[str], settings: PriorSettings) -> Memory:
        """See ``Past``."""
        from ..linking.store.priors import load_memory

        with self.store.read() as session:
            return load_memory(session, contacts, payloads, settings, without=self.photos)
