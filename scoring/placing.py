"""From the analyses of all photos to results: who the shops are, and which photos show the same advert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..contract import Analysis, Failure
from ..linking.clusters import ClusterSettings, Sighting, box_of, place
from ..linking.shops import LinkSettings, Shops, advert_shop, link_advert
from .inputs import Item
from .records import AdvertResult, Json, PhotoResult, analysis_from_json


def analysis_of(item: Item, record: Json | None) -> tuple[Analysis, int | None]:
    """The analysis of one item and its picture hash: the record of its bytes, with the item's own name and manifest facts."""
    if record is None:
        analysis = Analysis(item.name, "", 0, 0, failure=item.failure)
        picture_hash = None
    else:
        analysis, picture_hash = analysis_from_json(record)
    failure = analysis.failure
    if failure is not None and analysis.name != item.name:
        # The same bytes may have been analysed under another name.
        failure = Failure(failure.code, failure.message.replace(analysis.name, item.name, 1))
    placed = item.lat is not None
    analysis = replace(
        analysis,
        name=item.name,
        failure=failure,
        lat=item.lat if placed else analysis.lat,
        lon=item.lon if placed else analysis.lon,
        taken_at=item.taken_at or analysis.taken_at,
        report_id=item.report_id or analysis.report_id,
    )
    return analysis, picture_hash


def place_all(
    analyses: Sequence[tuple[Analysis, int | None]], shops: Shops, links: LinkSettings, clusters: ClusterSettings
) -> list[PhotoResult]:
    """Link every identifier and cluster every advert of the run; one result per analysis, in order."""
    linked = [[link_advert(advert, shops, links) for advert in analysis.adverts] for analysis, _ in analyses]
    sightings = [
        Sighting(
            photo=analysis.sha256,
            advert=index,
            identifiers=advert.identifiers,
            shop_id=advert_shop(linked[number][index]),
            lat=analysis.lat,
            lon=analysis.lon,
            picture_hash=picture_hash,
            box=box_of(advert.quad, analysis.width, analysis.height),
        )
        for number, (analysis, picture_hash) in enumerate(analyses)
        for index, advert in enumerate(analysis.adverts)
    ]
    placements = iter(place(sightings, clusters))
    return [
        PhotoResult(
            analysis,
            picture_hash,
            tuple(AdvertResult(advert, linked[number][index], next(placements)) for index, advert in enumerate(analysis.adverts)),
        )
        for number, (analysis, picture_hash) in enumerate(analyses)
    ]
