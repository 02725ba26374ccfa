"""Opening a store, and its transactions.

SQLite and PostgreSQL behave alike here: ``begin`` takes what it writes all or nothing, and writers wait for each other instead of
overwriting. In SQLite a writer holds the whole file from the start of its transaction (BEGIN IMMEDIATE); readers go on (WAL).
"""

from __future__ import annotations

import getpass
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from ...contract import BrokenInstallationError, TagtraceError
from . import audit, queue_rows, schema
from .failures import explain, may_pass

T = TypeVar("T")

BUSY_SECONDS = 30.0
"""How long a writer of SQLite waits for another one before it gives up."""
ATTEMPTS = 6
"""How often ``Store.write`` tries a transaction that met another writer."""
_READING = "tagtrace_reading"


class Store:
    """An open store. Safe to share between threads; another process opens its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        """Use ``Store.open``."""
        self.engine = engine
        self.name = name
        """The URL without its password, for messages."""
        reading: dict[str, Any] = {_READING: True}
        if engine.dialect.name == "postgresql":
            reading |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._writers = sessionmaker(engine, expire_on_commit=False)
        self._readers = sessionmaker(engine.execution_options(**reading), expire_on_commit=False)

    @classmethod
    def open(cls, url: str, *, upgrade: bool = False, durable: bool = False) -> Store:
        """Open the store at a path (``city.db``), ``sqlite:///path`` or ``postgresql://user@host/database``.

        ``durable`` makes SQLite wait for the disk at every commit: a power cut then loses nothing that was acknowledged. Without
        it the last commits may be lost, and the file stays sound. PostgreSQL has its own setting for this.
        A new SQLite file is set up by itself. Any other store has to have the newest schema already: ``upgrade`` brings it there.
        Raises ``TagtraceError`` when the store cannot be reached, is no store, is older (says how to upgrade) or newer.
        """
        address = _address(url)
        name = address.render_as_string(hide_password=True).removeprefix("sqlite:///")
        store = cls(_engine(address, name, durable), name)
        try:
            store._prepare(address, upgrade)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def is_postgresql(self) -> bool:
        """Whether the store lies in PostgreSQL."""
        return self.engine.dialect.name == "postgresql"

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def begin(self, actor: str = "") -> Iterator[Session]:
        """A transaction that writes: kept when the block ends, undone when it raises.

        ``actor`` is who is named in the audit log (default: the user of this machine). Errors of the database become
        ``TagtraceError``.
        """
        try:
            with self._writers() as session, session.begin():
                session.info[audit.ACTOR] = actor or _user()
                yield session
                session.flush()
                queue_rows.refresh(session)
                audit.write(session)
        except SQLAlchemyError as error:
            raise explain(error, self.name) from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads: one consistent state of the store from its first query to its end."""
        try:
            with self._readers() as session, session.begin():
                yield session
        except SQLAlchemyError as error:
            raise explain(error, self.name) from error

    def write(self, change: Callable[[Session], T], actor: str = "") -> T:
        """Run ``change`` in a transaction, again when it met another writer; it must have no effect but on the session."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.begin(actor) as session:
                    return change(session)
            except TagtraceError as error:
                cause = error.__cause__
                if attempt == ATTEMPTS or not isinstance(cause, SQLAlchemyError) or not may_pass(cause):
                    raise
                # Writers that met once would meet again if they all waited equally long.
                time.sleep(random.uniform(0.0, 0.05 * 2**attempt))
        raise AssertionError("unreachable")

    def version(self) -> str | None:
        """The schema version of the store, or None for an empty database."""
        try:
            with self.engine.connect() as connection:
                return schema.check_known(connection, self.name)
        except SQLAlchemyError as error:
            raise explain(error, self.name) from error

    def upgrade(self) -> None:
        """Bring the store to the newest schema and its protected list up to date, in one transaction."""
        from . import protection, rulings

        try:
            with self.engine.begin() as connection:
                schema.upgrade(connection, self.name)
                with Session(connection, join_transaction_mode="rollback_only") as session:
                    session.info[audit.ACTOR] = _user()
                    protection.seed(session)
                    if not queue_rows.is_filled(session):
                        rulings.settle_all(session)
                        queue_rows.fill(session)
                    session.flush()
                    audit.write(session)
        except SQLAlchemyError as error:
            raise explain(error, self.name) from error

    def _prepare(self, address: URL, upgrade: bool) -> None:
        version = self.version()
        if upgrade or (version is None and not self.is_postgresql):
            self.upgrade()
        elif version != schema.newest():
            state = "is not set up yet" if version is None else f"has the older schema {version}"
            url = address.render_as_string(hide_password=True)
            raise TagtraceError(f"{self.name}: {state}; run `tagtrace db upgrade --store {url}` first")


def _address(url: str) -> URL:
    """The URL of a store as SQLAlchemy wants it."""
    if "://" not in url:
        return URL.create("sqlite", database=str(Path(url).expanduser()))
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise TagtraceError("the URL of the store cannot be read; give a path or postgresql://user@host/database") from error
    if address.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername == "sqlite":
        return address
    raise TagtraceError(f"{address.drivername}: stores lie in SQLite (a path) or PostgreSQL (postgresql://user@host/database)")


def _engine(address: URL, name: str, durable: bool) -> Engine:
    try:
        if address.drivername == "sqlite":
            engine = create_engine(address, connect_args={"timeout": BUSY_SECONDS})
            event.listen(engine, "connect", partial(_sqlite_connect, synchronous="FULL" if durable else "NORMAL"))
            event.listen(engine, "begin", _sqlite_begin)
            return engine
        return create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except (ImportError, NoSuchModuleError) as error:
        raise BrokenInstallationError(
            f"{name}: PostgreSQL needs the library psycopg; install it with: pip install 'tagtrace[postgres]'"
        ) from error


def _sqlite_connect(connection: Any, _record: object, synchronous: str) -> None:
    # The driver would begin transactions late and commit some by itself; here SQLAlchemy says when.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA synchronous = {synchronous}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
