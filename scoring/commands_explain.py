"""The command ``tagtrace explain``: the evidence behind links as a waterfall, from a store or from a file of results."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..contract import IdentifierKind, TagtraceError
from ..linking.asked import Asked, name_ends_with, parse
from ..linking.waterfall import Explained, explained_json, explained_svg, printable, waterfall_bars, waterfall_json

if TYPE_CHECKING:
    from rich.table import Table

_WIDEST_COLUMNS = 1000


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PHOTO|CONTACT",
            help="A photo by its file name or the beginning of its SHA-256, or a contact, as @name or KIND:VALUE.",
            show_default=False,
        ),
    ],
    store: Annotated[
        str, typer.Option("--store", envvar="TAGTRACE_STORE", help="The store: a path (SQLite) or a PostgreSQL URL.")
    ] = "tagtrace.db",
    results: Annotated[
        Path | None, typer.Option(help="A results.jsonl to look into instead of a store.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    svg: Annotated[Path | None, typer.Option(help="Also write the waterfalls as a picture (SVG).", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="Links at most.")] = 20,
) -> None:
    """Show why identifiers were linked as they were: every piece of evidence with the nats that it adds, and what that makes.

    Positive steps (█) speak for the link, negative ones (░) against it; their sum is the log-odds of its probability.

    Example: tagtrace explain @tulpar_kz1 --store city.db --svg why.svg
    """
    asked = parse(what)
    found = _in_file(results, asked, limit) if results is not None else _in_store(store, asked, limit)
    if svg is not None:
        from .files import write_atomically

        picture = explained_svg(found).encode("utf-8")
        write_atomically(svg, lambda file: file.write(picture))
    if as_json:
        typer.echo(json.dumps([explained_json(item) for item in found], ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDEST_COLUMNS)
    for item in found:
        console.print(_table(item))
    if len(found) == limit:
        console.print(f"the first {limit}; --limit shows more", markup=False, highlight=False)


def _in_store(store: str, asked: Asked, limit: int) -> list[Explained]:
    from ..linking.commands_store import must_exist
    from ..linking.store import Store
    from ..linking.store.explaining import find_links

    must_exist(store)
    with Store.open(store) as opened, opened.read() as session:
        return find_links(session, asked, limit)


def _in_file(path: Path, asked: Asked, limit: int) -> list[Explained]:
    """The links that a results.jsonl has of what is asked for: a photo first, then a contact."""
    of_photo: dict[str, list[Explained]] = {}
    of_contact: list[Explained] = []
    contacts = set(asked.contacts)
    named = False
    for item in _links_of(path):
        known = item.link.resource
        if (item.kind, item.value) in contacts or (known is not None and (known.kind, known.value) in contacts):
            of_contact.append(item)
        whole = bool(asked.name) and name_ends_with(item.name, asked.name)
        if whole or (asked.sha256 and item.photo.startswith(asked.sha256)):
            of_photo.setdefault(item.photo, []).append(item)
            named = named or whole
    if len(of_photo) > 1 and not named:
        raise TagtraceError(f"{asked.text}: the SHA-256 of several photos in {path} begins so; give more of it")
    found = [item for items in of_photo.values() for item in items] or of_contact
    if not found:
        raise TagtraceError(f"{path}: has no link of {asked.text}; give a file name, the beginning of a SHA-256 or KIND:VALUE")
    return found[:limit]


def _links_of(path: Path) -> Iterator[Explained]:
    from .records import link_from_json

    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    record = json.loads(text)
                    for index, advert in enumerate(record["adverts"]):
                        for item in advert["identifiers"]:
                            kind = IdentifierKind(item["kind"])
                            link = link_from_json(item["link"])
                            yield Explained(
                                record["sha256"], record["file"], index, kind, item["value"], item["confidence"], link
                            )
                except (ValueError, TypeError, LookupError) as error:
                    raise TagtraceError(
                        f"{path}:{number}: no line of results.jsonl ({error!r}); give one that `tagtrace score` wrote"
                    ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TagtraceError(f"{path}: cannot be read ({error}); give the results.jsonl of a run") from error


def _table(item: Explained) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    link = item.link
    target = "" if link.resource is None else f": {link.resource.kind} {link.resource.value}"
    shop = "" if link.shop_id is None else f" of shop {link.shop_id}"
    title = f"{item.title}\n{link.outcome}{target}{shop}, probability {link.probability:.3f}, band {link.band}"
    columns = (
        Column("step"), Column("nats", justify="right"), Column("log-odds", justify="right"),
        Column("probability", justify="right"), Column("", no_wrap=True), Column("why", overflow="fold"),
    )  # fmt: skip
    table = Table(*columns, title=Text("\n".join(map(printable, title.split("\n")))), title_justify="left")
    steps = waterfall_json(link)["steps"]
    assert isinstance(steps, list)
    for step, bar in zip(steps, waterfall_bars(link), strict=True):
        cells = (f"{step['nats']:+.2f}", f"{step['after']:+.2f}", f"{step['probability']:.3f}", bar, printable(step["text"]))
        table.add_row(*map(Text, (step["name"], *cells)))
    if not steps:
        table.add_row("", "", "", "", "", Text(printable("; ".join(link.reasons) or "nothing to weigh")))
    return table
