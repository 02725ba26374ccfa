"""The first schema: photos and what was seen in them, resources and shops, decisions, the protected list and the audit log."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, the first row of the audit chain's head, and where it can be had the index for similar values."""
    _audit()
    _audit_head()
    _photos()
    _protected()
    _shops()
    _analyses()
    _resources()
    _adverts()
    _decisions()
    _resource_events()
    _codes()
    _identifiers()
    _readings()
    _links()
    op.bulk_insert(sa.table("audit_head", sa.column("id"), sa.column("number"), sa.column("hash")), [_HEAD])
    if op.get_bind().dialect.name == "postgresql":
        _guard_audit_in_postgresql()
        _similarity_index()
    else:
        _guard_audit_in_sqlite()


def downgrade() -> None:
    """Remove everything."""
    raise NotImplementedError("the first schema cannot be undone; delete the database")


_HEAD = {"id": 1, "number": 0, "hash": "0" * 64}


def _column(name: str, kind: Any, nullable: bool = False, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, **more)


def _guard_audit_in_sqlite() -> None:
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_{action.lower()} BEFORE {action} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END"
        )


def _guard_audit_in_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_is_appended_to() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is only appended to'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_appended_to()"
    )


def _similarity_index() -> None:
    """pg_trgm speeds up looking for similar values; a server that does not allow or have it does without."""
    bind = op.get_bind()
    try:
        with bind.begin_nested():
            bind.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
            bind.execute(sa.text("CREATE INDEX ix_resources_value_similar ON resources USING gin (value gin_trgm_ops)"))
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise


def _audit() -> None:
    op.create_table(
        "audit",
        _column("number", NUMBER, autoincrement=False),
        _column("at", sa.String(length=32)),
        _column("actor", sa.Text()),
        _column("action", sa.String(length=64)),
        _column("object", sa.Text()),
        _column("details", sa.Text()),
        _column("previous", sa.String(length=64)),
        _column("hash", sa.String(length=64)),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_object"), "audit", ["object"])


def _audit_head() -> None:
    op.create_table(
        "audit_head",
        _column("id", sa.Integer(), autoincrement=False),
        _column("number", NUMBER),
        _column("hash", sa.String(length=64)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )


def _photos() -> None:
    op.create_table(
        "photos",
        _column("id", NUMBER),
        _column("sha256", sa.String(length=64)),
        _column("name", sa.Text()),
        _column("place", sa.Text()),
        _column("size", sa.BigInteger(), nullable=True),
        _column("width", sa.Integer()),
        _column("height", sa.Integer()),
        _column("picture_hash", sa.String(length=16), nullable=True),
        _column("taken_at", MOMENT, nullable=True),
        _column("received_at", MOMENT),
        _column("lat", sa.Double(), nullable=True),
        _column("lon", sa.Double(), nullable=True),
        _column("report_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photos")),
        sa.UniqueConstraint("sha256", name=op.f("uq_photos_sha256")),
    )
    op.create_index(op.f("ix_photos_report_id"), "photos", ["report_id"])


def _protected() -> None:
    op.create_table(
        "protected",
        _column("id", NUMBER),
        _column("kind", sa.String(length=32)),
        _column("value", sa.Text()),
        _column("source", sa.Text()),
        _column("bundled", sa.Boolean()),
        _column("added_at", MOMENT),
        _column("added_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protected")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_protected_kind_value")),
    )


def _shops() -> None:
    op.create_table(
        "shops",
        _column("id", sa.String(length=64)),
        _column("name", sa.Text()),
        _column("redirect", sa.String(length=64), nullable=True),
        _column("created_at", MOMENT),
        _column("created_by", sa.Text()),
        sa.ForeignKeyConstraint(["redirect"], ["shops.id"], name=op.f("fk_shops_redirect")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shops")),
    )
    op.create_index(op.f("ix_shops_redirect"), "shops", ["redirect"])


def _analyses() -> None:
    op.create_table(
        "analyses",
        _column("id", NUMBER),
        _column("photo_id", NUMBER),
        _column("made_by", sa.String(length=64)),
        _column("models", JSON),
        _column("settings", JSON),
        _column("schema_version", sa.String(length=16)),
        _column("failure_code", sa.String(length=32), nullable=True),
        _column("failure_message", sa.Text(), nullable=True),
        _column("seconds", sa.Double()),
        _column("stages", JSON),
        _column("at", MOMENT),
        _column("latest", sa.Boolean(), server_default=sa.false()),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name=op.f("fk_analyses_photo_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
        sa.UniqueConstraint("photo_id", "made_by", name=op.f("uq_analyses_photo_id_made_by")),
    )
    latest = sa.text("latest")
    op.create_index("ix_analyses_latest", "analyses", ["photo_id"], unique=True, sqlite_where=latest, postgresql_where=latest)


def _resources() -> None:
    op.create_table(
        "resources",
        _column("id", NUMBER),
        _column("kind", sa.String(length=32)),
        _column("value", sa.Text()),
        _column("shop_id", sa.String(length=64), nullable=True),
        _column("state", sa.String(length=16)),
        _column("status", sa.Text()),
        _column("first_seen", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_resources_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resources")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_resources_kind_value")),
    )
    op.create_index(op.f("ix_resources_shop_id"), "resources", ["shop_id"])
    op.create_index(op.f("ix_resources_state"), "resources", ["state"])


def _adverts() -> None:
    op.create_table(
        "adverts",
        _column("id", NUMBER),
        _column("analysis_id", NUMBER),
        _column("number", sa.Integer()),
        _column("quad", JSON),
        sa.ForeignKeyConstraint(["analysis_id"], ["analyses.id"], name=op.f("fk_adverts_analysis_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adverts")),
        sa.UniqueConstraint("analysis_id", "number", name=op.f("uq_adverts_analysis_id_number")),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        _column("id", NUMBER),
        _column("at", MOMENT),
        _column("actor", sa.Text()),
        _column("subject", sa.String(length=32)),
        _column("verdict", sa.String(length=32)),
        _column("why", sa.Text()),
        _column("photo_sha256", sa.String(length=64), nullable=True),
        _column("advert", sa.Integer(), nullable=True),
        _column("identifier_kind", sa.String(length=32), nullable=True),
        _column("identifier_value", sa.Text(), nullable=True),
        _column("resource_id", NUMBER, nullable=True),
        _column("shop_id", sa.String(length=64), nullable=True),
        _column("details", JSON),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name=op.f("fk_decisions_resource_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_decisions_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_identifier_kind_identifier_value"), "decisions", ["identifier_kind", "identifier_value"])
    op.create_index(op.f("ix_decisions_photo_sha256"), "decisions", ["photo_sha256"])
    op.create_index(op.f("ix_decisions_resource_id"), "decisions", ["resource_id"])
    op.create_index(op.f("ix_decisions_shop_id"), "decisions", ["shop_id"])


def _resource_events() -> None:
    op.create_table(
        "resource_events",
        _column("id", NUMBER),
        _column("resource_id", NUMBER),
        _column("from_state", sa.String(length=16), nullable=True),
        _column("to_state", sa.String(length=16)),
        _column("at", MOMENT),
        _column("actor", sa.Text()),
        _column("basis", sa.Text()),
        _column("order_number", sa.Text()),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name=op.f("fk_resource_events_resource_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_events")),
    )
    op.create_index(op.f("ix_resource_events_resource_id"), "resource_events", ["resource_id"])


def _codes() -> None:
    op.create_table(
        "codes",
        _column("id", NUMBER),
        _column("advert_id", NUMBER),
        _column("number", sa.Integer()),
        _column("quad", JSON),
        _column("payload", sa.Text()),
        _column("format", sa.String(length=32)),
        sa.ForeignKeyConstraint(["advert_id"], ["adverts.id"], name=op.f("fk_codes_advert_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codes")),
        sa.UniqueConstraint("advert_id", "number", name=op.f("uq_codes_advert_id_number")),
    )


def _identifiers() -> None:
    op.create_table(
        "identifiers",
        _column("id", NUMBER),
        _column("advert_id", NUMBER),
        _column("number", sa.Integer()),
        _column("kind", sa.String(length=32)),
        _column("value", sa.Text()),
        _column("raw", sa.Text()),
        _column("confidence", sa.Double()),
        _column("alternatives", JSON),
        _column("flags", JSON),
        _column("lines", JSON),
        _column("codes", JSON),
        sa.ForeignKeyConstraint(["advert_id"], ["adverts.id"], name=op.f("fk_identifiers_advert_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identifiers")),
        sa.UniqueConstraint("advert_id", "number", name=op.f("uq_identifiers_advert_id_number")),
    )
    op.create_index(op.f("ix_identifiers_kind_value"), "identifiers", ["kind", "value"])


def _readings() -> None:
    op.create_table(
        "readings",
        _column("id", NUMBER),
        _column("advert_id", NUMBER),
        _column("number", sa.Integer()),
        _column("quad", JSON),
        _column("line_confidence", sa.Double()),
        _column("text", sa.Text()),
        _column("confidence", sa.Double()),
        _column("flipped", sa.Boolean()),
        _column("alphabet", sa.Text()),
        _column("log_probs", sa.LargeBinary(), nullable=True),
        _column("hypotheses", JSON),
        _column("chars", JSON),
        sa.ForeignKeyConstraint(["advert_id"], ["adverts.id"], name=op.f("fk_readings_advert_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_readings")),
        sa.UniqueConstraint("advert_id", "number", name=op.f("uq_readings_advert_id_number")),
    )


def _links() -> None:
    op.create_table(
        "links",
        _column("id", NUMBER),
        _column("identifier_id", NUMBER),
        _column("resource_id", NUMBER, nullable=True),
        _column("shop_id", sa.String(length=64), nullable=True),
        _column("outcome", sa.String(length=16)),
        _column("probability", sa.Double()),
        _column("band", sa.String(length=16)),
        _column("reasons", JSON),
        _column("evidence", JSON),
        _column("at", MOMENT),
        sa.ForeignKeyConstraint(["identifier_id"], ["identifiers.id"], name=op.f("fk_links_identifier_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["resource_id"], ["resources.id"], name=op.f("fk_links_resource_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_links_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("identifier_id", name=op.f("uq_links_identifier_id")),
    )
    op.create_index(op.f("ix_links_resource_id"), "links", ["resource_id"])
    op.create_index(op.f("ix_links_shop_id"), "links", ["shop_id"])
