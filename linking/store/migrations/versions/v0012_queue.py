"""The word that stands on an advert, what was read where a word took its place, and the rows of the experts' queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the column, the tables and the index; opening the store fills them."""
    # In words that both databases know: SQLite adds no constraint to a table that is there.
    number = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(f"ALTER TABLE adverts ADD COLUMN decision_id {number} CONSTRAINT fk_adverts_decision_id REFERENCES decisions (id)")
    op.create_index("ix_adverts_decision_id", "adverts", ["decision_id"])
    op.create_index("ix_decisions_subject_actor_at", "decisions", ["subject", "actor", "at"])
    op.create_table(
        "read_identifiers",
        sa.Column("advert_id", NUMBER, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("link", JSON, nullable=False),
        sa.ForeignKeyConstraint(["advert_id"], ["adverts.id"], name="fk_read_identifiers_advert_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("advert_id", "number", name="pk_read_identifiers"),
    )
    _queue()


def _queue() -> None:
    op.create_table(
        "queue",
        sa.Column("wall", sa.String(length=96), nullable=False),
        sa.Column("photo", sa.String(length=64), nullable=True),
        sa.Column("first", NUMBER, nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("new", sa.Boolean(), nullable=False),
        sa.Column("doubt", sa.Double(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("wall", name="pk_queue"),
    )
    op.create_index("ix_queue_photo", "queue", ["photo"])
    op.create_table(
        "queue_parts",
        sa.Column("wall", sa.String(length=96), nullable=False),
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("rank", sa.Double(), nullable=False),
        sa.Column("first", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("wall", "part", name="pk_queue_parts"),
    )
    op.create_index("ix_queue_parts_next", "queue_parts", ["part", "rank", "first", "wall"])
    op.create_table(
        "queue_counts",
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("walls", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("part", name="pk_queue_counts"),
    )


def downgrade() -> None:
    """Remove them."""
    for name in ("queue_counts", "queue_parts", "queue", "read_identifiers"):
        op.drop_table(name)
    op.drop_index("ix_decisions_subject_actor_at", "decisions")
    op.drop_index("ix_adverts_decision_id", "adverts")
    with op.batch_alter_table("adverts") as table:
        table.drop_column("decision_id")
