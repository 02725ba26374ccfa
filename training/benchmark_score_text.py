"""What the benchmarks of scoring found, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from .benchmark_growth import Growth
from .benchmark_score import Median, ReaderRounds, ScoreBenchmark, middle
from .benchmark_workers import WorkersBenchmark
from .report_text import shown
from .tables import make_table


def _ratio(found: Median | None) -> str:
    return "–" if found is None else f"{found.median:.2f} ({found.least:.2f} to {found.most:.2f})"


def score_tables(result: ScoreBenchmark) -> Iterator[Table]:
    """The readers side by side, where tagtrace's time goes, and how far it is from the limit."""
    yield _readers(result)
    stages = make_table("tagtrace: where the time of its workers goes, per photo", "stage", "ms", "share")
    for stage in result.stages:
        stages.add_row(stage.name, f"{stage.milliseconds:.2f}", f"{stage.share:.1%}")
    yield stages
    if result.limits:
        yield _limits(result)


def _readers(result: ScoreBenchmark) -> Table:
    title = f"{result.photos} photos, {result.settings.rounds} rounds; medians (least to most)"
    heads = ("reader", "processes", "photos/s", "tagtrace is so many times as fast", "identifier recall", "precision", "peak MB")
    table = make_table(title, *heads)
    for reader in result.readers:
        if not reader.error:
            ids = reader.scores.identifiers.all if reader.scores else None
            faster = "1" if reader is result.own else _ratio(result.against(reader))
            found = (shown(ids.recall), shown(ids.precision)) if ids else ("–", "–")
            table.add_row(
                reader.reader, _processes(reader), _ratio(middle(reader.rates)), faster, *found, f"{reader.peak_mb:.0f}"
            )
    return table


def _processes(reader: ReaderRounds) -> str:
    """How many, and what the other way of using the processors gave."""
    others = [f"{count}: {rate:.2f}/s" for count, rate in reader.tried.items() if count != reader.workers]
    return f"{reader.workers} (with {', '.join(others)})" if others else str(reader.workers)


def _limits(result: ScoreBenchmark) -> Table:
    table = make_table(
        "tagtrace against the least time of a photo on this machine", "limit", "ms a photo", "tagtrace takes times"
    )
    least, full = ([1000 * (x.seconds_full if of_full else x.seconds) for x in result.limits] for of_full in (False, True))
    table.add_row("decoding reduced where photos are large, arithmetic", _ratio(middle(least)), _ratio(result.against_limit()))
    table.add_row("decoding every pixel, arithmetic", _ratio(middle(full)), _ratio(result.against_limit(full=True)))
    return table


def missing(result: ScoreBenchmark) -> list[str]:
    """One line per reader that did not run."""
    return [f"{reader.reader} did not run: {reader.error}" for reader in result.readers if reader.error]


def growth_tables(result: Growth) -> Iterator[Table]:
    """Memory and time by length of the run, the cost of photos early and late, and the ratios."""
    heads = ("photos", "s in all", "s scoring", "MB after the last photo: parent", "workers", "peak MB: parent", "workers", "all")
    runs = make_table("Runs of tagtrace score", *heads)
    for run in result.runs:
        memory = (run.scoring["parent_mb"], run.scoring["workers_mb"], *run.peak.values())
        cells = (f"{mb:.0f}" for mb in memory)
        runs.add_row(str(run.photos), f"{run.seconds:.1f}", f"{run.scoring_seconds:.1f}", *cells)
    yield runs
    cost = make_table(f"Cost of a photo in the run of {result.runs[-1].photos}", "photos", "ms", "ms of processors")
    for part in (result.early, result.late):
        cost.add_row(f"{part.begin} to {part.end}", f"{1000 * part.seconds:.1f}", f"{1000 * part.cpu_seconds:.1f}")
    yield cost
    ratios = make_table(f"{result.runs[-1].photos} photos against {result.runs[0].photos}", "what", "times")
    for name, ratio in result.ratios().items():
        ratios.add_row(name, f"{ratio:.3f}")
    yield ratios


def workers_table(result: WorkersBenchmark) -> Table:
    """Photos per second by number of workers."""
    first = result.settings.counts[0]
    title = f"{result.photos} photos, {result.settings.rounds} rounds; medians (least to most)"
    table = make_table(title, "worker processes", "photos/s", f"times those of {first}", "first photo after s")
    for count, rates in result.rates.items():
        start = middle(result.starts[count])
        table.add_row(str(count), _ratio(middle(rates)), _ratio(result.against_first(count)), _ratio(start))
    return table
