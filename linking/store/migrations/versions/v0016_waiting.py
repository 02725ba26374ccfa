"""Which adverts wait for another photo, and why others are open again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; opening the store makes the rows of the queue anew."""
    op.add_column("queue", sa.Column("back", sa.String(length=8), nullable=False, server_default=sa.text("''")))
    op.add_column("queue", sa.Column("asked", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_queue_asked", "queue", ["asked"])
    op.execute("DELETE FROM queue_counts")


def downgrade() -> None:
    """Remove them, and what only they tell apart from open adverts."""
    op.execute("DELETE FROM queue WHERE asked IS NOT NULL")
    op.drop_index("ix_queue_asked", "queue")
    with op.batch_alter_table("queue") as table:
        table.drop_column("asked")
        table.drop_column("back")
