"""Evidence packs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from ...contract import TagtraceError
from ...linking.store import audit, casefile
from ...linking.store.clusters import read_book
from .. import pictures
from ..access import Principal, Role, allow
from ..evidence import pack
from ..evidence.pdf import Lang
from ..problems import ProblemError, problems
from ..state import ServiceState, StateDep
from .pictures import covered, quad_of
from .register import Name, Number, missing

router = APIRouter(prefix="/v1", tags=["evidence"])
Reader = Annotated[Principal, allow(Role.ANALYST, Role.EXPERT)]
_MOST_ORIGINALS = 30
_ZIP: dict[int | str, dict[str, Any]] = {
    **problems(401, 403, 404, 422, 429),
    200: {"description": "The pack.", "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
}
_Originals = Annotated[bool, Query(description="Also the photos as received (at most 30); for experts.")]


@router.get("/resources/{resource}/evidence", summary="Evidence of a resource", responses=_ZIP, response_class=Response)
def of_resource(
    state: StateDep, reader: Reader, resource: Number, lang: Lang = Lang.RU, originals: _Originals = False
) -> Response:
    """A ZIP with PDF and JSON: hashes of photos, times, place, readings with models, decisions, the audit chain."""
    with state.store.read() as session:
        try:
            case = casefile.of_resource(session, resource)
        except TagtraceError as error:
            raise missing("resource", str(resource)) from error
    return _pack(state, reader, case, lang, originals)


@router.get("/clusters/{cluster}/evidence", summary="Evidence of a cluster", responses=_ZIP, response_class=Response)
def of_cluster(state: StateDep, reader: Reader, cluster: Name, lang: Lang = Lang.RU, originals: _Originals = False) -> Response:
    """As that of a resource, for all sightings of one physical advert."""
    with state.store.read() as session:
        book = read_book(session)
        try:
            found = book.cluster(cluster)
        except TagtraceError as error:
            raise missing("cluster", cluster) from error
        case = casefile.of_cluster(session, found.id, [sighting.key for sighting in book.sightings(found.id)])
    return _pack(state, reader, case, lang, originals)


def _pack(state: ServiceState, reader: Principal, case: Mapping[str, Any], lang: Lang, originals: bool) -> Response:
    if originals and Role.EXPERT not in reader.roles:
        raise ProblemError(403, "Photos as received are for experts; leave out `originals`.", "forbidden")

    def picture_of(sha256: str, quad: list[Any]) -> bytes | None:
        if sha256 not in state.photos:
            return None
        pixels = covered(state, sha256, [quad])
        return pictures.jpeg(pictures.crop(pixels, quad_of(quad), state.settings.crop_px))

    photos = list(dict.fromkeys(advert["photo"]["sha256"] for advert in case["adverts"]))[:_MOST_ORIGINALS] if originals else []
    kept = {sha256: state.photos.get(sha256) for sha256 in photos if sha256 in state.photos}
    data, digest = pack.build(case, picture_of, kept, reader.actor, lang, state.settings.local_timezone)

    def note(session: Any) -> None:
        audit.note(session, "evidence.pack", f"pack {digest}", {"manifest": digest, **case["subject"], "originals": len(kept)})
        for sha256 in kept:
            audit.note(session, "photo.original", f"photo {sha256}", {"pack": digest})

    state.store.write(note, reader.actor)
    headers = {"Content-Disposition": f'attachment; filename="evidence-{digest[:12]}.zip"'}
    return Response(data, media_type="application/zip", headers=headers)
