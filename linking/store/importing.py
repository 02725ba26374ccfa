"""Taking a shop list into the store: all its good rows or, when something breaks, none.

The list is read and checked first, without keeping anybody from the store; its good rows wait in a temporary file and then go in
by thousands, in one transaction. Memory does not grow with the list.
"""

from __future__ import annotations

import csv
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import IO, Any

from sqlalchemy import bindparam, func, insert, literal, select, update
from sqlalchemy.orm import Session

from ...contract import TagtraceError
from ..life import BLOCKING, ResourceState
from ..shoplist import BadRow, ListedRow, ListReport, read_shop_list
from .audit import actor_of, note
from .database import Store
from .protection import Protection, load_protection
from .tables import ResourceEventRow, ResourceRow, ShopRow
from .upserts import count_rows, hold, insert_many, insert_missing, is_one_of, look_up_in_order

_BATCH = 5000
_STATES = frozenset(ResourceState) - BLOCKING
"""What a list may say of where a resource stands. That one was sent or blocked elsewhere stays what the list says (``status``):
here two people send it."""


@dataclass(slots=True)
class ImportReport:
    """What became of a shop list. ``new``, ``adopted`` (known from walls, now a shop's) and ``unchanged`` count good rows."""

    rows: ListReport = field(default_factory=ListReport)
    new: int = 0
    adopted: int = 0
    unchanged: int = 0
    new_shops: int = 0


def import_shop_list(store: Store, path: Path, rejects: Path | None = None, actor: str = "") -> ImportReport:
    """Take the good rows of a shop list into the store in one transaction; bad rows are named in the report and in ``rejects``.

    A value that is listed for another shop already, in the store or higher up in the list, is a bad row; so is a protected
    value. ``rejects`` becomes a CSV with the columns line, reason, row (none is written when every row is good). Raises
    ``TagtraceError`` when the file cannot be used at all; then the store is as it was.
    """
    report = ImportReport()
    with tempfile.TemporaryFile() as spool, _Rejects(rejects) as rejected:

        def reject(row: BadRow) -> None:
            report.rows.reject(row)
            rejected.write(row)

        with store.read() as session:
            protection = load_protection(session)
        rows = _unprotected(read_shop_list(path, reject), protection, reject)
        while batch := list(islice(rows, _BATCH)):
            pickle.dump(batch, spool)
        with store.begin(actor) as session:
            _take_in(session, path, spool, report, reject)
        rejected.finish()
    return report


def _unprotected(rows: Iterator[ListedRow], protection: Protection, reject: Callable[[BadRow], None]) -> Iterator[ListedRow]:
    for row in rows:
        if protection.covers(row.kind, row.value):
            reject(_bad(row, "is protected (official or shared) and belongs to no shop"))
        else:
            yield row


def _take_in(session: Session, path: Path, spool: IO[bytes], report: ImportReport, reject: Callable[[BadRow], None]) -> None:
    # Nobody else adds resources meanwhile: what is looked up here stays so.
    hold(session, ResourceRow, ShopRow)
    look_up_in_order(session)
    before = session.scalar(select(func.max(ResourceRow.id))) or 0
    spool.seek(0)
    counted = _BATCH
    while True:
        try:
            batch: list[ListedRow] = pickle.load(spool)
        except EOFError:
            break
        _take_batch(session, batch, report, reject)
        if report.new >= counted:
            count_rows(session, ResourceRow, ShopRow)
            counted = 2 * report.new + _BATCH
    first = select(
        ResourceRow.id,
        ResourceRow.state,
        literal(datetime.now(UTC), ResourceEventRow.at.type),
        literal(actor_of(session)),
        literal(f"shop list {path.name}"),
        literal(""),
    ).where(ResourceRow.id > before)
    columns = ["resource_id", "to_state", "at", "actor", "basis", "order_number"]
    session.execute(insert(ResourceEventRow).from_select(columns, first))
    counts = {"new": report.new, "adopted": report.adopted, "unchanged": report.unchanged, "bad": report.rows.bad}
    with path.open("rb") as file:
        note(
            session,
            "shops.import",
            path.name,
            {**counts, "shops": report.new_shops, "sha256": file_digest(file, "sha256").hexdigest()},
        )


def _take_batch(session: Session, batch: list[ListedRow], report: ImportReport, reject: Callable[[BadRow], None]) -> None:
    living = _shops(session, batch, report)
    owners = _owners(session, batch)
    new: list[dict[str, Any]] = []
    adopted: list[dict[str, Any]] = []
    for row in batch:
        shop, contact = living[row.shop_id], (row.kind.value, row.value)
        number, owner = owners.get(contact, (None, None))
        if owner is not None and owner != shop:
            reject(_bad(row, f"{row.kind} '{row.value}' is listed for shop '{owner}' already"))
            continue
        report.rows.good += 1
        if owner == shop:
            report.unchanged += 1
        elif number is not None:
            report.adopted += 1
            adopted.append({"number": number, "shop": shop, "said": row.status, "seen": row.first_seen})
        else:
            report.new += 1
            new.append(_resource(row, shop))
        owners[contact] = (number, shop)
    # The plain table: a million rows need no objects.
    table = ResourceRow.metadata.tables[ResourceRow.__tablename__]
    if new:
        insert_many(session, ResourceRow, new)
    if adopted:
        changed: dict[str, Any] = {"shop_id": bindparam("shop"), "status": bindparam("said"), "first_seen": bindparam("seen")}
        session.connection().execute(update(table).where(table.c.id == bindparam("number")).values(changed), adopted)


def _resource(row: ListedRow, shop: str) -> dict[str, Any]:
    said = row.status.strip().lower()
    state = said if said in _STATES else ResourceState.IDENTIFIED.value
    return {
        "kind": row.kind.value,
        "value": row.value,
        "shop_id": shop,
        "state": state,
        "status": "" if said in _STATES else row.status,
        "first_seen": row.first_seen,
    }


def _shops(session: Session, batch: list[ListedRow], report: ImportReport) -> dict[str, str]:
    """The living shop behind every shop id of a batch; unknown ids become shops. A shop without a name takes one."""
    names: dict[str, str] = {}
    for row in batch:
        names[row.shop_id] = names.get(row.shop_id) or row.shop_name
    known = {
        row.id: row
        for row in session.execute(
            select(ShopRow.id, ShopRow.name, ShopRow.redirect).where(is_one_of(session, ShopRow.id, names))
        )
    }
    made = {"created_at": datetime.now(UTC), "created_by": actor_of(session)}
    new = [{"id": shop, "name": name, **made} for shop, name in names.items() if shop not in known]
    insert_missing(session, ShopRow, new)
    report.new_shops += len(new)
    for shop, listed in known.items():
        if names[shop] and not listed.name:
            session.execute(update(ShopRow).where(ShopRow.id == shop).values(name=names[shop]))
    return {shop: (known[shop].redirect or shop) if shop in known else shop for shop in names}


def _owners(session: Session, batch: list[ListedRow]) -> dict[tuple[str, str], tuple[int | None, str | None]]:
    """Number and shop of the resources of a batch that the store has."""
    found: dict[tuple[str, str], tuple[int | None, str | None]] = {}
    for kind in {row.kind for row in batch}:
        values = {row.value for row in batch if row.kind is kind}
        listed = select(ResourceRow.id, ResourceRow.value, ResourceRow.shop_id)
        for held in session.execute(listed.where(ResourceRow.kind == kind, is_one_of(session, ResourceRow.value, values))):
            found[kind.value, held.value] = (held.id, held.shop_id)
    return found


def _bad(row: ListedRow, reason: str) -> BadRow:
    return BadRow(row.line, reason, ",".join((row.shop_id, row.kind.value, row.value, row.shop_name)))


class _Rejects:
    """The CSV of bad rows: written beside its place and put there at the end, so that it is whole or absent."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part") if path is not None else None
        self._file: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> _Rejects:
        return self

    def write(self, row: BadRow) -> None:
        """Add a row; the first one makes the file."""
        if self._part is None:
            return
        if self._file is None:
            try:
                self._file = self._part.open("w", encoding="utf-8", newline="")
            except OSError as error:
                raise TagtraceError(f"{self._path}: the bad rows cannot be written ({error}); give another place") from error
            self._writer = csv.writer(self._file, lineterminator="\n")
            self._writer.writerow(("line", "reason", "row"))
        self._writer.writerow((row.line, row.reason, row.text))

    def finish(self) -> None:
        """Put the file in its place; without bad rows, take away one of an earlier try."""
        if self._path is None or self._part is None:
            return
        with self._file or nullcontext():
            pass
        if self._file is not None:
            self._part.replace(self._path)
        else:
            self._path.unlink(missing_ok=True)
        self._file = None

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._part is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
