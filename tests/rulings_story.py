"""Help for tests of what people say of adverts: invented photos with adverts, and how the store has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tagtrace.contract import (
    Advert,
    Analysis,
    Band,
    Identifier,
    IdentifierKind,
    Line,
    Link,
    ModelInfo,
    Outcome,
    Reading,
    Resource,
)
from tagtrace.linking.sightings import Sighting
from tagtrace.linking.store import Store, checks, queue, resources, shops, tracks
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.clusters import put_sightings
from tagtrace.linking.store.loading import latest_with_links

T = IdentifierKind.TELEGRAM
LISTED = Resource(T, "tulpar_kz1", "S1", "Tulpar")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = ModelInfo("recogniser", "old", "0" * 64), ModelInfo("recogniser", "new", "1" * 64)
ME = "person 1"


def box(left: float, top: float = 10.0) -> Any:
    return ((left, top), (left + 100, top), (left + 100, top + 30), (left, top + 30))


def advert(*values: str, left: float = 10.0, confidence: float = 0.97, top: float = 10.0) -> Advert:
    lines = tuple(Line(box(left, top), 0.9, Reading(f"@{value}", confidence)) for value in values)
    items = tuple(Identifier(T, value, f"@{value}", confidence, lines=(n,)) for n, value in enumerate(values))
    return Advert(box(left, top), lines, (), items)


def analysis(digit: str, *adverts: Advert, model: ModelInfo = OLD) -> Analysis:
    sha256 = digit * 64
    return Analysis(f"{digit}.jpg", sha256, 400, 300, adverts, models=(model,), lat=51.1, lon=71.4)


def new(item: Identifier) -> Link:
    return Link(Outcome.NEW, 0.9)


def misread(item: Identifier) -> Link:
    return Link(Outcome.MISREAD, 0.8, "S1", LISTED, ("looks like it",), band=Band.REVIEW)


def put(store: Store, found: Analysis, link: Any = new, *, place: float = 0.0) -> tuple[str, int]:
    """Put a photo with its sightings into the store, as scoring does."""
    found = replace(found, lon=71.4 + place)
    links = [[link(item) for item in each.identifiers] for each in found.adverts]

    def write(session: Any) -> None:
        put_analysis(session, found, links)
        for number in range(len(found.adverts)):
            tracks.begin(session, (found.sha256, number), datetime.now(UTC))

    store.write(write, "worker")
    seen = [Sighting(found.sha256, n, each.identifiers, lat=found.lat, lon=found.lon) for n, each in enumerate(found.adverts)]
    put_sightings(store, seen, at=datetime.now(UTC), actor="worker")
    return found.sha256, 0


def city_of(store: Store) -> Store:
    """The store with a shop in it."""

    def fill(session: Any) -> None:
        shops.create(session, "S1", "Tulpar")
        resources.register(session, [(T, "tulpar_kz1")], "list")
        shops.assign(session, (T, "tulpar_kz1"), "S1", "list")

    store.write(fill, "tests")
    return store


def shown(store: Store, key: tuple[str, int]) -> list[tuple[str, str, str | None]]:
    """Value, outcome and shop of each contact of an advert, as everything else in the store sees it."""
    with store.read() as session:
        found = latest_with_links(session, key[0])
        assert found is not None
        pairs = zip(found[0].adverts[key[1]].identifiers, found[1][key[1]], strict=True)
        return [(item.value, "" if link is None else link.outcome.value, link.shop_id if link else None) for item, link in pairs]


def state(store: Store, value: str) -> str:
    with store.read() as session:
        return next(str(record.state) for record in resources.list_resources(session) if record.value == value)


def open_keys(store: Store, actor: str = ME) -> list[tuple[str, bool]]:
    with store.read() as session:
        return [(entry.key[0][0], entry.again) for entry in queue.next_entries(session, actor, LONG_AGO, limit=50)]


def sound(store: Store) -> None:
    wrong = [finding.text for finding in checks.check_store(store) if not finding.sound]
    assert wrong == []
