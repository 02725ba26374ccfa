"""The tables of sightings, bundles, clusters, people's rules and the log. The words are those of ``linking.shelf``.

What is looked up by a contact is looked up by a number made from it (``cluster_rows.code``): one comparison of whole numbers in
an index, whatever the contact is. Two contacts with one number cost a needless row and never an error: rows are compared in full.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from .tables import Base, Number


class SightingRow(Base):
    """One advert in one photo. ``id`` is its number by arrival. ``spot`` and ``area`` are h3 cells (None: no place known)."""

    __tablename__ = "sightings"
    __table_args__ = (
        Index(None, "photo", "advert", unique=True),
        Index("ix_sightings_loose", "evidence", sqlite_where=text("spot IS NULL"), postgresql_where=text("spot IS NULL")),
        Index("ix_sightings_pictured", "area", sqlite_where=text("pictured > 0"), postgresql_where=text("pictured > 0")),
    )

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    photo: Mapped[str] = mapped_column(String(64))
    advert: Mapped[int] = mapped_column(Integer)
    bundle: Mapped[int] = mapped_column(ForeignKey("bundles.id"), index=True)
    spare: Mapped[bool]
    evidence: Mapped[int] = mapped_column(BigInteger)
    """Number of what it shows: equal for sightings with the same contacts and looks."""
    spot: Mapped[int | None] = mapped_column(BigInteger)
    area: Mapped[int | None] = mapped_column(BigInteger)
    pictured: Mapped[int] = mapped_column(SmallInteger)
    """0 without picture features, 1 with them, 2 with them and without a readable contact."""
    identifiers: Mapped[list[Any]]
    """Lists [kind, value, raw, confidence, alternatives, flags, lines, codes]."""
    shop_id: Mapped[str | None] = mapped_column(String(64))
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    picture_hash: Mapped[int | None] = mapped_column(BigInteger)
    """The 64 bits as a signed number."""
    box: Mapped[list[Any]]
    taken_at: Mapped[datetime | None]
    overpaint: Mapped[str | None] = mapped_column(String(16))


class SightingLookRow(Base):
    """How a contact of a sighting looks, for those that have to be looked at (not spare). ``slot`` is the look in its area;
    ``wall`` the look alone, where the place is known."""

    __tablename__ = "sighting_looks"
    __table_args__ = (Index(None, "wall", "sighting"),)

    sighting: Mapped[int] = mapped_column(ForeignKey("sightings.id", ondelete="CASCADE"), primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger, primary_key=True, index=True)
    wall: Mapped[int | None] = mapped_column(BigInteger)


class SightingBandRow(Base):
    """A quarter of the picture hash of a sighting, with the number of the quarter above it."""

    __tablename__ = "sighting_bands"

    band: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    hash: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sighting: Mapped[int] = mapped_column(ForeignKey("sightings.id", ondelete="CASCADE"), primary_key=True, index=True)


class SightingFeaturesRow(Base):
    """The picture features of a sighting, as ``AdvertFeatures.to_bytes`` gives them."""

    __tablename__ = "sighting_features"

    sighting: Mapped[int] = mapped_column(ForeignKey("sightings.id", ondelete="CASCADE"), primary_key=True)
    features: Mapped[bytes] = mapped_column(LargeBinary)


class StencilRow(Base):
    """One lettering that was sprayed on several walls. ``number`` is that of the first sighting known of it; ``into`` is set when
    two stencils turned out to be one: the id then leads there."""

    __tablename__ = "stencils"

    id: Mapped[str] = mapped_column(String(48), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    into: Mapped[str | None] = mapped_column(ForeignKey("stencils.id"), index=True)
    made_at: Mapped[datetime]


class SightingStencilRow(Base):
    """The stencil of a sighting whose picture shows the lettering of one in another cluster. Clusters have the stencils of their
    sightings, so they keep them when people merge and split."""

    __tablename__ = "sighting_stencils"

    sighting: Mapped[int] = mapped_column(ForeignKey("sightings.id", ondelete="CASCADE"), primary_key=True)
    stencil: Mapped[str] = mapped_column(ForeignKey("stencils.id"), index=True)


class FactColumns:
    """When an advert was seen, and seen painted over."""

    first_seen: Mapped[datetime | None]
    last_seen: Mapped[datetime | None]
    first_covered: Mapped[datetime | None]
    last_covered: Mapped[datetime | None]
    last_fresh: Mapped[datetime | None]


class BundleRow(FactColumns, Base):
    """Sightings that hang together by themselves."""

    __tablename__ = "bundles"

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    component: Mapped[int] = mapped_column(BigInteger, index=True)
    cluster: Mapped[str] = mapped_column(ForeignKey("clusters.id"), index=True)
    target: Mapped[str] = mapped_column(String(8))
    ruled: Mapped[bool]
    size: Mapped[int]


class ClusterRow(FactColumns, Base):
    """A cluster id. ``into`` is set when it was merged: the id then leads there."""

    __tablename__ = "clusters"

    id: Mapped[str] = mapped_column(String(48), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    into: Mapped[str | None] = mapped_column(ForeignKey("clusters.id"), index=True)
    wall: Mapped[int | None] = mapped_column(BigInteger)
    size: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), index=True)


class ClusterEventRow(Base):
    """One line of the log; see ``linking.ledger.Event``. Rows are only ever added."""

    __tablename__ = "cluster_events"

    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    cluster: Mapped[str] = mapped_column(String(48), index=True)
    other: Mapped[str] = mapped_column(String(48), index=True)
    sightings: Mapped[list[Any]]
    """Pairs [photo, advert]."""
    why: Mapped[list[Any]]


class ClusterRuleRow(Base):
    """The latest word of a person on two sightings: the same advert or not. ``number`` is that of its event."""

    __tablename__ = "cluster_rules"
    __table_args__ = (Index(None, "b_photo", "b_advert"),)

    a_photo: Mapped[str] = mapped_column(String(64), primary_key=True)
    a_advert: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    b_photo: Mapped[str] = mapped_column(String(64), primary_key=True)
    b_advert: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    same: Mapped[bool]
    number: Mapped[int] = mapped_column(BigInteger)


class ClusterHeadRow(Base):
    """The one row that writers lock: the last numbers given out. The log has one order, so one writer at a time adds to it."""

    __tablename__ = "cluster_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sighting: Mapped[int] = mapped_column(BigInteger)
    bundle: Mapped[int] = mapped_column(BigInteger)
    cluster: Mapped[int] = mapped_column(BigInteger)
    event: Mapped[int] = mapped_column(BigInteger)
