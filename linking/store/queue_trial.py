"""A store with many invented adverts, to measure the queue of the experts on; nothing in it was ever on a wall."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from ...contract import SCHEMA_VERSION, TagtraceError
from . import queue_rows
from .cluster_rows import FACTS
from .cluster_tables import BundleRow, ClusterRow, SightingRow
from .database import Store
from .tables import AdvertRow, AnalysisRow, Base, DecisionRow, IdentifierRow, LinkRow, PhotoRow, ReadingRow
from .upserts import insert_many

_BATCH = 5000
"""Adverts written with one transaction."""
_MOST_SEEN = 12
_SILENT, _DECIDED, _NEW, _REVIEW = 0.1, 0.3, 0.5, 0.3
"""Shares: clusters without a contact, clusters that somebody decided about, contacts of no listed shop, links to be looked at."""
_QUAD = [[10.0, 10.0], [110.0, 10.0], [110.0, 40.0], [10.0, 40.0]]
_TABLES: tuple[type[Base], ...] = (
    DecisionRow,
    PhotoRow,
    AnalysisRow,
    AdvertRow,
    ReadingRow,
    IdentifierRow,
    LinkRow,
    ClusterRow,
    BundleRow,
    SightingRow,
)
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def fill_trial(store: Store, adverts: int, seed: int, tell: Callable[[str], None]) -> int:
    """Fill an empty store with so many adverts, each in a photo of its own, and their clusters; gives the number of clusters.

    Raises ``TagtraceError`` for a store that has photos.
    """
    with store.read() as session:
        if session.query(PhotoRow.id).first() is not None:
            raise TagtraceError(f"{store.name}: has photos already; name a new, empty store for a trial")
    random, done, clusters = Random(seed), 0, 0
    while done < adverts:
        rows = _Rows(random, done, clusters)
        while len(rows.of[AdvertRow]) < min(_BATCH, adverts - done):
            rows.add_cluster(min(random.choice((1, 1, 1, 2, 2, 3, 5, _MOST_SEEN)), adverts - done - len(rows.of[AdvertRow])))
        store.write(rows.write, "trial")
        done, clusters = done + len(rows.of[AdvertRow]), rows.clusters
        tell(f"{done} adverts in {clusters} clusters")
    store.write(_number_on, "trial")
    tell("makes the queue")
    store.write(queue_rows.fill, "trial")
    return clusters


def _number_on(session: Session) -> None:
    """Let PostgreSQL number new rows after these, which brought their own numbers."""
    if session.get_bind().dialect.name == "postgresql":
        for table in (DecisionRow, PhotoRow, AnalysisRow, AdvertRow, ReadingRow, IdentifierRow, LinkRow):
            name = table.__tablename__
            session.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) + 1 FROM {name}))"))


class _Rows:
    """The rows of a batch, by their tables in the order that they are written in."""

    def __init__(self, random: Random, photos: int, clusters: int) -> None:
        self.random, self.photos, self.clusters = random, photos, clusters
        self.of: dict[type[Base], list[dict[str, Any]]] = {table: [] for table in _TABLES}

    def write(self, session: Session) -> None:
        """Put them into the tables."""
        for kind, added in self.of.items():
            insert_many(session, kind, added)

    def add_cluster(self, seen: int) -> None:
        """One physical advert with so many photos."""
        self.clusters += 1
        number, facts = self.clusters, dict.fromkeys(FACTS)
        silent, decided = self.random.random() < _SILENT, self.random.random() < _DECIDED
        outcome = "new" if self.random.random() < _NEW else "sibling"
        band = "none" if outcome == "new" else "review" if self.random.random() < _REVIEW else "automatic"
        name = f"c{number:09d}-0"
        self.of[ClusterRow].append(
            {"id": name, "number": number, "into": None, "wall": None, "size": seen, "state": "fresh"} | facts
        )
        bundle = {"id": number, "component": number, "cluster": name, "target": "", "ruled": False, "size": seen}
        self.of[BundleRow].append(bundle | facts)
        for place in range(seen):
            self._add_photo(number, f"trial_{number}_kz", silent, (outcome, band), decided and place == 0)

    def _add_photo(self, bundle: int, value: str, silent: bool, link: tuple[str, str], decided: bool) -> None:
        self.photos += 1
        number, sha256 = self.photos, f"{self.photos:064x}"
        at, confidence = _BEGIN + timedelta(minutes=number), round(self.random.uniform(0.5, 1.0), 3)
        self.of[PhotoRow].append(
            {
                "id": number,
                "sha256": sha256,
                "name": "",
                "place": "",
                "size": None,
                "width": 400,
                "height": 300,
                "picture_hash": None,
            }
            | {"taken_at": None, "received_at": at, "lat": 51.1, "lon": 71.4, "report_id": None}
        )
        made: dict[str, Any] = {
            "models": [],
            "settings": {},
            "schema_version": SCHEMA_VERSION,
            "failure_code": None,
            "failure_message": None,
        }
        self.of[AnalysisRow].append(
            {"id": number, "photo_id": number, "made_by": "0" * 64, "seconds": 0.0, "stages": {}, "at": at, "latest": True} | made
        )
        decision = self._decide(sha256, at, [] if silent else [["telegram", value]]) if decided else None
        self.of[AdvertRow].append({"id": number, "analysis_id": number, "number": 0, "quad": _QUAD, "decision_id": decision})
        line = {"quad": _QUAD, "line_confidence": 0.9, "text": f"@{value}", "confidence": confidence, "flipped": False}
        empty: dict[str, Any] = {"alphabet": "", "log_probs": None, "hypotheses": [], "chars": []}
        self.of[ReadingRow].append({"id": number, "advert_id": number, "number": 0} | line | empty)
        if not silent:
            said = {"kind": "telegram", "value": value, "raw": f"@{value}", "confidence": confidence, "alternatives": []}
            self.of[IdentifierRow].append(
                {"id": number, "advert_id": number, "number": 0, "flags": [], "lines": [0], "codes": []} | said
            )
            linked = {"outcome": link[0], "probability": 0.9, "band": link[1], "reasons": [], "evidence": [], "at": at}
            self.of[LinkRow].append({"id": number, "identifier_id": number, "resource_id": None, "shop_id": None} | linked)
        seen = {"photo": sha256, "advert": 0, "bundle": bundle, "spare": True, "evidence": 0, "spot": None, "area": None}
        rest = {"pictured": 0, "identifiers": [], "shop_id": None, "lat": 51.1, "lon": 71.4, "picture_hash": None}
        self.of[SightingRow].append({"id": number, "box": [0, 0, 1, 1], "taken_at": None, "overpaint": None} | seen | rest)

    def _decide(self, sha256: str, at: datetime, contacts: list[list[str]]) -> int:
        number = self.photos
        said = {"at": at, "actor": "person 9", "subject": "advert", "verdict": "confirmed", "why": ""}
        whom = {"photo_sha256": sha256, "advert": 0, "identifier_kind": None, "identifier_value": None, "resource_id": None}
        details = {"contacts": contacts, "known": contacts}
        self.of[DecisionRow].append({"id": number, "shop_id": None, "details": details} | said | whom)
        return number
