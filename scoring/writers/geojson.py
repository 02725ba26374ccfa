"""Adverts as points on a map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ..records import Json, PhotoResult, dump, time_to_json
from .batch import Batch, advert_confidence, advert_text, linked, shop_of


def write_geojson(batch: Batch, file: BinaryIO) -> None:
    """``adverts.geojson`` (RFC 7946, longitude first): a point for each advert whose photo has a position."""
    before, _, after = dump({"type": "FeatureCollection", "features": []}).partition("[]")
    file.write(f"{before}[".encode())
    comma = b""
    for result in batch.results:
        for feature in _features(batch, result):
            file.write(comma + dump(feature).encode())
            comma = b","
    file.write(f"]{after}\n".encode())


def _features(batch: Batch, result: PhotoResult) -> Iterator[Json]:
    analysis = result.analysis
    if analysis.lat is None or analysis.lon is None:
        return
    for index, advert in enumerate(result.adverts):
        shop = shop_of(advert)
        yield {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [round(analysis.lon, 7), round(analysis.lat, 7)]},
            "properties": {
                "file": analysis.name,
                "advert": index,
                "text": advert_text(advert),
                "identifiers": [f"{identifier.kind}:{identifier.value}" for identifier, _ in linked(advert)],
                "confidence": round(advert_confidence(advert), 4),
                "shop_id": shop,
                "shop_name": batch.shop_name(shop) or None,
                "cluster": advert.placement.cluster,
                "shop_cluster": advert.placement.shop_cluster,
                "taken_at": None if analysis.taken_at is None else time_to_json(analysis.taken_at),
            },
        }
