"""Where reports stand: what became of the adverts and contacts in them, for what citizens are told. Never investigations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...contract import Flag
from ..life import ResourceState
from ..sightings import Key
from .report_tables import ReportContactRow, ReportPhotoRow, TrackRow
from .tables import AdvertRow, AnalysisRow, IdentifierRow, PhotoRow, ResourceEventRow, ResourceRow
from .tracks import START, Track, tracks_of
from .verdicts import Word, reviews_of, standing

_MOST_IN = 400
_NEVER_BLOCKED = frozenset({str(Flag.PROTECTED), str(Flag.UNSURE), str(Flag.OBSOLETE)})
_NO_ADVERT = frozenset({Word.NOT_ADVERT, Word.REJECTED})


@dataclass(frozen=True, slots=True)
class ContactStanding:
    """A contact that a report names, as a resource: its state, and since when."""

    state: ResourceState
    since: datetime


@dataclass(slots=True)
class Standing:
    """What became of one report."""

    pictures: int = 0
    """Its photos and videos."""
    adverts: list[Key] = field(default_factory=list)
    """Those of its latest analyses that no person has said to be none."""
    blockable: set[Key] = field(default_factory=set)
    """Those of them that show a contact which may be blocked."""
    tracks: list[TrackRow] = field(default_factory=list)
    """Clean-up and blocking of its adverts."""
    named: int = 0
    """Contacts that the report names."""
    contacts: list[ContactStanding] = field(default_factory=list)
    """Those of them that are resources."""

    @property
    def found(self) -> bool:
        """Whether there is anything to act on."""
        return bool(self.adverts or self.named)


def standings(session: Session, report_ids: Iterable[str]) -> dict[str, Standing]:
    """Where some reports stand, with a few queries for all of them."""
    wanted = list(dict.fromkeys(report_ids))
    found = {report_id: Standing() for report_id in wanted}
    for start in range(0, len(wanted), _MOST_IN):
        part = wanted[start : start + _MOST_IN]
        counts = select(ReportPhotoRow.report_id, func.count()).where(ReportPhotoRow.report_id.in_(part))
        for report_id, count in session.execute(counts.group_by(ReportPhotoRow.report_id)):
            found[report_id].pictures = count
        _adverts(session, part, found)
        _contacts(session, part, found)
    return found


def _adverts(session: Session, part: Sequence[str], found: dict[str, Standing]) -> None:
    rows = select(ReportPhotoRow.report_id, PhotoRow.sha256, AdvertRow.number, AdvertRow.id)
    rows = rows.join(PhotoRow, PhotoRow.sha256 == ReportPhotoRow.sha256)
    rows = rows.join(AnalysisRow, (AnalysisRow.photo_id == PhotoRow.id) & AnalysisRow.latest)
    rows = rows.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id).where(ReportPhotoRow.report_id.in_(part))
    rows = rows.order_by(ReportPhotoRow.report_id, ReportPhotoRow.number, AdvertRow.number)
    listed = [(report_id, (sha256, number), advert) for report_id, sha256, number, advert in session.execute(rows)]
    keys = {key for _, key, _ in listed}
    tracks = tracks_of(session, keys)
    none = _not_adverts(session, keys, tracks)
    blockable = _blockable(session, {advert for _, _, advert in listed})
    for report_id, key, advert in listed:
        if key in none:
            continue
        stands = found[report_id]
        stands.adverts.append(key)
        stands.tracks += [row for row in tracks[key] if row.track != Track.INVESTIGATION]
        if advert in blockable:
            stands.blockable.add(key)


def _not_adverts(session: Session, keys: set[Key], tracks: Mapping[Key, Sequence[TrackRow]]) -> set[Key]:
    """The adverts that are none by the word that stands, or that nothing can be done with, and whose walls nobody cleans."""
    cleaned = {key for key in keys for row in tracks[key] if row.track == Track.CLEANUP and row.state != START}
    return {key for key, review in standing(reviews_of(session, keys)).items() if review.word in _NO_ADVERT} - cleaned


def _blockable(session: Session, adverts: set[int]) -> set[int]:
    numbers, found = sorted(adverts), set()
    for start in range(0, len(numbers), _MOST_IN):
        rows = select(IdentifierRow.advert_id, IdentifierRow.flags)
        rows = rows.where(IdentifierRow.advert_id.in_(numbers[start : start + _MOST_IN]))
        found |= {advert for advert, flags in session.execute(rows) if not _NEVER_BLOCKED & set(flags)}
    return found


def _contacts(session: Session, part: Sequence[str], found: dict[str, Standing]) -> None:
    since = select(func.max(ResourceEventRow.at)).where(ResourceEventRow.resource_id == ResourceRow.id).scalar_subquery()
    rows = select(ReportContactRow.report_id, ResourceRow.state, since)
    same = (ResourceRow.kind == ReportContactRow.kind) & (ResourceRow.value == ReportContactRow.value)
    rows = rows.outerjoin(ResourceRow, same).where(ReportContactRow.report_id.in_(part)).order_by(ReportContactRow.number)
    for report_id, state, at in session.execute(rows):
        stands = found[report_id]
        stands.named += 1
        if state is not None and at is not None:
            stands.contacts.append(ContactStanding(ResourceState(state), at))
