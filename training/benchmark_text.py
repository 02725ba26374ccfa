"""A benchmark as Markdown for people."""

from __future__ import annotations

from .benchmark import Benchmark, EngineResult
from .report_text import shown, table


def _engine_row(engine: EngineResult) -> tuple[float | int | str | None, ...]:
    seconds = engine.seconds
    found: tuple[float | int | str | None, ...] = (None, None, None, None)
    if engine.scores:
        ids = engine.scores.identifiers.all
        found = (engine.scores.detection.f1, ids.recall, ids.precision, engine.scores.detection.cer_folded)
    return (
        engine.reader,
        *found,
        f"{engine.photos_per_second:.2f}",
        seconds.median if seconds else None,
        seconds.p95 if seconds else None,
        round(engine.peak_memory_mb),
        f"{engine.load_seconds:.1f}",
    )


def benchmark_report(result: Benchmark) -> str:
    """The whole report: the engines side by side, the ratio to the best peer, and where the time goes."""
    machine = result.machine
    settings = result.settings
    ran = [engine for engine in result.engines if not engine.error]
    head = (
        "reader", "line F1", "identifier recall", "identifier precision", "CER folded", "photos/s", "median s", "95 % within s",
        "peak MB", "load s",
    )  # fmt: skip
    repeated = f", {settings.repeats} times" if settings.repeats > 1 else ""
    parts = [
        "# Benchmark\n",
        f"{max((e.photos for e in ran), default=0)} photos{repeated}, {settings.workers} process(es) per engine, "
        f"{settings.threads or 'all'} threads each. {machine['processor']}, {machine['processors']} processors, "
        f"{machine['memory_gb']} GB; {machine['system']}; Python {machine['python']}.\n",
        "Every engine finds and reads the lines with its own models; codes, grouping and extraction are the same for all.\n",
        table(head, [_engine_row(engine) for engine in ran]),
    ]
    comparison = result.comparison
    if comparison:
        ratios = (comparison.recall_ratio, comparison.speed_ratio)
        recall, speed = ("no comparable" if ratio is None else f"{shown(ratio)} times" for ratio in ratios)
        parts.append(
            f"Against the best peer, {comparison.peer}: {recall} its identifier recall, {speed} its photos per second.\n"
        )
    parts.append("## Seconds per photo by stage (median; 95 % within)\n")
    names = list(dict.fromkeys(name for engine in ran for name in engine.stages or {}))
    rows = []
    for engine in ran:
        stages = engine.stages or {}
        cells = [f"{stages[n].median:.3f}; {stages[n].p95:.3f}" if n in stages else None for n in names]
        rows.append((engine.reader, *cells))
    parts.append(table(("reader", *names), rows))
    failed = [f"- {engine.reader}: {engine.error}" for engine in result.engines if engine.error]
    failed += [f"- {e.reader}: {len(e.failures)} photos failed, the first: {e.failures[0]}" for e in ran if e.failures]
    if failed:
        parts.append("## What did not run\n\n" + "\n".join(failed) + "\n")
    return "\n".join(parts)
