"""Resources in the store: registering what was read, their life, and the register that linking looks into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, Resource, TagtraceError
from ..life import ResourceState, check_step
from ..shops import Shops
from .approvals import Action, check_approval
from .audit import actor_of, note
from .protection import load_protection
from .queue_rows import touch
from .report_tables import named_as
from .tables import ResourceEventRow, ResourceRow, ShopRow
from .upserts import insert_missing

Contact = tuple[IdentifierKind, str]
_BATCH = 5000
_MOST_TEXTS = 10_000
"""Texts of shops kept to be shared by their resources, which come one after the other."""


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """A resource as the store has it."""

    kind: IdentifierKind
    value: str
    state: ResourceState
    shop_id: str | None = None
    shop_name: str = ""
    status: str = ""
    first_seen: date | None = None


@dataclass(frozen=True, slots=True)
class ResourceEvent:
    """One step in the life of a resource; ``old`` is None for the first."""

    old: ResourceState | None
    new: ResourceState
    at: datetime
    actor: str
    basis: str = ""
    order_number: str = ""


def register(session: Session, contacts: Iterable[Contact], basis: str) -> dict[Contact, int]:
    """The numbers of the resources with these kinds and canonical values; unknown ones begin their life as ``identified``.

    Resources that are there already stay as they are. ``basis`` says why new ones are registered.
    """
    wanted = sorted(set(contacts))
    held = find(session, wanted)
    missing = [contact for contact in wanted if contact not in held]
    if not missing:
        return held
    # Another writer may add the same one now: whoever comes second waits here, and finds it below. In one order: no deadlocks.
    insert_missing(session, ResourceRow, [_new(kind, value) for kind, value in missing])
    added = find(session, missing)
    _begin_lives(session, list(added.values()), basis)
    return held | added


def find(session: Session, contacts: Sequence[Contact]) -> dict[Contact, int]:
    """The numbers of those resources that the store has."""
    found: dict[Contact, int] = {}
    for kind in sorted({kind for kind, _ in contacts}):
        values = [value for k, value in contacts if k == kind]
        for start in range(0, len(values), _BATCH):
            part = select(ResourceRow.id, ResourceRow.value).where(
                ResourceRow.kind == kind, ResourceRow.value.in_(values[start : start + _BATCH])
            )
            found |= {(kind, row.value): row.id for row in session.execute(part)}
    return found


def _new(kind: IdentifierKind, value: str) -> dict[str, object]:
    return {"kind": kind, "value": value, "state": ResourceState.IDENTIFIED, "status": ""}


def _begin_lives(session: Session, numbers: Sequence[int], basis: str) -> None:
    """The first event of resources that have none; a row that another writer has just made has its own."""
    begun = set(session.scalars(select(ResourceEventRow.resource_id).where(ResourceEventRow.resource_id.in_(numbers))))
    rows = [
        {"resource_id": number, "to_state": ResourceState.IDENTIFIED, "at": datetime.now(UTC), "actor": actor_of(session)}
        | {"basis": basis, "order_number": ""}
        for number in sorted(set(numbers) - begun)
    ]
    if rows:
        session.execute(insert(ResourceEventRow), rows)
        note(session, "resource.register", f"{len(rows)} resources", {"numbers": [row["resource_id"] for row in rows]})


def set_state(
    session: Session,
    kind: IdentifierKind,
    value: str,
    state: ResourceState,
    basis: str = "",
    order_number: str = "",
    *,
    proposal: int | None = None,
) -> ResourceState:
    """Take a resource to a state, as ``life.check_step`` allows it; gives the state it had.

    To ``sent`` it goes only by a ``proposal`` that a second person approved (``proposals.approve`` does both). Raises
    ``TagtraceError`` for an unknown resource, a step that is not allowed or incomplete, for a protected value that would be sent
    or blocked, and where two people are needed and did not agree.
    """
    what = f"{kind} {value}"
    wanted = select(ResourceRow).where(ResourceRow.kind == kind, ResourceRow.value == value).with_for_update()
    row = session.scalars(wanted).one_or_none()
    if row is None:
        raise TagtraceError(f"{what}: no such resource; `tagtrace resources list` shows those that are known")
    old = ResourceState(row.state)
    protected = load_protection(session).covers(kind, value)
    check_step(what, old, state, basis=basis, order_number=order_number, protected=protected)
    if state is ResourceState.SENT:
        check_approval(session, proposal, Action.SEND, kind, value)
    row.state = state
    session.add(
        ResourceEventRow(
            resource_id=row.id,
            from_state=old,
            to_state=state,
            at=datetime.now(UTC),
            actor=actor_of(session),
            basis=basis.strip(),
            order_number=order_number.strip(),
            proposal_id=proposal if state is ResourceState.SENT else None,
        )
    )
    note(session, "resource.state", what, {"from": old, "to": state, "basis": basis, "order": order_number})
    session.flush()
    touch(session, named=[named_as(kind, value)])
    # Here, because tracks know resources.
    from .tracks import follow_resource

    follow_resource(session, kind, value, datetime.now(UTC))
    return old


def confirm_verification(session: Session, kind: IdentifierKind, value: str, actor: str, decision: int, instead_of: str) -> None:
    """Write down that a verified resource stays so by another person's decision, as the one who verified it took that back."""
    row = session.scalars(select(ResourceRow).where(ResourceRow.kind == kind, ResourceRow.value == value).with_for_update()).one()
    basis = f"stays verified by decision {decision} of {actor}; {instead_of} took theirs back"
    step = {"from_state": ResourceState.VERIFIED, "to_state": ResourceState.VERIFIED, "at": datetime.now(UTC)}
    session.add(ResourceEventRow(resource_id=row.id, actor=actor, basis=basis, order_number="", **step))
    note(session, "resource.state", f"{kind} {value}", {"from": row.state, "to": row.state, "basis": basis, "order": ""})
    session.flush()


def events(session: Session, kind: IdentifierKind, value: str) -> list[ResourceEvent]:
    """The life of a resource from its beginning; empty for an unknown one."""
    steps = select(ResourceEventRow).join(ResourceRow, ResourceRow.id == ResourceEventRow.resource_id)
    steps = steps.where(ResourceRow.kind == kind, ResourceRow.value == value).order_by(ResourceEventRow.id)
    return [
        ResourceEvent(
            ResourceState(row.from_state) if row.from_state else None,
            ResourceState(row.to_state),
            row.at,
            row.actor,
            row.basis,
            row.order_number,
        )
        for row in session.scalars(steps)
    ]


def list_resources(
    session: Session,
    *,
    state: ResourceState | None = None,
    kind: IdentifierKind | None = None,
    shop_id: str | None = None,
    limit: int | None = None,
) -> Iterator[ResourceRecord]:
    """Resources in the order of kind and value, as a stream; with ``shop_id`` those of one shop."""
    rows = select(ResourceRow, ShopRow.name).outerjoin(ShopRow, ShopRow.id == ResourceRow.shop_id)
    if state is not None:
        rows = rows.where(ResourceRow.state == state)
    if kind is not None:
        rows = rows.where(ResourceRow.kind == kind)
    if shop_id is not None:
        rows = rows.where(ResourceRow.shop_id == shop_id)
    rows = rows.order_by(ResourceRow.kind, ResourceRow.value).limit(limit)
    for row, name in session.execute(rows.execution_options(yield_per=_BATCH)):
        yield ResourceRecord(
            IdentifierKind(row.kind),
            row.value,
            ResourceState(row.state),
            row.shop_id,
            name or "",
            row.status,
            row.first_seen,
        )


def iter_listed(session: Session) -> Iterator[Resource]:
    """The resources of shops as linking wants them, in the order of shop, kind and value: a stream in bounded memory.

    Protected values and rejected resources are left out. ``status`` is the state once it says more than ``identified``.
    """
    protection = load_protection(session)
    rows = select(ResourceRow.kind, ResourceRow.value, ResourceRow.shop_id, ShopRow.name, ResourceRow.status, ResourceRow.state)
    rows = rows.join(ShopRow, ShopRow.id == ResourceRow.shop_id).where(ResourceRow.state != ResourceState.REJECTED)
    rows = rows.order_by(ResourceRow.shop_id, ResourceRow.kind, ResourceRow.value)
    held: dict[str, str] = {}
    for kind_name, value, shop_id, name, status, state in session.execute(rows.execution_options(yield_per=_BATCH)):
        kind = IdentifierKind(kind_name)
        if len(held) > _MOST_TEXTS:
            held.clear()
        # One text for all resources of a shop: the rows of a million have a text of their own in each.
        shop, called, said = (
            held.setdefault(text, text) for text in (str(shop_id), name, status if state == ResourceState.IDENTIFIED else state)
        )
        if not protection.covers(kind, value):
            yield Resource(kind, value, shop, called, said)


def load_register(session: Session) -> Shops:
    """The shops of the store as the in-memory register of linking."""
    return Shops(iter_listed(session))


def count_by_state(session: Session) -> dict[str, int]:
    """How many resources stand where."""
    rows = session.execute(select(ResourceRow.state, func.count()).group_by(ResourceRow.state))
    return {str(state): int(count) for state, count in rows}
