"""After sightings have come or gone: which cluster each bundle belongs to now, under which id, and what the log says of it.

Only the bundles that a change touches are looked at. Clusters that lost nothing and gained nothing keep everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from .ledger import Event, EventKind
from .sentences import say
from .shelf import Bundle, Cluster, Facts, PaintState, Record, Shelf, Target
from .sightings import Contact, ContactEvidence, Key, related

Token = tuple[str, str | int]
"""A bundle that is settled anew (``("bundle", number)``), or all that stays in a cluster (``("cluster", id)``)."""

_WORDS = {
    Target.ONE: say("place_unknown_one"),
    Target.FLOAT: say("place_unknown_none"),
    Target.ALONE: say("place_unknown_several"),
}


@dataclass(slots=True)
class Part:
    """What a bundle brings with it from a cluster: these sightings, or None for all that it had. ``kept`` where the bundle is
    the one that it was; ``torn`` where others of it may have gone elsewhere."""

    keys: set[Key] | None
    kept: bool
    torn: bool = False


@dataclass(slots=True)
class Change:
    """What has happened to bundles and is not settled yet, and who or what did it, when and why."""

    at: datetime
    actor: str
    why: tuple[str, ...] = ()
    former: dict[int, dict[str, Part]] = field(default_factory=dict)
    """Every bundle to settle, with the clusters that its sightings come from."""
    fresh: dict[int, set[Key]] = field(default_factory=lambda: defaultdict(set))
    """Sightings of each bundle that are new in the book."""
    shown: list[tuple[set[ContactEvidence], frozenset[Target]]] = field(default_factory=list)
    """Contacts that places show now, or no longer, and which bundles without a place that may concern."""
    words: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def touch(self, bundle: Bundle) -> None:
        """A bundle has changed, and nothing has left it."""
        if bundle.id not in self.former:
            self.former[bundle.id] = {bundle.cluster: Part(None, kept=True)} if bundle.cluster else {}


@dataclass(slots=True)
class _Group:
    """A cluster to be: the bundles settled anew, and the clusters whose rest is in it."""

    bundles: list[Bundle] = field(default_factory=list)
    wholes: list[str] = field(default_factory=list)
    cluster: Cluster | None = None


def settle(shelf: Shelf, change: Change) -> list[Event]:
    """Settle all that a change has touched: clusters and ids on the shelf, and the events, which are added to the log."""
    return _Settling(shelf, change).run()


class _Settling:
    def __init__(self, shelf: Shelf, change: Change) -> None:
        self.shelf = shelf
        self.change = change
        self.walls: dict[ContactEvidence, frozenset[int]] = {}
        self.events: list[Event] = []
        self.lost: set[str] = set()

    def run(self) -> list[Event]:
        self._recheck()
        self._aim_all()
        groups = self._groups()
        self._name(groups)
        self._write(groups)
        self._spare()
        return self.events

    # --- where bundles without a place belong ---

    def _recheck(self) -> None:
        """Touch the bundles without a place for which it has changed which places show their contacts."""
        for evidences, targets in self.change.shown:
            seen: set[ContactEvidence] = set()
            for record in self.shelf.loose_showing({look for e in evidences for look in e.looks}, targets):
                if not any(related(record.evidence, e) for e in evidences):
                    continue
                bundle = self.shelf.bundle(record.bundle)
                if not self.shelf.single(record):
                    self.change.touch(bundle)
                elif record.evidence not in seen:
                    seen.add(record.evidence)
                    if self._aim(bundle) != (bundle.target, self._wall(bundle)):
                        for other in self.shelf.loose_alike(record.evidence):
                            self.change.touch(self.shelf.bundle(other.bundle))

    def _wall(self, bundle: Bundle) -> int | None:
        cluster = self.shelf.cluster(bundle.cluster) if bundle.target is Target.ONE else None
        return cluster.wall if cluster else None

    def _aim(self, bundle: Bundle) -> tuple[Target, int | None]:
        """How a bundle without a place belongs, and the placed bundle that it belongs to."""
        members = self.shelf.members(bundle.id)
        enemies = self._enemies(members) if bundle.ruled else {}
        if any(target is not Target.PLACED for target in enemies.values()):
            return Target.ALONE, None
        found: set[int] = set()
        for evidence in {record.evidence for record in members}:
            found |= self._showing(evidence, frozenset(enemies))
            if len(found) > 1:
                return Target.ALONE, None
        return (Target.ONE, found.pop()) if found else (Target.FLOAT, None)

    def _enemies(self, members: Iterable[Record]) -> dict[int, Target]:
        """The bundles that people have told apart from these sightings."""
        ours = {record.key for record in members}
        found: dict[int, Target] = {}
        for rule in self.shelf.rules_on(ours):
            other = self.shelf.record(rule.b if rule.a in ours else rule.a)
            if not rule.same and other is not None:
                found[other.bundle] = self.shelf.bundle(other.bundle).target
        return found

    def _showing(self, evidence: ContactEvidence, without: frozenset[int]) -> set[int]:
        """The placed bundles, but for some, that show contacts; no more than two of them."""
        if not without and evidence in self.walls:
            return set(self.walls[evidence])
        found: set[int] = set()
        for record in (r for look in sorted(evidence.looks) for r in self.shelf.walls_showing(look)):
            if record.bundle not in without and record.bundle not in found and related(evidence, record.evidence):
                found.add(record.bundle)
                if len(found) > 1:
                    break
        if not without:
            self.walls[evidence] = frozenset(found)
        return found

    def _aim_all(self) -> None:
        """Aim every bundle to settle that has no place, and bring in those that this concerns in turn."""
        shelf, former = self.shelf, self.change.former
        for number in list(former):
            bundle = shelf.bundle(number)
            if bundle.ruled:
                for enemy, target in self._enemies(shelf.members(number)).items():
                    if target is not Target.PLACED:
                        self.change.touch(shelf.bundle(enemy))
        self.aims: dict[int, int | None] = {}
        for number in list(former):
            bundle = shelf.bundle(number)
            if bundle.target is not Target.PLACED:
                bundle.target, self.aims[number] = self._aim(bundle)
                if number in self.change.fresh or former[number]:
                    self.change.words.setdefault(number, (_WORDS[bundle.target],))
        for name in sorted({name for parts in former.values() for name in parts}):
            if self._falls_apart(name):
                for bundle in shelf.bundles_of(name):
                    if bundle.id not in former:
                        self.change.touch(bundle)
                        bundle.target, self.aims[bundle.id] = self._aim(bundle)

    def _falls_apart(self, name: str) -> bool:
        """Whether a cluster of bundles without a place has lost something that may have held it together."""
        cluster = self.shelf.cluster(name)
        if cluster is None or cluster.wall is not None:
            return False
        held = [(number, parts[name]) for number, parts in self.change.former.items() if name in parts]
        return any(part.torn or self.shelf.bundle(number).target is not Target.FLOAT for number, part in held)

    # --- which bundles are one cluster ---

    def _groups(self) -> list[_Group]:
        parent: dict[Token, Token] = {}

        def find(token: Token) -> Token:
            parent.setdefault(token, token)
            while parent[token] != token:
                parent[token] = parent[parent[token]]
                token = parent[token]
            return token

        for number in sorted(self.change.former):
            ours = find(("bundle", number))
            for token in self._beside(self.shelf.bundle(number)):
                parent[find(token)] = find(ours)
        groups: dict[Token, _Group] = {}
        for token in sorted(parent, key=lambda t: (t[0], str(t[1]).zfill(20))):
            group = groups.setdefault(find(token), _Group())
            if isinstance(token[1], int):
                group.bundles.append(self.shelf.bundle(token[1]))
            else:
                group.wholes.append(token[1])
        return sorted(groups.values(), key=lambda group: group.bundles[0].id)

    def _beside(self, bundle: Bundle) -> Iterable[Token]:
        """What a bundle shares a cluster with."""
        former = self.change.former
        if bundle.target is Target.PLACED:
            for name in former[bundle.id]:
                cluster = self.shelf.cluster(name)
                if cluster is not None and cluster.wall == bundle.id:
                    yield "cluster", name
        elif bundle.target is Target.ONE:
            wall = self.aims[bundle.id]
            assert wall is not None
            yield ("bundle", wall) if wall in former else ("cluster", self.shelf.bundle(wall).cluster)
        elif bundle.target is Target.FLOAT:
            yield from (("cluster", name) for name in former[bundle.id] if self._floats(name))
            for record in self.shelf.members(bundle.id):
                for other in self.shelf.loose_showing(record.evidence.looks, (Target.FLOAT,)):
                    if other.photo != record.photo and related(record.evidence, other.evidence):
                        number = other.bundle
                        yield ("bundle", number) if number in former else ("cluster", self.shelf.bundle(number).cluster)

    def _floats(self, name: str) -> bool:
        """Whether what a cluster without a place had hangs together still, so that its rest comes along."""
        cluster = self.shelf.cluster(name)
        return cluster is not None and cluster.wall is None and not self._falls_apart(name)

    # --- under which id ---

    def _name(self, groups: list[_Group]) -> None:
        """The oldest id of which a group is the heir; a new one where it is of none."""
        heirs = self._heirs(groups)
        self.owned: list[list[str]] = [[] for _ in groups]
        for name, position in heirs.items():
            self.owned[position].append(name)
        for group, names in zip(groups, self.owned, strict=True):
            known = [cluster for cluster in map(self.shelf.cluster, names) if cluster is not None]
            group.cluster = min(known, key=lambda cluster: cluster.number, default=None)

    def _heirs(self, groups: list[_Group]) -> dict[str, int]:
        """Which group goes on as each cluster: where its rest is; else its place; else its earliest sighting."""
        heirs: dict[str, int] = {}
        best: dict[str, tuple[bool, bool, int]] = {}
        for position, group in enumerate(groups):
            for name in group.wholes:
                heirs[name] = position
                best[name] = (False, False, 0)
        for position, group in enumerate(groups):
            for bundle in group.bundles:
                for name, part in self.change.former[bundle.id].items():
                    cluster = self.shelf.cluster(name)
                    lives_on = cluster is not None and cluster.wall is not None and cluster.wall not in self.change.former
                    if name in heirs and name in group.wholes:
                        continue
                    claim = (bundle.target is not Target.PLACED, not part.kept, self._earliest(bundle, part))
                    if not lives_on and (name not in best or claim < best[name]):
                        heirs[name], best[name] = position, claim
        return heirs

    def _brought(self, bundle: Bundle, part: Part) -> set[Key]:
        """The sightings that a bundle has from a cluster."""
        if part.keys is not None:
            return part.keys
        others = [other.keys or set() for other in self.change.former[bundle.id].values() if other is not part]
        new = self.change.fresh.get(bundle.id, set())
        return {record.key for record in self.shelf.members(bundle.id)}.difference(new, *others)

    def _earliest(self, bundle: Bundle, part: Part) -> int:
        keys = self._brought(bundle, part)
        return min((record.number for record in self.shelf.members(bundle.id) if record.key in keys), default=0)

    # --- what is written ---

    def _write(self, groups: list[_Group]) -> None:
        for group, owned in zip(groups, self.owned, strict=True):
            self._move(group, owned)
        for group, owned in zip(groups, self.owned, strict=True):
            self._merge(group, owned)
        for group in groups:
            self._close(group)
        for group in groups:
            self._sum_up(group)
        for name in sorted(self.lost):
            cluster = self.shelf.cluster(name)
            if cluster is not None and cluster.into is None:
                self._refresh(cluster, None)

    def _move(self, group: _Group, owned: list[str]) -> None:
        """Bring over what comes from clusters that go on elsewhere, and what is new."""
        moved: dict[str, set[Key]] = defaultdict(set)
        fresh: set[Key] = set()
        words: list[str] = []
        for bundle in group.bundles:
            words += [word for word in self.change.words.get(bundle.id, ()) if word not in words]
            new = self.change.fresh.get(bundle.id, set())
            fresh |= new
            for name, part in self.change.former[bundle.id].items():
                if name not in owned:
                    moved[name] |= self._brought(bundle, part)
        why = self.change.why or tuple(words)
        for name in sorted(moved):
            kind = EventKind.SPLIT if group.cluster is None else EventKind.LEFT
            group.cluster = group.cluster or self._new_cluster(moved[name])
            self._emit(kind, name, group.cluster.id, moved[name], why)
            self._resize(name, -len(moved[name]))
            group.cluster.size += len(moved[name])
            self.lost.add(name)
        if fresh:
            kind = EventKind.CREATED if group.cluster is None else EventKind.JOINED
            group.cluster = group.cluster or self._new_cluster(fresh)
            self._emit(kind, group.cluster.id, "", fresh, why)
            group.cluster.size += len(fresh)

    def _merge(self, group: _Group, owned: list[str]) -> None:
        into = group.cluster
        assert into is not None
        for name in sorted(owned):
            cluster = self.shelf.cluster(name)
            if name == into.id or cluster is None:
                continue
            words = [word for bundle in group.bundles for word in self.change.words.get(bundle.id, ())]
            self._emit(EventKind.MERGED, into.id, name, (), self.change.why or tuple(dict.fromkeys(words)))
            into.size += cluster.size
            into.wall = cluster.wall if into.wall is None else into.wall
            into.facts |= cluster.facts
            if name in self.lost:
                self.lost.add(into.id)
            cluster.size, cluster.into, cluster.wall = 0, into.id, None
            self.shelf.take_cluster(cluster)
            for bundle in self.shelf.bundles_of(name):
                if bundle.id not in self.change.former:
                    self.shelf.change_bundle(bundle, cluster=into.id)

    def _close(self, group: _Group) -> None:
        cluster = group.cluster
        assert cluster is not None
        for bundle in group.bundles:
            if bundle.cluster != cluster.id:
                self.shelf.change_bundle(bundle, cluster=cluster.id)
        placed = [bundle.id for bundle in group.bundles if bundle.target is Target.PLACED]
        if placed:
            cluster.wall = placed[0]
        elif cluster.wall in self.change.former:
            cluster.wall = None

    def _sum_up(self, group: _Group) -> None:
        cluster = group.cluster
        assert cluster is not None
        facts = Facts()
        for bundle in group.bundles:
            facts |= bundle.facts
        torn = any(part.torn for bundle in group.bundles for part in self.change.former[bundle.id].values())
        self._refresh(cluster, None if torn or cluster.id in self.lost else facts)
        self.lost.discard(cluster.id)

    def _refresh(self, cluster: Cluster, added: Facts | None) -> None:
        """Write down a cluster's facts: with those added, or all anew where something went away."""
        if added is None:
            cluster.facts = Facts()
            for bundle in self.shelf.bundles_of(cluster.id):
                cluster.facts |= bundle.facts
        else:
            cluster.facts |= added
        if cluster.facts.state != cluster.state:
            cluster.state = cluster.facts.state
            self._emit(EventKind.STATE, cluster.id, cluster.state, (), ())
        self.shelf.take_cluster(cluster)

    def _new_cluster(self, keys: Collection[Key]) -> Cluster:
        records = [record for record in map(self.shelf.record, keys) if record is not None]
        photo, advert = min(records, key=lambda record: record.number).key
        name = base = f"c{photo[:12]}-{advert}"
        count = 1
        while self.shelf.cluster(name) is not None:
            count += 1
            name = f"{base}.{count}"
        cluster = Cluster(name, self.shelf.next_number("cluster"), state=PaintState.FRESH)
        self.shelf.take_cluster(cluster)
        return cluster

    def _resize(self, name: str, by: int) -> None:
        cluster = self.shelf.cluster(name)
        assert cluster is not None
        cluster.size += by
        self.shelf.take_cluster(cluster)

    def _emit(self, kind: EventKind, cluster: str, other: str, keys: Iterable[Key], why: tuple[str, ...]) -> None:
        number = self.shelf.next_number("event")
        event = Event(number, self.change.at, self.change.actor, kind, cluster, other, tuple(sorted(keys)), why)
        self.shelf.add_event(event)
        self.events.append(event)

    def _spare(self) -> None:
        """Mark new sightings without a place that two earlier ones, of two photos, stand for in every question."""
        for number in self.change.fresh:
            bundle = self.shelf.bundle(number)
            if bundle.target is Target.PLACED or bundle.size != 1 or bundle.ruled:
                continue
            record = self.shelf.members(number)[0]
            looks: Collection[Contact] = record.evidence.looks
            others = [r for r in self.shelf.loose_showing(looks, (bundle.target,)) if r is not record]
            if len({r.photo for r in others if r.evidence == record.evidence and self.shelf.single(r)}) > 1:
                self.shelf.change(record, spare=True)
