"""The map: sightings and hot spots over time. It works without a street background."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, cast

import h3
from fastapi import Query, Response
from fastapi.responses import JSONResponse

from ...linking.store.sights import Sight, find_sights
from .advert_view import key_of
from .pages import ReaderDesk, desk_router

router = desk_router()
MOST_POINTS = 5000
"""Sightings on one map, the newest ones."""
RESOLUTIONS = (5, 7, 9)
"""Of the h3 cells, for maps of the country, of a city and of streets: about 250, 5 and 0.1 km² each."""
_MOST_DAYS = 3650
_LISTED = 15


@router.get("/map")
def show_map(desk: ReaderDesk, days: Annotated[int, Query(ge=1, le=_MOST_DAYS)] = 365, shop: str = "") -> Response:
    """All sightings of some days, or of one shop, with a list of the hot spots beside the map."""
    with desk.state.store.read() as session:
        sights = find_sights(session, shop_id=shop or None, since=_since(days), placed=True, limit=MOST_POINTS)
    return desk.page("map.html", days=days, shop=shop, spots=hot_spots(sights)[:_LISTED], count=len(sights), most=MOST_POINTS)


@router.get("/map.json")
def map_data(
    desk: ReaderDesk,
    days: Annotated[int, Query(ge=1, le=_MOST_DAYS)] = _MOST_DAYS,
    shop: str = "",
    cluster: str = "",
    advert: str = "",
) -> Response:
    """Points and cells for the map's script: a point is a place, a day, a cluster, a text and an address."""
    with desk.state.store.read() as session:
        sights = find_sights(
            session,
            shop_id=shop or None,
            cluster=cluster or None,
            keys=[key_of(advert)] if advert else None,
            since=_since(days),
            placed=True,
            limit=MOST_POINTS,
        )
    points = [
        {
            "lat": round(float(sight.lat or 0), 6),
            "lon": round(float(sight.lon or 0), 6),
            "day": _day(sight.at),
            "cells": cells_of(sight),
            "known": bool(sight.shops),
            "state": sight.state,
            "text": ", ".join(value for _, value in sight.contacts[:3]) or desk.texts("advert.no_contacts"),
            "when": desk.texts.day(sight.at),
            "href": f"/desk/adverts/{sight.key[0]}-{sight.key[1]}",
        }
        for sight in sights
    ]
    names = {cell for point in points for cell in cast(list[str], point["cells"])}
    cells = {cell: [[round(lat, 6), round(lon, 6)] for lat, lon in h3.cell_to_boundary(cell)] for cell in sorted(names)}
    return JSONResponse({"points": points, "cells": cells})


def cells_of(sight: Sight) -> list[str]:
    """The cells of a sighting with a known place, from the largest to the smallest."""
    return [str(h3.latlng_to_cell(float(sight.lat or 0), float(sight.lon or 0), resolution)) for resolution in RESOLUTIONS]


def hot_spots(sights: list[Sight]) -> list[dict[str, object]]:
    """The cells with most sightings: their middle, how many sightings and walls, the last day, and the most frequent contact."""
    cells: dict[str, list[Sight]] = defaultdict(list)
    for sight in sights:
        cells[cells_of(sight)[-1]].append(sight)
    found = []
    for cell, members in sorted(cells.items(), key=lambda item: (-len(item[1]), item[0])):
        lat, lon = h3.cell_to_latlng(cell)
        contacts = Counter(value for sight in members for _, value in sight.contacts)
        newest = max(members, key=lambda sight: sight.at)
        found.append(
            {
                "cell": cell,
                "lat": lat,
                "lon": lon,
                "sightings": len(members),
                "walls": len({sight.cluster or sight.key for sight in members}),
                "last": newest.at,
                "name": f"{newest.key[0]}-{newest.key[1]}",
                "contact": min(contacts, key=lambda value: (-contacts[value], value)) if contacts else "",
            }
        )
    return found


def _since(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def _day(at: datetime) -> int:
    return int(at.timestamp() // 86_400)
