"""Results as JSON lines, one photo a line."""

from __future__ import annotations

from typing import BinaryIO

from ..records import Json, PhotoResult, dump, quad_to_json, result_to_json
from .batch import Batch, linked, meant


def write_results(batch: Batch, file: BinaryIO) -> None:
    """``results.jsonl``: everything about each photo, in the versioned form of ``results.schema.json``."""
    for result in batch.results:
        file.write(dump(result_to_json(result, batch.settings)).encode() + b"\n")


def write_predictions(batch: Batch, file: BinaryIO) -> None:
    """``predictions.jsonl``: the short form that scorers read: lines, identifiers and adverts of each photo."""
    for result in batch.results:
        file.write(dump(prediction(result)).encode() + b"\n")


def prediction(result: PhotoResult) -> Json:
    """The prediction of one photo: file, seconds, lines, identifiers as they are ``meant``, adverts with their clusters."""
    analysis = result.analysis
    lines, identifiers, adverts = [], [], []
    for found in result.adverts:
        for line in found.advert.lines:
            sure = round(line.confidence, 6)
            lines.append({"quad": quad_to_json(line.quad), "text": line.reading.text, "conf": sure})
        for identifier, link in linked(found):
            kind, value, sure = meant(identifier, link)
            identifiers.append({"kind": kind, "value": value, "conf": round(sure, 6), "shop_id": link.shop_id})
        placement = found.placement
        quad = quad_to_json(found.advert.quad)
        adverts.append({"quad": quad, "cluster": placement.cluster, "shop_cluster": placement.shop_cluster})
    record: Json = {"file": analysis.name, "seconds": round(analysis.seconds, 3)}
    if analysis.failure is not None:
        record["failure"] = analysis.failure.code
    return {**record, "lines": lines, "identifiers": identifiers, "ads": adverts}
