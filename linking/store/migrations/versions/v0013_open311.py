"""Addresses of pictures that reports name, and what Open311 requests say beside other reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "report_media",
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_report_media_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("report_id", "number", name="pk_report_media"),
    )
    op.create_table(
        "open311_requests",
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("service_code", sa.String(length=64), nullable=False),
        sa.Column("address_id", sa.Text(), nullable=False),
        sa.Column("attributes", JSON, nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_open311_requests_report_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("report_id", name="pk_open311_requests"),
    )
    op.create_index("ix_open311_requests_service_code", "open311_requests", ["service_code"], unique=False)


def downgrade() -> None:
    """Remove them."""
    for name in ("open311_requests", "report_media"):
        op.drop_table(name)
