"""Analyses in the store: as they were, once, the latest marked; and several processes that write at the same time."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, text

from tagtrace.contract import (
    Advert,
    Analysis,
    Band,
    Char,
    Code,
    Evidence,
    Failure,
    FailureCode,
    Flag,
    Hypothesis,
    Identifier,
    IdentifierKind,
    Line,
    Link,
    ModelInfo,
    Outcome,
    Reading,
    Resource,
    TagtraceError,
)
from tagtrace.linking.store import Store, audit, database, resources, shops
from tagtrace.linking.store.analyses import PhotoFacts, forget_photo, iter_latest, put_analysis, relink
from tagtrace.linking.store.loading import latest_analysis, load_analysis, load_links
from tagtrace.linking.store.tables import AdvertRow, AnalysisRow, IdentifierRow, LinkRow, PhotoRow, ReadingRow
from tagtrace.models.logprobs import pack, unpack

K = IdentifierKind
QUAD = ((0.25, 0.5), (100.0, 0.5), (100.0, 20.0), (0.25, 20.0))
OLD, NEW = (ModelInfo("read", "r1", "1" * 64),), (ModelInfo("read", "r2", "2" * 64),)


def analysis(sha256: str = "a" * 64, models: tuple[ModelInfo, ...] = OLD, value: str = "tulpar_kz1") -> Analysis:
    rng = np.random.default_rng(7)
    log_probs = np.log(rng.dirichlet(np.full(8, 0.1), size=12)).astype(np.float32)
    reading = Reading(
        f"@{value}",
        0.9,
        (Hypothesis(f"@{value}", -0.1), Hypothesis("@tu1par", float("-inf"))),
        (Char("@", 0.99, (("a", 0.01),)),),
        np.maximum(log_probs, -30.0),
        "abcdefg",
        True,
    )
    identifiers = (
        Identifier(K.TELEGRAM, value, f"@{value}", 0.9, (("tu1par", 0.05),), (Flag.MIXED_SCRIPT,), (0,)),
        Identifier(K.PHONE, "112", "112", 0.99, flags=(Flag.PROTECTED,), codes=(0,)),
    )
    advert = Advert(QUAD, (Line(QUAD, 0.8, reading),), (Code("tel:112", "QRCode", QUAD),), identifiers)
    taken = datetime(2026, 7, 1, 12, 0, 5, tzinfo=UTC)
    return Analysis("a.jpg", sha256, 640, 480, (advert,), None, models, taken, 51.1, 71.4, "r-1", 0.5, (("read", 0.25),))


def links(value: str = "tulpar_kz1") -> list[list[Link]]:
    known = Resource(K.TELEGRAM, value, "A", "Tulpar")
    evidence = (Evidence("likelihood", 3.5, "the wall says so"),)
    same = Link(Outcome.SAME, 0.97, "A", known, ("equal",), evidence, Band.AUTOMATIC)
    return [[same, Link(Outcome.NEW, 1.0, reasons=("protected",))]]


def test_an_analysis_comes_back_as_it_was(store: Store) -> None:
    made = analysis()
    with store.begin() as session:
        put = put_analysis(session, made, settings={"side": 1280}, facts=PhotoFacts("photos", 12345, 0xFF))
    with store.read() as session:
        read = latest_analysis(session, made.sha256)
        photo = session.scalars(select(PhotoRow)).one()
    assert put.new and read is not None
    assert (photo.place, photo.size, photo.picture_hash) == ("photos", 12345, "00000000000000ff")
    for name in ("name", "sha256", "width", "height", "failure", "models", "taken_at", "lat", "lon", "report_id", "stages"):
        assert getattr(read, name) == getattr(made, name), name
    (advert,), (wanted,) = read.adverts, made.adverts
    assert (advert.quad, advert.codes, advert.identifiers) == (wanted.quad, wanted.codes, wanted.identifiers)
    line, was = advert.lines[0], wanted.lines[0]
    assert (line.quad, line.confidence, line.reading.chars) == (was.quad, was.confidence, was.reading.chars)
    assert line.reading.hypotheses[1].log_prob < -1e5 and line.reading.flipped and line.reading.alphabet == "abcdefg"
    assert was.reading.log_probs is not None and line.reading.log_probs is not None
    assert np.array_equal(line.reading.log_probs, unpack(pack(was.reading.log_probs)))


def counts(store: Store) -> dict[str, int]:
    tables = (PhotoRow, AnalysisRow, AdvertRow, ReadingRow, IdentifierRow, LinkRow)
    with store.read() as session:
        return {t.__tablename__: session.scalar(select(func.count()).select_from(t)) or 0 for t in tables}


def test_putting_twice_is_putting_once(store: Store) -> None:
    with store.begin() as session:
        shops.create(session, "A", "Tulpar")
    numbers = []
    for _ in range(3):
        with store.begin() as session:
            numbers.append(put_analysis(session, analysis(), links()))
    assert [put.new for put in numbers] == [True, False, False] and len({put.analysis_id for put in numbers}) == 1
    assert counts(store) == {"photos": 1, "analyses": 1, "adverts": 1, "readings": 1, "identifiers": 2, "links": 2}


def test_the_last_models_give_the_latest_analysis_but_a_failure_does_not(store: Store) -> None:
    failed = replace(
        analysis(models=(ModelInfo("read", "r3", "3" * 64),)), adverts=(), failure=Failure(FailureCode.INTERNAL, "x")
    )
    with store.begin() as session:
        old = put_analysis(session, analysis(models=OLD)).analysis_id
        new = put_analysis(session, analysis(models=NEW)).analysis_id
        put_analysis(session, failed)

    def latest() -> list[int]:
        with store.read() as session:
            return list(session.scalars(select(AnalysisRow.id).where(AnalysisRow.latest)))

    assert latest() == [new]
    with store.begin() as session:
        put_analysis(session, analysis(models=OLD))
    assert latest() == [old]


def test_a_failure_is_kept_and_gives_way_to_a_success_of_the_same_models(store: Store) -> None:
    failed = replace(analysis(), adverts=(), failure=Failure(FailureCode.INTERNAL, "no memory"))
    with store.begin() as session:
        put_analysis(session, failed)
    with store.read() as session:
        kept = latest_analysis(session, failed.sha256)
        assert kept is not None and kept.failure == failed.failure and list(iter_latest(session)) == []
    with store.begin() as session:
        put = put_analysis(session, analysis())
        put_analysis(session, failed)
    with store.read() as session:
        assert put.new and load_analysis(session, put.analysis_id).failure is None
        assert [found.sha256 for _, found in iter_latest(session)] == [failed.sha256]


def test_links_come_back_and_identifiers_become_resources(store: Store) -> None:
    with store.begin() as session:
        shops.create(session, "A", "Tulpar")
        put = put_analysis(session, analysis(), links())
    with store.read() as session:
        ((same, new),) = load_links(session, put.analysis_id)
        known = [(record.kind, record.value) for record in resources.list_resources(session)]
    assert known == [(K.TELEGRAM, "tulpar_kz1")], "the protected number is no resource"
    assert new == links()[0][1] and same is not None
    assert replace(same, resource=None) == replace(links()[0][0], resource=None)


def test_a_misread_is_no_resource_of_its_own(store: Store) -> None:
    seen = analysis(value="tulpar_kzl")
    misread = replace(links()[0][0], outcome=Outcome.MISREAD)
    with store.begin() as session:
        shops.create(session, "A", "Tulpar")
        put_analysis(session, seen, [[misread, links()[0][1]]])
    with store.read() as session:
        assert [record.value for record in resources.list_resources(session)] == ["tulpar_kz1"]


def test_linking_again_after_a_merge_leads_to_the_living_shop(store: Store) -> None:
    with store.begin() as session:
        shops.create(session, "A", "Tulpar")
        shops.create(session, "B", "Berkut")
        put = put_analysis(session, analysis(), links())
        shops.merge(session, "B", "A", "same stencil")
    with store.begin() as session:
        assert [link.shop_id for link in load_links(session, put.analysis_id)[0] if link is not None] == ["B", None]
        assert not relink(session, put.analysis_id, analysis().adverts, links())
        assert relink(session, put.analysis_id, analysis().adverts, [[links()[0][1]] * 2])


def test_a_forgotten_photo_leaves_only_its_entry_in_the_log(store: Store) -> None:
    with store.begin() as session:
        put_analysis(session, analysis())
    with store.begin("erlan") as session:
        assert forget_photo(session, "a" * 64, "the reporter asked") and not forget_photo(session, "b" * 64, "")
    assert set(counts(store).values()) == {0}
    with store.read() as session:
        assert audit.verify_audit(session) is None


WRITER = """
import hashlib, sys
sys.path.insert(0, sys.argv[4])
from test_store_analyses import analysis
from tagtrace.linking.store import Store
from tagtrace.linking.store.analyses import put_analysis
url, me, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store = Store.open(url)
print("ready", flush=True)
sys.stdin.readline()
for i in range(many):
    # Half of the photos and of the handles are everybody's: the writers meet at the same rows.
    sha256 = hashlib.sha256(f"{i}" .encode() if i % 2 else f"{me} {i}".encode()).hexdigest()
    store.write(lambda s: put_analysis(s, analysis(sha256, value=f"shop_{i % 7}_kz")), f"writer {me}")
"""


@pytest.mark.parametrize(("writers", "many"), [(2, 20), pytest.param(4, 100, marks=pytest.mark.slow)])
def test_processes_that_write_at_once_lose_nothing(store: Store, store_url: str, root: Path, writers: int, many: int) -> None:
    command = [sys.executable, "-c", WRITER, store_url]
    running = [
        subprocess.Popen([*command, str(me), str(many), str(root / "tests")], stdin=-1, stdout=-1, stderr=-1, text=True)
        for me in range(writers)
    ]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n", process.communicate()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    photos = {hashlib.sha256(f"{me} {i}".encode()).hexdigest() for me in range(writers) for i in range(0, many, 2)}
    photos |= {hashlib.sha256(f"{i}".encode()).hexdigest() for i in range(1, many, 2)}
    found = counts(store)
    assert found["photos"] == found["analyses"] == len(photos) and found["identifiers"] == 2 * len(photos)
    with store.read() as session:
        assert set(session.scalars(select(PhotoRow.sha256))) == photos
        assert len(list(resources.list_resources(session))) == 7
        assert all(len(resources.events(session, r.kind, r.value)) == 1 for r in resources.list_resources(session))
        assert audit.verify_audit(session) is None


def test_a_locked_file_is_told_and_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    path = tmp_path / "store.db"
    with Store.open(str(path)) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TagtraceError, match="store.db: another program"), store.begin() as session:
            put_analysis(session, analysis())
        with store.read() as session:
            assert session.scalar(select(func.count()).select_from(PhotoRow)) == 0, "reading goes on"
        other.execute("ROLLBACK")
        store.write(lambda session: put_analysis(session, analysis()))
        other.close()


def test_a_full_disk_is_told_and_nothing_is_half_kept(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "store.db")) as store:
        with store.engine.connect() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        with pytest.raises(TagtraceError, match="disk is full"), store.begin() as session:
            session.execute(text(f"PRAGMA max_page_count = {pages + 4}"))
            for i in range(500):
                put_analysis(session, analysis(hashlib.sha256(str(i).encode()).hexdigest()))
        with store.read() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
            assert audit.verify_audit(session) is None
        assert counts(store)["photos"] == 0


def test_a_lost_connection_is_told_and_the_next_try_works(postgres_url: str) -> None:
    with Store.open(postgres_url, upgrade=True) as store:
        with pytest.raises(TagtraceError, match="connection was lost"), store.begin() as session:
            put_analysis(session, analysis())
            own = session.scalar(text("SELECT pg_backend_pid()"))
            with store.read() as other:
                other.execute(text(f"SELECT pg_terminate_backend({own})"))
            put_analysis(session, analysis("b" * 64))
        assert counts(store)["photos"] == 0
        with store.begin() as session:
            put_analysis(session, analysis())
        assert counts(store)["photos"] == 1


def test_writers_that_lock_each_other_out_try_again(postgres_url: str) -> None:
    with Store.open(postgres_url, upgrade=True) as store:
        with store.begin() as session:
            shops.create(session, "A")
            shops.create(session, "B")
        meet = threading.Barrier(2, timeout=30)
        tries: list[str] = []

        def rename(first: str, second: str) -> None:
            def change(session: object) -> None:
                tries.append(first)
                for name in (first, second):
                    session.execute(text("UPDATE shops SET name = name || :n WHERE id = :i"), {"n": first, "i": name})  # type: ignore[attr-defined]
                    if name == first and len(tries) <= 2:
                        meet.wait()

            store.write(change)

        threads = [threading.Thread(target=rename, args=pair) for pair in (("A", "B"), ("B", "A"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        with store.read() as session:
            assert [len(shop.name) for shop in shops.list_shops(session)] == [2, 2]
        assert len(tries) >= 3
