"""What the models saw, day by day, as counts: for all processes to say how far it lies from a reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from sqlalchemy import BigInteger, Date, String, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from .tables import Base
from .upserts import insert_missing


class DriftRow(Base):
    """One bucket of a measure on one day (UTC)."""

    __tablename__ = "drift"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    measure: Mapped[str] = mapped_column(String(48), primary_key=True)
    bucket: Mapped[str] = mapped_column(String(48), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


def add_seen(session: Session, day: date, counts: Mapping[tuple[str, str], int]) -> None:
    """Add counts by measure and bucket. Rows are taken in one order, so that writers do not wait for each other in circles."""
    for measure, bucket in sorted(counts):
        mine = (DriftRow.day == day, DriftRow.measure == measure, DriftRow.bucket == bucket)
        insert_missing(session, DriftRow, [{"day": day, "measure": measure, "bucket": bucket, "count": 0}])
        session.execute(update(DriftRow).where(*mine).values(count=DriftRow.count + counts[measure, bucket]))


def seen_since(session: Session, day: date) -> dict[str, dict[str, int]]:
    """By measure and bucket what was seen on a day and after it."""
    rows = select(DriftRow.measure, DriftRow.bucket, func.sum(DriftRow.count)).where(DriftRow.day >= day)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for measure, bucket, count in session.execute(rows.group_by(DriftRow.measure, DriftRow.bucket)):
        found[measure][bucket] = int(count)
    return dict(found)
