"""Adverts as points on a map."""

from __future__ import annotations

from typing import BinaryIO

from ..records import Json, dump, time_to_json
from .batch import Batch, advert_confidence, advert_text, linked, shop_of


def write_geojson(batch: Batch, file: BinaryIO) -> None:
    """``adverts.geojson`` (RFC 7946, longitude first): a point for each advert whose photo has a position."""
    features: list[Json] = []
    for result in batch.results:
        analysis = result.analysis
        if analysis.lat is None or analysis.lon is None:
            continue
        for index, advert in enumerate(result.adverts):
            shop = shop_of(advert)
            features.append(
                {
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
            )
    file.write(dump({"type": "FeatureCollection", "features": features}).encode() + b"\n")
