"""Districts: polygons of a GeoJSON file, or h3 cells where no file is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import h3
from shapely import STRtree
from shapely.errors import ShapelyError
from shapely.geometry import Point, shape

from ..contract import TagtraceError
from .settings_data import DataSettings


def district_of(settings: DataSettings) -> Callable[[float, float], str]:
    """What names the district of a place (latitude, longitude in degrees)."""
    if settings.districts:
        return _polygons(settings.districts)
    return lambda lat, lon: str(h3.latlng_to_cell(lat, lon, settings.district_resolution))


@lru_cache(maxsize=4)
def _polygons(path: str) -> Callable[[float, float], str]:
    try:
        features = json.loads(Path(path).read_text(encoding="utf-8"))["features"]
        names = [str(feature["properties"]["name"]) for feature in features]
        shapes = [shape(feature["geometry"]) for feature in features]
    except (OSError, ValueError, KeyError, TypeError, ShapelyError) as error:
        raise TagtraceError(f"{path}: no GeoJSON of polygons with the property name ({error!r})") from error
    tree = STRtree(shapes)

    def name_of(lat: float, lon: float) -> str:
        found = sorted(int(number) for number in tree.query(Point(lon, lat), predicate="intersects"))
        return names[found[0]] if found else ""

    return name_of
