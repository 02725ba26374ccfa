"""Where a book keeps its sightings, bundles and clusters, and how it finds those that a new sighting may concern.

``Shelf`` keeps everything in memory. Every question it answers first calls a ``_fetch_…`` hook, which does nothing here: the
shelf of a database overrides the hooks to bring in the few rows that the question needs, so both behave the same. Nothing here
decides anything; that is the book's work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .bundles import Rule
from .ledger import Event, pair
from .pictures import hash_bands, near_bands
from .sightings import (
    ANYWHERE,
    LOOSE,
    Contact,
    ContactEvidence,
    Key,
    Overpaint,
    Sighting,
    Spot,
    Traced,
    areas_around,
    hint_places,
    told_by_place,
    within,
)


class Target(StrEnum):
    """How a bundle belongs to its cluster."""

    PLACED = "placed"
    """It has a known place: the cluster is its own."""
    ONE = "one"
    """It has no place, and one placed bundle comes into question: it is in that one's cluster."""
    FLOAT = "float"
    """It has no place, and no placed bundle shows its contacts: it is with others like it."""
    ALONE = "alone"
    """It has no place, and several come into question: it has a cluster of its own."""


class PaintState(StrEnum):
    """What has become of an advert."""

    FRESH = "fresh"
    PAINTED_OVER = "painted_over"
    BACK_AGAIN = "back_again"


@dataclass(frozen=True, slots=True)
class Facts:
    """When an advert was seen, and seen painted over (None: never); joined by taking the earliest and latest."""

    first_seen: datetime | None = None
    last_seen: datetime | None = None
    first_covered: datetime | None = None
    last_covered: datetime | None = None
    last_fresh: datetime | None = None

    @classmethod
    def of(cls, sighting: Sighting) -> Facts:
        """The facts of one sighting; nothing where the time is unknown."""
        at = sighting.taken_at
        covered = at if sighting.overpaint not in (None, Overpaint.FRESH) else None
        return cls(at, at, covered, covered, at if sighting.overpaint is Overpaint.FRESH else None)

    def __or__(self, other: Facts) -> Facts:
        return Facts(
            _pick(min, self.first_seen, other.first_seen),
            _pick(max, self.last_seen, other.last_seen),
            _pick(min, self.first_covered, other.first_covered),
            _pick(max, self.last_covered, other.last_covered),
            _pick(max, self.last_fresh, other.last_fresh),
        )

    @property
    def state(self) -> PaintState:
        """Painted over when that is the latest news; back again when it was seen fresh after it was first painted over."""
        if self.first_covered is None or self.last_covered is None:
            return PaintState.FRESH
        if self.last_fresh is None or self.last_fresh <= self.last_covered:
            return PaintState.PAINTED_OVER
        return PaintState.BACK_AGAIN


def _pick(choose: Callable[..., datetime | None], a: datetime | None, b: datetime | None) -> datetime | None:
    return choose((at for at in (a, b) if at is not None), default=None)


@dataclass(slots=True, eq=False)
class Record:
    """A sighting in the book: its number by arrival, its bundle, and whether two earlier ones of its bundle, of two photos, are
    the same to every question about contacts and place (``spare``: then it need not be looked at)."""

    traced: Traced
    number: int
    bundle: int
    spare: bool = False

    @property
    def key(self) -> Key:
        return self.traced.key

    @property
    def evidence(self) -> ContactEvidence:
        return self.traced.evidence

    @property
    def photo(self) -> str:
        return self.traced.sighting.photo


@dataclass(slots=True, eq=False)
class Bundle:
    """Sightings that hang together by themselves. ``component`` is one of the bundles that would be one if no rule kept them
    apart; ``ruled`` says whether a rule names a member."""

    id: int
    component: int
    cluster: str = ""
    target: Target = Target.ALONE
    ruled: bool = False
    size: int = 0
    facts: Facts = Facts()


@dataclass(slots=True, eq=False)
class Cluster:
    """A cluster id: its number by age, where it points if it was merged, the placed bundle it has, and its facts."""

    id: str
    number: int
    into: str | None = None
    wall: int | None = None
    size: int = 0
    facts: Facts = Facts()
    state: PaintState = PaintState.FRESH


@dataclass(slots=True)
class _Index:
    """Where the records are found; only those that are not spare stand in the first three."""

    near: dict[tuple[Contact, int], dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    walls: dict[Contact, dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    loose: dict[Contact, dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    alike: dict[ContactEvidence, dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    comparable: dict[int, dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    hinted: dict[tuple[Contact, int], dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    bands: dict[tuple[int, int], dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    members: dict[int, dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))

    def places(self, record: Record) -> Iterator[dict[Key, Record]]:
        """Every list that a record stands in."""
        item = record.traced
        yield self.members[record.bundle]
        if item.spot is None:
            yield self.alike[item.evidence]
        elif item.comparable:
            yield self.comparable[item.spot.area]
        for hint in item.hints:
            yield self.hinted[hint, LOOSE if item.spot is None else item.spot.area]
            yield self.hinted[hint, ANYWHERE]
        if item.sighting.picture_hash is not None:
            yield from (self.bands[band] for band in hash_bands(item.sighting.picture_hash))
        if not record.spare:
            for look in item.evidence.looks:
                if item.spot is None:
                    yield self.loose[look]
                else:
                    yield self.walls[look]
                    yield self.near[look, item.spot.area]


class Shelf:
    """Sightings, bundles, clusters, rules and the log, in memory."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.bundles: dict[int, Bundle] = {}
        self.clusters: dict[str, Cluster] = {}
        self.events: list[Event] = []
        self._rules: dict[tuple[Key, Key], Rule] = {}
        self._rules_of: dict[Key, dict[tuple[Key, Key], Rule]] = defaultdict(dict)
        self._index = _Index()
        self._in_component: dict[int, set[int]] = defaultdict(set)
        self._in_cluster: dict[str, set[int]] = defaultdict(set)
        self._last = {"sighting": 0, "bundle": 0, "cluster": 0, "event": 0}

    def next_number(self, what: str) -> int:
        """The next number of a ``sighting``, ``bundle``, ``cluster`` or ``event``, from 1."""
        self._last[what] += 1
        return self._last[what]

    def draft(self) -> Shelf:
        """A copy to try things on; sightings are shared, as they never change."""
        copy = Shelf()
        for record in self.records.values():
            copy.take(replace(record))
        for bundle in self.bundles.values():
            copy.take_bundle(replace(bundle))
        copy.clusters = {name: replace(cluster) for name, cluster in self.clusters.items()}
        for rule in self._rules.values():
            copy.add_rule(rule)
        copy._last = dict(self._last)
        return copy

    # --- questions ---

    def record(self, key: Key) -> Record | None:
        """The record of a sighting, or None where it is not in the book."""
        self._fetch_record(key)
        return self.records.get(key)

    def bundle(self, number: int) -> Bundle:
        """The bundle of this number."""
        self._fetch_bundle(number)
        return self.bundles[number]

    def cluster(self, name: str) -> Cluster | None:
        """The cluster of this id, living or merged, or None."""
        self._fetch_cluster(name)
        return self.clusters.get(name)

    def near(self, looks: Collection[Contact], areas: Collection[int]) -> list[Record]:
        """Placed records that show one of the looks in one of the coarse cells, spare ones left out, by number."""
        self._fetch_near(looks, areas)
        found = {r.key: r for look in looks for area in areas for r in self._index.near.get((look, area), {}).values()}
        return sorted(found.values(), key=_by_number)

    def copies(self, value: int, bits: int) -> list[Record]:
        """Records whose picture hash differs in at most ``bits`` bits, by number."""
        self._fetch_copies(value, bits)
        found: dict[Key, Record] = {}
        for band in near_bands(value, bits):
            for record in self._index.bands.get(band, {}).values():
                if ((record.traced.sighting.picture_hash or 0) ^ value).bit_count() <= bits:
                    found[record.key] = record
        return sorted(found.values(), key=_by_number)

    def comparable(self, spot: Spot, near_m: float, *, unclear: bool, but: Collection[int] = ()) -> list[Record]:
        """Placed records within so many metres that have words or pictures, but those of the bundles ``but``; ``unclear``: only
        those without a clear contact."""
        self._fetch_comparable(spot, near_m, unclear, but)
        there = [r for area in areas_around(spot) for r in self._index.comparable.get(area, {}).values() if r.bundle not in but]
        return sorted(
            (r for r in there if within(r.traced.spot, spot, near_m) and not (unclear and r.traced.clear)), key=_by_number
        )

    def hinted(self, item: Traced, *, but: Collection[int] = ()) -> list[Record]:
        """Records with pictures and a common hint, around a sighting or without a place, but those of the bundles ``but``; all
        where it has none itself."""
        self._fetch_hinted(item, but)
        asked = [(hint, area) for hint in item.hints for area in hint_places(item)]
        found = {r.key: r for name in asked for r in self._index.hinted.get(name, {}).values() if r.bundle not in but}
        return sorted((r for r in found.values() if not told_by_place(item, r.traced)), key=_by_number)

    def complete(self, records: Collection[Record]) -> None:
        """Bring in the words and picture features of records where they were left out."""
        self._fetch_features(records)

    def walls_showing(self, look: Contact) -> Iterator[Record]:
        """Placed records that show a look, anywhere, spare ones left out. Stop asking as soon as you know enough."""
        seen: set[Key] = set()
        more = True
        while more:
            for record in list(self._index.walls.get(look, {}).values()):
                if record.key not in seen:
                    seen.add(record.key)
                    yield record
            more = self._fetch_walls(look)

    def loose_showing(self, looks: Collection[Contact], targets: Collection[Target]) -> list[Record]:
        """Records without a place, in bundles without one, that show one of the looks, spare ones left out, by number."""
        self._fetch_loose(looks, targets)
        found = {r.key: r for look in looks for r in self._index.loose.get(look, {}).values()}
        return sorted((r for r in found.values() if self.bundle(r.bundle).target in targets), key=_by_number)

    def loose_alike(self, evidence: ContactEvidence) -> list[Record]:
        """All records without a place that show exactly this, in bundles of their own that no rule names, by number."""
        self._fetch_alike(evidence)
        return sorted((r for r in self._index.alike.get(evidence, {}).values() if self.single(r)), key=_by_number)

    def single(self, record: Record) -> bool:
        """Whether a record without a place is a bundle by itself that no rule names: then those alike share its fate."""
        bundle = self.bundle(record.bundle)
        return record.traced.spot is None and bundle.size == 1 and not bundle.ruled

    def members(self, bundle: int) -> list[Record]:
        """The records of a bundle, by number."""
        self._fetch_members(bundle)
        return sorted(self._index.members.get(bundle, {}).values(), key=_by_number)

    def bundles_in(self, component: int) -> list[Bundle]:
        """The bundles of a component, by number."""
        self._fetch_component(component)
        return [self.bundles[number] for number in sorted(self._in_component.get(component, ()))]

    def bundles_of(self, cluster: str) -> list[Bundle]:
        """The bundles of a cluster, by number."""
        self._fetch_bundles_of(cluster)
        return [self.bundles[number] for number in sorted(self._in_cluster.get(cluster, ()))]

    def rules_on(self, keys: Iterable[Key]) -> list[Rule]:
        """The rules that name one of the sightings, the oldest first."""
        keys = list(keys)
        self._fetch_rules(keys)
        found = {name: rule for key in keys for name, rule in self._rules_of.get(key, {}).items()}
        return sorted(found.values(), key=lambda rule: (rule.number, rule.a, rule.b))

    def rules(self) -> list[Rule]:
        """Every rule, the oldest first."""
        return sorted(self._rules.values(), key=lambda rule: (rule.number, rule.a, rule.b))

    # --- changes ---

    def take(self, record: Record) -> None:
        """Put a record on the shelf."""
        self.records[record.key] = record
        for place in self._index.places(record):
            place[record.key] = record

    def change(
        self, record: Record, *, traced: Traced | None = None, bundle: int | None = None, spare: bool | None = None
    ) -> None:
        """Change a record in place and where it is found."""
        for place in self._index.places(record):
            place.pop(record.key, None)
        record.traced = record.traced if traced is None else traced
        record.bundle = record.bundle if bundle is None else bundle
        record.spare = record.spare if spare is None else spare
        self.take(record)

    def take_bundle(self, bundle: Bundle) -> None:
        """Put a bundle on the shelf."""
        self.bundles[bundle.id] = bundle
        self._in_component[bundle.component].add(bundle.id)
        if bundle.cluster:
            self._in_cluster[bundle.cluster].add(bundle.id)

    def change_bundle(self, bundle: Bundle, *, component: int | None = None, cluster: str | None = None) -> None:
        """Move a bundle to another component or cluster."""
        self._in_component[bundle.component].discard(bundle.id)
        self._in_cluster[bundle.cluster].discard(bundle.id)
        bundle.component = bundle.component if component is None else component
        bundle.cluster = bundle.cluster if cluster is None else cluster
        self.take_bundle(bundle)

    def drop_bundle(self, bundle: Bundle) -> None:
        """Take an empty bundle away; its number is not used again."""
        self._in_component[bundle.component].discard(bundle.id)
        self._in_cluster[bundle.cluster].discard(bundle.id)
        del self.bundles[bundle.id]

    def take_cluster(self, cluster: Cluster) -> None:
        """Put a cluster on the shelf, or write down that one has changed."""
        self.clusters[cluster.id] = cluster

    def add_rule(self, rule: Rule) -> None:
        """Write down a rule; it takes the place of an older one on the same two sightings."""
        name = pair(rule.a, rule.b)
        self._rules[name] = rule
        for key in name:
            self._rules_of[key][name] = rule

    def add_event(self, event: Event) -> None:
        """Add to the log."""
        self.events.append(event)

    # --- hooks: what has to be brought in before a question can be answered ---

    def _fetch_record(self, key: Key) -> None: ...
    def _fetch_bundle(self, number: int) -> None: ...
    def _fetch_cluster(self, name: str) -> None: ...
    def _fetch_near(self, looks: Collection[Contact], areas: Collection[int]) -> None: ...
    def _fetch_copies(self, value: int, bits: int) -> None: ...
    def _fetch_comparable(self, spot: Spot, near_m: float, unclear: bool, but: Collection[int]) -> None: ...
    def _fetch_hinted(self, item: Traced, but: Collection[int]) -> None: ...
    def _fetch_features(self, records: Collection[Record]) -> None: ...
    def _fetch_walls(self, look: Contact) -> bool:
        """Bring in more placed records that show a look; False when there are no more."""
        return False

    def _fetch_loose(self, looks: Collection[Contact], targets: Collection[Target]) -> None: ...
    def _fetch_alike(self, evidence: ContactEvidence) -> None: ...
    def _fetch_members(self, bundle: int) -> None: ...
    def _fetch_component(self, component: int) -> None: ...
    def _fetch_bundles_of(self, cluster: str) -> None: ...
    def _fetch_rules(self, keys: Collection[Key]) -> None: ...


def _by_number(record: Record) -> int:
    return record.number
