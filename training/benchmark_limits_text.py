"""The limits of a machine as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from .benchmark_limits import Limits
from .benchmark_probe import Rate
from .tables import make_table


def limits_tables(result: Limits) -> Iterator[Table]:
    """Decoding, memory, arithmetic, what the networks ask for, and the limits."""
    yield _decoding(result)
    yield _memory(result)
    yield _arithmetic(result)
    yield _networks(result)
    yield _limits(result)


def show_limits(result: Limits, console: Console) -> None:
    """Print all tables, and the machine that they are of."""
    m = result.machine
    words = f"{m['processor']}, {m['processors']} processors, {m['memory_gb']} GB; {m['system']}; Python {m['python']}"
    console.print(words, highlight=False, soft_wrap=True)
    for table in limits_tables(result):
        console.print(table)


def _at_once(result: Limits) -> Sequence[int]:
    return [limit.threads for limit in result.limits]


def _decoding(result: Limits) -> Table:
    size = result.decoding[0].pixels / 1e6
    table = make_table(
        f"Decoding JPEGs of {size:.2f} megapixels on average",
        *("decoder, scale", *(f"{t} thr.: ms a photo" for t in _at_once(result))),
        *(f"{t} thr.: megapixels/s" for t in _at_once(result)),
    )
    for decoder, scale in dict.fromkeys((d.decoder, d.scale) for d in result.decoding):
        times = [d for d in result.decoding if (d.decoder, d.scale) == (decoder, scale)]
        cells = [f"{1000 * d.seconds:.2f}" for d in times] + [f"{d.megapixels_per_second:.0f}" for d in times]
        table.add_row(f"{decoder} 1/{scale}" if scale > 1 else f"{decoder} full", *cells)
    return table


def _memory(result: Limits) -> Table:
    table = make_table("Memory, NumPy copies of large arrays, read and written", "threads", "GB/s")
    for threads, rate in result.bandwidths.items():
        table.add_row(str(threads), f"{rate:.1f}")
    return table


def _arithmetic(result: Limits) -> Table:
    table = make_table("Arithmetic, 10^9 operations per second", "program", "precision", "network", "input", *_threads(result))
    for first in (r for r in result.rates if r.threads == result.rates[0].threads):
        same = [r for r in result.rates if (r.program, r.network) == (first.program, first.network)]
        shape = "x".join(map(str, first.shape))
        table.add_row(first.program, first.precision, first.network, shape, *(_share(r, result) for r in same))
    return table


def _threads(result: Limits) -> list[str]:
    return [f"{threads} thr." for threads in _at_once(result)]


def _share(rate: Rate, result: Limits) -> str:
    """The rate, and for models its share of the highest that the program reached."""
    own = {network.name for network in result.work.networks}
    if rate.network not in own:
        return f"{rate.gflops:.0f}"
    best = max(r.gflops for r in result.rates if r.program == rate.program and r.threads == rate.threads)
    return f"{rate.gflops:.0f} ({rate.gflops / best:.0%} of peak)"


def _networks(result: Limits) -> Table:
    title = f"The networks at work, per photo ({result.work.photos} photos)"
    table = make_table(title, "network", "program", "10^9 operations", "inputs", "usual input")
    for network in result.work.networks:
        shape = "x".join(map(str, network.shape))
        table.add_row(network.name, network.program, f"{network.operations / 1e9:.2f}", f"{network.runs:.2f}", shape)
    return table


def _limits(result: Limits) -> Table:
    names = [network.name for network in result.work.networks]
    table = make_table(
        "The least time of a photo, ms",
        *("processors", "decoding reduced", "decoding full", *names, "limit", "limit, full decoding", "photos/s at the limit"),
    )
    for limit in result.limits:
        parts = (limit.decode_reduced, limit.decode_full, *limit.networks.values(), limit.seconds, limit.seconds_full)
        table.add_row(str(limit.threads), *(f"{1000 * part:.2f}" for part in parts), f"{1 / limit.seconds:.1f}")
    return table
