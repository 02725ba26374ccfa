"""The tables of the store, as SQLAlchemy declares them; the migrations make them.

Every time is in UTC. Quads are JSON lists of four corners [x, y] in pixels of the photo after its EXIF orientation. Probabilities
and confidences lie in 0..1. Tables of sightings and clusters are declared beside their code and share ``Base``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

Number = BigInteger().with_variant(Integer, "sqlite")
"""Numbers of rows: 64 bits in both databases (SQLite counts its row numbers only in a column of the type INTEGER)."""
Json = JSON().with_variant(JSONB, "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """A moment: timezone-aware in Python, in UTC in the database. A naive time is refused with ``ValueError``."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; times in the store are in UTC")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What all tables of the store share: one catalogue, and constraints with names that a migration can drop."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime, dict[str, Any]: Json, list[Any]: Json}  # noqa: RUF012


class PhotoRow(Base):
    """One picture as received. ``place`` says where the bytes lie (a URL of ``PhotoFiles``), empty when they are not kept."""

    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(Text, default="")
    place: Mapped[str] = mapped_column(Text, default="")
    size: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes."""
    width: Mapped[int] = mapped_column(default=0)
    height: Mapped[int] = mapped_column(default=0)
    picture_hash: Mapped[str | None] = mapped_column(String(16))
    """The 64 bits of ``linking.pictures.picture_hash`` as 16 hex digits."""
    taken_at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    report_id: Mapped[str | None] = mapped_column(Text, index=True)


class AnalysisRow(Base):
    """What some models with some settings saw in one photo, or why they saw nothing. One of a photo's analyses is the latest."""

    __tablename__ = "analyses"
    __table_args__ = (
        UniqueConstraint("photo_id", "made_by"),
        Index("ix_analyses_latest", "photo_id", unique=True, sqlite_where=text("latest"), postgresql_where=text("latest")),
    )

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    made_by: Mapped[str] = mapped_column(String(64))
    """SHA-256 over models, settings and schema version: the same makers give the same analysis."""
    models: Mapped[list[Any]]
    """Objects with task, name and sha256."""
    settings: Mapped[dict[str, Any]]
    schema_version: Mapped[str] = mapped_column(String(16))
    failure_code: Mapped[str | None] = mapped_column(String(32))
    failure_message: Mapped[str | None] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(default=0.0)
    stages: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    latest: Mapped[bool] = mapped_column(default=False, server_default=false())


class AdvertRow(Base):
    """One physical inscription in one photo, as one analysis saw it; ``number`` counts from 0 as in the analysis."""

    __tablename__ = "adverts"
    __table_args__ = (UniqueConstraint("analysis_id", "number"),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"))
    number: Mapped[int]
    quad: Mapped[list[Any]]
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"), index=True)
    """The word of a person that stands on it; see ``rulings``."""


class ReadingRow(Base):
    """One text line of an advert and what was read in it. ``log_probs`` are packed by ``models.logprobs``."""

    __tablename__ = "readings"
    __table_args__ = (UniqueConstraint("advert_id", "number"),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    advert_id: Mapped[int] = mapped_column(ForeignKey("adverts.id", ondelete="CASCADE"))
    number: Mapped[int]
    quad: Mapped[list[Any]]
    line_confidence: Mapped[float]
    text: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    flipped: Mapped[bool]
    alphabet: Mapped[str] = mapped_column(Text, default="")
    log_probs: Mapped[bytes | None] = mapped_column(LargeBinary)
    hypotheses: Mapped[list[Any]]
    """Pairs [text, log-probability], best first."""
    chars: Mapped[list[Any]]
    """Triples [text, confidence, [[text, probability], …]]."""


class CodeRow(Base):
    """One decoded code of an advert."""

    __tablename__ = "codes"
    __table_args__ = (UniqueConstraint("advert_id", "number"), Index("ix_codes_payload", "payload", postgresql_using="hash"))

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    advert_id: Mapped[int] = mapped_column(ForeignKey("adverts.id", ondelete="CASCADE"))
    number: Mapped[int]
    quad: Mapped[list[Any]]
    payload: Mapped[str] = mapped_column(Text)
    format: Mapped[str] = mapped_column(String(32))


class IdentifierRow(Base):
    """One contact found in an advert; the lists hold what the fields of ``contract.Identifier`` hold."""

    __tablename__ = "identifiers"
    __table_args__ = (UniqueConstraint("advert_id", "number"), Index(None, "kind", "value"))

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    advert_id: Mapped[int] = mapped_column(ForeignKey("adverts.id", ondelete="CASCADE"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(Text)
    raw: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    alternatives: Mapped[list[Any]]
    flags: Mapped[list[Any]]
    lines: Mapped[list[Any]]
    codes: Mapped[list[Any]]


class ReadIdentifierRow(Base):
    """A contact as the machine read it, set aside where a person's word has taken its place; undoing that brings it back."""

    __tablename__ = "read_identifiers"

    advert_id: Mapped[int] = mapped_column(ForeignKey("adverts.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[dict[str, Any]]
    """The columns of its row of ``identifiers``."""
    link: Mapped[dict[str, Any]]
    """The columns of its row of ``links``, but for the time; empty without one."""


class ShopRow(Base):
    """A seller. ``redirect`` is set when the shop was merged into another: its id then leads there."""

    __tablename__ = "shops"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text, default="")
    redirect: Mapped[str | None] = mapped_column(ForeignKey("shops.id"), index=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)


class ResourceRow(Base):
    """A contact as a thing that can be verified, sent for blocking, blocked, restored. ``status`` is what a shop list says."""

    __tablename__ = "resources"
    __table_args__ = (UniqueConstraint("kind", "value"),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(Text)
    shop_id: Mapped[str | None] = mapped_column(ForeignKey("shops.id"), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    status: Mapped[str] = mapped_column(Text, default="")
    first_seen: Mapped[date | None]


class ResourceEventRow(Base):
    """One step in the life of a resource: who, when, on what basis, by which order. ``from_state`` is None for the first."""

    __tablename__ = "resource_events"
    __table_args__ = (Index(None, "proposal_id", unique=True),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    resource_id: Mapped[int] = mapped_column(ForeignKey("resources.id"), index=True)
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    basis: Mapped[str] = mapped_column(Text, default="")
    order_number: Mapped[str] = mapped_column(Text, default="")
    proposal_id: Mapped[int | None] = mapped_column(ForeignKey("proposals.id"))
    """For ``sent``: the proposal of two people that this carried out; one carries it out only once."""


class LinkRow(Base):
    """How one identifier stands to the register; one per identifier, replaced when it is linked again."""

    __tablename__ = "links"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    identifier_id: Mapped[int] = mapped_column(ForeignKey("identifiers.id", ondelete="CASCADE"), unique=True)
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("resources.id"), index=True)
    shop_id: Mapped[str | None] = mapped_column(ForeignKey("shops.id"), index=True)
    outcome: Mapped[str] = mapped_column(String(16))
    probability: Mapped[float]
    band: Mapped[str] = mapped_column(String(16))
    reasons: Mapped[list[Any]]
    evidence: Mapped[list[Any]]
    """Triples [name, nats, text]."""
    at: Mapped[datetime]


class ProtectedRow(Base):
    """A value that can never be proposed for blocking. ``kind`` is an identifier's kind, ``official_host`` or ``shared_host``."""

    __tablename__ = "protected"
    __table_args__ = (UniqueConstraint("kind", "value"),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    bundled: Mapped[bool] = mapped_column(default=False)
    """From the list that comes with tagtrace; others were added by people."""
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(Text)


class DecisionRow(Base):
    """What a person decided about a link, a resource or a shop. It names photo and value, so that it outlives an analysis."""

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "identifier_kind", "identifier_value"), Index(None, "subject", "actor", "at"))

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(String(32))
    """``link``, ``resource``, ``shop`` or ``cluster``."""
    verdict: Mapped[str] = mapped_column(String(32))
    why: Mapped[str] = mapped_column(Text, default="")
    photo_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    advert: Mapped[int | None]
    identifier_kind: Mapped[str | None] = mapped_column(String(32))
    identifier_value: Mapped[str | None] = mapped_column(Text)
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("resources.id"), index=True)
    shop_id: Mapped[str | None] = mapped_column(ForeignKey("shops.id"), index=True)
    details: Mapped[dict[str, Any]]


class AuditRow(Base):
    """One change of the store, chained: ``hash`` is SHA-256 over the entry and the hash of the one before it."""

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(32))
    """ISO 8601 in UTC with microseconds, as text: it is hashed."""
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(64))
    object: Mapped[str] = mapped_column(Text, index=True)
    details: Mapped[str] = mapped_column(Text)
    """Canonical JSON, as text: it is hashed."""
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHeadRow(Base):
    """The one row that writers lock to append to the audit log; it also shows when entries at the end were taken away."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Number)
    hash: Mapped[str] = mapped_column(String(64))
    register: Mapped[int] = mapped_column(Number, default=0, server_default=text("0"))
    """The last entry that may have changed the register of shops."""
