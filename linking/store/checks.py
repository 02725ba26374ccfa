"""Whether a store is sound: its schema, its references, its audit chain, and what rows must say together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Select, exists, func, select, text
from sqlalchemy.orm import Session, aliased

from ...contract import IdentifierKind
from ..life import BLOCKING, ResourceState
from . import schema
from .approvals import ProposalRow, ProposalState
from .audit import verify_audit
from .database import Store
from .protection import load_protection
from .queue_named import Named, load_named
from .queue_rows import QueueRow, wrong_counts
from .queue_walls import ALONE, Wall, walls_of_clusters
from .report_tables import NAMED
from .tables import AdvertRow, AnalysisRow, AuditRow, IdentifierRow, LinkRow, PhotoRow, ResourceEventRow, ResourceRow, ShopRow

_MOST_NAMED = 20
"""Resources named in one finding."""
_SAMPLE = 2000
"""Entries of the queue that are looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, what was found, and whether that is as it should be."""

    name: str
    text: str
    sound: bool


def check_store(store: Store) -> list[Finding]:
    """Look at everything; nothing is changed. Errors of the database itself raise ``TagtraceError``."""
    version = store.version()
    found = [Finding("schema", f"{version}; this tagtrace makes {schema.newest()}", version == schema.newest())]
    if not found[0].sound:
        return found
    with store.read() as session:
        found += [
            _file(session),
            _references(session, store.is_postgresql),
            _audit(session),
            *_rows(session),
            _protected(session),
            _two_people(session),
            _queue(session),
        ]
    return found


def _file(session: Session) -> Finding:
    if session.get_bind().dialect.name == "postgresql":
        return Finding("database", str(session.scalar(text("SELECT version()"))).partition(" on ")[0], True)
    said = str(session.scalar(text("PRAGMA quick_check(1)")))
    return Finding("file", "SQLite finds no damage" if said == "ok" else said, said == "ok")


def _references(session: Session, is_postgresql: bool) -> Finding:
    if is_postgresql:
        query = "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
    else:
        query = 'SELECT DISTINCT "table" FROM pragma_foreign_key_check'
    broken = sorted(str(name) for name in session.scalars(text(query)))
    words = f"rows of {', '.join(broken)} point to rows that are not there" if broken else "every reference leads to a row"
    return Finding("references", words, not broken)


def _audit(session: Session) -> Finding:
    broken = verify_audit(session)
    if broken is not None:
        return Finding("audit log", f"entry {broken.number} {broken.what}", False)
    return Finding("audit log", f"{session.scalar(select(func.count()).select_from(AuditRow))} entries, unbroken", True)


def _rows(session: Session) -> Iterator[Finding]:
    other = aliased(ShopRow)
    succeeded = AnalysisRow.failure_code.is_(None)
    faults = {
        "photos that have analyses and no latest one": select(func.count())
        .select_from(PhotoRow)
        .where(
            exists().where(AnalysisRow.photo_id == PhotoRow.id),
            ~exists().where(AnalysisRow.photo_id == PhotoRow.id, AnalysisRow.latest),
        ),
        "adverts of failed analyses": select(func.count())
        .select_from(AdvertRow)
        .where(~exists().where(AnalysisRow.id == AdvertRow.analysis_id, succeeded)),
        "resources whose state is not that of their last step": _wrong_states(),
        "resources and links of shops that were merged into another": select(
            select(func.count()).select_from(ResourceRow).join(ShopRow).where(ShopRow.redirect.is_not(None)).scalar_subquery()
            + select(func.count()).select_from(LinkRow).join(ShopRow).where(ShopRow.redirect.is_not(None)).scalar_subquery()
        ),
        "shops that lead to one that leads on": select(func.count())
        .select_from(ShopRow)
        .join(other, other.id == ShopRow.redirect)
        .where(other.redirect.is_not(None)),
        "linked identifiers in no advert": select(func.count())
        .select_from(LinkRow)
        .where(~exists().where(IdentifierRow.id == LinkRow.identifier_id)),
    }
    for name, query in faults.items():
        count = session.scalar(query) or 0
        yield Finding("rows", f"{count} {name}", count == 0)


def _wrong_states() -> Select[int]:
    last = select(func.max(ResourceEventRow.id)).where(ResourceEventRow.resource_id == ResourceRow.id)
    agrees = exists().where(
        ResourceEventRow.id == last.correlate(ResourceRow).scalar_subquery(), ResourceEventRow.to_state == ResourceRow.state
    )
    return select(func.count()).select_from(ResourceRow).where(~agrees)


def _protected(session: Session) -> Finding:
    protection = load_protection(session)
    rows = select(ResourceRow.kind, ResourceRow.value).where(ResourceRow.state.in_(BLOCKING))
    wrong = [f"{kind} {value}" for kind, value in session.execute(rows) if protection.covers(IdentifierKind(kind), value)]
    words = f"on their way to be blocked: {', '.join(wrong)}; restore them" if wrong else "no protected value is sent or blocked"
    return Finding("protected", words, not wrong)


def _queue(session: Session) -> Finding:
    """A sample of the queue against what it is made of, and its counts against its rows."""
    names = list(session.scalars(select(QueueRow.wall).order_by(QueueRow.wall).limit(_SAMPLE)))
    named = [name for name in names if name.startswith(NAMED)]
    clusters = [name for name in names if not name.startswith((ALONE, NAMED))]
    held: list[Wall | Named] = [*walls_of_clusters(session, clusters), *load_named(session, named)]
    wrong = [entry.name for entry in held if not entry.is_left()] + [f"count of {part}" for part in wrong_counts(session)]
    gone = {*clusters, *named} - {entry.name for entry in held}
    wrong += sorted(gone)
    words = f"{', '.join(wrong[:_MOST_NAMED])} differ from the adverts" if wrong else "the queue is that of the open adverts"
    return Finding("queue", words, not wrong)


def _two_people(session: Session) -> Finding:
    last = select(func.max(ResourceEventRow.id)).where(
        ResourceEventRow.resource_id == ResourceRow.id, ResourceEventRow.to_state == ResourceState.SENT
    )
    agreed = (
        exists()
        .where(ResourceEventRow.id == last.correlate(ResourceRow).scalar_subquery())
        .where(ProposalRow.id == ResourceEventRow.proposal_id, ProposalRow.state == ProposalState.APPROVED)
        .where(ProposalRow.kind == ResourceRow.kind, ProposalRow.value == ResourceRow.value)
        .where(ProposalRow.decided_by != ProposalRow.actor)
    )
    rows = select(ResourceRow.kind, ResourceRow.value).where(ResourceRow.state.in_(BLOCKING), ~agreed)
    found = [f"{kind} {value}" for kind, value in session.execute(rows.order_by(ResourceRow.id).limit(_MOST_NAMED))]
    words = f"sent without two people: {', '.join(found)}; withdraw them and propose them anew" if found else "all sent by two"
    return Finding("two people", words, not found)
