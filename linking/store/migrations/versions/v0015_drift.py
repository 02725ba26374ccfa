"""What the models saw, day by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "drift",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("measure", sa.String(length=48), nullable=False),
        sa.Column("bucket", sa.String(length=48), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "measure", "bucket", name="pk_drift"),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("drift")
