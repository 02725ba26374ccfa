"""Entries of the queue that somebody has before them, for a while."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "holds",
        sa.Column("wall", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("wall", name="pk_holds"),
    )
    op.create_index("ix_holds_actor", "holds", ["actor"], unique=False)
    op.create_index("ix_holds_until", "holds", ["until"], unique=False)


def downgrade() -> None:
    """Remove it."""
    op.drop_table("holds")
