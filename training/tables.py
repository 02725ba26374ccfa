"""Tables of measurements for the terminal, and for files."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

WIDTH = 150
"""Characters of a line where the output is no terminal that has a width."""


def console() -> Console:
    """Standard output for tables: as wide as the terminal, or as they need in a file."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH)


def make_table(title: str, *heads: str) -> Table:
    """A table with its first column to the left and the others to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", min_width=min(len(title) + 2, WIDTH))
    for number, head in enumerate(heads):
        made.add_column(head, justify="right" if number else "left")
    return made
