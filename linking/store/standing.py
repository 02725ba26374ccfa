"""Where reports stand: what became of the adverts and contacts in them, for what citizens are told. Never investigations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...contract import Flag
from ..life import ResourceState
from ..sightings import Key
from .report_tables import ReportContactRow, ReportPhotoRow, TrackRow
from .reviews import CLOSING, Word, reviews_of
from .tables import AdvertRow, AnalysisRow, IdentifierRow, PhotoRow, ResourceEventRow, ResourceRow
from .tracks import Track, tracks_of

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
    none, tracks = _not_adverts(session, keys), tracks_of(session, keys)
    blockable = _blockable(session, {advert for _, _, advert in listed})
    for report_id, key, advert in listed:
        if key in none:
            continue
        standing = found[report_id]
        standing.adverts.append(key)
        standing.tracks += [row for row in tracks[key] if row.track != Track.INVESTIGATION]
        if advert in blockable:
            standing.blockable.add(key)


def _not_adverts(session: Session, keys: set[Key]) -> set[Key]:
    """The adverts of which the last word that stands is that they are none, or that nothing can be done with them."""
    words: dict[Key, list[Word]] = {}
    for review in reviews_of(session, keys):
        said = words.setdefault(review.key, [])
        if review.word is Word.UNDONE:
            if said:
                said.pop()
        elif review.word in CLOSING:
            said.append(review.word)
    return {key for key, said in words.items() if said and said[-1] in _NO_ADVERT}


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
        standing = found[report_id]
        standing.named += 1
        if state is not None and at is not None:
            standing.contacts.append(ContactStanding(ResourceState(state), at))
