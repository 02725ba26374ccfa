"""The tracks of adverts in the store: clean-up, blocking of its resources, investigation. None of them closes another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import Session

from ...contract import IdentifierKind, TagtraceError
from ..life import ResourceState
from ..sightings import Key
from .audit import actor_of, note
from .cluster_tables import BundleRow, SightingRow
from .report_tables import TrackEventRow, TrackRow
from .reports import add_event, announce, reports_showing
from .tables import AdvertRow, AnalysisRow, IdentifierRow, LinkRow, PhotoRow, ResourceRow

_MOST_IN = 400


class Track(StrEnum):
    """What can be done about an advert."""

    CLEANUP = "cleanup"
    BLOCKING = "blocking"
    INVESTIGATION = "investigation"


STEPS: Final[Mapping[Track, Mapping[str, frozenset[str]]]] = MappingProxyType(
    {
        Track.CLEANUP: {
            "open": frozenset({"ordered", "painted", "not_needed"}),
            "ordered": frozenset({"painted", "open", "not_needed"}),
            "painted": frozenset({"back_again"}),
            "back_again": frozenset({"ordered", "painted", "not_needed"}),
            "not_needed": frozenset({"open"}),
        },
        Track.BLOCKING: {
            "open": frozenset({"verified", "sent", "blocked", "rejected"}),
            "verified": frozenset({"open", "sent", "blocked", "rejected"}),
            "sent": frozenset({"open", "verified", "blocked", "rejected"}),
            "blocked": frozenset({"open", "verified", "sent", "restored"}),
            "restored": frozenset({"open", "verified", "sent", "blocked", "rejected"}),
            "rejected": frozenset({"open", "verified", "sent", "blocked"}),
        },
        Track.INVESTIGATION: {
            "open": frozenset({"assigned", "not_needed"}),
            "assigned": frozenset({"running", "open", "not_needed"}),
            "running": frozenset({"handed_over", "closed", "assigned"}),
            "handed_over": frozenset({"closed", "running"}),
            "closed": frozenset({"running"}),
            "not_needed": frozenset({"open"}),
        },
    }
)
"""The states that may follow each state. Blocking follows the resources of the advert and is not moved by hand."""
START: Final = "open"
_FURTHEST: Final = ("blocked", "sent", "verified", "open", "restored", "rejected")
"""Of several resources the one that stands first here says where the advert stands."""
_OF_RESOURCE: Final = MappingProxyType({state: str(state) for state in ResourceState} | {ResourceState.IDENTIFIED: START})


@dataclass(frozen=True, slots=True)
class Move:
    """A step on a track. ``photo`` is the SHA-256 of the picture that shows it; ``due`` when the next step is due."""

    to: str
    note: str = ""
    responsible: str | None = None
    due: datetime | None = None
    photo: str | None = None


def begin(session: Session, key: Key, now: datetime) -> None:
    """Begin the tracks of an advert; those that have begun stay as they are."""
    held = set(session.scalars(select(TrackRow.track).where(TrackRow.photo == key[0], TrackRow.advert == key[1])))
    for track in Track:
        if track in held:
            continue
        row = TrackRow(photo=key[0], advert=key[1], track=track, state=START, since=now)
        session.add(row)
        session.flush()
        session.add(TrackEventRow(track_id=row.id, to_state=START, at=now, actor=actor_of(session)))
    follow(session, [key], now)


def move(session: Session, key: Key, track: Track, step: Move, now: datetime) -> None:
    """Take an advert a step further by a person's word. Raises ``TagtraceError`` where the step is not allowed or incomplete."""
    if track is Track.BLOCKING:
        raise TagtraceError("blocking follows the resources of the advert; record a step of the resource instead")
    row = _row(session, key, track)
    if step.to not in STEPS[track]:
        raise TagtraceError(f"{track}: there is no state {step.to}; choose from: {', '.join(STEPS[track])}")
    if step.to not in STEPS[track][row.state]:
        allowed = ", ".join(sorted(STEPS[track][row.state]))
        raise TagtraceError(f"{track}: is {row.state} and cannot become {step.to}; from there it can become {allowed}")
    if track is Track.INVESTIGATION and step.to == "assigned" and not (step.responsible or row.responsible):
        raise TagtraceError(f"{track}: cannot become assigned without somebody responsible")
    if step.responsible is not None:
        row.responsible = step.responsible
    row.due = step.due
    _step(session, row, step.to, now, step.note, step.photo)


def follow(session: Session, keys: Iterable[Key], now: datetime) -> None:
    """Bring the blocking track of adverts to where their resources stand."""
    for key in keys:
        rows = select(TrackRow).where(TrackRow.photo == key[0], TrackRow.advert == key[1], TrackRow.track == Track.BLOCKING)
        row = session.scalars(rows.with_for_update()).one_or_none()
        if row is None:
            continue
        states = {_OF_RESOURCE[ResourceState(state)] for state in session.scalars(_resource_states(key))}
        state = next((name for name in _FURTHEST if name in states), START)
        if state != row.state:
            _step(session, row, state, now, "follows its resources", None)


def follow_resource(session: Session, kind: IdentifierKind, value: str, now: datetime) -> None:
    """Bring the blocking track of every advert that shows a resource to where its resources stand."""
    rows = select(PhotoRow.sha256, AdvertRow.number).join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id)
    rows = rows.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id).join(
        IdentifierRow, IdentifierRow.advert_id == AdvertRow.id
    )
    rows = rows.outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    rows = rows.outerjoin(ResourceRow, ResourceRow.id == LinkRow.resource_id).where(AnalysisRow.latest)
    read = (IdentifierRow.kind == kind) & (IdentifierRow.value == value)
    linked = (ResourceRow.kind == kind) & (ResourceRow.value == value) & LinkRow.outcome.in_(("same", "misread"))
    keys = [(sha256, number) for sha256, number in session.execute(rows.where(read | linked).distinct())]
    follow(session, sorted(keys), now)


def _resource_states(key: Key) -> Select[str]:
    """The states of the resources that an advert's identifiers are, by themselves or by their links."""
    rows = select(ResourceRow.state).select_from(PhotoRow).join(AnalysisRow, AnalysisRow.photo_id == PhotoRow.id)
    rows = rows.join(AdvertRow, AdvertRow.analysis_id == AnalysisRow.id).join(
        IdentifierRow, IdentifierRow.advert_id == AdvertRow.id
    )
    rows = rows.outerjoin(LinkRow, LinkRow.identifier_id == IdentifierRow.id)
    own = (ResourceRow.kind == IdentifierRow.kind) & (ResourceRow.value == IdentifierRow.value)
    linked = (ResourceRow.id == LinkRow.resource_id) & LinkRow.outcome.in_(("same", "misread"))
    rows = rows.join(ResourceRow, own | linked)
    return rows.where(PhotoRow.sha256 == key[0], AdvertRow.number == key[1], AnalysisRow.latest).distinct()


def _row(session: Session, key: Key, track: Track) -> TrackRow:
    rows = select(TrackRow).where(TrackRow.photo == key[0], TrackRow.advert == key[1], TrackRow.track == track)
    row = session.scalars(rows.with_for_update()).one_or_none()
    if row is None:
        raise TagtraceError(f"{key[0][:12]}-{key[1]}: there is no such advert")
    return row


def _step(session: Session, row: TrackRow, to: str, now: datetime, words: str, photo: str | None) -> None:
    old, row.state, row.since = row.state, to, now
    actor = actor_of(session)
    session.add(TrackEventRow(track_id=row.id, from_state=old, to_state=to, at=now, actor=actor, note=words.strip(), photo=photo))
    what = {"track": row.track, "from": old, "to": to, "photo": photo}
    note(session, "track.state", f"advert {row.photo}-{row.advert}", what)
    session.flush()
    for report in reports_showing(session, row.photo):
        add_event(session, report.id, "track", {**what, "advert": row.advert}, now)
        # What is investigated is nobody's business outside.
        if row.track != Track.INVESTIGATION:
            told = {"event": "advert.track", "photo": row.photo, "advert": row.advert, "track": row.track, "state": to}
            announce(session, report, told, now)


def tracks_of(session: Session, keys: Iterable[Key]) -> dict[Key, list[TrackRow]]:
    """The tracks of adverts."""
    wanted = sorted(set(keys))
    found: dict[Key, list[TrackRow]] = {key: [] for key in wanted}
    for start in range(0, len(wanted), _MOST_IN):
        part = tuple_(TrackRow.photo, TrackRow.advert).in_(wanted[start : start + _MOST_IN])
        for row in session.scalars(select(TrackRow).where(part).order_by(TrackRow.id)):
            found[row.photo, row.advert].append(row)
    return found


def steps_of(session: Session, key: Key, track: Track) -> list[TrackEventRow]:
    """What happened on a track, the oldest first."""
    rows = select(TrackEventRow).join(TrackRow, TrackRow.id == TrackEventRow.track_id)
    rows = rows.where(TrackRow.photo == key[0], TrackRow.advert == key[1], TrackRow.track == track)
    return list(session.scalars(rows.order_by(TrackEventRow.id)))


def same_place(session: Session, key: Key) -> list[Key]:
    """All sightings of the physical advert that a sighting shows, itself among them."""
    own = select(BundleRow.cluster).join(SightingRow, SightingRow.bundle == BundleRow.id)
    own = own.where(SightingRow.photo == key[0], SightingRow.advert == key[1])
    rows = select(SightingRow.photo, SightingRow.advert).join(BundleRow, BundleRow.id == SightingRow.bundle)
    found = [(photo, advert) for photo, advert in session.execute(rows.where(BundleRow.cluster.in_(own)))]
    return sorted({*found, key})
