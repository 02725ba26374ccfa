"""From the analyses of all photos to results: which photos show the same advert, what they say together, who the shops are.

An advert that several photos show is read from all of them (``linking.together``). What one photo alone leaves in doubt is
reported when the register, the other photos of the advert, or the same contact on another wall confirms it. Where its picture
speaks for another, listed contact it stays as a proposal, still flagged unsure, for a person to confirm; else it is dropped.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rapidfuzz.distance import Levenshtein

from ..contract import Advert, Analysis, Failure, Flag, Identifier, IdentifierKind, Link, Outcome
from ..inference.identifiers import ExtractSettings
from ..linking.agreement import AgreementSettings, agree
from ..linking.clusters import ClusterSettings, Sighting, box_of, place
from ..linking.features import AdvertFeatures
from ..linking.pictures import distance
from ..linking.priors import View
from ..linking.shops import LinkSettings, Shops, advert_shop, decide, link_advert, weigh
from ..linking.together import ClusterReadSettings, read_photos
from ..linking.wording import spelt
from .inputs import Item
from .past import Joined, Past, StoredAdvert
from .records import AdvertResult, Json, PhotoResult, analysis_from_json

S = TypeVar("S", bound=tuple[object, int])
Spot = tuple[int, int]
"""An advert of the run: the number of its photo and its number in it."""
_RIVALS = 0.5
"""Least similarity (1 - edit distance / length) of two readings of one contact."""
FeaturesOf = Callable[[str, int], AdvertFeatures | None]
"""The picture features of an advert by the SHA-256 of its photo and its number in it; None where there are none."""


@dataclass(frozen=True, slots=True)
class PlacingSettings:
    """What becomes of identifiers that are too unsure to be reported by themselves."""

    confirmed_from: float = 0.9
    """Probability of a link ``same`` from which on the register confirms an unsure identifier."""
    proposed_from: float = 0.5
    """Probability of a link ``misread`` from which on an unsure identifier is kept as a proposal.

    Nothing is linked below 0.5 either (``LinkSettings.review_above``): on generated walls no such link was wrong."""
    clear_from: float = 0.9
    """What one photo shows so surely stays when the photos of its cluster together are in doubt."""
    extract: ExtractSettings = field(default_factory=lambda: ExtractSettings(unsure_from=0.25))
    """How sure an identifier has to be, of one photo or of several."""
    agreement: AgreementSettings = field(default_factory=AgreementSettings)
    stored_readings: int = 8
    """Adverts of earlier runs that are read together with those of a run, per cluster: the clearest so many."""


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
    features_of: FeaturesOf | None = None,
    past: Past | None = None,
) -> list[PhotoResult]:
    """Cluster the adverts of a run, read each cluster together, link the identifiers; one result per analysis, in order.

    ``past`` knows earlier runs: then clusters are read together with what was read of them before, and earlier sightings count.
    """
    placing = placing or PlacingSettings()
    spots = [(n, i) for n, (analysis, _) in enumerate(analyses) for i in range(len(analysis.adverts))]
    adverts = {(n, i): analyses[n][0].adverts[i] for n, i in spots}
    first = {spot: link_advert(advert, shops, links) for spot, advert in adverts.items()}
    sightings = [sighting_of(*analyses[n], i, first[n, i], features_of) for n, i in spots]
    placements = dict(zip(spots, place(sightings, clusters), strict=True))
    joined = past.join(sightings, placing.stored_readings) if past is not None else Joined()
    walls = {
        spot: joined.clusters.get(sighting.key, placements[spot].cluster) for spot, sighting in zip(spots, sightings, strict=True)
    }
    hashes = {spot: analyses[spot[0]][1] for spot in spots}
    read = _read_clusters(adverts, walls, hashes, joined.earlier, clusters, placing)
    supported = agree(list(_by_wall(read, walls).values()), placing.agreement)
    agreed = {spot: agreed_advert(adverts[spot], read[spot], supported, placing) for spot in spots}
    views = {(n, i): view_of(analyses[n][0], i, walls[n, i]) for n, i in spots}
    linked = linked_all(agreed, views, shops, links, past)
    found = {spot: reported(agreed[spot], linked[spot], placing) for spot in spots}
    return [
        PhotoResult(
            replace(analysis, adverts=tuple(found[n, i][0] for i in range(len(analysis.adverts)))),
            picture_hash,
            tuple(AdvertResult(*found[n, i], placements[n, i]) for i in range(len(analysis.adverts))),
        )
        for n, (analysis, picture_hash) in enumerate(analyses)
    ]


def sighting_of(
    analysis: Analysis, picture_hash: int | None, index: int, links: Sequence[Link], features_of: FeaturesOf | None
) -> Sighting:
    """One advert of an analysis as clustering wants it; ``links`` are those of its identifiers."""
    advert = analysis.adverts[index]
    return Sighting(
        photo=analysis.sha256,
        advert=index,
        identifiers=advert.identifiers,
        shop_id=advert_shop(links),
        lat=analysis.lat,
        lon=analysis.lon,
        picture_hash=picture_hash,
        box=box_of(advert.quad, analysis.width, analysis.height),
        taken_at=analysis.taken_at,
        features=features_of(analysis.sha256, index) if features_of is not None else None,
        words=spelt([line.reading for line in advert.lines]),
    )


def view_of(analysis: Analysis, index: int, cluster: str = "") -> View:
    """One advert of an analysis as earlier sightings are seen from it."""
    payloads = tuple(sorted({code.payload for code in analysis.adverts[index].codes}))
    return View(analysis.sha256, cluster, analysis.lat, analysis.lon, analysis.taken_at, payloads)


def linked_all(
    adverts: Mapping[S, Advert], views: Mapping[S, View], shops: Shops, links: LinkSettings, past: Past | None
) -> dict[S, tuple[Link, ...]]:
    """The links of all adverts; earlier sightings are asked for once."""
    weighed = {spot: weigh(advert, shops, links) for spot, advert in adverts.items()}
    if past is None:
        return {spot: decide(item, links) for spot, item in weighed.items()}
    contacts = {(resource.kind, resource.value) for item in weighed.values() for resource in item.asked()}
    memory = past.remember(contacts, {payload for view in views.values() for payload in view.codes}, links.priors)
    return {spot: decide(item, links, memory.at(views[spot])) for spot, item in weighed.items()}


def _read_clusters(
    adverts: Mapping[Spot, Advert],
    walls: Mapping[Spot, str],
    hashes: Mapping[Spot, int | None],
    earlier: Mapping[str, Sequence[StoredAdvert]],
    clusters: ClusterSettings,
    placing: PlacingSettings,
) -> dict[Spot, tuple[Identifier, ...]]:
    """The identifiers of every advert: those of all photos of its cluster together, or its own where it is alone."""
    members: dict[str, list[Spot]] = defaultdict(list)
    for spot, wall in walls.items():
        members[wall].append(spot)
    read = {spot: advert.identifiers for spot, advert in adverts.items()}
    for wall, group in members.items():
        shown = {spot: (adverts[spot], hashes[spot]) for spot in group}
        read |= read_wall(shown, earlier.get(wall, ()), clusters, placing)
    return read


def read_wall(
    shown: Mapping[S, tuple[Advert, int | None]],
    stored: Sequence[StoredAdvert],
    clusters: ClusterSettings,
    placing: PlacingSettings,
) -> dict[S, tuple[Identifier, ...]]:
    """The identifiers of the adverts of one cluster, when its photos are read together with those ``stored``.

    ``shown`` has adverts and the picture hashes of their photos, by photo and number.
    """
    read = {spot: advert.identifiers for spot, (advert, _) in shown.items()}
    # Readers that tell no probabilities give nothing to add up.
    telling = len({spot[0] for spot, (advert, _) in shown.items() if _tells(advert)})
    if telling + len({item.key[0] for item in stored}) < 2 or not telling:
        return read
    hashes = [*(picture_hash for _, picture_hash in shown.values()), *(item.picture_hash for item in stored)]
    adverts = [*(advert for advert, _ in shown.values()), *(item.advert for item in stored)]
    settings = ClusterReadSettings(extract=placing.extract)
    reading = read_photos(adverts, _weights(hashes, clusters), None, settings)
    for n, (spot, own) in enumerate(read.items()):
        if n not in reading.left_out:
            read[spot] = _shared(own, reading.advert.identifiers, placing)
    return read


def _weights(hashes: Sequence[int | None], clusters: ClusterSettings) -> list[float]:
    """1/n for each of n copies of one picture: together they are one piece of evidence."""
    counts = Counter(value for value in hashes if value is not None)
    copies = {
        value: sum(count for other, count in counts.items() if distance(value, other) <= clusters.picture_bits)
        for value in counts
    }
    return [1.0 if value is None else 1.0 / copies[value] for value in hashes]


def _tells(advert: Advert) -> bool:
    return any(line.reading.log_probs is not None for line in advert.lines)


def _shared(own: Sequence[Identifier], common: Sequence[Identifier], placing: PlacingSettings) -> tuple[Identifier, ...]:
    """What all photos say of an advert, in terms of one of them.

    Its own identifiers stay where the others say nothing, and where it shows surely what they leave in doubt.
    """
    mine = {(item.kind, item.value): item for item in own}
    clear = [item for item in own if Flag.UNSURE not in item.flags and item.confidence >= placing.clear_from]
    common = [item for item in common if Flag.UNSURE not in item.flags or not any(_rivals(item, other) for other in clear)]
    out = []
    for item in common:
        held = mine.get((item.kind, item.value))
        flags = {flag for flag in item.flags if flag is not Flag.JOINED}
        if held is None or Flag.UNSURE in held.flags:
            flags.add(Flag.TOGETHER)
        places = (held.lines, held.codes) if held is not None else ((), ())
        ordered = tuple(flag for flag in Flag if flag in flags)
        out.append(replace(item, flags=ordered, lines=places[0], codes=places[1], raw=held.raw if held is not None else item.raw))
    return (*out, *(item for item in own if not any(_rivals(item, other) for other in common)))


def _rivals(own: Identifier, common: Identifier) -> bool:
    """Whether two values may be readings of one contact, of which what all photos say is the better one."""
    return own.kind is common.kind and Levenshtein.normalized_similarity(own.value, common.value) >= _RIVALS


def _by_wall(read: Mapping[Spot, Sequence[Identifier]], walls: Mapping[Spot, str]) -> dict[str, list[Identifier]]:
    found: dict[str, list[Identifier]] = defaultdict(list)
    for spot in read:
        found[walls[spot]].extend(read[spot])
    return found


def reported(advert: Advert, links: Sequence[Link], placing: PlacingSettings) -> tuple[Advert, tuple[Link, ...]]:
    """An advert with the identifiers that are to be reported, and their links."""
    least = {Outcome.SAME: placing.confirmed_from, Outcome.MISREAD: placing.proposed_from}
    kept = [
        (_confirmed(identifier, link), link)
        for identifier, link in zip(advert.identifiers, links, strict=True)
        if Flag.UNSURE not in identifier.flags or link.probability >= least.get(link.outcome, math.inf)
    ]
    return replace(advert, identifiers=tuple(identifier for identifier, _ in kept)), tuple(link for _, link in kept)


def agreed_advert(
    advert: Advert,
    read: Sequence[Identifier],
    supported: Mapping[tuple[IdentifierKind, str], float],
    placing: PlacingSettings,
) -> Advert:
    """An advert with the identifiers that were read, each as sure as other walls make it."""
    return replace(advert, identifiers=tuple(_agreed(item, supported, placing) for item in read))


def _agreed(
    identifier: Identifier, supported: Mapping[tuple[IdentifierKind, str], float], placing: PlacingSettings
) -> Identifier:
    """An identifier with the confidence that other walls lend it."""
    confidence = max(identifier.confidence, supported.get((identifier.kind, identifier.value), 0.0))
    if Flag.UNSURE not in identifier.flags or confidence < placing.extract.least(identifier.kind):
        return identifier
    flags = tuple(flag for flag in Flag if flag in {*identifier.flags, Flag.TOGETHER} - {Flag.UNSURE})
    return replace(identifier, confidence=confidence, flags=flags)


def _confirmed(identifier: Identifier, link: Link) -> Identifier:
    """An unsure identifier that the register confirms is as probable as its link."""
    if Flag.UNSURE not in identifier.flags or link.outcome is not Outcome.SAME:
        return identifier
    flags = tuple(flag for flag in identifier.flags if flag is not Flag.UNSURE)
    return replace(identifier, confidence=link.probability, flags=flags)
