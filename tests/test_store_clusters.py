"""The book of sightings in SQLite and in PostgreSQL: as in memory, with several writers, and through the commands."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sightings as worlds
from sqlalchemy import event, func, select, text

from tagtrace import cli
from tagtrace.contract import TagtraceError
from tagtrace.linking.book import Book
from tagtrace.linking.clusters import Sighting
from tagtrace.linking.features import extract_features
from tagtrace.linking.ledger import Event, replay
from tagtrace.linking.shelf import PaintState
from tagtrace.linking.store import Store, audit, clusters
from tagtrace.linking.store.cluster_tables import ClusterEventRow, ClusterRow, SightingRow
from tagtrace.linking.store.clusters import (
    Decision,
    check_log,
    cluster_events,
    list_clusters,
    merge_clusters,
    open_book,
    preview_sightings,
    put_sightings,
    read_book,
    split_cluster,
    stored_state,
)
from tagtrace.training.benchmark_store import StoreBenchmark, benchmark_store

sighting, east, NOON = worlds.sighting, worlds.east, worlds.NOON


def put(store: Store, *sightings: Sighting) -> list[Event]:
    return put_sightings(store, sightings, at=NOON, actor="model")


def cluster_of(store: Store, photo: str) -> str:
    with store.read() as session:
        found = read_book(session).cluster_of((photo, 0))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_store_does_what_memory_does(store: Store, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sightings, new eyes and people's words: the same events, the same tables, the partition of ``place``."""
    rng = random.Random(seed)
    monkeypatch.setattr(clusters, "BATCH", rng.choice([1, 3, 200]))
    world, known, memory = worlds.random_world(rng, 20), {}, Book()
    while world:
        batch = [world.pop() for _ in range(min(len(world), rng.choice([1, 2, 5])))]
        if known and rng.random() < 0.4:
            old = known[rng.choice(sorted(known))]
            batch.append(replace(worlds.random_sighting(rng, *old.key), picture_hash=old.picture_hash))
        known |= {item.key: item for item in batch}
        told = preview_sightings(store, batch, at=NOON, actor="model")
        events = memory.put(batch, at=NOON, actor="model")
        assert put(store, *batch) == events == told
        if len(known) > 1 and rng.random() < 0.4:
            a, b = rng.sample(sorted(known), 2)
            same = rng.random() < 0.4
            with store.begin() as session, open_book(session) as book:
                assert book.rule(a, b, same=same, at=NOON, actor="x") == memory.rule(a, b, same=same, at=NOON, actor="x")
    with store.read() as session:
        assert stored_state(session) == memory.state() == replay(cluster_events(session))
        assert check_log(session) == [] and audit.verify_audit(session) is None
    now = list(known.values())
    assert worlds.partition_of(memory, now) == worlds.placed(now, memory.shelf.rules())


def scene(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = np.full((400, 500, 3), 150, np.uint8)
    for _ in range(400):
        x, y = int(rng.integers(0, 480)), int(rng.integers(0, 380))
        picture[y : y + int(rng.integers(4, 20)), x : x + int(rng.integers(4, 20))] = rng.integers(0, 255, 3)
    return picture


def test_pictures_join_what_cannot_be_read(store: Store) -> None:
    quad = ((100.0, 100.0), (400.0, 100.0), (400.0, 300.0), (100.0, 300.0))
    moved = tuple((x + 15.0, y + 10.0) for x, y in quad)
    one = extract_features(scene(1), quad)
    again = extract_features(np.roll(scene(1), (10, 15), (0, 1)), moved)  # type: ignore[arg-type]
    other = extract_features(scene(2), quad)
    put(store, sighting("a", "umit1", features=one))
    put(store, sighting("b", features=again, at=east(20)), sighting("c", features=other, at=east(20)))
    assert cluster_of(store, "a") == cluster_of(store, "b") != cluster_of(store, "c")
    # The same again, read back with its features from the store, changes nothing.
    assert put(store, sighting("b", features=again, at=east(20))) == []


def test_pictures_of_a_wall_that_an_advert_belongs_to_anyway_are_not_read(store: Store) -> None:
    copy = {"picture_hash": 0x0123_4567_89AB_CDEF, "box": (0.1, 0.1, 0.5, 0.3)}
    wall, near, photo = worlds.pictured(1), worlds.pictured(2), worlds.pictured(3)
    put(store, sighting("a", "umit1", features=wall, **copy), sighting("b", "snow2", features=near, at=east(20)))
    with store.begin() as session, open_book(session) as book:
        book.explained = False  # what an explanation says of the pictures wants them
        book.put([sighting("c", features=photo, **copy)], at=NOON, actor="model")
        seen = {record.photo: record.traced.sighting.features for record in book.shelf.records.values()}
        assert book.cluster_of(("c", 0)) == book.cluster_of(("a", 0)) != book.cluster_of(("b", 0))
        assert seen["a"] is None and seen["b"] is not None


def test_pictures_that_an_earlier_release_described_are_not_compared(store: Store) -> None:
    quad = ((100.0, 100.0), (400.0, 100.0), (400.0, 300.0), (100.0, 300.0))
    one = extract_features(scene(1), quad)
    put(store, sighting("a", "umit1", features=one))
    with store.begin() as session:
        (row,) = session.execute(text("SELECT features FROM sighting_features")).all()
        at = row.features.index(one.to_bytes()[:64])
        old = row.features[:at] + b"\x01" + row.features[at + 1 :]
        session.execute(text("UPDATE sighting_features SET features = :old"), {"old": old})
    put(store, sighting("b", features=one, at=east(20)))
    assert cluster_of(store, "a") != cluster_of(store, "b")


def test_people_decide_and_it_is_written_down(store: Store) -> None:
    put(store, sighting("a", "umit1"), sighting("b", "umit1", at=east(10)), sighting("c", "umit1", at=east(15)))
    old, decision = cluster_of(store, "a"), Decision(NOON, "aida", "another wall")
    told = split_cluster(store, old, [("b", 0)], decision, dry_run=True)
    assert cluster_of(store, "b") == old
    assert split_cluster(store, old, [("b", 0)], decision) == told
    put(store, sighting("d", "umit1", at=east(12)))
    assert cluster_of(store, "a") == cluster_of(store, "c") == old != cluster_of(store, "b")
    merge_clusters(store, old, cluster_of(store, "b"), Decision(NOON, "erlan", "one wall after all"))
    assert {cluster_of(store, photo) for photo in "abcd"} == {old}
    with store.read() as session:
        assert check_log(session) == []
        said = [entry.why for entry in cluster_events(session) if entry.actor == "erlan"]
        assert said and set(said) == {("one wall after all",)}
        actions = session.execute(text("SELECT actor, action FROM audit WHERE action LIKE 'clusters.%'")).all()
    assert ("aida", "clusters.split") in actions and ("erlan", "clusters.merge") in actions
    with pytest.raises(TagtraceError, match="who decided it and why"):
        Decision(NOON, "aida", " ")


_WRITER = """
import sys
from datetime import UTC, datetime
from tagtrace.contract import Identifier, IdentifierKind
from tagtrace.linking.clusters import Sighting
from tagtrace.linking.store import Store
from tagtrace.linking.store.clusters import put_sightings
url, me = sys.argv[1], int(sys.argv[2])
with Store.open(url) as store:
    for number in range(25):
        contact = Identifier(IdentifierKind.TELEGRAM, f"umit{number % 5}", "", 0.9)
        place = (43.2 + 0.01 * (number % 2), 76.9) if number % 3 else (None, None)
        made = Sighting(f"{me}-{number:02}", 0, (contact,), lat=place[0], lon=place[1])
        put_sightings(store, [made], at=datetime.now(UTC), actor=f"writer {me}")
"""


def test_writers_at_once_lose_nothing_and_make_nothing_twice(store: Store, store_url: str) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, store_url, str(me)], stderr=subprocess.PIPE) for me in range(3)]
    for writer in writers:
        _, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error.decode()
    with store.read() as session:
        state = stored_state(session)
        assert check_log(session) == [] and audit.verify_audit(session) is None
        numbers = list(session.scalars(select(ClusterEventRow.number).order_by(ClusterEventRow.number)))
        book = read_book(session)
        world = [s for name in state.clusters for s in book.sightings(name)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(world) == 75
    assert {frozenset(keys) for keys in state.clusters.values()} == worlds.placed(world, [])


def test_a_failure_half_way_leaves_nothing(store: Store) -> None:
    put(store, sighting("a", "umit1"))
    with pytest.raises(RuntimeError), store.begin() as session, open_book(session) as book:
        book.put([sighting("b", "umit1")], at=NOON, actor="model")
        raise RuntimeError
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(SightingRow)) == 1 and check_log(session) == []


def test_a_damaged_table_is_found_by_replaying(store: Store) -> None:
    put(store, sighting("a", "umit1"), sighting("b", "berkut"))
    a, b = cluster_of(store, "a"), cluster_of(store, "b")
    with store.begin() as session:
        session.execute(text("UPDATE bundles SET cluster = :a WHERE cluster = :b"), {"a": a, "b": b})
    with store.read() as session:
        found = check_log(session)
    assert any(line.startswith(f"{a}: ") and "sightings" in line for line in found)
    assert any(line.startswith(f"{b}: ") for line in found)


def test_paint_states_are_kept_and_asked_for(store: Store) -> None:
    put(store, sighting("a", "umit1", taken_at=NOON), sighting("b", "berkut", taken_at=NOON))
    put(store, sighting("c", "umit1", taken_at=NOON.replace(day=9), overpaint=worlds.Overpaint.PATCH))
    with store.read() as session:
        assert [c.size for c in list_clusters(session)] == [2, 1]
        (found,) = list_clusters(session, state=PaintState.PAINTED_OVER)
        assert (found.id, found.facts.first_seen, found.facts.last_covered) == (
            cluster_of(store, "a"),
            NOON,
            NOON.replace(day=9),
        )


def test_a_popular_contact_costs_no_more_than_another(store: Store) -> None:
    """Rows read per sighting do not grow with the number of sightings of a contact, with a place or without."""
    read: list[int] = []

    @event.listens_for(store.engine, "after_cursor_execute")
    def count(_c: object, cursor: object, statement: str, *_: object) -> None:
        read[-1] += max(getattr(cursor, "rowcount", 0), 0) if statement.startswith("SELECT") else 0

    for number in range(40):
        read.append(0)
        put(store, sighting(f"p{number}", "umit1"), sighting(f"q{number}", "umit1", at=None))
    if store.is_postgresql:
        assert 0 < max(read[25:]) <= max(read[5:15])
    with store.read() as session:
        looked_up = session.scalar(text("SELECT count(*) FROM sighting_looks"))
    assert looked_up == 4


def run(*arguments: str) -> int:
    return cli.run(["clusters", *arguments])


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = str(tmp_path / "city.db")
    with Store.open(url) as store:
        put(store, sighting("aa11", "umit1", taken_at=NOON), sighting("bb22", "umit1"), sighting("cc33", "umit1", at=east(100)))
        one, two = cluster_of(store, "aa11"), cluster_of(store, "cc33")
    assert run("list", "--store", url) == 0
    assert f"{one}  2 sightings  fresh  2026-03-01 to 2026-03-01" in capsys.readouterr().out
    merge = ["merge", two, one, "--by", "Aida", "--why", "one long wall", "--store", url]
    assert run(*merge, "--dry-run") == 0 and "nothing was changed" in capsys.readouterr().out
    assert run(*merge) == 0 and run("show", two, "--store", url) == 0
    shown = capsys.readouterr().out
    assert f"{two} was merged into {one}" in shown and "cc33/0" in shown and "Aida" in shown and "one long wall" in shown
    assert run("split", one, "bb/0", "--by", "Aida", "--why", "no", "--store", url) == 0
    assert run("replay", "--store", url) == 0
    assert "the tables are what the log gives" in capsys.readouterr().out
    assert run("split", one, "zz/0", "--by", "Aida", "--why", "no", "--store", url) == 2
    assert "is no sighting of" in capsys.readouterr().err
    assert run("list", "--state", "gone", "--store", url) == 2 and run("show", "c-none", "--store", url) == 2
    with Store.open(url) as store, store.begin() as session:
        session.execute(text("UPDATE clusters SET size = 9 WHERE id = :id"), {"id": one})
    assert run("replay", "--store", url) == 1
    assert f"{one}: its size is not" in capsys.readouterr().out


def test_the_benchmark_fills_a_store_as_a_book_would(store: Store, tmp_path: Path) -> None:
    small, large = benchmark_store(store, StoreBenchmark(small=100, large=300, measured=100, warm_up=20, seed=3))
    assert small.size < large.size and small.per_second > 0
    with store.read() as session:
        assert check_log(session) == []
        count = session.scalar(select(func.count()).select_from(ClusterRow))
        state = stored_state(session)
        book = read_book(session)
        world = [s for name in state.clusters for s in book.sightings(name)]
    assert count and {frozenset(keys) for keys in state.clusters.values()} == worlds.placed(world, [])
    with pytest.raises(TagtraceError, match="holds sightings already"):
        benchmark_store(store, StoreBenchmark())


def test_the_benchmark_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "numbers.json"
    sizes = ["--size", "1000", "--small", "200", "--measured", "200"]
    assert cli.run(["benchmark", "store", "--store", str(tmp_path / "b.db"), *sizes, "--out", str(out)]) == 0
    assert "placed per second" in capsys.readouterr().out
    assert [entry["measured"] for entry in json.loads(out.read_text())["speeds"]] == [200, 200]
