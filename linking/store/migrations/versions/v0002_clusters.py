"""Sightings, bundles, clusters, people's rules on them, and the log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BIG = sa.BigInteger()
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

_HEAD = {"id": 1, "sighting": 0, "bundle": 0, "cluster": 0, "event": 0}


def upgrade() -> None:
    """Make the tables and the row of the last numbers."""
    _cluster_events()
    _cluster_head()
    _cluster_rules()
    _clusters()
    _bundles()
    _sightings()
    _sighting_bands()
    _sighting_features()
    _sighting_looks()
    columns: list[sa.ColumnClause[int]] = [sa.column(name) for name in _HEAD]
    op.bulk_insert(sa.table("cluster_head", *columns), [_HEAD])


def downgrade() -> None:
    """Remove them."""
    for name in (
        "sighting_looks",
        "sighting_features",
        "sighting_bands",
        "sightings",
        "bundles",
        "clusters",
        "cluster_rules",
        "cluster_head",
        "cluster_events",
    ):
        op.drop_table(name)


def _facts() -> list[sa.Column[object]]:
    names = ("first_seen", "last_seen", "first_covered", "last_covered", "last_fresh")
    return [sa.Column(name, MOMENT, nullable=True) for name in names]


def _cluster_events() -> None:
    op.create_table(
        "cluster_events",
        sa.Column("number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("cluster", sa.String(length=48), nullable=False),
        sa.Column("other", sa.String(length=48), nullable=False),
        sa.Column("sightings", JSON, nullable=False),
        sa.Column("why", JSON, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_cluster_events"),
    )
    op.create_index("ix_cluster_events_cluster", "cluster_events", ["cluster"], unique=False)
    op.create_index("ix_cluster_events_other", "cluster_events", ["other"], unique=False)


def _cluster_head() -> None:
    op.create_table(
        "cluster_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sighting", BIG, nullable=False),
        sa.Column("bundle", BIG, nullable=False),
        sa.Column("cluster", BIG, nullable=False),
        sa.Column("event", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cluster_head"),
    )


def _cluster_rules() -> None:
    op.create_table(
        "cluster_rules",
        sa.Column("a_photo", sa.String(length=64), nullable=False),
        sa.Column("a_advert", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("b_photo", sa.String(length=64), nullable=False),
        sa.Column("b_advert", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("same", sa.Boolean(), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.PrimaryKeyConstraint("a_photo", "a_advert", "b_photo", "b_advert", name="pk_cluster_rules"),
    )
    op.create_index("ix_cluster_rules_b_photo_b_advert", "cluster_rules", ["b_photo", "b_advert"], unique=False)


def _clusters() -> None:
    op.create_table(
        "clusters",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.Column("into", sa.String(length=48), nullable=True),
        sa.Column("wall", BIG, nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        *_facts(),
        sa.ForeignKeyConstraint(["into"], ["clusters.id"], name="fk_clusters_into"),
        sa.PrimaryKeyConstraint("id", name="pk_clusters"),
        sa.UniqueConstraint("number", name="uq_clusters_number"),
    )
    op.create_index("ix_clusters_into", "clusters", ["into"], unique=False)
    op.create_index("ix_clusters_state", "clusters", ["state"], unique=False)


def _bundles() -> None:
    op.create_table(
        "bundles",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("component", BIG, nullable=False),
        sa.Column("cluster", sa.String(length=48), nullable=False),
        sa.Column("target", sa.String(length=8), nullable=False),
        sa.Column("ruled", sa.Boolean(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        *_facts(),
        sa.ForeignKeyConstraint(["cluster"], ["clusters.id"], name="fk_bundles_cluster"),
        sa.PrimaryKeyConstraint("id", name="pk_bundles"),
    )
    op.create_index("ix_bundles_cluster", "bundles", ["cluster"], unique=False)
    op.create_index("ix_bundles_component", "bundles", ["component"], unique=False)


def _sightings() -> None:
    op.create_table(
        "sightings",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("photo", sa.String(length=64), nullable=False),
        sa.Column("advert", sa.Integer(), nullable=False),
        sa.Column("bundle", NUMBER, nullable=False),
        sa.Column("spare", sa.Boolean(), nullable=False),
        sa.Column("evidence", BIG, nullable=False),
        sa.Column("spot", BIG, nullable=True),
        sa.Column("area", BIG, nullable=True),
        sa.Column("pictured", sa.SmallInteger(), nullable=False),
        sa.Column("identifiers", JSON, nullable=False),
        sa.Column("shop_id", sa.String(length=64), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("picture_hash", BIG, nullable=True),
        sa.Column("box", JSON, nullable=False),
        sa.Column("taken_at", MOMENT, nullable=True),
        sa.Column("overpaint", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["bundle"], ["bundles.id"], name="fk_sightings_bundle"),
        sa.PrimaryKeyConstraint("id", name="pk_sightings"),
    )
    op.create_index("ix_sightings_bundle", "sightings", ["bundle"], unique=False)
    op.create_index(
        "ix_sightings_loose",
        "sightings",
        ["evidence"],
        unique=False,
        sqlite_where=sa.text("spot IS NULL"),
        postgresql_where=sa.text("spot IS NULL"),
    )
    op.create_index("ix_sightings_photo_advert", "sightings", ["photo", "advert"], unique=True)
    op.create_index(
        "ix_sightings_pictured",
        "sightings",
        ["area"],
        unique=False,
        sqlite_where=sa.text("pictured > 0"),
        postgresql_where=sa.text("pictured > 0"),
    )


def _sighting_bands() -> None:
    op.create_table(
        "sighting_bands",
        sa.Column("band", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", BIG, nullable=False),
        sa.Column("sighting", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["sighting"], ["sightings.id"], name="fk_sighting_bands_sighting", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("band", "hash", "sighting", name="pk_sighting_bands"),
    )
    op.create_index("ix_sighting_bands_sighting", "sighting_bands", ["sighting"], unique=False)


def _sighting_features() -> None:
    op.create_table(
        "sighting_features",
        sa.Column("sighting", NUMBER, nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["sighting"], ["sightings.id"], name="fk_sighting_features_sighting", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sighting", name="pk_sighting_features"),
    )


def _sighting_looks() -> None:
    op.create_table(
        "sighting_looks",
        sa.Column("sighting", NUMBER, nullable=False),
        sa.Column("slot", BIG, nullable=False),
        sa.Column("wall", BIG, nullable=True),
        sa.ForeignKeyConstraint(["sighting"], ["sightings.id"], name="fk_sighting_looks_sighting", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sighting", "slot", name="pk_sighting_looks"),
    )
    op.create_index("ix_sighting_looks_slot", "sighting_looks", ["slot"], unique=False)
    op.create_index("ix_sighting_looks_wall_sighting", "sighting_looks", ["wall", "sighting"], unique=False)
