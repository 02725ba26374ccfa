"""How fast sightings are placed in a store that is small, and in one of the size of a country.

Sightings are generated from a seed: contacts of a generated register on walls in the cities of Kazakhstan, each wall seen a few
times, popular contacts on hundreds of walls, some photos without a place, some sent twice, some too damaged to read. They are
loaded in bulk as a book would have settled them, and then new ones are put in one batch after another against the clock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from ..contract import Identifier, IdentifierKind, TagtraceError
from ..datasets.world.register import make_register
from ..inference.identifiers.fold import skeleton
from ..linking.features import DESCRIPTOR_BYTES, AdvertFeatures
from ..linking.ledger import Event, EventKind
from ..linking.shelf import Bundle, Cluster, Facts, Record, Target
from ..linking.sightings import ClusterSettings, Sighting, trace
from ..linking.store import Store
from ..linking.store.cluster_bulk import Settled, count_sightings, last_numbers, load_settled, tidy
from ..linking.store.clusters import BATCH, put_sightings

CITIES = (
    (43.24, 76.91, 0.30), (51.15, 71.43, 0.22), (42.33, 69.59, 0.14), (49.81, 73.10, 0.07), (50.29, 57.17, 0.06),
    (42.90, 71.37, 0.05), (52.29, 76.97, 0.04), (49.97, 82.61, 0.04), (47.11, 51.92, 0.03), (53.22, 63.63, 0.03),
    (43.65, 51.17, 0.02),
)  # fmt: skip
"""Middles of cities in degrees, and their shares of the walls."""
_START = datetime(2026, 1, 1, tzinfo=UTC)
_METRE = 1.0 / 111_195.0
_GRID = 400.0
"""Walls of one contact stand at least about so many metres apart: nearer ones would be one advert."""
_SPREAD = 15.0
"""Positions of one wall lie within so many metres along each axis."""
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class StoreBenchmark:
    """What is measured: sizes in sightings."""

    small: int = 10_000
    large: int = 1_000_000
    measured: int = 2_000
    """New sightings put in against the clock at each size."""
    warm_up: int = 400
    seed: int = 1


@dataclass(frozen=True, slots=True)
class StoreSpeed:
    """New sightings put into a store of ``size``. Seconds are of the wall clock; ``batch_ms`` is per sighting, batch by batch."""

    size: int
    measured: int
    seconds: float
    process_seconds: float
    """Time of this process alone on the processor, without the database server's."""
    batch_ms: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return self.measured / self.seconds

    @property
    def median_ms(self) -> float:
        return float(np.median(self.batch_ms))


@dataclass(frozen=True, slots=True)
class _Wall:
    contact: tuple[IdentifierKind, str]
    lat: float
    lon: float
    picture_hash: int


@dataclass(slots=True)
class World:
    """Draws sightings. Everything comes from the seed, in the order in which it is asked for."""

    seed: int
    contacts: Iterator[tuple[IdentifierKind, str]]
    draw: random.Random = field(init=False)
    walls: list[_Wall] = field(default_factory=list)
    photos: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(f"store {self.seed}")

    def settled(self, count: int, last: dict[str, int], settings: ClusterSettings) -> Settled:
        """At least ``count`` sightings of new contacts, settled as a book would have."""
        made = Settled()
        numbers = dict(last)
        while len(made.records) < count:
            contact = next(self.contacts)
            walls = self._walls_of(contact)
            self.walls += walls
            groups = [[self.seen(wall) for _ in range(self._times())] for wall in walls]
            loose = [self.sighting(contact, None) for group in groups for _ in group if self.draw.random() < 0.15]
            wall_clusters = [_settle(made, numbers, group, Target.PLACED, settings) for group in groups]
            for number, one in enumerate(loose):
                if len(walls) == 1:
                    _settle(made, numbers, [one], Target.ONE, settings, wall_clusters[0])
                else:
                    _settle(made, numbers, [one], Target.ALONE, settings)
                # The first two stand for the others in every question.
                made.records[-1].spare = number > 1
        return made

    def _walls_of(self, contact: tuple[IdentifierKind, str]) -> list[_Wall]:
        """One wall for most contacts, hundreds for a few (a power law), all of them in different squares of the cities."""
        count = min(int(self.draw.paretovariate(1.2)), 2000)
        squares: dict[tuple[int, int, int], None] = {}
        while len(squares) < count:
            city = self.draw.choices(range(len(CITIES)), weights=[share for _, _, share in CITIES])[0]
            squares[city, self.draw.randrange(-30, 30), self.draw.randrange(-30, 30)] = None
        walls = []
        for city, row, column in squares:
            lat, lon, _ = CITIES[city]
            lat += (row + self.draw.uniform(-0.2, 0.2)) * _GRID * _METRE
            lon += (column + self.draw.uniform(-0.2, 0.2)) * _GRID * _METRE / np.cos(np.radians(lat))
            walls.append(_Wall(contact, lat, float(lon), self.draw.getrandbits(64)))
        return walls

    def _times(self) -> int:
        return min(1 + int(self.draw.expovariate(1 / 2.5)), 60)

    def seen(self, wall: _Wall) -> Sighting:
        """A wall photographed again."""
        return self.sighting(wall.contact, self._around(wall))

    def _around(self, wall: _Wall) -> tuple[float, float]:
        north, east = (max(-_SPREAD, min(_SPREAD, self.draw.gauss(0, 8))) for _ in range(2))
        return wall.lat + north * _METRE, wall.lon + east * _METRE / float(np.cos(np.radians(wall.lat)))

    def sighting(
        self,
        contact: tuple[IdentifierKind, str] | None,
        at: tuple[float, float] | None,
        picture_hash: int | None = None,
        features: AdvertFeatures | None = None,
    ) -> Sighting:
        """One advert in a new photo."""
        self.photos += 1
        identifiers = (Identifier(contact[0], contact[1], contact[1], 0.9),) if contact else ()
        lat, lon = at or (None, None)
        return Sighting(
            photo=f"{self.draw.getrandbits(160):040x}{self.photos:024x}",
            advert=0,
            identifiers=identifiers,
            lat=lat,
            lon=lon,
            picture_hash=self.draw.getrandbits(64) if picture_hash is None else picture_hash,
            box=(0.2, 0.3, 0.8, 0.6),
            taken_at=_START + timedelta(seconds=self.draw.randrange(200 * 86_400)),
            features=features,
        )

    def fresh(self, count: int) -> list[Sighting]:
        """What a night of reports brings: known walls again, known contacts elsewhere, new ones, copies, unreadable ones."""
        found: list[Sighting] = []
        for _ in range(count):
            wall, what = self.draw.choice(self.walls), self.draw.random()
            if what < 0.60:
                found.append(self.seen(wall))
            elif what < 0.75:
                found.append(self.sighting(wall.contact, None))
            elif what < 0.95:
                other = self._walls_of(wall.contact if what < 0.87 else next(self.contacts))[0]
                found.append(self.seen(other))
            elif what < 0.98 and found and found[-1].lat is not None:
                copied = found[-1]
                assert copied.picture_hash is not None and copied.lon is not None and copied.lat is not None
                bits = copied.picture_hash ^ (1 << self.draw.randrange(64))
                found.append(self.sighting(wall.contact if not copied.identifiers else None, (copied.lat, copied.lon), bits))
            else:
                found.append(self.sighting(None, self._around(wall), None, self._features()))
        return found

    def _features(self) -> AdvertFeatures:
        rng = np.random.default_rng(self.draw.getrandbits(32))
        points = rng.uniform(0, 400, (150, 2)).astype(np.float32)
        inner = (50.0, 50.0, 350.0, 350.0)
        quad = ((0.0, 0.0), (400.0, 0.0), (400.0, 400.0), (0.0, 400.0))
        descriptors = rng.integers(0, 256, (150, DESCRIPTOR_BYTES), np.uint8)
        return AdvertFeatures(points, descriptors, 400, 400, inner, quad)


def world(seed: int, size: int) -> World:
    """The world of a seed with contacts enough for ``size`` sightings; contacts that look alike come once."""

    def contacts() -> Iterator[tuple[IdentifierKind, str]]:
        register = make_register(max(2_000, size // 3), seed)
        seen: set[tuple[IdentifierKind, str]] = set()
        for kind, value in zip(register.kinds, register.values, strict=True):
            look = (kind, skeleton(value))
            if look not in seen:
                seen.add(look)
                yield kind, value
        raise TagtraceError(f"the generated register has too few contacts for {size} sightings; this is a fault of the benchmark")

    return World(seed, contacts())


def _settle(
    made: Settled,
    numbers: dict[str, int],
    group: Sequence[Sighting],
    target: Target,
    settings: ClusterSettings,
    cluster: Cluster | None = None,
) -> Cluster:
    """Make one bundle of sightings, in a cluster of its own or in the one given, with its events."""
    numbers["bundle"] += 1
    bundle = Bundle(numbers["bundle"], numbers["bundle"], target=target, size=len(group))
    alike: dict[int, int] = {}
    for sighting in group:
        numbers["sighting"] += 1
        item = trace(sighting, settings)
        spot = item.spot.cell if item.spot else 0
        alike[spot] = alike.get(spot, 0) + 1
        made.records.append(Record(item, numbers["sighting"], bundle.id, spare=item.spot is not None and alike[spot] > 2))
        bundle.facts |= Facts.of(sighting)
    kind = EventKind.JOINED
    if cluster is None:
        kind = EventKind.CREATED
        numbers["cluster"] += 1
        cluster = Cluster(f"c{group[0].photo[:12]}-{group[0].advert}", numbers["cluster"])
        cluster.wall = bundle.id if target is Target.PLACED else None
        made.clusters.append(cluster)
    bundle.cluster = cluster.id
    cluster.size += len(group)
    cluster.facts |= bundle.facts
    numbers["event"] += 1
    keys = tuple(sorted(sighting.key for sighting in group))
    made.events.append(Event(numbers["event"], _START, "benchmark", kind, cluster.id, "", keys))
    made.bundles.append(bundle)
    return cluster


def benchmark_store(store: Store, what: StoreBenchmark, say: Callable[[str], None] = lambda _: None) -> list[StoreSpeed]:
    """Load, measure, load on, measure. The book of the store has to be empty: ``TagtraceError`` where it is not."""
    with store.read() as session:
        if count_sightings(session):
            raise TagtraceError(f"{store.name}: holds sightings already; give a new store, the benchmark fills it")
    settings, drawn = ClusterSettings(), world(what.seed, what.large)
    speeds = []
    for size in dict.fromkeys((what.small, what.large)):
        began = time.perf_counter()
        with store.read() as session:
            loaded = count_sightings(session)
        while loaded < size:
            with store.read() as session:
                last = last_numbers(session)
            part = drawn.settled(min(_CHUNK, size - loaded), last, settings)
            load_settled(store, part)
            loaded += len(part.records)
            say(f"loaded {loaded} of {size} sightings, {time.perf_counter() - began:.0f} s")
        tidy(store)
        speeds.append(_measure(store, drawn, loaded, what))
        say(f"{speeds[-1].size} sightings: {speeds[-1].per_second:.0f} more per second")
    return speeds


def _measure(store: Store, drawn: World, size: int, what: StoreBenchmark) -> StoreSpeed:
    now = _START + timedelta(days=300)
    put_sightings(store, drawn.fresh(what.warm_up), at=now, actor="benchmark")
    fresh = drawn.fresh(what.measured)
    times, process = [], time.process_time()
    for start in range(0, len(fresh), BATCH):
        batch = fresh[start : start + BATCH]
        began = time.perf_counter()
        put_sightings(store, batch, at=now, actor="benchmark")
        times.append((time.perf_counter() - began, len(batch)))
    seconds = sum(took for took, _ in times)
    per_sighting = tuple(round(1000 * took / count, 4) for took, count in times)
    return StoreSpeed(size, len(fresh), seconds, time.process_time() - process, per_sighting)
