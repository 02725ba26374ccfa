"""Duplicate suggestions for a point, a photo that is known, or a contact; a person says whether they are the same."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ...contract import IdentifierKind
from ...linking.store import suggesting
from ..problems import InvalidField, ProblemError, problems
from ..state import StateDep
from .decisions import Contact, canonical
from .register import Reader, missing

router = APIRouter(prefix="/v1/suggestions", tags=["suggestions"])
_BITS = 10
"""Bits of 64 in which the hashes of two pictures of one wall may differ to be suggested."""


class SuggestionView(BaseModel):
    """An advert that may be the same."""

    advert: str
    cluster: str | None
    reasons: list[str]
    metres: float | None
    crop: str = Field(description="Where its picture is, faces and number plates blurred.")


@router.get("", summary="What may be a duplicate", responses=problems(401, 403, 404, 422, 429))
def suggest(
    state: StateDep,
    _: Reader,
    lat: Annotated[float | None, Query(ge=-90, le=90)] = None,
    lon: Annotated[float | None, Query(ge=-180, le=180)] = None,
    within_m: Annotated[float, Query(gt=0, le=5000, description="Metres around the point.")] = 150,
    photo: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of a photo that was sent in.")] = None,
    kind: IdentifierKind | None = None,
    value: Annotated[str | None, Query(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 12,
) -> list[SuggestionView]:
    """One advert of each cluster; what several reasons speak for comes first. Give a point, a photo, a contact, or several."""
    if (lat is None) != (lon is None) or (kind is None) != (value is None) or (lat is None and photo is None and kind is None):
        wrong = InvalidField(field="query", message="give lat and lon, photo, or kind and value")
        raise ProblemError(422, "These values are wrong: query.", "invalid-values", errors=[wrong])
    contact = None if kind is None or value is None else canonical(Contact(kind=kind, value=value), "query.value")
    found: list[suggesting.Suggestion] = []
    with state.store.read() as session:
        if contact is not None:
            found += suggesting.showing(session, *contact, limit)
        if photo is not None:
            known = suggesting.picture_of(session, photo)
            if known is None:
                raise missing("photo", photo)
            lat, lon = (known[1], known[2]) if lat is None else (lat, lon)
            if known[0] is not None:
                found += suggesting.looking_like(session, known[0], _BITS, limit + 1)
        if lat is not None and lon is not None:
            found += suggesting.near(session, lat, lon, within_m, limit + 1)
    return _joined([item for item in found if item.key[0] != photo], state.settings.public_url)[:limit]


def _joined(found: list[suggesting.Suggestion], url: str) -> list[SuggestionView]:
    views: dict[str, SuggestionView] = {}
    for item in found:
        key = f"{item.key[0]}-{item.key[1]}"
        view = views.setdefault(
            item.cluster or key,
            SuggestionView(
                advert=key, cluster=item.cluster or None, reasons=[], metres=None, crop=f"{url}/v1/adverts/{key}/crop"
            ),
        )
        view.reasons.append(item.reason)
        view.metres = item.metres if view.metres is None else view.metres
    return sorted(views.values(), key=lambda view: -len(view.reasons))
