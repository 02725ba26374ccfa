"""Stencils in a store: found as photos come, kept through merges, shown and drawn. All contacts are invented."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import test_stencils as walls
from sqlalchemy import func, select

from tagtrace import cli
from tagtrace.contract import Advert, Analysis, ModelInfo
from tagtrace.linking.clusters import Sighting
from tagtrace.linking.stencils import stencils
from tagtrace.linking.store import Store
from tagtrace.linking.store.analyses import put_analysis
from tagtrace.linking.store.cluster_tables import SightingStencilRow, StencilRow
from tagtrace.linking.store.clusters import Decision, clusters_of, merge_clusters, put_sightings
from tagtrace.linking.store.importing import import_shop_list
from tagtrace.linking.store.stencils import keep_stencils, list_stencils, stencils_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UMIT, OTHER = "umit_kz24bot", "berkut_almat"


def sprayed(letter: str, text: str, wall: int) -> Sighting:
    made: Sighting = walls.sprayed(letter * 64, text, wall, 43.2 + 0.05 * wall)
    return made


@pytest.fixture(scope="module")
def world() -> list[Sighting]:
    bare = replace(sprayed("c", UMIT, 3), features=None)
    return [sprayed("a", UMIT, 1), sprayed("b", UMIT, 2), bare, sprayed("d", OTHER, 4), sprayed("e", UMIT, 5)]


def put(store: Store, *sightings: Sighting) -> int:
    put_sightings(store, sightings, at=NOON, actor="model")
    return keep_stencils(store, [s.key for s in sightings if s.features is not None])


def groups(store: Store, world: list[Sighting]) -> set[frozenset[str]]:
    """The photos of each stencil."""
    with store.read() as session:
        names = clusters_of(session, [s.key for s in world])
        found = list_stencils(session)
    return {frozenset(key[0][0] for key, cluster in names.items() if cluster in stencil.clusters) for stencil in found}


def test_stencils_are_found_one_by_one_as_all_at_once(store: Store, world: list[Sighting]) -> None:
    order = random.Random(3).sample(world, len(world))
    for one in order:
        put(store, one)
    with store.read() as session:
        names = clusters_of(session, [s.key for s in world])
    expected = stencils(world, [names[s.key] for s in world])
    assert groups(store, world) == {frozenset("abe")}
    assert [bool(name) for name in expected] == [True, True, False, False, True] and len(set(expected)) == 2
    # The same again adds nothing.
    with store.read() as session:
        before = session.scalar(select(func.count()).select_from(SightingStencilRow))
    put(store, *world)
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(SightingStencilRow)) == before == 3
        assert session.scalar(select(func.count()).select_from(StencilRow)) == 1
        (only,) = list_stencils(session)
    assert only.id == f"t{order[min(i for i, s in enumerate(order) if s.photo[0] in 'abe')].photo[:12]}-0"


def test_two_stencils_that_are_one_keep_the_older_id(
    store: Store, world: list[Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _, _, e = world
    put(store, a, b)
    with store.read() as session:
        (old,) = list_stencils(session)
    f = sprayed("f", UMIT, 6)
    # Two that were never compared with the first ones …
    put_sightings(store, [e, f], at=NOON, actor="model")
    from tagtrace.linking.store import stencils as module

    with store.read() as session:
        numbers = {
            s.photo[0]: module.SqlShelf(session, module.ClusterSettings(), lock=False).record(s.key).number for s in (b, e, f)
        }  # type: ignore[union-attr]
    store.write(lambda session: module._write(session, [(numbers["f"], numbers["e"])]))
    assert len(groups(store, [a, b, e, f])) == 2
    # … until they were.
    store.write(lambda session: module._write(session, [(numbers["e"], numbers["b"])]))
    with store.read() as session:
        (only,) = list_stencils(session)
        gone = session.scalars(select(StencilRow.into).where(StencilRow.id != old.id)).all()
    assert only.id == old.id and len(only.clusters) == 4 and gone == [old.id]


def test_people_merge_and_the_stencil_follows(store: Store, world: list[Sighting]) -> None:
    a, b, *_ = world
    put(store, a, b)
    with store.read() as session:
        names = clusters_of(session, [a.key, b.key])
        assert [s.clusters for s in stencils_of(session, {names[a.key]})[names[a.key]]] == [tuple(sorted(names.values()))]
    merge_clusters(store, names[a.key], names[b.key], Decision(NOON, "aida", "one wall after all"))
    with store.read() as session:
        assert list_stencils(session) == []


def test_stencils_are_shown_listed_and_drawn(tmp_path: Path, world: list[Sighting], capsys: pytest.CaptureFixture[str]) -> None:
    url = str(tmp_path / "city.db")
    shops = tmp_path / "shops.csv"
    shops.write_text(f"shop_id,kind,value\nA,telegram,{UMIT}\n", "utf-8")
    with Store.open(url) as store:
        import_shop_list(store, shops)
        for made in world:
            quad = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
            advert = Advert(quad, identifiers=made.identifiers)
            with store.begin() as session:
                put_analysis(session, Analysis("p.jpg", made.photo, 9, 9, (advert,), models=(ModelInfo("read", "r", "0" * 64),)))
        put_sightings(store, world, at=NOON, actor="model")
        with store.read() as session:
            names = clusters_of(session, [s.key for s in world])
    first, second = names[world[0].key], names[world[1].key]

    def said(*arguments: str) -> str:
        assert cli.run([*arguments, "--store", url]) == 0
        return capsys.readouterr().out

    assert "no stencils" in said("clusters", "stencils")
    listed = said("clusters", "stencils", "--again")
    assert "3 clusters" in listed and first in listed and "matches" in listed
    shown = said("clusters", "show", first)
    assert "stencil t" in shown and second in shown.partition("sprayed elsewhere too")[2]
    assert "stencil" not in said("clusters", "show", names[world[3].key])
    said("shops", "show", "A", "--graph", str(tmp_path / "a.json"))
    graph = json.loads((tmp_path / "a.json").read_text("utf-8"))
    (node,) = [n["id"] for n in graph["nodes"] if n["type"] == "stencil"]
    ends = {(edge["source"], edge["target"]) for edge in graph["edges"] if edge["type"] == "sprayed"}
    assert {other for pair in ends for other in pair if other != node} == {f"cluster {names[world[i].key]}" for i in (0, 1, 4)}
    said("shops", "show", "A", "--graph", str(tmp_path / "a.svg"))
    assert node in (tmp_path / "a.svg").read_text("utf-8")
