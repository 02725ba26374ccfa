"""Counts for trials of the service: what was lost, and what was done twice."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .cluster_tables import SightingRow
from .report_tables import ReportEventRow, ReportPhotoRow, ReportRow
from .tables import AdvertRow, AnalysisRow, PhotoRow


def count_twice(session: Session, report_ids: Sequence[str]) -> dict[str, int]:
    """Of acknowledged reports: how many are not there, not read, told as read twice; of photos: how many were analysed twice."""
    states = {name: state for name, state in session.execute(select(ReportRow.id, ReportRow.state))}  # noqa: C416
    told = select(ReportEventRow.report_id).where(ReportEventRow.event == "read")
    told = told.group_by(ReportEventRow.report_id).having(func.count() > 1)
    analysed = select(AnalysisRow.photo_id).group_by(AnalysisRow.photo_id).having(func.count() > 1)
    unseen = select(func.count(func.distinct(ReportPhotoRow.sha256))).where(
        ~select(SightingRow.id).where(SightingRow.photo == ReportPhotoRow.sha256).exists()
    )
    adverts = select(PhotoRow.id).join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id)
    adverts = adverts.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id).group_by(PhotoRow.id).having(func.count() > 1)
    return {
        "lost": sum(name not in states for name in report_ids),
        "not_read": sum(states.get(name) != "read" for name in report_ids),
        "reports_too_many": len(states) - len(set(report_ids)),
        "told_twice": len(list(session.scalars(told))),
        "analysed_twice": len(list(session.scalars(analysed))),
        "adverts_twice": len(list(session.scalars(adverts))),
        "without_sighting": session.scalar(unseen) or 0,
    }
