"""The store: made and upgraded, on SQLite and on a real PostgreSQL, and what it says when it cannot be used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select, text

from tagtrace.contract import IdentifierKind, TagtraceError
from tagtrace.linking.store import Store, audit, protection, schema
from tagtrace.linking.store import cluster_tables as _cluster_tables  # noqa: F401 (declares its tables)
from tagtrace.linking.store import keys as _keys  # noqa: F401 (declares its tables)
from tagtrace.linking.store import people as _people  # noqa: F401 (declares its tables)
from tagtrace.linking.store import proposals as _proposals  # noqa: F401 (declares its tables)
from tagtrace.linking.store import report_tables as _report_tables  # noqa: F401 (declares its tables)
from tagtrace.linking.store import vault as _vault  # noqa: F401 (declares its tables)
from tagtrace.linking.store.tables import AuditRow, Base, PhotoRow

K = IdentifierKind


def test_the_migrations_make_what_the_tables_declare(store: Store) -> None:
    def declared(_object: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
        return not (kind == "table" and reflected and name not in Base.metadata.tables) and name != "ix_resources_value_similar"

    with store.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_object": declared}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_a_new_sqlite_file_is_set_up_by_itself_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "city.db"
    for _ in range(2):
        with Store.open(str(path)) as store, store.read() as session:
            assert store.version() == schema.newest()
            assert session.scalar(text("PRAGMA journal_mode")) == "wal"
            assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_new_postgresql_asks_for_the_upgrade(postgres_url: str) -> None:
    with pytest.raises(TagtraceError, match="tagtrace db upgrade"):
        Store.open(postgres_url)
    Store.open(postgres_url, upgrade=True).close()
    with Store.open(postgres_url) as store:
        assert store.version() == schema.newest()


def test_a_store_of_a_newer_schema_is_left_alone(store_url: str) -> None:
    with Store.open(store_url, upgrade=True) as store, store.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for upgrade in (False, True):
        with pytest.raises(TagtraceError, match="newer tagtrace.*9999"):
            Store.open(store_url, upgrade=upgrade)


def test_what_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.begin() as session:
        session.add(PhotoRow(sha256="a" * 64, received_at=datetime.now(UTC)))
        audit.note(session, "photo.add", "a")
        session.flush()
        raise RuntimeError
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(PhotoRow)) == 0
        assert audit.verify_audit(session) is None


def test_times_come_back_in_utc(store: Store) -> None:
    moment = datetime(2026, 7, 1, 23, 30, 0, 250, timezone(timedelta(hours=5)))
    with store.begin() as session:
        session.add(PhotoRow(sha256="a" * 64, received_at=moment))
    with store.read() as session:
        read = session.scalars(select(PhotoRow.received_at)).one()
    assert read == moment and read.tzinfo is UTC


def test_the_audit_log_is_chained_and_shows_what_was_altered(store: Store) -> None:
    for number in range(3):
        with store.begin("erlan") as session:
            audit.note(session, "test.change", f"thing {number}", {"n": number, "м": "ё"})
    with store.read() as session:
        assert audit.verify_audit(session) is None
        last = session.scalar(select(func.max(AuditRow.number)))
        assert session.scalars(select(AuditRow.actor).where(AuditRow.number == last)).one() == "erlan"
    assert last is not None and last >= 3
    guard = "DROP TRIGGER audit_changed ON audit" if store.is_postgresql else "DROP TRIGGER audit_update"
    with pytest.raises(TagtraceError, match="only appended"), store.begin() as session:
        session.execute(text("UPDATE audit SET actor = 'x'"))
    with store.begin() as session:
        session.execute(text(guard))
        session.execute(text(f"UPDATE audit SET actor = 'aigul' WHERE number = {last - 1}"))
    with store.read() as session:
        broken = audit.verify_audit(session)
    assert broken is not None and broken.number == last - 1 and "altered" in broken.what


@pytest.mark.parametrize(("where", "number"), [("number = 2", 2), ("number >= 3", 3)])
def test_a_missing_audit_entry_shows(store: Store, where: str, number: int) -> None:
    for _ in range(3):
        with store.begin() as session:
            audit.note(session, "test.change", "thing")
    with store.begin() as session:
        session.execute(text("DROP TRIGGER audit_changed ON audit" if store.is_postgresql else "DROP TRIGGER audit_delete"))
        session.execute(text(f"DELETE FROM audit WHERE {where}"))
    with store.read() as session:
        broken = audit.verify_audit(session)
    assert broken is not None and broken.number == number and "missing" in broken.what


def test_protected_values_are_the_bundled_ones_and_those_added(store: Store) -> None:
    with store.begin("aigul") as session:
        protection.protect(session, K.TELEGRAM, "city_clean_bot", "letter of the city, 2026")
        protection.protect(session, "official_host", "city.example", "letter of the city, 2026")
    with store.read() as session:
        known = protection.load_protection(session)
    assert known.covers(K.TELEGRAM, "sko_narkohelp_bot") and known.covers(K.PHONE, "102")
    assert known.covers(K.TELEGRAM, "c1ty_clean_b0t"), "a look-alike of an added name"
    assert known.covers(K.URL, "www.city.example/page") and not known.covers(K.URL, "city.example.top")
    assert not known.covers(K.TELEGRAM, "tulpar_kz1")


def test_upgrading_again_changes_nothing(store: Store) -> None:
    def state() -> list[object]:
        with store.read() as session:
            return [session.scalar(text(f"SELECT count(*) FROM {table}")) for table in ("audit", "protected")]

    before = state()
    store.upgrade()
    assert state() == before and all(before)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://here/db", "SQLite .* or PostgreSQL"),
        ("postgresql://nobody:secret@127.0.0.1:1/db", "cannot be reached"),
        ("no-such-folder/store.db", "check that its folder exists"),
    ],
)
def test_what_cannot_be_opened_is_told(url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TagtraceError, match=message) as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_store_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database\n" * 100)
    with pytest.raises(TagtraceError, match="notes.txt: is no SQLite database"):
        Store.open(str(path))
    assert path.read_text().startswith("these are my notes")
