"""Results as tables: identifiers and clusters as CSV, adverts as Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from statistics import fmean
from typing import BinaryIO

from ...contract import Analysis
from ..records import AdvertResult, PhotoResult, time_to_json
from .batch import Batch, advert_confidence, advert_text, linked, shop_of

_HARMLESS = re.compile(r"[+@]?[\w.:/-]+")
"""What can do no harm although it begins like a formula: phones, invites, handles. Calls need brackets, quotes or bars."""

_ROW_GROUP = 5000
"""Adverts in one row group of the Parquet file: so many are in memory together."""

IDENTIFIER_COLUMNS = (
    "file sha256 advert kind value raw confidence flags outcome link_probability shop_id shop_name known_kind known_value "
    "reasons cluster shop_cluster lat lon taken_at report_id"
).split()
CLUSTER_COLUMNS = (
    "cluster shop_cluster photos adverts shop_id shop_name identifiers first_seen last_seen lat lon confidence files"
).split()


def write_identifiers(batch: Batch, file: BinaryIO) -> None:
    """``identifiers.csv``: one row per identifier found, with its link and clusters."""
    _write_csv(file, IDENTIFIER_COLUMNS, _identifier_rows(batch))


def write_clusters(batch: Batch, file: BinaryIO) -> None:
    """``clusters.csv``: one row per physical advert: how often it was seen, when, where, with which contacts."""
    _write_csv(file, CLUSTER_COLUMNS, _cluster_rows(batch))


def write_adverts(batch: Batch, file: BinaryIO) -> None:
    """``adverts.parquet``: one row per advert, with lists of its lines and identifiers; times are UTC timestamps."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    corner = pa.list_(pa.float64(), 2)
    line = pa.struct([("text", pa.string()), ("confidence", pa.float64()), ("reading_confidence", pa.float64())])
    contact = pa.struct(
        [
            *((name, pa.string()) for name in ("kind", "value", "raw", "outcome", "shop_id")),
            ("confidence", pa.float64()),
            ("link_probability", pa.float64()),
            ("flags", pa.list_(pa.string())),
        ]
    )
    schema = pa.schema(
        [
            ("file", pa.string()),
            ("sha256", pa.string()),
            ("advert", pa.int32()),
            ("quad", pa.list_(corner, 4)),
            ("text", pa.string()),
            ("lines", pa.list_(line)),
            ("codes", pa.list_(pa.string())),
            ("identifiers", pa.list_(contact)),
            ("confidence", pa.float64()),
            *((name, pa.string()) for name in ("shop_id", "shop_name", "cluster", "shop_cluster")),
            ("lat", pa.float64()),
            ("lon", pa.float64()),
            ("taken_at", pa.timestamp("s", tz="UTC")),
            ("report_id", pa.string()),
        ]
    )
    rows = (_advert_row(batch, result, index) for result in batch.results for index in range(len(result.adverts)))
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while part := list(islice(rows, _ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(part, schema=schema))


def csv_safe(value: object) -> object:
    """A cell that no spreadsheet runs as a formula: what stands on walls is written by strangers.

    Texts that begin like a formula get an apostrophe in front, unless they are plain like ``+77010000000``.
    """
    if not isinstance(value, str) or not value or value[0] not in "=+-@\t\r\n" or _HARMLESS.fullmatch(value):
        return value
    return "'" + value


def _write_csv(file: BinaryIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([csv_safe("" if cell is None else cell) for cell in row])
    # The file belongs to the caller: it must not be closed with the wrapper.
    text.detach()


def _identifier_rows(batch: Batch) -> Iterable[list[object]]:
    for result in batch.results:
        analysis = result.analysis
        taken = "" if analysis.taken_at is None else time_to_json(analysis.taken_at)
        for index, advert in enumerate(result.adverts):
            for identifier, link in linked(advert):
                known = link.resource
                yield [
                    *(analysis.name, analysis.sha256, index, identifier.kind.value, identifier.value, identifier.raw),
                    *(round(identifier.confidence, 4), " ".join(identifier.flags), link.outcome.value),
                    *(round(link.probability, 4), link.shop_id, batch.shop_name(link.shop_id)),
                    *(known and known.kind.value, known and known.value, "; ".join(link.reasons)),
                    *(advert.placement.cluster, advert.placement.shop_cluster, analysis.lat, analysis.lon),
                    *(taken, analysis.report_id),
                ]


def _cluster_rows(batch: Batch) -> Iterable[list[object]]:
    clusters: dict[str, _Cluster] = defaultdict(_Cluster)
    for result in batch.results:
        for advert in result.adverts:
            clusters[advert.placement.cluster].add(result.analysis, advert)
    for name, cluster in sorted(clusters.items()):
        shops, places, seen = sorted(cluster.shops), cluster.places, cluster.seen
        yield [
            *(name, cluster.shop_cluster, len(cluster.photos), cluster.adverts),
            *(" ".join(shops), "; ".join(filter(None, map(batch.shop_name, shops))), " ".join(sorted(cluster.contacts))),
            *((time_to_json(min(seen)), time_to_json(max(seen))) if seen else ("", "")),
            *(round(fmean(axis), 7) if places else "" for axis in (zip(*places, strict=True) if places else ((), ()))),
            round(cluster.confidence, 4),
            "; ".join(sorted(cluster.names)),
        ]


@dataclass(slots=True)
class _Cluster:
    """What is told of one physical advert, gathered as its photos come."""

    shop_cluster: str = ""
    adverts: int = 0
    photos: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    shops: set[str] = field(default_factory=set)
    contacts: set[str] = field(default_factory=set)
    seen: list[datetime] = field(default_factory=list)
    places: list[tuple[float, float]] = field(default_factory=list)
    confidence: float = 0.0

    def add(self, photo: Analysis, advert: AdvertResult) -> None:
        """One more photo of it."""
        self.shop_cluster = self.shop_cluster or advert.placement.shop_cluster
        self.adverts += 1
        self.photos.add(photo.sha256)
        self.names.add(photo.name)
        self.shops.update(filter(None, [shop_of(advert)]))
        self.contacts.update(f"{i.kind}:{i.value}" for i in advert.advert.identifiers)
        self.confidence = max(self.confidence, advert_confidence(advert))
        if photo.taken_at is not None:
            self.seen.append(photo.taken_at)
        if photo.lat is not None and photo.lon is not None:
            self.places.append((photo.lat, photo.lon))


def _advert_row(batch: Batch, result: PhotoResult, index: int) -> dict[str, object]:
    analysis, found = result.analysis, result.adverts[index]
    advert, shop = found.advert, shop_of(found)
    return {
        "file": analysis.name,
        "sha256": analysis.sha256,
        "advert": index,
        "quad": [[float(x), float(y)] for x, y in advert.quad],
        "text": advert_text(found),
        "lines": [
            {"text": line.reading.text, "confidence": line.confidence, "reading_confidence": line.reading.confidence}
            for line in advert.lines
        ],
        "codes": [code.payload for code in advert.codes],
        "identifiers": [
            {
                "kind": identifier.kind.value,
                "value": identifier.value,
                "raw": identifier.raw,
                "outcome": link.outcome.value,
                "shop_id": link.shop_id,
                "confidence": identifier.confidence,
                "link_probability": link.probability,
                "flags": [flag.value for flag in identifier.flags],
            }
            for identifier, link in linked(found)
        ],
        "confidence": advert_confidence(found),
        "shop_id": shop,
        "shop_name": batch.shop_name(shop) or None,
        "cluster": found.placement.cluster,
        "shop_cluster": found.placement.shop_cluster,
        "lat": analysis.lat,
        "lon": analysis.lon,
        "taken_at": analysis.taken_at,
        "report_id": analysis.report_id,
    }
