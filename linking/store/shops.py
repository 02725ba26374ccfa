"""Shops in the store: found by an id that may lead to another, merged, split, and written out as a list."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, TagtraceError
from ..shoplist import COLUMNS
from .audit import actor_of, note
from .protection import load_protection
from .resources import list_resources
from .tables import DecisionRow, LinkRow, ResourceRow, ShopRow
from .upserts import hold

Contact = tuple[IdentifierKind, str]
_BATCH = 5000


@dataclass(frozen=True, slots=True)
class ShopRecord:
    """A living shop: how many resources and links of adverts it has, and the ids that lead to it."""

    id: str
    name: str
    resources: int
    links: int
    former_ids: tuple[str, ...] = ()


def resolve(session: Session, shop_id: str) -> str:
    """The id of the living shop that an id leads to. Raises ``TagtraceError`` for an unknown id."""
    seen = {shop_id}
    current = shop_id
    while True:
        row = session.get(ShopRow, current)
        if row is None:
            raise TagtraceError(f"{shop_id}: no such shop; `tagtrace shops list` shows those that are known")
        if row.redirect is None:
            return current
        current = row.redirect
        if current in seen:
            raise TagtraceError(f"{shop_id}: its redirects run in a circle; `tagtrace db check` says more")
        seen.add(current)


def create(session: Session, shop_id: str, name: str = "") -> None:
    """A new shop. Raises ``TagtraceError`` when the id was ever used: ids are never given twice."""
    if not shop_id or shop_id != shop_id.strip() or len(shop_id) > 64:
        raise TagtraceError(f"{shop_id!r}: an id of a shop has 1 to 64 characters and no spaces around it")
    if session.get(ShopRow, shop_id) is not None:
        raise TagtraceError(f"{shop_id}: this id is used already; give the new shop another one")
    session.add(ShopRow(id=shop_id, name=name, created_at=datetime.now(UTC), created_by=actor_of(session)))
    session.flush()
    note(session, "shop.create", shop_id, {"name": name})


def merge(session: Session, keep: str, other: str, why: str) -> str:
    """Make two shops one: the resources and links of ``other`` become those of ``keep``, and its id leads there from now on.

    Gives the id that stays. Raises ``TagtraceError`` for unknown ids, and for two ids of one shop.
    """
    # One merge after the other: two at once could lead two shops to each other.
    hold(session, ShopRow)
    kept, gone = resolve(session, keep), resolve(session, other)
    if kept == gone:
        raise TagtraceError(f"{keep} and {other} are one shop already ({kept})")
    moved = list(session.execute(select(ResourceRow.kind, ResourceRow.value).where(ResourceRow.shop_id == gone)))
    session.execute(update(ResourceRow).where(ResourceRow.shop_id == gone).values(shop_id=kept))
    session.execute(update(LinkRow).where(LinkRow.shop_id == gone).values(shop_id=kept))
    # Ids that led to the one that goes lead straight on, so that no chain grows.
    session.execute(update(ShopRow).where((ShopRow.redirect == gone) | (ShopRow.id == gone)).values(redirect=kept))
    session.expire_all()
    details = {"merged": gone, "resources": [f"{kind} {value}" for kind, value in moved], "why": why}
    _decide(session, kept, "merge", why, details)
    note(session, "shop.merge", kept, details)
    return kept


def split(session: Session, shop_id: str, contacts: Sequence[Contact], new_id: str, name: str, why: str) -> None:
    """Take resources out of a shop and make them a shop of their own with a new id; the old id stays with the rest.

    Raises ``TagtraceError`` when a resource is not the shop's, when none would be left, or when the new id was ever used.
    """
    hold(session, ShopRow)
    source = resolve(session, shop_id)
    held = {
        (row.kind, row.value): row.id
        for row in session.execute(
            select(ResourceRow.id, ResourceRow.kind, ResourceRow.value).where(ResourceRow.shop_id == source).with_for_update()
        )
    }
    wanted = list(dict.fromkeys(contacts))
    strangers = [f"{kind} {value}" for kind, value in wanted if (kind, value) not in held]
    if strangers:
        raise TagtraceError(f"{source}: has no {', '.join(strangers)}; `tagtrace shops show {source}` shows what it has")
    if not wanted or len(wanted) == len(held):
        raise TagtraceError(
            f"{source}: a split takes some of its {len(held)} resources and leaves some; {len(wanted)} were named"
        )
    create(session, new_id, name)
    numbers = [held[contact] for contact in wanted]
    session.execute(update(ResourceRow).where(ResourceRow.id.in_(numbers)).values(shop_id=new_id))
    session.execute(update(LinkRow).where(LinkRow.resource_id.in_(numbers), LinkRow.shop_id == source).values(shop_id=new_id))
    session.expire_all()
    details = {"new": new_id, "resources": [f"{kind} {value}" for kind, value in wanted], "why": why}
    _decide(session, source, "split", why, details)
    note(session, "shop.split", source, details)


def assign(session: Session, contact: Contact, shop_id: str, why: str) -> None:
    """Say that a resource is a shop's. Raises ``TagtraceError`` for an unknown resource, shop, and for a protected value."""
    kind, value = contact
    target = resolve(session, shop_id)
    if load_protection(session).covers(kind, value):
        raise TagtraceError(f"{kind} {value}: is protected (official or shared) and belongs to no shop")
    row = session.scalars(
        select(ResourceRow).where(ResourceRow.kind == kind, ResourceRow.value == value).with_for_update()
    ).one_or_none()
    if row is None:
        raise TagtraceError(f"{kind} {value}: no such resource; `tagtrace resources list` shows those that are known")
    if row.shop_id != target:
        note(session, "resource.assign", f"{kind} {value}", {"from": row.shop_id, "to": target, "why": why})
        row.shop_id = target


def list_shops(session: Session, limit: int | None = None) -> Iterator[ShopRecord]:
    """The living shops in the order of their ids."""
    resources = select(ResourceRow.shop_id, func.count().label("n")).group_by(ResourceRow.shop_id).subquery()
    links = select(LinkRow.shop_id, func.count().label("n")).group_by(LinkRow.shop_id).subquery()
    rows = select(ShopRow.id, ShopRow.name, func.coalesce(resources.c.n, 0), func.coalesce(links.c.n, 0))
    rows = rows.outerjoin(resources, resources.c.shop_id == ShopRow.id).outerjoin(links, links.c.shop_id == ShopRow.id)
    rows = rows.where(ShopRow.redirect.is_(None)).order_by(ShopRow.id).limit(limit)
    for shop_id, name, held, linked in session.execute(rows.execution_options(yield_per=_BATCH)):
        yield ShopRecord(shop_id, name, held, linked)


def get_shop(session: Session, shop_id: str) -> ShopRecord:
    """The living shop that an id leads to, with all ids that lead to it. Raises ``TagtraceError`` for an unknown id."""
    living = resolve(session, shop_id)
    former = tuple(session.scalars(select(ShopRow.id).where(ShopRow.redirect == living).order_by(ShopRow.id)))
    name = session.scalars(select(ShopRow.name).where(ShopRow.id == living)).one()
    held = session.scalar(select(func.count()).select_from(ResourceRow).where(ResourceRow.shop_id == living)) or 0
    linked = session.scalar(select(func.count()).select_from(LinkRow).where(LinkRow.shop_id == living)) or 0
    return ShopRecord(living, name, held, linked, former)


def export_shops(session: Session, out: TextIO) -> int:
    """Write the resources of all shops as a shop list (CSV) that ``shops import`` reads again; gives the number of rows.

    Protected values are never written, whatever the store holds. A cell that a spreadsheet would run as a formula gets a ``'``
    before it only in names, never in values: those begin with ``+`` and ``@`` by nature and are read back as they are.
    """
    protection = load_protection(session)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for record in list_resources(session):
        if record.shop_id is None or protection.covers(record.kind, record.value):
            continue
        name = f"'{record.shop_name}" if record.shop_name[:1] in _FORMULA else record.shop_name
        seen = record.first_seen.isoformat() if record.first_seen else ""
        status = record.status if record.state == "identified" else record.state.value
        writer.writerow((record.shop_id, record.kind.value, record.value, name, seen, status))
        count += 1
    return count


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _decide(session: Session, shop_id: str, verdict: str, why: str, details: Mapping[str, object]) -> None:
    session.add(
        DecisionRow(
            at=datetime.now(UTC),
            actor=actor_of(session),
            subject="shop",
            verdict=verdict,
            why=why,
            shop_id=shop_id,
            details=dict(details),
        )
    )
