"""Reports, their photos, jobs, tracks and webhooks, and what worker processes measure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _measures()
    _reports()
    _tracks()
    _jobs()
    _report_contacts()
    _report_events()
    _report_photos()
    _report_requests()
    _track_events()
    _webhooks()


def downgrade() -> None:
    """Remove them."""
    for name in (
        "webhooks",
        "track_events",
        "report_requests",
        "report_photos",
        "report_events",
        "report_contacts",
        "jobs",
        "tracks",
        "reports",
        "measures",
    ):
        op.drop_table(name)


def _measures() -> None:
    op.create_table(
        "measures",
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("label", sa.String(length=48), nullable=False),
        sa.Column("bound", sa.Double(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", "bound", name="pk_measures"),
    )


def _reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("taken_at", MOMENT, nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("web", JSON, nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_at", MOMENT, nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
    )
    op.create_index("ix_reports_owner_external_id", "reports", ["owner", "external_id"], unique=False)
    op.create_index("ix_reports_received_at", "reports", ["received_at"], unique=False)
    op.create_index("ix_reports_state_id", "reports", ["state", "id"], unique=False)


def _tracks() -> None:
    op.create_table(
        "tracks",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("photo", sa.String(length=64), nullable=False),
        sa.Column("advert", sa.Integer(), nullable=False),
        sa.Column("track", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("responsible", sa.Text(), nullable=False),
        sa.Column("due", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tracks"),
        sa.UniqueConstraint("photo", "advert", "track", name="uq_tracks_photo_advert_track"),
    )
    op.create_index("ix_tracks_track_state", "tracks", ["track", "state"], unique=False)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("run_after", MOMENT, nullable=False),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("token", sa.String(length=32), nullable=True),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_jobs_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("kind", "report_id", name="uq_jobs_kind_report_id"),
    )
    op.create_index("ix_jobs_next", "jobs", ["state", "priority", "id"], unique=False)


def _report_contacts() -> None:
    op.create_table(
        "report_contacts",
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_report_contacts_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("report_id", "number", name="pk_report_contacts"),
    )


def _report_events() -> None:
    op.create_table(
        "report_events",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_report_events_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_report_events"),
    )
    op.create_index("ix_report_events_report_id", "report_events", ["report_id"], unique=False)


def _report_photos() -> None:
    op.create_table(
        "report_photos",
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure_code", sa.String(length=32), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("at_s", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_report_photos_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("report_id", "number", name="pk_report_photos"),
        sa.UniqueConstraint("report_id", "sha256", name="uq_report_photos_report_id_sha256"),
    )
    op.create_index("ix_report_photos_sha256", "report_photos", ["sha256"], unique=False)


def _report_requests() -> None:
    op.create_table(
        "report_requests",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=320), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_report_requests_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_report_requests"),
    )
    op.create_index("ix_report_requests_report_id", "report_requests", ["report_id"], unique=False)


def _track_events() -> None:
    op.create_table(
        "track_events",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("track_id", NUMBER, nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("photo", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["track_id"], ["tracks.id"], name="fk_track_events_track_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_track_events"),
    )
    op.create_index("ix_track_events_track_id", "track_events", ["track_id"], unique=False)


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event", JSON, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("run_after", MOMENT, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_webhooks_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.UniqueConstraint("message", name="uq_webhooks_message"),
    )
    op.create_index("ix_webhooks_next", "webhooks", ["state", "run_after"], unique=False)
    op.create_index("ix_webhooks_report_id", "webhooks", ["report_id"], unique=False)
