"""The command ``tagtrace benchmark store``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def store(
    store: Annotated[str, typer.Option(help="A new, empty store: a path (SQLite) or postgresql://user@host/database.")],
    size: Annotated[int, typer.Option(min=1000, help="Sightings in the full store.")] = 1_000_000,
    small: Annotated[int, typer.Option(min=100, help="Sightings in the small store that it is compared with.")] = 10_000,
    measured: Annotated[int, typer.Option(min=200, help="New sightings put in against the clock at each size.")] = 2_000,
    seed: Annotated[int, typer.Option(help="What is generated depends on it alone.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Also write the numbers to this JSON file.")] = None,
) -> None:
    """Measure how many sightings per second one process puts into a small store and into a full one.

    Example:

        tagtrace benchmark store --store postgresql://me@/bench --size 1000000 --out store.json
    """
    import json
    from dataclasses import asdict

    from ..linking.store import Store
    from .benchmark_store import StoreBenchmark, benchmark_store
    from .report_text import table

    with Store.open(store, upgrade=True) as opened:
        what = StoreBenchmark(min(small, size), size, measured, seed=seed)
        speeds = benchmark_store(opened, what, lambda message: typer.echo(message, err=True))
        kind = "PostgreSQL" if opened.is_postgresql else "SQLite"
    rows = [
        (str(s.size), f"{s.per_second:.0f}", f"{s.median_ms:.2f}", f"{1000 * s.process_seconds / s.measured:.2f}") for s in speeds
    ]
    typer.echo(table(("sightings", "placed per second", "median ms each", "of it this process"), rows))
    ratio = speeds[-1].median_ms / speeds[0].median_ms
    typer.echo(f"{kind}: the last costs {ratio:.2f} times what it does among {speeds[0].size}")
    if out is not None:
        found = [asdict(s) | {"per_second": round(s.per_second, 1)} for s in speeds]
        out.write_text(json.dumps({"store": kind, "seed": seed, "speeds": found, "ratio": round(ratio, 3)}, indent=1), "utf-8")
