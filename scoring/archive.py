"""Placing an archive in a store: what ``placing.place_all`` and ``storing.keep`` do with a run, photo batch by photo batch.

The results are those of a run that is placed at once, whatever the size of the batches and the order of the photos; memory holds
one batch, and 32 bytes of every photo. Five steps go over the photos in the order of their SHA-256:

1. *look*: each photo by itself is linked, and its sightings are put in a trial of the store's book (``linking.store.trial``);
2. *read*: the photos of each physical advert are read together, with what the store has of it;
3. *decide*: what other walls confirm counts, identifiers are linked and those to report are chosen;
4. *write*: photos, adverts, links and sightings go into the store, each batch in one transaction;
5. *compare*: pictures are compared with those of other clusters, for stencils.

Until step 4 the store is only read. All that was worked out, and how far, lies in a work file (``linking.store.workbook``): an
archive whose placing was killed goes on where the last batch ended, and a batch that is written twice is there once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contract import Advert, Analysis, Failure, Flag, Identifier, Placement
from ..linking.agreement import best_shares, together
from ..linking.clusters import ClusterSettings, Key, placements
from ..linking.shops import LinkSettings, Shops, link_advert
from .inputs import Item
from .past import StoredAdvert, StorePast
from .placing import (
    FeaturesOf,
    PlacingSettings,
    agreed_advert,
    analysis_of,
    linked_all,
    read_wall,
    reported,
    sighting_of,
    view_of,
)
from .progress import ProgressView, SilentView
from .records import AdvertResult, PhotoResult
from .request import Interrupted
from .storing import KeptPhoto, Putting, StoringSettings

if TYPE_CHECKING:
    from ..linking.store import Store
    from ..linking.store.workbook import Found, KnownPhotos, Spooled, Workbook

Photo = tuple[Analysis, int | None]
"""An analysis with the picture hash of its photo."""
_NOWHERE = Path()


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """The rules of a run that is placed, and how large its batches are."""

    links: LinkSettings
    clusters: ClusterSettings
    placing: PlacingSettings
    storing: StoringSettings


@dataclass(frozen=True, slots=True)
class Placed:
    """What was placed. ``failures`` are photos that could not be read, by name."""

    photos: int
    adverts: int
    identifiers: int
    clusters: int
    failures: tuple[tuple[str, Failure], ...]


_LOOKED = 500
"""Photos of a first look at a time: each time all that is known of the walls around is read."""


class Archive:
    """Places the photos of a work file in a store; without one, it is only worked out what becomes of them.

    ``described`` are the settings that the photos were scored with.
    """

    def __init__(
        self,
        store: Store | None,
        book: Workbook,
        shops: Shops,
        settings: ArchiveSettings,
        described: Mapping[str, object],
        features_of: FeaturesOf,
        progress: ProgressView | None = None,
        photos: Mapping[str, KeptPhoto] | None = None,
    ) -> None:
        self._store = store
        self._book = book
        self._shops = shops
        self._settings = settings
        self._described = described
        self._features_of = features_of
        self._progress = progress or SilentView()
        self._photos = photos or {}

    def place(self, at: datetime) -> Placed:
        """Do what is left to do; ``at`` is the time of the run, in UTC. Raises ``Interrupted`` after Ctrl-C."""
        store = self._store
        assert store is not None, "there is no store to place the photos in"
        self.work_out()
        actor = "score " + ", ".join(json.loads(self._book.get("models") or "[]"))
        clusters = self._settings.clusters
        putting = Putting(store, self._described, clusters, self._features_of, at, actor, self._photos)
        self._go("write", "writing", lambda part: self._write(part, putting))
        self._go("compare", "comparing pictures", lambda part: self._compare(store, part, actor))
        return self._summary(store)

    def work_out(self) -> None:
        """The first three steps, as far as they are not done: nothing is written to the store. Raises as ``place``."""
        from ..linking.store.trial import copy_book

        book = self._book
        if self._store is not None and not book.get("copied"):
            self._progress.say("placing: copying the sightings of the store")
            copied = copy_book(self._store, book.trial)
            with book.trial.begin() as session:
                book.note(session, "copied", str(copied))
        known = book.known()
        self._go("look", "first look", self._look, _LOOKED)
        self._go("read", "reading photos together", lambda part: self._read(part, known))
        self._go("decide", "linking", lambda part: self._decide(part, known))

    def placements(self) -> dict[Key, Placement]:
        """Where the adverts of the archive belong among themselves, when that is worked out."""
        from ..linking.store.trial import light_sightings

        clusters = self._settings.clusters
        with self._book.trial.read() as session:
            items, walls = light_sightings(session, self._book.known(), clusters)
        return placements(items, walls, clusters)

    def found(self, photos: Sequence[str]) -> dict[str, list[Found]]:
        """What is reported of some photos, advert by advert, when that is worked out."""
        return self._book.found(photos)

    def _go(self, step: str, words: str, work: Callable[[list[Spooled]], Callable[[Any], None]], least: int = 1) -> None:
        """One step over all photos that it has not been over, at least so many at a time. ``work`` gives what is to be noted
        together with the progress."""
        book, size = self._book, max(self._settings.storing.batch_photos, least)
        after = book.get(step)
        total, done = book.count(), book.count(until=after)
        if done == total:
            return
        self._progress.begin(total, done)
        self._progress.say(f"placing: {words}")
        try:
            while part := book.page(after, size):
                keep = work(part)
                after = part[-1].sha256
                with book.trial.begin() as session:
                    keep(session)
                    book.note(session, step, after)
                done += len(part)
                for _ in part:
                    self._progress.advance(failed=False)
        except KeyboardInterrupt as stop:
            raise Interrupted(done, total, f"placing, {words}") from stop

    # --- the steps ---

    def _look(self, part: list[Spooled]) -> Callable[[Any], None]:
        from ..linking.store.trial import put_on_trial

        sightings = []
        for analysis, picture_hash in map(_photo, part):
            for n, advert in enumerate(analysis.adverts):
                first = link_advert(advert, self._shops, self._settings.links)
                sightings.append(sighting_of(analysis, picture_hash, n, first, self._features_of))
        return lambda session: put_on_trial(session, sightings, self._settings.clusters)

    def _read(self, part: list[Spooled], known: KnownPhotos) -> Callable[[Any], None]:
        """Read the walls of these photos that were not met before; a wall is read whole, wherever its other photos come."""
        from ..linking.store.trial import members_of

        book, placing = self._book, self._settings.placing
        photos = {photo.sha256: _photo(photo) for photo in part}
        keys = [(sha256, n) for sha256, (analysis, _) in photos.items() for n in range(len(analysis.adverts))]
        with book.trial.read() as session:
            met = book.reads(session, photos)
            walls = set(_walls(session, [key for key in keys if key not in met]).values())
            members = members_of(session, walls)
        own = {wall: [key for key in keys if key[0] in known] for wall, keys in members.items()}
        earlier = self._earlier({wall: [key for key in keys if key[0] not in known] for wall, keys in members.items()})
        found: list[tuple[str, dict[Key, tuple[Identifier, ...]]]] = []
        for wall, group in own.items():
            shown = self._shown(group, photos)
            found.append((wall, read_wall(shown, earlier.get(wall, ()), self._settings.clusters, placing)))

        def keep(session: Any) -> None:
            for wall, reads in found:
                said = [item for identifiers in reads.values() for item in identifiers]
                book.put_reads(session, wall, reads, best_shares(said, placing.agreement))

        return keep

    def _shown(self, keys: Sequence[Key], photos: Mapping[str, Photo]) -> dict[Key, tuple[Advert, int | None]]:
        """The adverts of a wall that are of this archive, with picture hashes."""
        others = self._book.records({sha256 for sha256, _ in keys if sha256 not in photos})
        held = {**{sha256: _photo(spooled) for sha256, spooled in others.items()}, **photos}
        # A photo that was placed before may have had adverts that it has no longer.
        return {key: (held[key[0]][0].adverts[key[1]], held[key[0]][1]) for key in keys if key[1] < len(held[key[0]][0].adverts)}

    def _earlier(self, members: Mapping[str, Sequence[Key]]) -> dict[str, list[StoredAdvert]]:
        from ..linking.store.loading import clearest_adverts

        if self._store is None:
            return {}
        with self._store.read() as session:
            wanted = {wall: keys for wall, keys in members.items() if keys}
            found = clearest_adverts(session, wanted, self._settings.placing.stored_readings)
        return {wall: [StoredAdvert(*item) for item in items] for wall, items in found.items()}

    def _decide(self, part: list[Spooled], known: KnownPhotos) -> Callable[[Any], None]:
        book, placing = self._book, self._settings.placing
        photos = {photo.sha256: _photo(photo) for photo in part}
        with book.trial.read() as session:
            reads = book.reads(session, photos)
            unsure = {(i.kind, i.value) for items in reads.values() for i in items if Flag.UNSURE in i.flags}
            shares = book.shares(session, unsure)
            walls = _walls(session, list(reads))
        supported = {contact: together(found, placing.agreement) for contact, found in shares.items() if len(found) > 1}
        agreed, views = {}, {}
        for (sha256, n), identifiers in sorted(reads.items()):
            analysis, _ = photos[sha256]
            agreed[sha256, n] = agreed_advert(analysis.adverts[n], identifiers, supported, placing)
            views[sha256, n] = view_of(analysis, n, walls[sha256, n])
        past = None if self._store is None else StorePast(self._store, known, self._settings.clusters)
        linked = linked_all(agreed, views, self._shops, self._settings.links, past)
        found: dict[str, list[Found]] = defaultdict(list)
        for key, advert in agreed.items():
            told, links = reported(advert, linked[key], placing)
            found[key[0]].append((told.identifiers, links))
        return lambda session: book.put_found(session, found)

    def _write(self, part: list[Spooled], putting: Putting) -> Callable[[Any], None]:
        putting.put(self._results(part))
        return lambda session: None

    def _compare(self, store: Store, part: list[Spooled], actor: str) -> Callable[[Any], None]:
        from ..linking.store.stencils import keep_stencils

        keys = [(photo.sha256, n) for photo in part for n in range(len(photo.record["adverts"]))]
        pictured = [key for key in keys if self._features_of(*key) is not None]
        keep_stencils(store, pictured, clusters=self._settings.clusters, actor=actor)
        return lambda session: None

    # --- what comes of it ---

    def _results(self, part: Sequence[Spooled]) -> list[PhotoResult]:
        found = self._book.found([photo.sha256 for photo in part])
        results = []
        for photo in part:
            analysis, picture_hash = _photo(photo)
            told = found.get(photo.sha256, [])
            adverts = [replace(a, identifiers=items) for a, (items, _) in zip(analysis.adverts, told, strict=True)]
            made = [AdvertResult(a, links, Placement("", "")) for a, (_, links) in zip(adverts, told, strict=True)]
            results.append(PhotoResult(replace(analysis, adverts=tuple(adverts)), picture_hash, tuple(made)))
        return results

    def _summary(self, store: Store) -> Placed:
        from ..linking.store.clusters import clusters_of

        photos = adverts = identifiers = 0
        clusters: set[int] = set()
        failures: list[tuple[str, Failure]] = []
        after = ""
        while part := self._book.page(after, self._settings.storing.batch_photos):
            after = part[-1].sha256
            results = self._results(part)
            photos += len(results)
            adverts += sum(len(result.adverts) for result in results)
            identifiers += sum(len(advert.links) for result in results for advert in result.adverts)
            failures += [(r.analysis.name, r.analysis.failure) for r in results if r.analysis.failure is not None]
            keys = [(result.analysis.sha256, n) for result in results for n in range(len(result.adverts))]
            with store.read() as session:
                # Names of millions of clusters would be much; their numbers are little.
                clusters.update(map(hash, clusters_of(session, keys).values()))
        return Placed(photos, adverts, identifiers, len(clusters), tuple(failures))


def _walls(session: Any, keys: Sequence[Key]) -> dict[Key, str]:
    from ..linking.store.clusters import clusters_of

    return clusters_of(session, keys)


def _photo(photo: Spooled) -> Photo:
    """The analysis of a photo under the name, and with the place and time, that its facts say."""
    facts = photo.facts or {}
    taken_at = facts.get("taken_at")
    item = Item(
        _NOWHERE,
        facts.get("name", photo.record["file"]),
        facts.get("lat"),
        facts.get("lon"),
        None if taken_at is None else datetime.fromisoformat(taken_at),
        facts.get("report_id"),
    )
    return analysis_of(item, dict(photo.record))
