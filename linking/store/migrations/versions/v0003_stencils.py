"""Stencils and the sightings that were sprayed with them; codes found by what they say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables and the index."""
    op.create_table(
        "stencils",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("into", sa.String(length=48), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["into"], ["stencils.id"], name="fk_stencils_into"),
        sa.PrimaryKeyConstraint("id", name="pk_stencils"),
        sa.UniqueConstraint("number", name="uq_stencils_number"),
    )
    op.create_index("ix_stencils_into", "stencils", ["into"], unique=False)
    op.create_table(
        "sighting_stencils",
        sa.Column("sighting", NUMBER, nullable=False),
        sa.Column("stencil", sa.String(length=48), nullable=False),
        sa.ForeignKeyConstraint(["sighting"], ["sightings.id"], name="fk_sighting_stencils_sighting", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["stencil"], ["stencils.id"], name="fk_sighting_stencils_stencil"),
        sa.PrimaryKeyConstraint("sighting", name="pk_sighting_stencils"),
    )
    op.create_index("ix_sighting_stencils_stencil", "sighting_stencils", ["stencil"], unique=False)
    # Payloads may be longer than what a B-tree of PostgreSQL takes; only equality is asked for.
    op.create_index("ix_codes_payload", "codes", ["payload"], unique=False, postgresql_using="hash")


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_codes_payload", "codes")
    op.drop_table("sighting_stencils")
    op.drop_table("stencils")
