"""``/v1/adverts/{advert}/tracks``: clean-up, blocking, investigation. None closes another; the citizen's status follows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from ..linking.store import tracks as rows
from ..linking.store.reports import now_utc
from ..linking.store.tracks import Move, Track
from .access import Principal, Role, Scope, allow
from .problems import ProblemError, problems
from .reports.fields import Words
from .reports.models import TrackView
from .reports.view import track_view
from .state import StateDep

router = APIRouter(prefix="/v1/adverts", tags=["tracks"])
Reader = Annotated[
    Principal, allow(Role.INTAKE, Role.ANALYST, Role.EXPERT, Role.ADMINISTRATOR, Scope.REGISTER_READ, Scope.TRACKS_WRITE)
]
Mover = Annotated[Principal, allow(Role.EXPERT, Role.INTAKE, Scope.TRACKS_WRITE)]
Advert = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}-[0-9]{1,4}$", description="SHA-256 of the photo, `-`, number of the advert.")
]


class TrackMove(BaseModel):
    """A step on a track."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(max_length=16, description="The state that the track goes to.")
    note: Words = Field(default="", max_length=2000)
    responsible: Words | None = Field(default=None, max_length=200)
    due: datetime | None = Field(default=None, description="When the next step is due; with an offset, or in UTC.")
    photo: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the photo that shows it.")
    whole_cluster: bool = Field(
        default=True, description="For clean-up: also the other photos of the same inscription, where they stand the same."
    )


class TrackStep(BaseModel):
    """What happened on a track."""

    from_state: str | None
    to_state: str
    at: datetime
    actor: str
    note: str
    photo: str | None


@router.get("/{advert}/tracks", summary="The tracks of an advert", responses=problems(401, 403, 404, 422, 429))
def list_tracks(advert: Advert, state: StateDep, reader: Reader) -> list[TrackView]:
    """Where each track stands, since when, and who is responsible."""
    key = _key(advert)
    with state.store.read() as session:
        found = [track_view(row) for row in rows.tracks_of(session, [key])[key]]
    if not found:
        raise ProblemError(404, "There is no such advert.", "advert-not-found")
    return found


@router.get("/{advert}/tracks/{track}", summary="The steps of a track", responses=problems(401, 403, 404, 422, 429))
def list_steps(advert: Advert, track: Track, state: StateDep, reader: Reader) -> list[TrackStep]:
    """The oldest first."""
    with state.store.read() as session:
        steps = rows.steps_of(session, _key(advert), track)
        found = [TrackStep(**{name: getattr(row, name) for name in TrackStep.model_fields}) for row in steps]
    if not found:
        raise ProblemError(404, "There is no such advert.", "advert-not-found")
    return found


@router.post("/{advert}/tracks/{track}", summary="Move a track", responses=problems(400, 401, 403, 404, 409, 413, 422, 429))
def move(advert: Advert, track: Track, step: TrackMove, state: StateDep, mover: Mover) -> list[TrackView]:
    """409 where the step is not allowed from where the track stands. Blocking follows the resources and is not moved by hand."""
    key, now = _key(advert), now_utc()
    due = step.due if step.due is None or step.due.tzinfo is not None else step.due.replace(tzinfo=UTC)
    if due is not None and not now.year - 1 <= due.year <= now.year + 10:
        raise ProblemError(422, "These values are wrong: due.", "invalid-values")
    made = Move(step.to, step.note, step.responsible, due, step.photo)

    def change(session: Any) -> list[TrackView]:
        held = rows.tracks_of(session, [key])[key]
        if not held:
            raise ProblemError(404, "There is no such advert.", "advert-not-found")
        before = next(row.state for row in held if row.track == track)
        together = rows.same_place(session, key) if track is Track.CLEANUP and step.whole_cluster else [key]
        others = rows.tracks_of(session, together)
        for other in together:
            if other == key or any(row.track == track and row.state == before for row in others[other]):
                rows.move(session, other, track, made, now)
        return [track_view(row) for row in rows.tracks_of(session, [key])[key]]

    return state.store.write(change, mover.actor)


def _key(advert: str) -> tuple[str, int]:
    photo, _, number = advert.partition("-")
    return photo, int(number)
