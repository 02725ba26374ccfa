"""What goes wrong in a database, in words: a file that is locked, a disk that is full, a connection that was lost."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from ...contract import TagtraceError

_SQLITE = {
    "database is locked": "another program has been writing to it for too long; wait until it has finished and try again",
    "database or disk is full": "the disk is full; make room and try again (nothing of this change was kept)",
    "disk I/O error": "the disk cannot be read or written; check it and its free space (nothing of this change was kept)",
    "unable to open database file": "cannot be opened or made; check that its folder exists and that you may write there",
    "attempt to write a readonly database": "may not be written; check the permissions of the file and its folder",
    "file is not a database": "is no SQLite database; give the path of a store, or of a new file",
    "database disk image is malformed": "is damaged; restore it from a backup",
}
_POSTGRESQL = {
    "53100": "the disk of the server is full; make room and try again (nothing of this change was kept)",
    "53300": "the server has too many connections; try again later",
    "28P01": "wrong user or password",
    "28000": "this user may not connect; check the user in the URL",
    "3D000": "no such database; create it first (createdb)",
    "42501": "this user has too few rights there",
    "55P03": "another program holds the rows for too long; try again",
    "57014": "the server stopped the request because it took too long",
}
_AGAIN = {"40001", "40P01", "55P03"}
"""SQLSTATE of failures that go away when the transaction is tried again: serialisation, deadlock, lock not available."""


class StoreError(TagtraceError):
    """The database cannot do what it should, whatever was asked of it: it is away, busy, full or damaged."""


def explain(error: SQLAlchemyError, name: str) -> StoreError:
    """The error of a database as one sentence that names the store ``name``, says what is wrong and what to do."""
    text = str(getattr(error, "orig", None) or error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    known = next((words for sign, words in _SQLITE.items() if sign in text), None) or _POSTGRESQL.get(_state(error))
    if known is not None:
        return StoreError(f"{name}: {known}")
    if isinstance(error, IntegrityError):
        return StoreError(f"{name}: the change would break the rules of the store ({first}); nothing of it was kept")
    if "connection failed" in text or "could not translate" in text or "Connection refused" in text:
        return StoreError(f"{name}: cannot be reached ({first}); check the address and that the server runs")
    if isinstance(error, DBAPIError) and (error.connection_invalidated or "closed" in text or "terminat" in text):
        return StoreError(f"{name}: the connection was lost ({first}); nothing of this change was kept, try again")
    return StoreError(f"{name}: {first}")


def may_pass(error: SQLAlchemyError) -> bool:
    """Whether the same transaction may succeed when it is tried again: it met another writer."""
    return "database is locked" in str(error) or _state(error) in _AGAIN


def _state(error: SQLAlchemyError) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
