"""Pictures: derivatives for whoever may see an advert, originals for experts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from ...contract import Failure, Image
from ...inference.decode import DecodeSettings, decode
from ...linking.store import audit, lists
from .. import pictures
from ..access import Principal, Role, allow
from ..problems import ProblemError, problems
from ..state import ServiceState, StateDep
from .register import AdvertKey, Reader, missing, one_advert

router = APIRouter(prefix="/v1", tags=["pictures"])
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Expert = Annotated[Principal, allow(Role.EXPERT)]
_JPEG: dict[int | str, dict[str, Any]] = {
    **problems(401, 403, 404, 422, 429),
    200: {"description": "The picture.", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
}
_ANY: dict[int | str, dict[str, Any]] = {
    **_JPEG,
    200: {
        "description": "The file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}


@router.get("/photos/{sha256}/picture", summary="A photo to look at", responses=_JPEG, response_class=Response)
def picture(state: StateDep, _: Reader, sha256: Sha256) -> Response:
    """Without EXIF, faces and number plates blurred, made smaller."""
    with state.store.read() as session:
        if lists.photo(session, sha256) is None:
            raise missing("photo", sha256)
        quads = [item.quad for item in lists.adverts(session, lists.AdvertFilter(photo=sha256), None, 1000)]
    return _jpeg(pictures.shrink(covered(state, sha256, quads), state.settings.picture_px))


@router.get("/adverts/{key}/crop", summary="An advert to look at", responses=_JPEG, response_class=Response)
def crop(state: StateDep, _: Reader, key: AdvertKey) -> Response:
    """The advert with some wall around it; without EXIF, faces and number plates blurred."""
    with state.store.read() as session:
        found = one_advert(session, key)
    pixels = covered(state, found.key[0], [found.quad])
    return _jpeg(pictures.crop(pixels, quad_of(found.quad), state.settings.crop_px))


@router.get("/photos/{sha256}/original", summary="A photo as received", responses=_ANY, response_class=Response)
def original(state: StateDep, expert: Expert, sha256: Sha256) -> Response:
    """Byte by byte, with EXIF. Who takes it goes into the audit log before it is given."""
    with state.store.read() as session:
        if lists.photo(session, sha256) is None:
            raise missing("photo", sha256)
    data = stored(state, sha256)
    state.store.write(lambda session: audit.note(session, "photo.original", f"photo {sha256}"), expert.actor)
    headers = {"Content-Disposition": f'attachment; filename="{sha256}"', "Content-Security-Policy": "sandbox"}
    return Response(data, media_type="application/octet-stream", headers=headers)


def stored(state: ServiceState, sha256: str) -> bytes:
    """The bytes of a photo. ``ProblemError`` 404 where they are not kept (any more)."""
    if sha256 not in state.photos:
        raise ProblemError(404, "The picture of this photo is not kept here.", "no-picture")
    return state.photos.get(sha256)


def covered(state: ServiceState, sha256: str, adverts: list[Any]) -> Image:
    """A photo, upright, with faces and number plates blurred. ``ProblemError`` 404 where it is not kept or cannot be decoded."""
    found = decode(stored(state, sha256), sha256, DecodeSettings(max_pixels=state.settings.max_pixels))
    if isinstance(found, Failure):
        raise ProblemError(404, "The picture of this photo cannot be shown.", "no-picture")
    return pictures.cover(found.pixels, sha256, [quad_of(quad) for quad in adverts]).pixels


def quad_of(points: list[Any]) -> Any:
    """The corners of an advert as the store has them."""
    return tuple((float(x), float(y)) for x, y in points)


def _jpeg(pixels: Image) -> Response:
    return Response(pictures.jpeg(pixels), media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})
