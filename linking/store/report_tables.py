"""The tables of reports: what was sent in, its photos, the contacts of its web addresses, what happened to it, and its jobs."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .tables import Base, Number

Id = String(32)
NAMED: Final = "="
"""Begins the name of a contact in the queue of the experts."""


class ReportRow(Base):
    """One report. ``owner`` is the system that sent it (the owner of its API key); nothing in it is about the reporter."""

    __tablename__ = "reports"
    __table_args__ = (
        Index(None, "owner", "external_id"),
        Index(None, "state", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    """Sorts by the time of receipt."""
    owner: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(16))
    external_id: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(index=True)
    taken_at: Mapped[datetime | None]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    address: Mapped[str] = mapped_column(Text, default="")
    text: Mapped[str] = mapped_column(Text, default="")
    web: Mapped[list[Any]]
    """Web addresses as they were sent."""
    callback_url: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    state_at: Mapped[datetime]
    failure: Mapped[str] = mapped_column(Text, default="")


class ReportPhotoRow(Base):
    """One file of a report: a photo, a video, or a frame that was taken out of one."""

    __tablename__ = "report_photos"
    __table_args__ = (UniqueConstraint("report_id", "sha256"),)

    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(8))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker began to read it."""
    failure_code: Mapped[str | None] = mapped_column(String(32))
    failure_message: Mapped[str | None] = mapped_column(Text)
    at_s: Mapped[float | None]
    """For a frame: seconds from the beginning of its video."""


class ReportMediaRow(Base):
    """A picture that a report names by its address, to be fetched by a worker."""

    __tablename__ = "report_media"

    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    url: Mapped[str] = mapped_column(Text)
    """Empty once it was erased."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    sha256: Mapped[str | None] = mapped_column(String(64))
    """Of the picture, once it was fetched."""


class Open311Row(Base):
    """What a report that came in as an Open311 request says beside what every report says."""

    __tablename__ = "open311_requests"

    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True)
    service_code: Mapped[str] = mapped_column(String(64), index=True)
    address_id: Mapped[str] = mapped_column(Text, default="")
    attributes: Mapped[dict[str, Any]]
    """Answers by the code of the attribute, each a list of texts."""


class ReportRequestRow(Base):
    """A request that made a report, by its idempotency key or by its content: sent again, it gives the same report."""

    __tablename__ = "report_requests"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(String(320), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]


class ReportContactRow(Base):
    """One contact of a report's web addresses, and how it links."""

    __tablename__ = "report_contacts"

    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(32))
    value: Mapped[str] = mapped_column(Text)
    named: Mapped[str] = mapped_column(String(65), index=True)
    """The name of kind and value in the queue of the experts (``named_as``)."""
    content: Mapped[dict[str, Any]]
    """The identifier and its link, as results have them."""


def named_as(kind: str, value: str) -> str:
    """The name under which the queue knows a contact that reports name; no name of an advert begins so."""
    return f"{NAMED}{hashlib.sha256(f'{kind} {value}'.encode()).hexdigest()}"


class ReportEventRow(Base):
    """One step of a report; ``details`` hold what the citizen may not be told, too."""

    __tablename__ = "report_events"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(String(32))
    details: Mapped[dict[str, Any]]


class JobRow(Base):
    """Work to do. ``token`` names the lease under which it is being done; without it nobody may finish the job."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("kind", "report_id"),
        Index("ix_jobs_next", "state", "priority", "id"),
    )

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16))
    priority: Mapped[int] = mapped_column(default=0)
    """Higher goes first."""
    attempts: Mapped[int] = mapped_column(default=0)
    run_after: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    token: Mapped[str | None] = mapped_column(Id)
    worker: Mapped[str] = mapped_column(Text, default="")
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class TrackRow(Base):
    """Where an advert (by photo and number) stands on one of its tracks: clean-up, blocking, investigation."""

    __tablename__ = "tracks"
    __table_args__ = (UniqueConstraint("photo", "advert", "track"), Index(None, "track", "state"))

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    photo: Mapped[str] = mapped_column(String(64))
    advert: Mapped[int]
    track: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    since: Mapped[datetime]
    responsible: Mapped[str] = mapped_column(Text, default="")
    due: Mapped[datetime | None]


class TrackEventRow(Base):
    """One step on a track."""

    __tablename__ = "track_events"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    track_id: Mapped[int] = mapped_column(ForeignKey("tracks.id", ondelete="CASCADE"), index=True)
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, default="")
    photo: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the picture that shows it, for example after painting."""


class WebhookRow(Base):
    """One message to an intake system. Those of a report go out in the order of their numbers."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("ix_webhooks_next", "state", "run_after"),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    message: Mapped[str] = mapped_column(Id, unique=True)
    report_id: Mapped[str] = mapped_column(ForeignKey("reports.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(Text)
    event: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    run_after: Mapped[datetime]
    token: Mapped[str | None] = mapped_column(Id)
    status: Mapped[int | None]
    """The HTTP status of the last attempt."""
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class MeasureRow(Base):
    """One bucket of a histogram that worker processes add to: how many observations were at most ``bound``."""

    __tablename__ = "measures"

    name: Mapped[str] = mapped_column(String(48), primary_key=True)
    label: Mapped[str] = mapped_column(String(48), primary_key=True)
    bound: Mapped[float] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[float] = mapped_column(default=0.0)
    """Sum of what fell into this bucket."""
