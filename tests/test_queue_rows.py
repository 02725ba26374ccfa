"""The queue of the experts in its rows: nobody reads an advert twice, and nothing new is missed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import rulings_story as story
from sqlalchemy import delete, select, update

from tagtrace import cli
from tagtrace.contract import ExitCode, TagtraceError
from tagtrace.linking.store import Store, queue, queue_rows, reviews
from tagtrace.linking.store.clusters import Decision, clusters_of, merge_clusters, split_cluster
from tagtrace.linking.store.queue_rows import QueueCountRow, QueuePartRow, QueueRow
from tagtrace.linking.store.tables import AdvertRow

ME, LONG_AGO, advert, analysis, put = story.ME, story.LONG_AGO, story.advert, story.analysis, story.put
open_keys, sound = story.open_keys, story.sound


@pytest.fixture
def city(store: Store) -> Store:
    found: Store = story.city_of(store)
    return found


def test_a_new_sighting_of_a_decided_advert_is_not_shown_again(city: Store) -> None:
    """Three more photos of a decided wall, one of them misread, one too unsure: nobody reads it again."""
    key = put(city, analysis("a", advert("sunkar_shop7")))
    city.write(lambda s: reviews.confirm(s, key), ME)
    for digit, confidence in (("b", 0.97), ("c", 0.5), ("d", 0.97)):
        put(city, analysis(digit, advert("sunkar_shop7", confidence=confidence)))
    assert open_keys(city) == []
    with city.read() as session:
        assert set(queue.count_open(session, ME, LONG_AGO).values()) == {0}
    sound(city)


def test_something_new_on_a_decided_advert_comes_back(city: Store) -> None:
    """The same wall with a second contact: it comes again, shown where the new contact is; decided once more, it is gone."""
    key = put(city, analysis("a", advert("sunkar_shop7")))
    city.write(lambda s: reviews.confirm(s, key), ME)
    second = put(city, analysis("b", advert("sunkar_shop7", "dala_new_bot")))
    put(city, analysis("c", advert("sunkar_shop7")))
    assert open_keys(city) == [("b", True)]
    city.write(lambda s: reviews.confirm(s, second), "person 2")
    assert open_keys(city) == []
    put(city, analysis("d", advert("sunkar_shop7", "dala_new_bot")))
    assert open_keys(city) == [], "known by now"
    sound(city)


@pytest.mark.parametrize("word", [reviews.Word.NOT_ADVERT, reviews.Word.REJECTED])
def test_what_was_refused_comes_back_with_something_new_only(city: Store, word: reviews.Word) -> None:
    key = put(city, analysis("a", advert("sunkar_shop7")))
    city.write(lambda s: reviews.record(s, key, word, "why"), ME)
    put(city, analysis("b", advert("sunkar_shop7")))
    assert open_keys(city) == []
    put(city, analysis("c", advert("sunkar_shop7", "dala_new_bot")))
    assert open_keys(city) == [("c", True)]


def test_merging_hides_nothing_that_nobody_has_read(city: Store) -> None:
    """A decided cluster takes in one that nobody has decided about: what is new in that is shown. Parted again, it is open."""
    done, fresh = put(city, analysis("a", advert("sunkar_shop7"))), put(city, analysis("b", advert("dala_new_bot")), place=0.4)
    alike = put(city, analysis("c", advert("sunkar_shop7")), place=0.8)
    city.write(lambda s: reviews.confirm(s, done), ME)
    assert sorted(open_keys(city)) == [("b", False), ("c", False)]
    with city.read() as session:
        names = clusters_of(session, [done, fresh, alike])
    merge_clusters(city, names[done], names[alike], Decision(datetime.now(UTC), ME, "one wall"))
    assert open_keys(city) == [("b", False)], "nothing new in it"
    merge_clusters(city, names[done], names[fresh], Decision(datetime.now(UTC), ME, "one wall"))
    assert open_keys(city) == [("b", True)]
    split_cluster(city, names[done], [fresh, alike], Decision(datetime.now(UTC), ME, "not one wall"))
    assert sorted(open_keys(city)) in ([("b", False)], [("c", False)]), "taken out together they are one advert, undecided"
    sound(city)


def test_an_older_store_gets_its_queue_and_its_words_when_it_is_upgraded(city: Store, store_url: str) -> None:

    done, left = put(city, analysis("a", advert("sunkar_shop7"))), put(city, analysis("b", advert("dala_new_bot")), place=0.3)
    city.write(lambda s: reviews.confirm(s, done), ME)
    with city.read() as session:
        before = queue.next_entries(session, ME, LONG_AGO), queue.count_open(session, ME, LONG_AGO)

    def forget(session: Any) -> None:
        for table in (QueuePartRow, QueueRow, QueueCountRow):
            session.execute(delete(table))
        session.execute(update(AdvertRow).values(decision_id=None))

    city.write(forget, "tests")
    city.upgrade()
    with city.read() as session:
        assert (queue.next_entries(session, ME, LONG_AGO), queue.count_open(session, ME, LONG_AGO)) == before
    assert [digit for digit, _ in open_keys(city)] == [left[0][0]]
    assert timedelta(0) < datetime.now(UTC) - LONG_AGO
    sound(city)


def rows_of(store: Store) -> list[tuple[object, ...]]:
    with store.read() as session:
        rows = session.execute(select(QueueRow.wall, QueueRow.seen, QueueRow.again, QueueRow.score, QueueRow.first)).all()
        parts = session.execute(select(QueuePartRow.wall, QueuePartRow.part, QueuePartRow.rank)).all()
        counts = session.execute(select(QueueCountRow.part, QueueCountRow.walls)).all()
    return sorted(map(repr, [*rows, *parts, *counts]))


@pytest.mark.parametrize("most", [400, 2])
def test_the_queue_is_right_whoever_writes_at_once(city: Store, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Three people and a worker at once: what they leave behind is what making all rows anew gives. With few names at once, and
    with so many that a writer waits for all others."""
    monkeypatch.setattr(queue_rows, "_MOST_IN", most)
    keys = [put(city, analysis(digit, advert(f"sunkar_shop{n % 3}")), place=n % 4 / 5) for n, digit in enumerate("12345678")]

    def act(seed: int) -> None:
        random = Random(seed)
        for step in range(6):
            key = random.choice(keys)
            try:
                if seed == 0:
                    put(city, analysis("abcdef"[step], advert(f"sunkar_shop{step % 3}", "dala_new_bot")), place=step % 4 / 5)
                elif step % 3 == 2:
                    with city.read() as session:
                        names = sorted(set(clusters_of(session, keys).values()))
                    if len(names) > 1:
                        merge_clusters(city, *random.sample(names, 2), Decision(datetime.now(UTC), f"person {seed}", "test"))
                else:
                    made = city.write(lambda s, k=key: reviews.confirm(s, k), f"person {seed}")  # type: ignore[misc]
                    if step % 2:
                        city.write(lambda s, m=made: reviews.undo(s, m.id), f"person {seed}")  # type: ignore[misc]
            except TagtraceError as error:
                # Somebody else was faster: merged already, or decided after this.
                assert any(word in str(error) for word in ("decide anew", "already", "one cluster", "merge")), error

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(4)))
    before = rows_of(city)
    city.write(queue_rows.fill, "tests")
    assert rows_of(city) == before
    sound(city)


def test_the_queue_is_measured_on_invented_adverts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url, out = str(tmp_path / "bench.db"), tmp_path / "times.json"
    words = ["benchmark", "queue", "--store", url, "--size", "300", "--pages", "10", "--decisions", "2", "--out", str(out)]
    assert cli.run(words) == ExitCode.OK, capsys.readouterr().err
    told = json.loads(out.read_text())
    assert told["adverts"] == 300 and all(item["median_ms"] > 0 for item in told["times"])
    assert [item["name"] for item in told["times"]][:2] == ["page: all", "page: new"]
    with Store.open(url) as store:
        sound(store)
        with store.read() as session:
            counts = queue.count_open(session, ME, LONG_AGO)
            found = queue.next_entries(session, ME, LONG_AGO, limit=1000)
            scores = [entry.score for entry in found]
    assert len(found) == counts[queue.Chosen.ALL] > 10 and scores == sorted(scores, reverse=True)
    assert sum(entry.silent for entry in found) == counts[queue.Chosen.SILENT] > 0
    assert cli.run(words) == ExitCode.USAGE, "a store with photos in it is left alone"
