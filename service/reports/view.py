"""From the store to the answer about one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...contract import Advert, Identifier, Link
from ...linking.store import Store
from ...linking.store import reports as rows
from ...linking.store.clusters import clusters_of
from ...linking.store.loading import latest_with_links
from ...linking.store.media import media_of
from ...linking.store.report_tables import ReportContactRow, ReportRow, TrackRow
from ...linking.store.standing import standings
from ...linking.store.tracks import tracks_of
from ..problems import ProblemError
from .citizen import citizen_status
from .models import AdvertView, DuplicateView, FileView, IdentifierView, LinkView, MediaView, ReportLine, ReportView, TrackView


def report_view(store: Store, report_id: str, owner: str | None) -> ReportView:
    """Everything about a report that belongs to ``owner`` (None: to anybody). ``ProblemError`` 404 for any other."""
    with store.read() as session:
        report = own_report(session, report_id, owner)
        files = rows.files_of(session, report_id)
        seen = [(file.sha256, *found) for file in files if (found := latest_with_links(session, file.sha256)) is not None]
        keys = [(sha256, n) for sha256, analysis, _ in seen for n in range(len(analysis.adverts))]
        clusters, tracks = clusters_of(session, keys), tracks_of(session, keys)
        adverts = [
            _advert(sha256, n, advert, links[n], clusters.get((sha256, n)), tracks[sha256, n])
            for sha256, analysis, links in seen
            for n, advert in enumerate(analysis.adverts)
        ]
        contacts = [_contact(row) for row in rows.contacts_of(session, report_id)]
        duplicates = rows.duplicates_of(session, report_id)
        media = media_of(session, [report_id])
        standing = standings(session, [report_id])[report_id]
    return ReportView(
        **line(report).model_dump(),
        source=report.source,
        failure=report.failure,
        taken_at=report.taken_at,
        address=report.address,
        text=report.text,
        web=[str(item) for item in report.web],
        files=[_file(file) for file in files],
        media=[MediaView(url=row.url, state=row.state, error=row.error, sha256=row.sha256) for row in media],
        adverts=adverts,
        contacts=contacts,
        duplicates=[DuplicateView(report_id=other, by=by) for other, by in duplicates],
        citizen=citizen_status(report, standing),
    )


def own_report(session: Any, report_id: str, owner: str | None) -> ReportRow:
    """A report that belongs to ``owner`` (None: to anybody); ``ProblemError`` 404 for one that does not exist for them."""
    report = rows.get_report(session, report_id)
    if report is None or (owner is not None and report.owner != owner):
        raise ProblemError(404, "There is no such report.", "report-not-found")
    return report


def line(report: ReportRow) -> ReportLine:
    """A report as it stands in lists."""
    return ReportLine(
        id=report.id,
        external_id=report.external_id,
        state=report.state,
        state_at=report.state_at,
        received_at=report.received_at,
        lat=report.lat,
        lon=report.lon,
    )


def _file(row: Any) -> FileView:
    return FileView(**{name: getattr(row, name) for name in FileView.model_fields})


def _advert(
    photo: str, number: int, advert: Advert, links: Sequence[Link | None], cluster: str | None, tracks: Sequence[TrackRow]
) -> AdvertView:
    return AdvertView(
        photo=photo,
        number=number,
        quad=[[float(x), float(y)] for x, y in advert.quad],
        lines=[
            {
                "text": item.reading.text,
                "confidence": round(item.reading.confidence, 4),
                "quad": [list(map(float, p)) for p in item.quad],
            }
            for item in advert.lines
        ],
        codes=[{"payload": code.payload, "format": code.format} for code in advert.codes],
        identifiers=[identifier_view(item, link) for item, link in zip(advert.identifiers, links, strict=True)],
        cluster=cluster,
        tracks=[track_view(row) for row in tracks],
    )


def track_view(row: TrackRow) -> TrackView:
    """A track as answers have it."""
    return TrackView(track=row.track, state=row.state, since=row.since, responsible=row.responsible, due=row.due)


def identifier_view(item: Identifier, link: Link | None) -> IdentifierView:
    """An identifier as answers have it, and as the contacts of a report are kept."""
    return IdentifierView(
        kind=str(item.kind),
        value=item.value,
        raw=item.raw,
        confidence=round(item.confidence, 6),
        alternatives=[{"value": value, "probability": round(share, 6)} for value, share in item.alternatives],
        flags=[str(flag) for flag in item.flags],
        link=None if link is None else _link(link),
    )


def _link(link: Link) -> LinkView:
    resource = link.resource
    return LinkView(
        outcome=str(link.outcome),
        probability=round(link.probability, 6),
        band=str(link.band),
        shop_id=link.shop_id,
        shop_name="" if resource is None else resource.shop_name,
        kind=None if resource is None else str(resource.kind),
        value=None if resource is None else resource.value,
        reasons=list(link.reasons),
        evidence=[{"name": step.name, "nats": round(step.nats, 4), "text": step.text} for step in link.evidence],
    )


def _contact(row: ReportContactRow) -> IdentifierView:
    content: Mapping[str, Any] = row.content
    return IdentifierView.model_validate(content)
