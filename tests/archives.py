"""Archives for tests: photos of a few contacts on a few walls, clear and blurred, as records of a run. All are invented."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from tagtrace.contract import Advert, Analysis, Failure, FailureCode, Line, ModelInfo, Reading
from tagtrace.inference.identifiers import ExtractSettings, extract_advert
from tagtrace.linking.clusters import ClusterSettings
from tagtrace.linking.shops import LinkSettings
from tagtrace.linking.store import Store
from tagtrace.linking.store.clusters import check_log, list_clusters, read_book
from tagtrace.linking.store.importing import import_shop_list
from tagtrace.linking.store.loading import latest_with_links
from tagtrace.linking.store.resources import list_resources
from tagtrace.linking.store.tables import PhotoRow
from tagtrace.linking.store.workbook import Spooled, Workbook
from tagtrace.models.alphabet import ALPHABET
from tagtrace.models.ctc import beam_search, best_path
from tagtrace.scoring.archive import Archive, ArchiveSettings, Placed
from tagtrace.scoring.past import StorePast
from tagtrace.scoring.placing import PlacingSettings, place_all
from tagtrace.scoring.records import Json, analysis_from_json, analysis_to_json
from tagtrace.scoring.storing import StoringSettings, keep, register_of

QUAD = ((100.0, 100.0), (300.0, 100.0), (300.0, 140.0), (100.0, 140.0))
BELOW = ((100.0, 300.0), (300.0, 300.0), (300.0, 340.0), (100.0, 340.0))
MODELS = (ModelInfo("recognise", "r1", "1" * 64),)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("@tulpar_kz1", "@tulpar_kz2", "@umitsnow", "@zhanarqala", "@umitsmow", "РАБОТА")
METRE = 1.0 / 111_195.0
PLACES = ((43.24, 76.9), (43.24 + 25 * METRE, 76.9), (43.24 + 50 * METRE, 76.9), (43.27, 76.9), (51.13, 71.43), None)
HASHES = (None, None, None, 0b1, 0b111, 0b1111 << 40)
SETTINGS: dict[str, object] = {"reader": "fixed"}
UNSURE = ExtractSettings(unsure_from=0.25)


def line(text: str, doubts: dict[int, tuple[str, float]], quad: object = QUAD) -> Line:
    """A line whose picture shows ``text``; at some places another character is about as probable."""
    table = np.full((2 * len(text) + 1, len(ALPHABET) + 1), 1e-6)
    table[0::2, 0] = 1.0
    for place, char in enumerate(text):
        other, share = doubts.get(place, (char, 0.0))
        table[2 * place + 1, ALPHABET.index(other) + 1] = share
        table[2 * place + 1, ALPHABET.index(char) + 1] = 0.98 - share
    log_probs = np.log(np.maximum(table, 1e-9) / table.sum(1, keepdims=True)).astype(np.float32)
    hypotheses, chars = beam_search(log_probs, ALPHABET), best_path(log_probs, ALPHABET)
    sure = math.exp(sum(math.log(char.confidence) for char in chars) / len(chars))
    return Line(quad, 0.9, Reading(hypotheses[0].text, sure, hypotheses, chars, log_probs, ALPHABET))  # type: ignore[arg-type]


def record(rng: random.Random, sha256: str) -> Json:
    """What the journal has of a photo with no advert, one, or two."""
    if rng.random() < 0.1:
        failure = Failure(FailureCode.UNSUPPORTED, f"{sha256[:4]}.jpg: is no picture")
        return analysis_to_json(Analysis(f"{sha256[:4]}.jpg", sha256, 0, 0, failure=failure, models=MODELS), None, evidence=True)
    adverts = []
    for quad in (QUAD, BELOW)[: rng.choice((0, 1, 1, 1, 2))]:
        text = rng.choice(NAMES)
        blurred = rng.sample(range(1, len(text)), rng.choice((0, 0, 1, 2)))
        lines = [line(text, {place: (rng.choice("onm1"), rng.choice((0.2, 0.45, 0.6))) for place in blurred}, quad)]
        adverts.append(Advert(quad, tuple(lines), (), extract_advert(lines, (), UNSURE)))  # type: ignore[arg-type]
    lat, lon = rng.choice(PLACES) or (None, None)
    taken_at = NOON + timedelta(days=rng.randrange(20))
    made = Analysis(f"{sha256[:4]}.jpg", sha256, 640, 480, tuple(adverts), None, MODELS, taken_at, lat, lon)
    return analysis_to_json(made, rng.choice(HASHES), evidence=True)


def records(rng: random.Random, count: int) -> list[Json]:
    """Some photos."""
    return [record(rng, f"{rng.getrandbits(256):064x}") for _ in range(count)]


def listed(store: Store, folder: Path) -> None:
    """Put a register of a few shops in a store."""
    path = folder / "shops.csv"
    strangers = "".join(f"Z{word},telegram,{word}_kz\n" for word in ("berkut", "samruk", "zhuldyz", "altyn", "dombra"))
    path.write_text(f"shop_id,kind,value\nA,telegram,tulpar_kz1\nB,telegram,umitsnow\n{strangers}", "utf-8")
    import_shop_list(store, path)


def at_once(store: Store, photos: list[Json]) -> None:
    """Place photos as one run of ``tagtrace score --store`` does that writes files, all of them in memory."""
    analyses = [analysis_from_json(photo) for photo in photos]
    past = StorePast(store, frozenset(photo["sha256"] for photo in photos), ClusterSettings())
    placing = PlacingSettings(extract=UNSURE)
    results = place_all(analyses, register_of(store), LinkSettings(), ClusterSettings(), placing, None, past)
    keep(store, results, SETTINGS, ClusterSettings(), lambda sha256, advert: None, NOON, storing=StoringSettings(3))


def in_batches(store: Store, photos: list[Json], batch: int, path: Path) -> Placed:
    """Place photos as an archive, so many with one transaction."""
    with Workbook.opened(path) as book:
        if not book.get("ready"):
            book.spool([Spooled(photo["sha256"], photo) for photo in photos])
            with book.trial.begin() as session:
                book.note(session, "models", json.dumps(["r1"]))
                book.note(session, "ready", "yes")
        settings = ArchiveSettings(LinkSettings(), ClusterSettings(), PlacingSettings(extract=UNSURE), StoringSettings(batch))
        archive = Archive(store, book, register_of(store), settings, SETTINGS, lambda sha256, advert: None)
        return archive.place(NOON)


def state_of(store: Store) -> dict[str, Any]:
    """All that placing decides: what is read and linked in each photo, who is together, resources, and where clusters stand."""
    with store.read() as session:
        assert check_log(session) == []
        photos, walls = {}, {}
        for sha256 in session.scalars(select(PhotoRow.sha256)).all():
            held = latest_with_links(session, sha256)
            assert held is not None
            analysis, links = held
            photos[sha256] = (
                analysis.failure,
                analysis.lat,
                analysis.taken_at,
                [[(i.kind, i.value, i.raw, round(i.confidence, 6), i.flags) for i in a.identifiers] for a in analysis.adverts],
                [[None if link is None else _link(link) for link in group] for group in links],
            )
        book = read_book(session)
        for cluster in list_clusters(session):
            keys = frozenset(sighting.key for sighting in book.sightings(cluster.id))
            walls[keys] = (cluster.size, cluster.state, cluster.facts)
        resources = {(r.kind, r.value, r.state, r.shop_id) for r in list_resources(session, limit=10_000)}
    return {"photos": photos, "walls": walls, "resources": resources}


def names_of(store: Store) -> dict[tuple[str, int], str]:
    """The cluster ids by sighting."""
    with store.read() as session:
        book = read_book(session)
        return {s.key: cluster.id for cluster in list_clusters(session) for s in book.sightings(cluster.id)}


def _link(link: Any) -> tuple[Any, ...]:
    resource = None if link.resource is None else (link.resource.kind, link.resource.value, link.resource.shop_id)
    steps = [(step.name, round(step.nats, 5), step.text) for step in link.evidence]
    return link.outcome, round(link.probability, 6), link.shop_id, resource, link.reasons, link.band, steps


def blurred(name: str, place: int, wrong: str, number: int) -> Json:
    """A photo of one wall that shows a name with one letter read wrongly, above a phone that is clear."""
    shown = name[:place] + wrong + name[place + 1 :]
    lines = (line(shown, {place: (name[place], 0.08)}), line("8 749 555 00 01", {}, BELOW))
    wall = Advert(QUAD, lines, (), extract_advert(lines, (), UNSURE))  # type: ignore[arg-type]
    made = Analysis(f"{number}.jpg", f"{number:064x}", 640, 480, (wall,), None, MODELS, NOON, *PLACES[0])  # type: ignore[misc]
    return analysis_to_json(made, None, evidence=True)
