"""The protected list in the store: the bundled values, and those that people added.

A protected value can never be proposed for blocking. The bundled list is checked as ``inference.identifiers.protected`` does it
(look-alikes count too), whatever the table holds, so that a row taken away by hand unprotects nothing. One exact value can be
taken out of it when two people say so (``proposals``): a name may look like an official one by chance. A shared host never.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

from sqlalchemy import ForeignKey, String, Text, and_, delete, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...contract import IdentifierKind, TagtraceError
from ...inference import identifiers as grammar
from ...inference.identifiers.fold import skeleton
from ...inference.identifiers.protected import bundled, is_protected
from ..stems import NAMED_KINDS
from .approvals import Action, ProposalRow, ProposalState
from .audit import actor_of, note
from .tables import Base, ProtectedRow

OFFICIAL_HOST, SHARED_HOST = "official_host", "shared_host"
KINDS = frozenset({*IdentifierKind, OFFICIAL_HOST, SHARED_HOST})
_HOSTED = frozenset({IdentifierKind.URL, IdentifierKind.EMAIL, IdentifierKind.JABBER})


class UnprotectedRow(Base):
    """One exact value whose protection two people overrode."""

    __tablename__ = "unprotected"

    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(Text, primary_key=True)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposals.id"))
    at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Protection:
    """The bundled list and the entries that people added, ready to be asked about many values."""

    exact: frozenset[tuple[str, str]] = frozenset()
    looks: frozenset[tuple[str, str]] = frozenset()
    official_hosts: frozenset[str] = frozenset()
    shared_hosts: frozenset[str] = frozenset()
    overridden: frozenset[tuple[str, str]] = frozenset()

    def covers(self, kind: IdentifierKind, value: str) -> bool:
        """Whether a canonical value must never be proposed for blocking; look-alikes of names count."""
        if (kind, value) in self.overridden and not is_shared_host(kind, value):
            return False
        if is_protected(kind, value) or (kind, value) in self.exact:
            return True
        if kind in NAMED_KINDS and (kind, skeleton(value)) in self.looks:
            return True
        return kind in _HOSTED and self._covers_host(kind, value)

    def _covers_host(self, kind: IdentifierKind, value: str) -> bool:
        host, _, path = (value if kind is IdentifierKind.URL else value.rpartition("@")[2]).partition("/")
        labels = host.lower().split(".")
        if self.official_hosts & {".".join(labels[i:]) for i in range(len(labels))}:
            return True
        return kind is IdentifierKind.URL and not path and host.lower() in self.shared_hosts


def is_shared_host(kind: IdentifierKind, value: str) -> bool:
    """Whether a value is a host that many share (``t.me``), also spelt otherwise (``t.me/``, ``www.t.me``)."""
    if kind is not IdentifierKind.URL:
        return False
    address = value.lower().partition("://")[2] or value.lower()
    host, _, path = address.partition("#")[0].partition("?")[0].partition("/")
    return not path.strip("/") and host.removeprefix("www.").rstrip(".").partition(":")[0] in bundled().shared_hosts


def load_protection(session: Session) -> Protection:
    """The protected list as the store has it now."""
    own = [(row.kind, row.value) for row in session.execute(select(ProtectedRow.kind, ProtectedRow.value))]
    return Protection(
        exact=frozenset(own),
        looks=frozenset((kind, skeleton(value)) for kind, value in own if kind in NAMED_KINDS),
        official_hosts=frozenset(value for kind, value in own if kind == OFFICIAL_HOST),
        shared_hosts=frozenset(value for kind, value in own if kind == SHARED_HOST),
        overridden=_overridden(session),
    )


def _overridden(session: Session) -> frozenset[tuple[str, str]]:
    """The values that a proposal of two people took out of the list; a row with anything less behind it counts for nothing."""
    agreed = and_(
        ProposalRow.id == UnprotectedRow.proposal_id,
        ProposalRow.action == Action.UNPROTECT,
        ProposalRow.state == ProposalState.APPROVED,
        ProposalRow.kind == UnprotectedRow.kind,
        ProposalRow.value == UnprotectedRow.value,
        ProposalRow.decided_by != ProposalRow.actor,
    )
    rows = select(UnprotectedRow.kind, UnprotectedRow.value).join(ProposalRow, agreed)
    return frozenset((row.kind, row.value) for row in session.execute(rows))


def protect(session: Session, kind: str, value: str, source: str) -> None:
    """Add an entry: ``kind`` is an identifier's kind with its canonical value, ``official_host`` or ``shared_host``.

    ``source`` says where it was published. Raises ``TagtraceError`` for an unknown kind or an empty value or source.
    """
    value = value.strip()
    if kind not in KINDS:
        raise TagtraceError(f"{kind}: no kind of a protected value; known are {', '.join(sorted(KINDS))}")
    if not value or not source.strip():
        raise TagtraceError(f"{kind} {value!r}: a protected value needs a value and the source where it was published")
    if session.scalar(select(ProtectedRow.id).where(ProtectedRow.kind == kind, ProtectedRow.value == value)) is None:
        session.add(ProtectedRow(kind=kind, value=value, source=source, added_at=datetime.now(UTC), added_by=actor_of(session)))
        note(session, "protected.add", f"{kind} {value}", {"source": source})


def seed(session: Session) -> None:
    """Make the bundled entries those of this tagtrace; entries of people stay. Does nothing where they are already."""
    wanted = {(kind, value): source for kind, value, source in bundled_entries()}
    listed = select(ProtectedRow.kind, ProtectedRow.value, ProtectedRow.bundled)
    held = {(row.kind, row.value): row.bundled for row in session.execute(listed)}
    new = [entry for entry in wanted if entry not in held]
    old = [entry for entry, bundled in held.items() if bundled and entry not in wanted]
    if new:
        made = {"bundled": True, "added_at": datetime.now(UTC), "added_by": "tagtrace"}
        rows = [{"kind": kind, "value": value, "source": wanted[kind, value], **made} for kind, value in new]
        session.execute(insert(ProtectedRow), rows)
    for kind, value in old:
        session.execute(delete(ProtectedRow).where(ProtectedRow.kind == kind, ProtectedRow.value == value))
    if new or old:
        note(session, "protected.seed", "the list of tagtrace", {"added": len(new), "removed": [f"{k} {v}" for k, v in old]})


def bundled_entries() -> Iterator[tuple[str, str, str]]:
    """Kind, value and source of every entry of the list that comes with tagtrace."""
    text = (resources.files(grammar) / "protected.toml").read_text(encoding="utf-8")
    for kind, entries in tomllib.loads(text).items():
        for entry in entries:
            yield kind, entry["value"].lower(), entry["source"]
