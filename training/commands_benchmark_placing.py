"""The command ``tagtrace benchmark placing``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def placing(
    store: Annotated[str, typer.Option(help="A new, empty store: a path (SQLite) or postgresql://user@host/database.")],
    photos: Annotated[int, typer.Option(min=100, help="Generated photos that are placed with each size of batches.")] = 10_000,
    batches: Annotated[str, typer.Option(help="Photos that one transaction puts: a comma list.")] = "1,10,100,500",
    listed: Annotated[int, typer.Option(min=0, help="Contacts in the register that photos are linked to.")] = 20_000,
    seed: Annotated[int, typer.Option(help="What is generated depends on it alone.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Also write the numbers to this JSON file.")] = None,
) -> None:
    """Measure how many scored photos per second go into a store, by the photos that one transaction puts; nothing is scored.

    Example:

        tagtrace benchmark placing --store postgresql://me@/bench --photos 20000 --out placing.json
    """
    import json
    import tempfile
    from dataclasses import asdict

    from ..linking.store import Store
    from .benchmark import machine
    from .benchmark_placing import PlacingBenchmark, benchmark_placing
    from .report_text import table

    what = PlacingBenchmark(photos, tuple(int(part) for part in batches.split(",")), listed, seed)
    with Store.open(store, upgrade=True) as opened, tempfile.TemporaryDirectory() as folder:
        speeds = benchmark_placing(opened, Path(folder), what, lambda message: typer.echo(message, err=True))
        kind = "PostgreSQL" if opened.is_postgresql else "SQLite"
    steps = ("collect", "copy", "look", "read", "decide", "write", "compare")
    rows = [
        (
            str(s.batch),
            str(s.held),
            f"{s.per_second:.0f}",
            *(f"{1000 * s.seconds.get(step, 0.0) / s.photos:.2f}" for step in steps),
            f"{1000 * s.process_seconds / s.photos:.2f}",
            f"{s.store_bytes / s.photos / 1000:.1f}",
            f"{s.memory_mb:.0f}",
        )
        for s in speeds
    ]
    head = (
        "batch",
        "held before",
        "photos/s",
        *(f"{step} ms" for step in steps),
        "this process ms",
        "store kB each",
        "memory MB",
    )
    typer.echo(table(head, rows))
    if out is not None:
        found = [asdict(s) | {"per_second": round(s.per_second, 1)} for s in speeds]
        out.write_text(
            json.dumps({"store": kind, "machine": machine(), "what": asdict(what), "speeds": found}, indent=1), "utf-8"
        )
