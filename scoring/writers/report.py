"""``report.html``: one page with everything in it, which works from the disk and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from heapq import nsmallest
from importlib import resources
from typing import BinaryIO

from jinja2 import Environment, FunctionLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from ... import __version__
from ...contract import SCHEMA_VERSION, ModelInfo
from ..records import AdvertResult, Json, PhotoResult, time_to_json
from ..worker import crop_path
from .batch import Batch, advert_confidence, advert_text, linked, shop_of

_ROOM = __package__.rpartition(".")[0]


def write_report(batch: Batch, file: BinaryIO) -> None:
    """The report of a batch: a gallery of the adverts, a map, filters, and the photos that failed.

    Everything that stands on walls or in file names is hostile input. It goes into one JSON block (with ``<``, ``>``, ``&`` and
    ``'`` escaped), is shown as text only, and a content security policy with the hashes of the page's own style and script lets
    nothing else run.
    """
    style, script = _asset("report.css"), _asset("report.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FunctionLoader(_asset), keep_trailing_newline=True
    )
    page = environment.get_template("report.html.j2").stream(
        style=style,
        script=script,
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        data=htmlsafe_json_dumps(report_data(batch), ensure_ascii=False),
    )
    page.dump(file, encoding="utf-8")


def report_data(batch: Batch) -> Json:
    """What the page is told, ready for JSON. Reports and reporters are left out."""
    pictured = _surest(batch)
    adverts: list[Json] = []
    failures: list[Json] = []
    models: dict[ModelInfo, Json] = {}
    for number, result in enumerate(batch.results):
        failure = result.analysis.failure
        adverts += [_advert(batch, result, n, pictured=(number, n) in pictured) for n in range(len(result.adverts))]
        models |= {model: asdict(model) for model in result.analysis.models if model not in models}
        if failure is not None:
            failures.append({"file": result.analysis.name, "code": failure.code.value, "message": failure.message})
    return {
        "photos": len(batch.results),
        "clusters": len({advert["cluster"] for advert in adverts}),
        "adverts": adverts,
        "failures": failures,
        "provenance": {
            "tagtrace": __version__,
            "schema": SCHEMA_VERSION,
            "models": list(models.values()),
            "settings": dict(batch.settings),
        },
    }


def _surest(batch: Batch) -> set[tuple[int, int]]:
    """The adverts that are shown with their picture, by the number of their result and their own."""
    ranked = [
        (-advert_confidence(advert), result.analysis.name, n, number)
        for number, result in enumerate(batch.results)
        for n, advert in enumerate(result.adverts)
    ]
    return {(number, n) for _, _, n, number in nsmallest(batch.run.report_crops, ranked)}


def _advert(batch: Batch, result: PhotoResult, index: int, *, pictured: bool) -> Json:
    analysis, found = result.analysis, result.adverts[index]
    shop = shop_of(found)
    return {
        "file": analysis.name,
        "index": index,
        "crop": _crop(batch, analysis.sha256, index) if pictured else None,
        "text": advert_text(found) or "\n".join(code.payload for code in found.advert.codes),
        "ids": _identifiers(batch, found),
        "sure": round(advert_confidence(found), 3),
        "shop": shop or "",
        "shopName": batch.shop_name(shop),
        "cluster": found.placement.cluster,
        "shopCluster": found.placement.shop_cluster,
        "reasons": list(found.placement.reasons),
        "lat": analysis.lat,
        "lon": analysis.lon,
        "taken": None if analysis.taken_at is None else time_to_json(analysis.taken_at),
    }


def _identifiers(batch: Batch, found: AdvertResult) -> list[Mapping[str, object]]:
    return [
        {
            "kind": identifier.kind.value,
            "value": identifier.value,
            "raw": identifier.raw,
            "sure": round(identifier.confidence, 3),
            "flags": [flag.value for flag in identifier.flags],
            "others": [f"{value} ({share:.2f})" for value, share in identifier.alternatives],
            "outcome": link.outcome.value,
            "shop": link.shop_id or "",
            "shopName": batch.shop_name(link.shop_id),
            "reasons": list(link.reasons),
        }
        for identifier, link in linked(found)
    ]


def _crop(batch: Batch, sha256: str, index: int) -> str | None:
    path = crop_path(batch.crops, sha256, index)
    if not path.is_file():
        return None
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _asset(name: str) -> str:
    return (resources.files(_ROOM) / "assets" / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
