"""The book of sightings: the partition of ``place``, one sighting after another. All contacts are invented."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
import sightings as worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from tagtrace.contract import TagtraceError
from tagtrace.linking.book import Book
from tagtrace.linking.clusters import ClusterSettings, Overpaint, Sighting, place
from tagtrace.linking.ledger import Event, EventKind, replay
from tagtrace.linking.shelf import PaintState, Shelf

sighting, east, NOON = worlds.sighting, worlds.east, worlds.NOON


def put(book: Book, *sightings: Sighting) -> list[Event]:
    return book.put(sightings, at=NOON, actor="model")


def kinds(events: list[Event]) -> list[str]:
    return [str(event.kind) for event in events]


@settings(max_examples=60, deadline=None)
@given(worlds.RANDOMS)
def test_one_by_one_gives_what_all_together_give(rng: random.Random) -> None:
    world = worlds.random_world(rng)
    one, other = Book(), Book()
    for item in rng.sample(world, len(world)):
        put(one, item)
    put(other, *rng.sample(world, len(world)))
    assert worlds.partition_of(one, world) == worlds.partition_of(other, world) == worlds.placed(world, [])


@settings(max_examples=80, deadline=None)
@given(worlds.RANDOMS)
def test_whatever_happens_the_partition_and_the_log_hold(rng: random.Random) -> None:
    """Sightings, new eyes and people's words in any order: after each the oracle agrees, and the log gives the state."""
    world = {item.key: item for item in worlds.random_world(rng)}
    book, log, names = Book(), [], set()
    known: dict[tuple[str, int], Sighting] = {}
    for item in rng.sample(list(world.values()), len(world)):
        known[item.key] = item
        log += put(book, item)
        if rng.random() < 0.3:
            old = known[rng.choice(sorted(known))]
            new = replace(worlds.random_sighting(rng, *old.key), picture_hash=old.picture_hash)
            known[old.key] = new
            log += put(book, new)
        if rng.random() < 0.3 and len(known) > 1:
            a, b = rng.sample(sorted(known), 2)
            log += book.rule(a, b, same=rng.random() < 0.4, at=NOON, actor="person")
        now = list(known.values())
        assert worlds.partition_of(book, now) == worlds.placed(now, book.shelf.rules())
        state = replay(log)
        assert state == book.state()
        # An id that was there once still leads somewhere.
        names |= set(state.clusters)
        assert {state.resolve(name) for name in names} <= set(state.clusters)
        assert {name: len(keys) for name, keys in state.clusters.items()} == {n: book.cluster(n).size for n in state.clusters}


@settings(max_examples=30, deadline=None)
@given(worlds.RANDOMS)
def test_a_preview_changes_nothing_and_tells_what_comes(rng: random.Random) -> None:
    world = worlds.random_world(rng)
    book = Book()
    for item in world:
        before = book.state()
        told = book.preview([item], at=NOON, actor="model")
        assert book.state() == before
        assert put(book, item) == told


def test_the_same_sighting_again_changes_nothing() -> None:
    book = Book()
    assert kinds(put(book, sighting("a", "umit1"))) == ["created"]
    assert put(book, sighting("a", "umit1")) == []


def test_the_oldest_id_survives_and_the_others_lead_to_it() -> None:
    book = Book()
    put(book, sighting("a", "umit1"), sighting("b", "umit1", at=east(100)))
    first, second = book.cluster_of(("a", 0)), book.cluster_of(("b", 0))
    assert first and second and first != second
    events = put(book, sighting("c", "umit1", at=east(50)))
    assert kinds(events) == ["joined", "merged"] and "telegram umit1" in events[0].why[0]
    assert book.resolve(second) == first == book.cluster_of(("c", 0))
    with pytest.raises(TagtraceError, match="no cluster 'x'"):
        book.resolve("x")


def test_a_second_wall_parts_what_has_no_place() -> None:
    book = Book()
    put(book, sighting("a", "umit1"), sighting("b", "umit1", at=None), sighting("c", "umit1", at=None))
    wall = book.cluster_of(("a", 0))
    assert {book.cluster_of((photo, 0)) for photo in "abc"} == {wall}
    events = put(book, sighting("d", "umit1", at=east(5000)))
    assert sorted(kinds(events)) == ["created", "split", "split"]
    assert book.cluster_of(("a", 0)) == wall and len({book.cluster_of((photo, 0)) for photo in "abcd"}) == 4
    # They come back when the two walls turn out to be one.
    events = book.merge(str(wall), str(book.cluster_of(("d", 0))), at=NOON, actor="aida", why=["one long wall"])
    assert {book.cluster_of((photo, 0)) for photo in "abcd"} == {wall}
    assert {(event.actor, event.why) for event in events} == {("aida", ("one long wall",))}


def test_people_win_over_the_machine_and_are_remembered() -> None:
    book = Book()
    put(book, sighting("a", "umit1"), sighting("b", "umit1", at=east(20)), sighting("c", "umit1", at=east(30)))
    old = str(book.cluster_of(("a", 0)))
    events = book.split(old, [("b", 0)], at=NOON, actor="aida", why=["another wall"])
    assert kinds(events).count("cannot_link") == 1 and kinds(events)[-1] == "split"
    new = str(book.cluster_of(("b", 0)))
    assert book.cluster_of(("a", 0)) == book.cluster_of(("c", 0)) == old != new
    # Later sightings join the side they are nearer to, and new models do not undo it.
    put(book, sighting("d", "umit1", at=east(25)), sighting("b", "umit1", "berkut", at=east(20)))
    assert book.cluster_of(("a", 0)) == old and book.cluster_of(("b", 0)) == new
    book.merge(new, old, at=NOON, actor="erlan")
    assert {book.cluster_of((photo, 0)) for photo in "abcd"} == {old} and book.resolve(new) == old
    again = book.split(old, [("b", 0), ("d", 0)], at=NOON, actor="aida")
    assert book.cluster_of(("b", 0)) == book.cluster_of(("d", 0)) not in (old, new), kinds(again)


def test_merging_clusters_without_a_place_takes_all_of_them() -> None:
    book = Book()
    put(book, *(sighting(photo, "umit1", at=None) for photo in "abc"), *(sighting(photo, "berkut", at=None) for photo in "de"))
    first, second = str(book.cluster_of(("a", 0))), str(book.cluster_of(("d", 0)))
    book.merge(second, first, at=NOON, actor="aida")
    assert {book.cluster_of((photo, 0)) for photo in "abcde"} == {first}


def test_wrong_merges_and_splits_are_refused() -> None:
    book = Book()
    put(book, sighting("a", "umit1"), sighting("b", "umit1"), sighting("c", "berkut"))
    name = str(book.cluster_of(("a", 0)))
    for keys, words in ([("c", 0)], "c/0 is not in it"), ([], "not none"), ([("a", 0), ("b", 0)], "not all"):
        with pytest.raises(TagtraceError, match=words):
            book.split(name, keys, at=NOON, actor="aida")
    with pytest.raises(TagtraceError, match="one cluster already"):
        book.merge(name, name, at=NOON, actor="aida")
    with pytest.raises(TagtraceError, match="no sighting z/0"):
        book.rule(("z", 0), ("a", 0), same=True, at=NOON, actor="aida")
    assert replay(book.shelf.events) == book.state()


def test_painted_over_and_back_again() -> None:
    book = Book()

    def seen(photo: str, day: int, paint: Overpaint | None) -> PaintState:
        put(book, sighting(photo, "umit1", taken_at=NOON + timedelta(days=day), overpaint=paint))
        return book.cluster(str(book.cluster_of(("a", 0)))).state

    assert seen("a", 1, Overpaint.FRESH) is PaintState.FRESH
    assert seen("c", 20, Overpaint.FRESH) is PaintState.FRESH
    # A photo of the days between, sent late, tells that it was painted over and came back.
    assert seen("b", 10, Overpaint.PATCH) is PaintState.BACK_AGAIN
    assert seen("d", 30, Overpaint.THIN_COAT) is PaintState.PAINTED_OVER
    assert seen("e", 40, None) is PaintState.PAINTED_OVER
    facts = book.cluster(str(book.cluster_of(("a", 0)))).facts
    assert (facts.first_seen, facts.last_seen) == (NOON + timedelta(days=1), NOON + timedelta(days=40))
    assert [event.other for event in book.shelf.events if event.kind is EventKind.STATE] == ["back_again", "painted_over"]


class Counting(Shelf):
    """A shelf that counts the records that it gives."""

    given = 0

    def near(self, *args: object) -> list[object]:
        found = super().near(*args)  # type: ignore[arg-type]
        self.given += len(found)
        return found  # type: ignore[return-value]

    def loose_showing(self, *args: object) -> list[object]:
        found = super().loose_showing(*args)  # type: ignore[arg-type]
        self.given += len(found)
        return found  # type: ignore[return-value]


@pytest.mark.parametrize("at", [worlds.ALMATY, None], ids=["placed", "loose"])
def test_the_thousandth_sighting_of_a_contact_looks_at_no_more_than_the_tenth(at: tuple[float, float] | None) -> None:
    shelf = Counting()
    book = Book(shelf)
    cost = []
    for number in range(400):
        before = shelf.given
        put(book, sighting(f"p{number}", "umit1", at=at))
        cost.append(shelf.given - before)
    assert max(cost) <= 8 and cost[-1] <= cost[10]
    assert len({book.cluster_of((f"p{number}", 0)) for number in range(400)}) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([None, worlds.ALMATY, east(10), east(5000), east(9000)]), min_size=12, max_size=30))
def test_many_of_one_contact(spots: list[tuple[float, float] | None]) -> None:
    world = [sighting(f"p{number:02}", "umit1", at=at) for number, at in enumerate(spots)]
    book = Book(settings=ClusterSettings())
    put(book, *world)
    assert worlds.partition_of(book, world) == worlds.placed(world, [])
    assert len(place(world)) == len(world)
