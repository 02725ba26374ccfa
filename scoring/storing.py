"""A run that is kept: its results go into the store, and its adverts into the clusters that the store has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ..contract import Analysis, Link, Outcome, TagtraceError
from ..linking.clusters import ClusterSettings, Key
from ..linking.shops import LinkSettings, Shops, decide, weigh
from .places import Place
from .placing import FeaturesOf, sighting_of, view_of
from .records import AdvertResult, PhotoResult

if TYPE_CHECKING:
    from ..linking.store import Store

T = TypeVar("T")
Session: TypeAlias = Any
"""A transaction of the store: what it is made of is the store's affair."""


@dataclass(frozen=True, slots=True)
class StoringSettings:
    """How results go into a store. Nothing of it changes what is found."""

    batch_photos: int = 100
    """Photos that one transaction puts or links again, with all of theirs: other writers of the store wait until it ends."""


@dataclass(frozen=True, slots=True)
class Relinked:
    """What linking again changed: photos looked at, photos with another link than before, and links per outcome now."""

    photos: int
    changed: int
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class KeptPhoto:
    """Where the bytes of a photo lie (``PhotoFiles.url``), and how many there are."""

    place: str
    size: int | None


def check_place(place: str, store: str | None, photos: Sequence[Place]) -> None:
    """Raise ``TagtraceError`` where photos cannot be kept: without a store that knows them, or in a folder that is scored."""
    if store is None:
        raise TagtraceError("--keep-photos wants --store: a photo is found again by what the store knows of it")
    if "://" in place:
        return
    folder = Path(place).expanduser().resolve()
    for scored in photos:
        if isinstance(scored, Path) and scored.is_dir() and folder.is_relative_to(scored.resolve()):
            raise TagtraceError(f"{place}: lies in {scored}, and would be scored itself next time; keep photos in another folder")


def keep_photos(place: str, photos: Mapping[str, Place]) -> dict[str, KeptPhoto]:
    """Keep the bytes of photos (``photos``: their files by SHA-256) and give where each lies.

    A file that is gone, or is no longer what was scored, is left out. Raises ``TagtraceError`` where bytes cannot be written.
    """
    from ..linking.store.photos import PhotoFiles

    files = PhotoFiles(place if "://" in place else Path(place).expanduser())
    kept = {}
    for sha256, path in photos.items():
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            files.put(data)
            kept[sha256] = KeptPhoto(files.url, len(data))
    return kept


def register_of(store: Store) -> Shops:
    """The resources of the store's shops, ready for linking."""
    from ..linking.store.resources import load_register

    with store.read() as session:
        return load_register(session)


def keep(
    store: Store,
    results: Sequence[PhotoResult],
    settings: Mapping[str, object],
    clusters: ClusterSettings,
    features_of: FeaturesOf,
    at: datetime,
    photos: Mapping[str, KeptPhoto] | None = None,
    storing: StoringSettings | None = None,
) -> list[PhotoResult]:
    """Put results into the store, and give them back with the cluster ids that the store knows them by.

    Each batch of photos is one transaction and can be put again: nothing is doubled. Photos that could not be read are left out:
    they have no identity. ``at`` is the time of the run, in UTC; ``photos`` says where bytes lie, by SHA-256 (``keep_photos``).
    """
    from ..linking.store.clusters import clusters_of
    from ..linking.store.stencils import keep_stencils

    read = {result.analysis.sha256: result for result in results if result.analysis.sha256}
    putting = Putting(store, settings, clusters, features_of, at, actor_of(results), photos or {})
    pictured: list[Key] = []
    for part in batches(iter(read.values()), (storing or StoringSettings()).batch_photos):
        pictured += putting.put(part)
    keys = [(sha256, n) for sha256, result in read.items() for n in range(len(result.adverts))]
    keep_stencils(store, pictured, clusters=clusters, actor=putting.actor)
    with store.read() as session:
        names = clusters_of(session, keys)
    return [replace(result, adverts=tuple(_named(result, n, names) for n in range(len(result.adverts)))) for result in results]


def actor_of(results: Iterable[PhotoResult]) -> str:
    """Who puts these results, for the logs of the store: the models that they were made with."""
    return "score " + ", ".join(sorted({model.name for result in results for model in result.analysis.models}))


@dataclass(frozen=True, slots=True)
class Putting:
    """Puts photos into a store: what every batch of a run has in common."""

    store: Store
    settings: Mapping[str, object]
    """Those that the results were made with."""
    clusters: ClusterSettings
    features_of: FeaturesOf
    at: datetime
    actor: str
    photos: Mapping[str, KeptPhoto] = field(default_factory=dict)

    def put(self, results: Sequence[PhotoResult]) -> list[Key]:
        """Put photos with their adverts, links and sightings, all in one transaction; once or again.

        Gives the sightings that have picture features.
        """
        from ..linking.store.analyses import put_analyses
        from ..linking.store.clusters import put_in

        sightings = [
            sighting_of(result.analysis, result.picture_hash, n, found.links, self.features_of)
            for result in results
            for n, found in enumerate(result.adverts)
        ]

        def put(session: Session) -> None:
            put_analyses(session, [self._said(result) for result in results], self.settings)
            put_in(session, sightings, at=self.at, actor=self.actor, settings=self.clusters)

        self.store.write(put, self.actor)
        return [sighting.key for sighting in sightings if sighting.features is not None]

    def _said(self, result: PhotoResult) -> tuple[Analysis, list[tuple[Link, ...]], Any]:
        from ..linking.store.analyses import PhotoFacts

        held = self.photos.get(result.analysis.sha256, KeptPhoto("", None))
        facts = PhotoFacts(held.place, held.size, result.picture_hash)
        return result.analysis, [found.links for found in result.adverts], facts


def _named(result: PhotoResult, index: int, names: Mapping[Key, str]) -> AdvertResult:
    found = result.adverts[index]
    name = names.get((result.analysis.sha256, index))
    return found if name is None else replace(found, placement=replace(found.placement, cluster=name))


def link_again(store: Store, settings: LinkSettings | None = None, storing: StoringSettings | None = None) -> Relinked:
    """Link every identifier of the store again, by its register as it is now; photos are not read again.

    Each batch of photos is one transaction; a run that was stopped can be run again. Wants no models: the store keeps what the
    recogniser saw.
    """
    from ..linking.store.analyses import iter_latest, relink
    from ..linking.store.clusters import clusters_of

    settings, size = settings or LinkSettings(), (storing or StoringSettings()).batch_photos
    shops = register_of(store)
    photos = changed = 0
    outcomes = {str(outcome): 0 for outcome in Outcome}
    with store.read() as reading:
        for part in batches(iter_latest(reading), size):
            keys = [(analysis.sha256, n) for _, analysis in part for n in range(len(analysis.adverts))]
            found = _links([analysis for _, analysis in part], clusters_of(reading, keys), shops, settings, reading)
            new = [(number, analysis.adverts, links) for (number, analysis), links in zip(part, found, strict=True)]
            changed += store.write(lambda session, new=new: sum(relink(session, *item) for item in new))  # type: ignore[misc]
            photos += len(part)
            for link in (link for links in found for group in links for link in group):
                outcomes[str(link.outcome)] += 1
    return Relinked(photos, changed, outcomes)


def _links(
    analyses: Sequence[Analysis], clusters: Mapping[Key, str], shops: Shops, settings: LinkSettings, session: Session
) -> list[list[tuple[Link, ...]]]:
    """The links of some photos' adverts; what was seen of the resources in question is asked for once for all of them."""
    from ..linking.store.priors import load_memory

    weighed = [[weigh(advert, shops, settings) for advert in analysis.adverts] for analysis in analyses]
    views = [
        [view_of(analysis, n, clusters.get((analysis.sha256, n), "")) for n in range(len(analysis.adverts))]
        for analysis in analyses
    ]
    contacts = {(resource.kind, resource.value) for group in weighed for item in group for resource in item.asked()}
    payloads = {payload for group in views for view in group for payload in view.codes}
    memory = load_memory(session, contacts, payloads, settings.priors)
    return [
        [decide(item, settings, memory.at(view)) for item, view in zip(items, seen, strict=True)]
        for items, seen in zip(weighed, views, strict=True)
    ]


def batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Lists of so many items, the last one shorter."""
    while part := list(islice(items, size)):
        yield part
