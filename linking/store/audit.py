"""The audit log: every change of the store, chained by hashes, so that a later alteration shows.

Entries are noted while a transaction goes on and appended at its end, when the head of the chain is locked: writers follow each
other, the chain has no gaps and no forks. ``hash`` is SHA-256 over the canonical JSON (keys sorted, no spaces, UTF-8) of all
other fields of the entry, the hash of the entry before it among them; the first has 64 zeros there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from .tables import AuditHeadRow, AuditRow

ACTOR = "tagtrace_actor"
"""Key of ``Session.info``: who makes the changes of this transaction."""
_NOTED = "tagtrace_audit"
_REGISTER = frozenset({"shop", "shops", "resource", "protected"})
"""What actions begin with that may change the register that linking looks into."""
_BESIDE_REGISTER = frozenset({"shop.note", "resource.register", "resource.export"})
"""Those of them that do not: a resource that was only read belongs to no shop yet."""
START = "0" * 64
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold: the number of the entry and what is wrong with it."""

    number: int
    what: str


def actor_of(session: Session) -> str:
    """Who makes the changes of this transaction."""
    return str(session.info.get(ACTOR) or "unknown")


def note(session: Session, action: str, what: str, details: Mapping[str, object] | None = None) -> None:
    """Note a change for the log: ``action`` as ``resource.state``, ``what`` it was done to, and details that JSON can hold.

    It is written when the transaction of ``Store.begin`` ends; one that is undone leaves nothing.
    """
    entry = (_now(), actor_of(session), action, what, _canonical(dict(details or {})))
    session.info.setdefault(_NOTED, []).append(entry)


def write(session: Session) -> None:
    """Append what was noted. Call it last: other writers wait for the end of the transaction from here on."""
    noted: list[tuple[str, str, str, str, str]] = session.info.pop(_NOTED, [])
    if not noted:
        return
    head = session.execute(select(AuditHeadRow.number, AuditHeadRow.hash).with_for_update()).one()
    number, previous = int(head.number), str(head.hash)
    rows = []
    for at, actor, action, what, details in noted:
        number += 1
        own = entry_hash(number, at, actor, action, what, details, previous)
        rows.append(dict(zip(_FIELDS, (number, at, actor, action, what, details, previous, own), strict=True)))
        previous = own
    session.execute(insert(AuditRow), rows)
    changed = {"register": number} if any(changes_register(action) for _, _, action, _, _ in noted) else {}
    session.execute(update(AuditHeadRow).values(number=number, hash=previous, **changed))


def changes_register(action: str) -> bool:
    """Whether an action may change which resources of which shops linking knows, or what it says of them."""
    return action.partition(".")[0] in _REGISTER and action not in _BESIDE_REGISTER


def register_version(session: Session) -> int:
    """The number of the last change that concerns the register: shops, their names and resources, states, protected values.

    It grows with every such change, in the transaction that makes it; to look is to read one row.
    """
    return session.scalar(select(AuditHeadRow.register)) or 0


def verify_audit(session: Session) -> Break | None:
    """The first broken link of the chain, or None when every entry is as it was written and none is missing."""
    expected, previous = 0, START
    entries = select(*(getattr(AuditRow, field) for field in _FIELDS)).order_by(AuditRow.number)
    for row in session.execute(entries.execution_options(yield_per=_BATCH)):
        expected += 1
        if row.number != expected:
            return Break(expected, f"is missing; the next one has the number {row.number}")
        if row.previous != previous:
            return Break(row.number, "does not follow the entry before it")
        if row.hash != entry_hash(*row[:-1]):
            return Break(row.number, "was altered after it was written")
        previous = row.hash
    head = session.execute(select(AuditHeadRow.number, AuditHeadRow.hash)).one_or_none()
    if head is None or (head.number, head.hash) != (expected, previous):
        return Break(expected + 1, "is missing: entries at the end of the log were taken away")
    return None


_FIELDS = ("number", "at", "actor", "action", "object", "details", "previous", "hash")


def entry_hash(number: int, at: str, actor: str, action: str, what: str, details: str, previous: str) -> str:
    """The hash of one entry, 64 lower-case hex digits; ``details`` is canonical JSON as text."""
    fields = (number, at, actor, action, what, details, previous)
    return hashlib.sha256(_canonical(dict(zip(_FIELDS, fields, strict=False))).encode("utf-8")).hexdigest()


def _canonical(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=str)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
