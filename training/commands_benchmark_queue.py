"""The command ``tagtrace benchmark queue``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def queue(
    store: Annotated[str, typer.Option(help="A new, empty store: a path (SQLite) or postgresql://user@host/database.")],
    size: Annotated[int, typer.Option(min=100, help="Adverts in the store, each in a photo of its own.")] = 200_000,
    pages: Annotated[int, typer.Option(min=10, help="Pages of each part of the queue that are measured.")] = 50,
    decisions: Annotated[int, typer.Option(min=1, help="Decisions that are taken against the clock, and taken back.")] = 50,
    seed: Annotated[int, typer.Option(help="What is generated depends on it alone.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Also write the numbers to this JSON file.")] = None,
) -> None:
    """Measure how long a page of the experts' queue and a decision take in a store with many adverts.

    Example:

        tagtrace benchmark queue --store bench.db --size 200000 --out queue.json
    """
    from ..linking.store import Store
    from ..linking.store.queue_trial import fill_trial
    from .benchmark_queue import measure
    from .report_text import table

    with Store.open(store, upgrade=True) as opened:
        clusters = fill_trial(opened, size, seed, lambda message: typer.echo(message, err=True))
        found = measure(opened, pages, decisions)
        kind = "PostgreSQL" if opened.is_postgresql else "SQLite"
    rows = [(i.name, f"{i.median_ms:.2f}", f"{i.slow_ms:.2f}", f"{i.most_ms:.2f}", f"{i.process_ms:.2f}") for i in found]
    head = (f"{kind}, {size} adverts, {clusters} clusters", "median ms", "95 % within ms", "most ms", "of it this process")
    typer.echo(table(head, rows))
    if out is not None:
        told = [asdict(item) for item in found]
        out.write_text(
            json.dumps({"store": kind, "adverts": size, "clusters": clusters, "seed": seed, "times": told}, indent=1), "utf-8"
        )
