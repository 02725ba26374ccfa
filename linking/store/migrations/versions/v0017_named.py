"""Contacts that reports name get a name in the queue of the experts."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BATCH = 5000


def upgrade() -> None:
    """Add the column with the names; opening the store makes the rows of the queue anew."""
    op.add_column("report_contacts", sa.Column("named", sa.String(length=65), nullable=False, server_default=""))
    bind = op.get_bind()
    read = sa.text(
        "SELECT report_id, number, kind, value FROM report_contacts WHERE (report_id, number) > (:report, :number) "
        "ORDER BY report_id, number LIMIT :most"
    )
    write = sa.text("UPDATE report_contacts SET named = :named WHERE report_id = :report AND number = :number")
    report, number = "", -1
    while rows := bind.execute(read, {"report": report, "number": number, "most": BATCH}).all():
        report, number = rows[-1][0], rows[-1][1]
        bind.execute(write, [{"named": _name(kind, value), "report": r, "number": n} for r, n, kind, value in rows])
    with op.batch_alter_table("report_contacts") as table:
        table.alter_column("named", server_default=None)
    op.create_index("ix_report_contacts_named", "report_contacts", ["named"])
    op.execute("DELETE FROM queue_counts")


def _name(kind: str, value: str) -> str:
    return "=" + hashlib.sha256(f"{kind} {value}".encode()).hexdigest()


def downgrade() -> None:
    """Remove it, and what the queue has of them."""
    for name in ("queue", "queue_parts"):
        op.execute(f"DELETE FROM {name} WHERE wall LIKE '=%'")
    op.execute("DELETE FROM queue_parts WHERE part = 'named'")
    op.execute("DELETE FROM queue_counts")
    op.drop_index("ix_report_contacts_named", "report_contacts")
    with op.batch_alter_table("report_contacts") as table:
        table.drop_column("named")
