"""The page of one advert, its pictures, and two adverts beside each other."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from fastapi import Response

from ...linking.store.loading import latest_analysis
from ...linking.store.sights import near_clusters
from ..problems import ProblemError
from . import pictures
from .advert_view import compare, key_of, load_view, names_of
from .pages import Desk, ReaderDesk, desk_router

router = desk_router()
_MOST_OTHERS = 12
_NO_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 120" width="480" height="120" font-family="sans-serif">'
    '<rect width="480" height="120" fill="#8d98a5"/>'
    '<text x="240" y="66" text-anchor="middle" font-size="18" fill="#101820">{words}</text></svg>'
)
_KEEP = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": "default-src 'none'"}


@router.get("/adverts/{name}")
def show_advert(desk: ReaderDesk, name: str) -> Response:
    """An advert with everything that is known of it."""
    with desk.state.store.read() as session:
        view = load_view(session, key_of(name))
        others = near_clusters(session, view.key, _MOST_OTHERS)
        names = names_of(session)
    return desk.page("advert.html", view=view, others=others, names=names)


@router.get("/adverts/{name}/beside/{other}")
def show_beside(desk: ReaderDesk, name: str, other: str) -> Response:
    """Two adverts beside each other, with the points that agree."""
    with desk.state.store.read() as session:
        first, second = load_view(session, key_of(name)), load_view(session, key_of(other))
        pair = compare(session, first.key, second.key)
    return desk.page("beside.html", first=first, second=second, pair=pair)


@router.get("/photos/{name}.jpg")
def show_photo(desk: ReaderDesk, name: str) -> Response:
    """A photo as a derivative: smaller, without metadata."""
    key = key_of(f"{name}-0")
    return _picture(desk, lambda: pictures.photo(desk.state, key[0]))


@router.get("/adverts/{name}/crop.jpg")
def show_crop(desk: ReaderDesk, name: str) -> Response:
    """The advert made straight."""
    return _crop(desk, name, pictures.SETTINGS.crop_side)


@router.get("/adverts/{name}/small.jpg")
def show_small(desk: ReaderDesk, name: str) -> Response:
    """The advert made straight, small."""
    return _crop(desk, name, pictures.SETTINGS.small_side)


@router.get("/adverts/{name}/lines/{number}.jpg")
def show_line(desk: ReaderDesk, name: str, number: int) -> Response:
    """One line of an advert made straight."""
    key = key_of(name)
    with desk.state.store.read() as session:
        analysis = latest_analysis(session, key[0])
    if analysis is None or key[1] >= len(analysis.adverts) or not 0 <= number < len(analysis.adverts[key[1]].lines):
        raise ProblemError(404, "There is no such line.")
    quad = analysis.adverts[key[1]].lines[number].quad
    return _picture(desk, lambda: pictures.line(desk.state, key[0], quad))


@router.get("/adverts/{name}/beside/{other}/{side}.jpg")
def show_side(desk: ReaderDesk, name: str, other: str, side: int) -> Response:
    """One of two adverts as its picture features saw it."""
    with desk.state.store.read() as session:
        pair = compare(session, key_of(name), key_of(other))
    if pair.sides is None or side not in (0, 1):
        raise ProblemError(404, "These two adverts cannot be compared.")
    seen = pair.sides[side]
    return _picture(desk, lambda: pictures.upright(desk.state, seen.key[0], seen.quad, seen.width, seen.height))


def _crop(desk: Desk, name: str, side: int) -> Response:
    key = key_of(name)
    with desk.state.store.read() as session:
        analysis = latest_analysis(session, key[0])
    if analysis is None or key[1] >= len(analysis.adverts):
        raise ProblemError(404, "There is no such advert.")
    return _picture(desk, lambda: pictures.crop(desk.state, key[0], pictures.turned(analysis.adverts[key[1]]), side))


def _picture(desk: Desk, make: Callable[[], bytes]) -> Response:
    """A picture, or words in its place where the photo is not kept here (scored from a folder, or erased)."""
    try:
        return Response(make(), media_type=pictures.MEDIA_TYPE, headers=_KEEP)
    except ProblemError as problem:
        if problem.kind != pictures.NOT_KEPT:
            raise
        words = escape(desk.texts("advert.no_picture"))
        body = _NO_PICTURE.format(words=words)
        return Response(body, media_type="image/svg+xml", headers={**_KEEP, "Cache-Control": "no-store"})
