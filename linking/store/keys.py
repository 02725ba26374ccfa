"""API keys in the store: their hashes, scopes and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String, Text, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...contract import TagtraceError
from .audit import note
from .tables import Base


class ApiKeyRow(Base):
    """One API key. ``digest`` is the SHA-256 of its secret in hex; the secret itself is nowhere."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the store has it."""

    id: str
    name: str
    owner: str
    digest: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None


def add_key(session: Session, key: Key) -> None:
    """Keep a new key."""
    values = {name: getattr(key, name) for name in Key.__slots__}
    session.add(ApiKeyRow(**{**values, "scopes": list(key.scopes)}))
    expires = key.expires_at.isoformat()
    note(session, "key.create", f"key {key.id}", {"owner": key.owner, "scopes": list(key.scopes), "expires": expires})


def find_key(session: Session, key_id: str) -> Key | None:
    """The key with an id, also one that was revoked or has expired."""
    row = session.get(ApiKeyRow, key_id)
    return None if row is None else _key(row)


def list_keys(session: Session) -> Iterator[Key]:
    """All keys, the oldest first."""
    for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id)):
        yield _key(row)


def revoke_key(session: Session, key_id: str) -> None:
    """End a key at once; one that is revoked already stays as it is. Raises ``TagtraceError`` for an unknown id."""
    row = session.get(ApiKeyRow, key_id, with_for_update=True)
    if row is None:
        raise TagtraceError(f"{key_id}: there is no such key; `tagtrace keys list` shows them")
    if row.revoked_at is None:
        row.revoked_at = datetime.now(UTC)
        note(session, "key.revoke", f"key {key_id}")


def mark_used(session: Session, key_id: str, at: datetime) -> None:
    """Remember when a key was last used."""
    session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(used_at=at))


def _key(row: ApiKeyRow) -> Key:
    scopes, times = tuple(map(str, row.scopes)), (row.created_at, row.expires_at, row.revoked_at, row.used_at)
    return Key(row.id, row.name, row.owner, row.digest, scopes, *times)
