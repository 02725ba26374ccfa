"""Which clusters were sprayed with one stencil: the same lettering on another wall.

That is a fact of its own. It says that one hand holds the stencil, and never that two adverts are one: clusters stay apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .bundles import Groups
from .features import AdvertFeatures, match
from .sightings import ClusterSettings, Contact, Sighting, trace

SAME_LETTERING = frozenset(("same_stencil", "same_advert", "same_photo"))
"""What a match of pictures may say of two adverts with one lettering."""


@dataclass(frozen=True, slots=True)
class StencilSettings:
    """How far a store looks for the stencil of a sighting."""

    most_compared: int = 24
    """Other clusters that a sighting is compared with: one of each known stencil of its contacts, then the newest."""


def stencils(sightings: Sequence[Sighting], clusters: Sequence[str], settings: ClusterSettings | None = None) -> list[str]:
    """The stencil of each sighting: an id that is equal for clusters of one lettering, and empty where only one is known.

    ``clusters`` are the sightings' clusters. One sighting speaks for its cluster, that with the most picture features. Clusters
    are compared where they show a contact that looks the same; the order of the sightings does not matter.
    """
    settings = settings or ClusterSettings()
    speaker: dict[str, Sighting] = {}
    for sighting, cluster in sorted(zip(sightings, clusters, strict=True), key=lambda pair: pair[0].key):
        if sighting.features is not None and _points(sighting) > (_points(speaker[cluster]) if cluster in speaker else 0):
            speaker[cluster] = sighting
    names = sorted(speaker)
    showing: dict[Contact, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        for look in trace(speaker[name], settings).evidence.looks:
            showing[look].append(i)
    groups = Groups(len(names))
    for members in showing.values():
        for position, i in enumerate(members):
            for j in members[position + 1 :]:
                if groups.find(i) != groups.find(j) and _sprayed_alike(speaker[names[i]], speaker[names[j]]):
                    groups.join(i, j)
    ids = {names[i]: f"t{names[root][1:]}" for root, part in groups.parts().items() if len(part) > 1 for i in part}
    return [ids.get(cluster, "") for cluster in clusters]


def _points(sighting: Sighting) -> int:
    return 0 if sighting.features is None else len(sighting.features.points)


def _sprayed_alike(a: Sighting, b: Sighting) -> bool:
    assert a.features is not None and b.features is not None
    return same_lettering(a.features, b.features)


def same_lettering(a: AdvertFeatures, b: AdvertFeatures) -> bool:
    """Whether two adverts show the same letters at the same places, as one stencil leaves them; symmetric."""
    first, second = sorted((a, b), key=lambda features: features.to_bytes())
    return match(first, second).kind in SAME_LETTERING
