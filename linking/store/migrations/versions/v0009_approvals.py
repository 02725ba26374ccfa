"""Which proposal of two people a resource was sent by."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    # In words that both databases know: SQLite adds no constraint to a table that is there.
    number = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(
        f"ALTER TABLE resource_events ADD COLUMN proposal_id {number} "
        "CONSTRAINT fk_resource_events_proposal_id REFERENCES proposals (id)"
    )
    op.create_index("ix_resource_events_proposal_id", "resource_events", ["proposal_id"], unique=True)


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_resource_events_proposal_id", "resource_events")
    with op.batch_alter_table("resource_events") as table:
        table.drop_column("proposal_id")
