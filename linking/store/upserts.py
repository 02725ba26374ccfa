"""Inserting what may be there already, and holding whole tables: right however many writers there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session


def insert_missing(session: Session, table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those that a unique constraint of the table already has are left as they are."""
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(table).on_conflict_do_nothing(), list(rows))
    else:
        session.execute(sqlite.insert(table).on_conflict_do_nothing(), list(rows))


def hold(session: Session, *tables: type[DeclarativeBase]) -> None:
    """Keep all others from writing to tables until the transaction ends; reading goes on. In SQLite a writer is alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        names = ", ".join(sorted(table.__tablename__ for table in tables))
        session.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
