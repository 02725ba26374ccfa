"""The last entry of the audit log that concerns the register of shops."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column; whoever has loaded the register before loads it again after the next change."""
    op.add_column("audit_head", sa.Column("register", NUMBER, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("audit_head", "register")
