"""The links that a photo or a contact has in the store, with the evidence behind them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, TagtraceError
from ..asked import Asked, name_ends_with
from ..waterfall import Explained
from .loading import link_from_row
from .tables import AdvertRow, AnalysisRow, IdentifierRow, LinkRow, PhotoRow, ResourceRow, ShopRow


def find_links(session: Session, asked: Asked, limit: int) -> list[Explained]:
    """The links of the latest analyses that are asked for, by photo and advert: ``limit`` at most.

    A photo is looked for first, then a contact, which is found as it was read and as what it was linked to. Raises
    ``TagtraceError`` where nothing is found, or the beginning of a SHA-256 is that of several photos.
    """
    photos = _photos(session, asked)
    if asked.sha256 and len(photos) > 1:
        raise TagtraceError(f"{asked.text}: the SHA-256 of several photos begins so; give more of it")
    found: list[Explained] = []
    if photos:
        found = _links(session, PhotoRow.id.in_(photos), limit)
    elif asked.contacts:
        found = _links(session, _shows(asked), limit)
    if not found and photos:
        raise TagtraceError(f"{asked.text}: nothing in this photo was linked; `tagtrace link` links what is in the store")
    if not found:
        raise TagtraceError(
            f"{asked.text}: no such photo or contact in the store; give a file name, the beginning of a SHA-256 or KIND:VALUE"
        )
    return found


def _photos(session: Session, asked: Asked) -> list[int]:
    wanted: list[ColumnElement[bool]] = []
    if asked.sha256:
        wanted.append(PhotoRow.sha256.startswith(asked.sha256))
    if asked.name:
        wanted.append(PhotoRow.name == asked.name)
    found = list(session.scalars(select(PhotoRow.id).where(or_(*wanted)).order_by(PhotoRow.id))) if wanted else []
    if found or not asked.name:
        return found
    like = PhotoRow.name.endswith(f"/{asked.name}", autoescape=True)
    rows = session.execute(select(PhotoRow.id, PhotoRow.name).where(like).order_by(PhotoRow.id))
    return [row.id for row in rows if name_ends_with(row.name, asked.name)]


def _shows(asked: Asked) -> ColumnElement[bool]:
    read = or_(*(and_(IdentifierRow.kind == kind, IdentifierRow.value == value) for kind, value in asked.contacts))
    meant = or_(*(and_(ResourceRow.kind == kind, ResourceRow.value == value) for kind, value in asked.contacts))
    return or_(read, meant)


def _links(session: Session, which: ColumnElement[bool], limit: int) -> list[Explained]:
    rows = (
        select(PhotoRow.sha256, PhotoRow.name, AdvertRow.number, IdentifierRow, LinkRow, ResourceRow, ShopRow.name)
        .join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id)
        .join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id)
        .join(IdentifierRow, IdentifierRow.advert_id == AdvertRow.id)
        .join(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
        .outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id)
        .outerjoin(ShopRow, ShopRow.id == ResourceRow.shop_id)
        .where(AnalysisRow.latest, which)
        .order_by(PhotoRow.id, AdvertRow.number, IdentifierRow.number)
        .limit(limit)
    )
    return [
        Explained(
            sha256, name, number, IdentifierKind(item.kind), item.value, item.confidence, link_from_row(row, resource, shop or "")
        )
        for sha256, name, number, item, row, resource, shop in session.execute(rows)
    ]
