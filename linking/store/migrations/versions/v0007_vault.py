"""Reporters' data, encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reporters",
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("key_name", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name="pk_reporters"),
    )
    op.create_index("ix_reporters_key_name", "reporters", ["key_name"], unique=False)
    op.create_index("ix_reporters_kept_at", "reporters", ["kept_at"], unique=False)


def downgrade() -> None:
    """Remove it."""
    op.drop_table("reporters")
