"""Curves of a training run from its ``metrics.jsonl``: drawn at the end, or while it goes on."""

from __future__ import annotations

import _thread
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image as PilImage

from ..contract import TagtraceError
from ..datasets.plots import picture_of
from .runs import METRICS_FILE

NOT_DRAWN = frozenset({"step", "epoch", "minutes", "progress"})
"""Columns of a record that are the time in other words."""
_COLUMNS = 3


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The rows of a run's ``metrics.jsonl`` so far, in order; a row that is being written is left out.

    Raises TagtraceError for a row that is no object of numbers, with file and line.
    """
    path = run / METRICS_FILE
    if not path.is_file():
        return []
    rows = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
            rows.append({str(name): float(value) for name, value in row.items()})
        except (ValueError, TypeError, AttributeError) as bad:
            raise TagtraceError(f"{path}:{number}: not an object of numbers ({bad}); the record of this run is damaged") from bad
    return rows


def curves_of(rows: Sequence[Mapping[str, float]]) -> dict[str, tuple[list[float], list[float]]]:
    """What was recorded, by name: the steps and the values, in the order in which the names first come up."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in NOT_DRAWN:
                steps, values = found.setdefault(name, ([], []))
                steps.append(row["step"])
                values.append(value)
    return found


def draw_curves(runs: Mapping[str, Sequence[Mapping[str, float]]], names: Sequence[str] = ()) -> PilImage.Image:
    """The curves of one or several runs (rows by the name of the run), a panel for each number (only ``names`` where given)."""
    curves = {run: curves_of(rows) for run, rows in runs.items()}
    panels = list(dict.fromkeys(name for found in curves.values() for name in found))
    panels = [name for name in (names or panels) if name in panels]
    columns = min(_COLUMNS, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(3.6 * columns, 2.3 * rows + 0.3), layout="constrained")
    last = max((row["step"] for listed in runs.values() for row in listed), default=1)
    for place, name in enumerate(panels, 1):
        axes = figure.add_subplot(rows, columns, place)
        for run, found in curves.items():
            if name in found:
                steps, values = found[name]
                axes.plot(steps, values, ".-" if len(steps) < 60 else "-", label=run)
        axes.set_title(name.replace("_", " "), loc="left", fontsize=10)
        axes.set_xlabel("step", fontsize=8)
        axes.set_xlim(0, 1.03 * last)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        if len(curves) > 1:
            axes.legend(fontsize=7)
    if not panels:
        figure.text(0.5, 0.5, "nothing is recorded yet", ha="center")
    return picture_of(figure)


@contextmanager
def live_curves(
    run: Path, show: Callable[[PilImage.Image], object], names: Sequence[str] = (), every_s: float = 2.0, stop_after: int = 0
) -> Iterator[None]:
    """While the block trains into ``run``, draw its curves anew every ``every_s`` seconds and hand them to ``show``.

    In a notebook: ``handle = display(display_id=True)`` and ``show=handle.update``. With ``stop_after`` the block is interrupted
    as by the stop button (KeyboardInterrupt) once a step after that one is recorded, to try out that a run goes on.
    """
    ended = threading.Event()

    def follow() -> None:
        seen = 0
        while not ended.wait(min(every_s, 0.2) if stop_after else every_s):
            rows = read_metrics(run)
            if len(rows) > seen:
                seen = len(rows)
                show(draw_curves({run.name: rows}, names))
            if stop_after and rows and rows[-1]["step"] > stop_after:
                _thread.interrupt_main()
                return

    thread = threading.Thread(target=follow, name="curves", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        show(draw_curves({run.name: read_metrics(run)}, names))
