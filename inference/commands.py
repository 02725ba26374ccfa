"""The command ``tagtrace extract``: the identifiers in typed text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from ..contract import Identifier, TagtraceError

STANDARD_INPUT = "-"
WIDEST_COLUMNS = 1000


def extract(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT", help="Texts, each on its own; - reads standard input (UTF-8).")],
    each_line: Annotated[bool, typer.Option("--each-line", help="Every line of standard input is a text of its own.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per text on standard output.")] = False,
) -> None:
    """Extract the identifiers from text, with canonical value, confidence and flags.

    Example: tagtrace extract "пиши @example_shop_kz или t.me/+AbCdEfGhIjKlMnOp" --json
    """
    from .identifiers import extract_text

    found = ((text, extract_text(text)) for text in _texts(texts, each_line))
    if as_json:
        for text, identifiers in found:
            typer.echo(json.dumps({"text": text, "identifiers": [_record(item) for item in identifiers]}, ensure_ascii=False))
    else:
        _print_table([item for _, identifiers in found for item in identifiers])


def _texts(arguments: list[str], each_line: bool) -> Iterator[str]:
    for argument in arguments:
        if argument != STANDARD_INPUT:
            yield argument
            continue
        try:
            with open(sys.stdin.fileno(), encoding="utf-8-sig", closefd=False) as stream:
                yield from (line.rstrip("\r\n") for line in stream if line.strip()) if each_line else (stream.read(),)
        except UnicodeDecodeError as error:
            raise TagtraceError(f"standard input: is not UTF-8 ({error.reason}); convert it first") from error


def _record(item: Identifier) -> dict[str, object]:
    return {
        "kind": item.kind,
        "value": item.value,
        "raw": item.raw,
        "confidence": round(item.confidence, 4),
        "alternatives": [[value, round(probability, 4)] for value, probability in item.alternatives],
        "flags": list(item.flags),
        "lines": list(item.lines),
    }


def _print_table(identifiers: list[Identifier]) -> None:
    if not identifiers:
        typer.echo("no identifiers found", err=True)
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table("kind", Column("value", overflow="fold"), "confidence", "flags", Column("as written", overflow="fold"))
    for item in identifiers:
        # What was written is shown as it is: brackets in it are no markup.
        cells = [Text(text) for text in (item.kind, item.value, f"{item.confidence:.2f}", ", ".join(item.flags), item.raw)]
        table.add_row(*cells)
    # A file or a pipe is as wide as it has to be; a terminal folds what is longer than it.
    Console(width=None if sys.stdout.isatty() else WIDEST_COLUMNS).print(table)
