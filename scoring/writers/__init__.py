"""Writers of results: each turns a batch into one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from .batch import Batch, Results
from .geojson import write_geojson
from .lines import write_predictions, write_results
from .report import write_report
from .tables import write_adverts, write_clusters, write_identifiers


@dataclass(frozen=True, slots=True)
class Writer:
    """One format: the file it makes, and the function that fills it."""

    file: str
    write: Callable[[Batch, BinaryIO], None]


WRITERS: dict[str, Writer] = {
    "predictions": Writer("predictions.jsonl", write_predictions),
    "results": Writer("results.jsonl", write_results),
    "identifiers": Writer("identifiers.csv", write_identifiers),
    "adverts": Writer("adverts.parquet", write_adverts),
    "clusters": Writer("clusters.csv", write_clusters),
    "geojson": Writer("adverts.geojson", write_geojson),
    "report": Writer("report.html", write_report),
}
"""Formats that are one file. The format ``annotated`` is a folder of pictures, written while photos are scored."""

ANNOTATED = "annotated"
FORMATS: tuple[str, ...] = (*WRITERS, ANNOTATED)

__all__ = ["ANNOTATED", "FORMATS", "WRITERS", "Batch", "Results", "Writer"]
