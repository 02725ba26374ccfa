"""Inserting what may be there already, and holding whole tables: right however many writers there are."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import JSON, ColumnElement, Table, cast, func, insert, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session

T = TypeVar("T")
MOST_IN = 400
"""Most values in one IN list: databases take only so many parameters."""


def in_parts(values: Sequence[T], most: int = MOST_IN) -> Iterator[Sequence[T]]:
    """The values in parts that an IN list takes."""
    return (values[start : start + most] for start in range(0, len(values), most))


def insert_missing(session: Session, table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those that a unique constraint of the table already has are left as they are."""
    if not rows:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(postgresql.insert(table).on_conflict_do_nothing(), list(rows))
    else:
        session.execute(sqlite.insert(table).on_conflict_do_nothing(), list(rows))


def insert_new(
    session: Session, table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]], *returning: InstrumentedAttribute[Any]
) -> Sequence[Any]:
    """``insert_missing`` that gives columns of those rows that were inserted, in any order."""
    if not rows:
        return []
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return session.execute(dialect.insert(table).on_conflict_do_nothing().returning(*returning), list(rows)).all()


def insert_many(session: Session, rows: type[DeclarativeBase], added: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows that name the same columns, in PostgreSQL with COPY. Defaults of SQLAlchemy are not filled in."""
    if not added:
        return
    table = rows.__table__
    assert isinstance(table, Table)
    if session.get_bind().dialect.name != "postgresql":
        session.connection().execute(insert(table), [dict(row) for row in added])
        return
    names = list(added[0])
    packed = {name for name in names if isinstance(table.c[name].type, JSON) or table.c[name].type.__class__.__name__ == "JSONB"}
    columns = ", ".join(f'"{name}"' for name in names)
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as stream:
        for row in added:
            stream.write_row([json.dumps(row[name]) if name in packed else row[name] for name in names])


def is_one_of(session: Session, column: InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of many values: PostgreSQL takes them as one array, which it reads faster than a list."""
    if session.get_bind().dialect.name == "postgresql":
        return column == func.any(cast(list(values), ARRAY(column.type)))
    return column.in_(values)


def count_rows(session: Session, *tables: type[DeclarativeBase]) -> None:
    """Let PostgreSQL count tables that a transaction fills. It plans by what it counted last, and would take a table that was
    empty when the transaction began for a small one, whose rows it looks at one by one."""
    if session.get_bind().dialect.name == "postgresql":
        for table in tables:
            session.execute(text(f"ANALYZE {table.__tablename__}"))


def look_up_in_order(session: Session) -> None:
    """Let PostgreSQL look rows up in ordered indexes only, until the transaction ends: the trigram index of values answers
    equality, too, and takes seconds for some hundred values while rows are being added."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL enable_bitmapscan = off"))


def hold(session: Session, *tables: type[DeclarativeBase]) -> None:
    """Keep all others from writing to tables until the transaction ends; reading goes on. In SQLite a writer is alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        names = ", ".join(sorted(table.__tablename__ for table in tables))
        session.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
