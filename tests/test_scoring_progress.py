"""How a run shows where it is."""

from __future__ import annotations

import io

from rich.console import Console

from tagtrace.scoring.progress import BarView, PlainView, progress_view


def test_plain_lines_without_a_terminal() -> None:
    out = io.StringIO()
    view = progress_view(Console(file=out, width=200), every_s=0.0)
    assert isinstance(view, PlainView)
    with view:
        view.begin(4, 1)
        view.advance(failed=False)
        view.advance(failed=True)
        view.advance(failed=False)
        view.say("[bold]writing[/bold]")
    lines = out.getvalue().splitlines()
    assert lines[0] == "4 photos, 1 of them done before"
    assert lines[1].startswith("2/4 photos, ") and " photos/s, " in lines[1] and lines[1].endswith("s left")
    assert lines[3].startswith("4/4 photos") and lines[3].endswith("0 s left, 1 failed")
    assert lines[4] == "[bold]writing[/bold]", "texts are never taken as markup"
    assert "\x1b" not in out.getvalue()


def test_plain_lines_are_few() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=200), every_s=3600.0)
    view.begin(100, 0)
    for _ in range(100):
        view.advance(failed=False)
    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["100", "100/100"]


def test_bar_with_rate_on_a_terminal() -> None:
    out = io.StringIO()
    view = progress_view(Console(file=out, width=120, force_terminal=True), every_s=1.0)
    assert isinstance(view, BarView)
    with view:
        view.begin(10, 2)
        for number in range(8):
            view.advance(failed=number == 0)
    shown = out.getvalue()
    assert "10/10" in shown and "photos/s" in shown and "1 failed" in shown
