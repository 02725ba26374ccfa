"""The book of sightings: clusters as they grow, one sighting after another, in any order.

``Book.put`` gives the partition that ``clusters.place`` gives for all sightings together, and looks only at what lies near: at
sightings with a common contact around the place, at copies of the picture, and at one or two of those that are alike. What it
changes is written to the log (``ledger``) and summed up on the shelf. People's merges and splits are rules that outlast every
later sighting and every new model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from ..contract import TagtraceError
from .bundles import Rule, bundle
from .joining import compare, is_again, is_copy, joins_in_doubt
from .ledger import Event, EventKind, LedgerState, pair
from .sentences import say
from .settling import Change, Part, settle
from .shelf import Bundle, Cluster, Facts, PaintState, Record, Shelf, Target
from .sightings import (
    ClusterSettings,
    ContactEvidence,
    Key,
    Sighting,
    Traced,
    areas_around,
    trace,
)

_EVERYWHERE = frozenset((Target.ONE, Target.FLOAT, Target.ALONE))


class Book:
    """Clusters of sightings on a shelf. Not safe for two threads; a database's shelf lets one writer in at a time."""

    def __init__(self, shelf: Shelf | None = None, settings: ClusterSettings | None = None, *, explained: bool = True) -> None:
        """``explained`` says in the log why sightings belong together; a trial that nobody reads goes without."""
        self.shelf = shelf or Shelf()
        self.explained = explained
        self.settings = settings or ClusterSettings()

    # --- questions ---

    def resolve(self, cluster: str) -> str:
        """The living cluster that an id stands for; ``TagtraceError`` where there never was such a cluster."""
        found = self._cluster(cluster)
        while found.into is not None:
            found = self._cluster(found.into)
        return found.id

    def cluster_of(self, key: Key) -> str | None:
        """The cluster of a sighting, or None where the book has no such sighting."""
        record = self.shelf.record(key)
        return None if record is None else self.shelf.bundle(record.bundle).cluster

    def cluster(self, name: str) -> Cluster:
        """The living cluster behind an id, with its facts."""
        return self._cluster(self.resolve(name))

    def sightings(self, name: str) -> list[Sighting]:
        """The sightings of a cluster in the order they came."""
        records = [r for part in self.shelf.bundles_of(self.resolve(name)) for r in self.shelf.members(part.id)]
        return [record.traced.sighting for record in sorted(records, key=lambda record: record.number)]

    def state(self) -> LedgerState:
        """What a book in memory amounts to, in the form that replaying its log gives."""
        shelf = self.shelf
        clusters: dict[str, set[Key]] = defaultdict(set)
        for record in shelf.records.values():
            clusters[shelf.bundle(record.bundle).cluster].add(record.key)
        into = {c.id: c.into for c in shelf.clusters.values() if c.into is not None}
        states = {c.id: str(c.state) for c in shelf.clusters.values() if c.into is None and c.state is not PaintState.FRESH}
        return LedgerState(dict(clusters), into, {pair(r.a, r.b): r.same for r in shelf.rules()}, states, len(shelf.events))

    # --- changes ---

    def put(self, sightings: Iterable[Sighting], *, at: datetime, actor: str) -> list[Event]:
        """Put sightings in, new ones or known ones seen with new eyes (same key, other evidence), and return what happened.

        ``actor`` names the models or the person behind them, ``at`` (UTC) when. The resulting partition depends neither on the
        order nor on how sightings are batched; a sighting that is in already as it is changes nothing.
        """
        events: list[Event] = []
        for sighting in sightings:
            change = Change(at, actor)
            item = trace(sighting, self.settings)
            old = self.shelf.record(sighting.key)
            if old is None:
                self._arrive(item, change)
            elif not self._revise(old, item, change):
                continue
            events += settle(self.shelf, change)
        return events

    def preview(self, sightings: Iterable[Sighting], *, at: datetime, actor: str) -> list[Event]:
        """What ``put`` would do, without doing it."""
        return Book(self.shelf.draft(), self.settings).put(sightings, at=at, actor=actor)

    def rule(self, a: Key, b: Key, *, same: bool, at: datetime, actor: str, why: Sequence[str] = ()) -> list[Event]:
        """A person says that two sightings show the same advert, or do not; the latest word on a pair counts."""
        return self._rule([(a, b, same)], Change(at, actor, tuple(why)))

    def merge(self, cluster: str, other: str, *, at: datetime, actor: str, why: Sequence[str] = ()) -> list[Event]:
        """A person says that two clusters are one advert. The older id survives, and the machine never parts them again."""
        ours, theirs = self.resolve(cluster), self.resolve(other)
        if ours == theirs:
            raise TagtraceError(f"{cluster} and {other} are one cluster already ({ours}); name two different ones")
        first, second = self._anchors(ours), self._anchors(theirs)
        rules = [(first[0], key, True) for key in (*first[1:], *second)]
        # An earlier word that parts them is taken back.
        keys, others = set(self._keys(ours)), set(self._keys(theirs))
        against = (rule for rule in self.shelf.rules_on(keys) if not rule.same and {rule.a, rule.b} & others)
        rules += [(rule.a, rule.b, True) for rule in against]
        return self._rule(rules, Change(at, actor, tuple(why)))

    def split(self, cluster: str, keys: Collection[Key], *, at: datetime, actor: str, why: Sequence[str] = ()) -> list[Event]:
        """A person says that some sightings of a cluster are another advert: they become a cluster of their own for good."""
        name = self.resolve(cluster)
        everything = self._keys(name)
        part = [key for key in everything if key in set(keys)]
        rest = [key for key in everything if key not in set(keys)]
        missing = sorted(set(keys) - set(part))
        if missing:
            photo, advert = missing[0]
            raise TagtraceError(f"{cluster}: the sighting {photo}/{advert} is not in it; see `tagtrace clusters show`")
        if not part or not rest:
            raise TagtraceError(f"{cluster}: name some of its {len(everything)} sightings, not none and not all")
        rules = [(part[0], rest[0], False)]
        rules += [(group[0], key, True) for group in (part, rest) for key in group[1:]]
        held = (rule for rule in self.shelf.rules_on(part) if rule.same and len({rule.a, rule.b} & set(part)) == 1)
        rules += [(rule.a, rule.b, False) for rule in held]
        return self._rule(rules, Change(at, actor, tuple(why)))

    # --- how ---

    def _cluster(self, name: str) -> Cluster:
        found = self.shelf.cluster(name)
        if found is None:
            raise TagtraceError(f"there is no cluster {name!r}; see `tagtrace clusters list`")
        return found

    def _keys(self, cluster: str) -> list[Key]:
        return [sighting.key for sighting in self.sightings(cluster)]

    def _anchors(self, cluster: str) -> list[Key]:
        """Sightings that hold a cluster together: one of its place, or one of every bundle where it has none."""
        found = self._cluster(cluster)
        if found.wall is not None:
            return [self.shelf.members(found.wall)[0].key]
        return [self.shelf.members(part.id)[0].key for part in self.shelf.bundles_of(cluster)]

    def _neighbours(self, item: Traced) -> list[Record]:
        """The known sightings that this one by itself belongs to; of many alike only one or two."""
        found: list[Record] = []
        if item.spot is not None and item.evidence.looks:
            found += self.shelf.near(item.evidence.looks, areas_around(item.spot))
        if item.sighting.picture_hash is not None:
            found += self.shelf.copies(item.sighting.picture_hash, self.settings.picture_bits)
        distinct = {record.key: record for record in found if record.key != item.key}
        near = [
            record
            for record in distinct.values()
            if is_again(item, record.traced, self.settings) or is_copy(item, record.traced, self.settings)
        ]
        known = {record.bundle for record in near}
        for record in self._doubtful(item, known):
            # Comparing pictures is dear, and one sighting of a bundle is enough.
            if record.bundle not in known and joins_in_doubt(item, record.traced, self.settings):
                near.append(record)
                known.add(record.bundle)
        return near

    def _doubtful(self, item: Traced, but: Collection[int]) -> list[Record]:
        """The known sightings whose words or pictures may be worth comparing, as ``bundles`` has them, but those of the bundles
        ``but``."""
        found: list[Record] = []
        if item.spot is not None and item.comparable:
            found += self.shelf.comparable(item.spot, self.settings.near_m, unclear=item.clear, but=but)
        if item.hints and (item.spot is None or item.comparable):
            found += self.shelf.hinted(item, but=but)
        return [record for record in {r.key: r for r in found}.values() if record.key != item.key]

    def _arrive(self, item: Traced, change: Change) -> None:
        neighbours = self._neighbours(item)
        record = Record(item, self.shelf.next_number("sighting"), 0)
        parts = [self.shelf.bundle(number) for number in {r.bundle for r in neighbours}]
        components = {part.component for part in parts}
        # Where people have said nothing, nothing can be kept apart.
        if any(part.ruled for part in parts) and self._torn(components):
            self._reform(components, [record], change)
        else:
            self._grow(record, neighbours, change)
        if neighbours and self.explained:
            self.shelf.complete(neighbours[:1])
            change.words[record.bundle] = _words(item, neighbours[0], self.settings)

    def _torn(self, components: Iterable[int]) -> bool:
        """Whether people keep sightings of these components apart, so that what joins what has to be worked out anew."""
        ruled = [part for component in components for part in self.shelf.bundles_in(component) if part.ruled]
        keys = {record.key for part in ruled for record in self.shelf.members(part.id)}
        return any(not rule.same and rule.a in keys and rule.b in keys for rule in self.shelf.rules_on(keys))

    def _grow(self, record: Record, neighbours: Sequence[Record], change: Change) -> None:
        """Put a sighting in the bundle of its neighbours; several of them become one."""
        shelf = self.shelf
        found = [shelf.bundle(number) for number in {r.bundle for r in neighbours}]
        found.sort(key=lambda part: (part.target is not Target.PLACED, -part.size, part.id))
        main = found[0] if found else self._new_bundle()
        placed = record.traced.spot is not None
        alike = [r for r in neighbours if r.bundle == main.id and r.evidence == record.evidence and not r.spare]
        if placed and not any(r.traced.spot is not None for r in alike):
            change.shown.append(({record.evidence}, frozenset((Target.FLOAT, Target.ONE))))
        change.touch(main)
        self._promote([main, *found[1:]])
        for other in found[1:]:
            self._absorb(main, other, change)
        same_spot = {r.photo for r in alike if r.traced.spot == record.traced.spot}
        record.bundle, record.spare = main.id, placed and bool(record.evidence.looks) and len(same_spot) > 1
        shelf.take(record)
        main.size += 1
        main.facts |= Facts.of(record.traced.sighting)
        if placed:
            main.target = Target.PLACED
        change.fresh[main.id].add(record.key)

    def _new_bundle(self) -> Bundle:
        number = self.shelf.next_number("bundle")
        made = Bundle(number, number)
        self.shelf.take_bundle(made)
        return made

    def _absorb(self, main: Bundle, other: Bundle, change: Change) -> None:
        shelf = self.shelf
        members = shelf.members(other.id)
        if other.target is Target.PLACED:
            shown = {record.evidence for record in members if record.traced.spot is not None}
            change.shown.append((shown, frozenset((Target.ALONE,))))
            cluster = shelf.cluster(other.cluster)
            if cluster is not None:
                cluster.wall = main.id
                shelf.take_cluster(cluster)
            main.target = Target.PLACED
        part = change.former[main.id].setdefault(other.cluster, Part(set(), kept=False))
        if part.keys is not None:
            part.keys |= {record.key for record in members}
        for record in members:
            shelf.change(record, bundle=main.id)
        main.size, main.facts, main.ruled = main.size + other.size, main.facts | other.facts, main.ruled or other.ruled
        shelf.drop_bundle(other)

    def _promote(self, parts: Iterable[Bundle]) -> None:
        """Before single sightings without a place become part of something, let others stand for those alike."""
        for part in parts:
            if part.target is Target.PLACED or part.size != 1 or part.ruled:
                continue
            for record in self.shelf.members(part.id):
                others = [r for r in self.shelf.loose_alike(record.evidence) if r is not record] if not record.spare else []
                photos = {r.photo for r in others if not r.spare}
                for other in others:
                    if len(photos) < 2 and other.photo not in photos:
                        photos.add(other.photo)
                        self.shelf.change(other, spare=False)

    def _revise(self, record: Record, item: Traced, change: Change) -> bool:
        """Look at a known sighting with new eyes; False where nothing has changed."""
        self.shelf.complete([record])
        old, shelf = record.traced, self.shelf
        same = _look(old) == _look(item)
        own = shelf.bundle(record.bundle)
        if same and _facts(old.sighting) == _facts(item.sighting):
            return False
        if same:
            shelf.change(record, traced=item)
            own.facts = Facts()
            for member in shelf.members(own.id):
                own.facts |= Facts.of(member.traced.sighting)
            change.former[own.id] = {own.cluster: Part(None, kept=True, torn=True)}
            return True
        self._promote([own])
        components = {own.component} | {shelf.bundle(r.bundle).component for r in self._neighbours(item)}
        gone = {old.evidence} if old.spot is not None else set()
        shelf.change(record, traced=item, spare=False)
        change.words[own.id] = (say("read_again"),)
        self._reform(components, [], change, gone)
        return True

    def _rule(self, rules: Iterable[tuple[Key, Key, bool]], change: Change) -> list[Event]:
        shelf, events = self.shelf, []
        components: set[int] = set()
        for a, b, same in rules:
            if a == b:
                raise TagtraceError(f"the sighting {a[0]}/{a[1]} is always itself; name two different ones")
            for key in (a, b):
                record = shelf.record(key)
                if record is None:
                    raise TagtraceError(f"there is no sighting {key[0]}/{key[1]}; see `tagtrace clusters show`")
                part = shelf.bundle(record.bundle)
                self._promote([part])
                part.ruled = True
                shelf.change(record, spare=False)
                components.add(part.component)
            number = shelf.next_number("event")
            kind = EventKind.MUST_LINK if same else EventKind.CANNOT_LINK
            event = Event(number, change.at, change.actor, kind, sightings=pair(a, b), why=change.why)
            shelf.add_rule(Rule(*pair(a, b), same, number))
            shelf.add_event(event)
            events.append(event)
        self._reform(components, [], change)
        return events + settle(shelf, change)

    def _reform(
        self, components: Collection[int], new: Sequence[Record], change: Change, gone: Iterable[ContactEvidence] = ()
    ) -> None:
        """Work out the bundles of whole components anew."""
        shelf = self.shelf
        parts = [part for component in sorted(components) for part in shelf.bundles_in(component)]
        records = sorted([r for part in parts for r in shelf.members(part.id)] + list(new), key=lambda record: record.key)
        shelf.complete(records)
        keys = [record.key for record in records]
        rules = shelf.rules_on(keys)
        found = bundle([record.traced for record in records], rules, self.settings)
        groups = sorted(found.groups.parts().values(), key=lambda group: min(records[i].number for i in group))
        named = {key for rule in rules for key in (rule.a, rule.b)}
        free = {part.id: part for part in parts}
        walls = {cluster.wall: cluster for cluster in (shelf.cluster(part.cluster) for part in parts) if cluster is not None}
        made: dict[int, int] = {}
        for group in groups:
            members = sorted((records[i] for i in group), key=lambda record: record.number)
            known = [free[r.bundle] for r in members if r.bundle in free]
            own = min(known, key=lambda part: part.target is not Target.PLACED) if known else self._new_bundle()
            free.pop(own.id, None)
            made[group[0]] = own.id
            self._refill(own, members, named, change)
        self._discard(free.values(), walls)
        for root, component in ((group[0], found.components.find(group[0])) for group in groups):
            shelf.change_bundle(shelf.bundle(made[root]), component=made[found.groups.find(component)])
        shown = {record.evidence for record in records if record.traced.spot is not None} | set(gone)
        change.shown.append((shown, _EVERYWHERE))

    def _refill(self, own: Bundle, members: Sequence[Record], named: set[Key], change: Change) -> None:
        """Make these the members of a bundle, whatever bundles they were in."""
        former: dict[str, Part] = {}
        alike: dict[tuple[ContactEvidence, int], set[str]] = defaultdict(set)
        own.size, own.facts, own.ruled = len(members), Facts(), any(record.key in named for record in members)
        for record in members:
            old = self.shelf.bundle(record.bundle) if record.bundle else None
            if old is None:
                change.fresh[own.id].add(record.key)
            elif old.cluster:
                part = former.setdefault(old.cluster, Part(set(), kept=False, torn=True))
                part.kept = part.kept or old.id == own.id
                assert part.keys is not None
                part.keys.add(record.key)
            own.facts |= Facts.of(record.traced.sighting)
            spot = record.traced.spot
            photos = alike[record.evidence, spot.cell if spot else 0]
            spare = spot is not None and bool(record.evidence.looks) and len(photos) > 1 and record.key not in named
            if not spare:
                photos.add(record.photo)
            if old is None:
                record.bundle, record.spare = own.id, spare
                self.shelf.take(record)
            else:
                self.shelf.change(record, bundle=own.id, spare=spare)
        change.former[own.id] = former
        placed = any(record.traced.spot is not None for record in members)
        own.target = Target.PLACED if placed else Target.ALONE

    def _discard(self, empty: Iterable[Bundle], walls: dict[int | None, Cluster]) -> None:
        for part in list(empty):
            cluster = walls.get(part.id)
            if cluster is not None:
                # Its sightings are in other bundles now; settling finds out which of them goes on as this cluster.
                cluster.wall = None
                self.shelf.take_cluster(cluster)
            self.shelf.drop_bundle(part)


def _look(item: Traced) -> tuple[object, ...]:
    """All that decides what a sighting belongs to."""
    sighting = item.sighting
    features = None if sighting.features is None else sighting.features.to_bytes()
    return (item.evidence, item.spot, item.clear, item.hints, sighting.words, features, sighting.picture_hash, sighting.box)


def _facts(sighting: Sighting) -> tuple[object, ...]:
    return (sighting.taken_at, sighting.overpaint, sighting.identifiers, sighting.shop_id)


def _words(item: Traced, other: Record, settings: ClusterSettings) -> tuple[str, ...]:
    """Why a sighting belongs to its neighbour, step by step."""
    steps = compare(item, other.traced, settings).steps
    return tuple(say("step", step=step.name, text=step.text, nats=f"{step.nats:+.1f}") for step in steps)
