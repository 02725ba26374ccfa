"""From the analyses of all photos to results: who the shops are, and which photos show the same advert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..contract import Advert, Analysis, Failure, Flag, Identifier, Link, Outcome
from ..linking.clusters import ClusterSettings, Sighting, box_of, place
from ..linking.shops import LinkSettings, Shops, advert_shop, link_advert
from .inputs import Item
from .records import AdvertResult, Json, PhotoResult, analysis_from_json


@dataclass(frozen=True, slots=True)
class PlacingSettings:
    """What becomes of identifiers that are too unsure to be reported by themselves."""

    confirmed_from: float = 0.9
    """Probability of a link ``same`` from which on the register confirms an unsure identifier."""


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
    analyses: Sequence[tuple[Analysis, int | None]],
    shops: Shops,
    links: LinkSettings,
    clusters: ClusterSettings,
    placing: PlacingSettings | None = None,
) -> list[PhotoResult]:
    """Link every identifier and cluster every advert of the run; one result per analysis, in order.

    Unsure identifiers stay only where the register confirms them: see ``PlacingSettings``.
    """
    placing = placing or PlacingSettings()
    decided = [[_linked(advert, shops, links, placing) for advert in analysis.adverts] for analysis, _ in analyses]
    analyses = [
        (replace(analysis, adverts=tuple(advert for advert, _ in found)), shape)
        for (analysis, shape), found in zip(analyses, decided, strict=True)
    ]
    linked = [[links_of for _, links_of in found] for found in decided]
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


def _linked(advert: Advert, shops: Shops, settings: LinkSettings, placing: PlacingSettings) -> tuple[Advert, tuple[Link, ...]]:
    """An advert with the identifiers that are to be reported, and their links."""
    found = link_advert(advert, shops, settings)
    kept = [
        (_confirmed(identifier, link), link)
        for identifier, link in zip(advert.identifiers, found, strict=True)
        if Flag.UNSURE not in identifier.flags or (link.outcome is Outcome.SAME and link.probability >= placing.confirmed_from)
    ]
    return replace(advert, identifiers=tuple(identifier for identifier, _ in kept)), tuple(link for _, link in kept)


def _confirmed(identifier: Identifier, link: Link) -> Identifier:
    """An unsure identifier that the register confirms is as probable as its link."""
    if Flag.UNSURE not in identifier.flags:
        return identifier
    flags = tuple(flag for flag in identifier.flags if flag is not Flag.UNSURE)
    return replace(identifier, confidence=link.probability, flags=flags)
