"""The commands ``tagtrace db``, ``tagtrace shops`` and ``tagtrace resources``: the store, and the register in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..contract import ExitCode, IdentifierKind, TagtraceError
from .life import ResourceState

if TYPE_CHECKING:
    from .growth import Growth
    from .shoplist import ListReport
    from .store.resources import ResourceEvent, ResourceRecord

DEFAULT_STORE = "tagtrace.db"
_STORE_HELP = "The store: a path (SQLite) or postgresql://user@host/database."
StoreUrl = Annotated[str, typer.Option("--store", envvar="TAGTRACE_STORE", help=_STORE_HELP)]
By = Annotated[
    str, typer.Option("--by", help="Who does it, for the audit log (default: the user of this machine).", show_default=False)
]
Why = Annotated[str, typer.Option("--why", help="Why, for the audit log and for those who come after.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
_WIDEST_COLUMNS = 1000


def upgrade(store: StoreUrl = DEFAULT_STORE) -> None:
    """Set up a new store, or bring an older one to the schema of this tagtrace; all of it or nothing.

    Example: tagtrace db upgrade --store postgresql://tagtrace@db.example/city
    """
    from .store import Store

    with Store.open(store, upgrade=True) as opened:
        typer.echo(f"{opened.name}: has the schema {opened.version()}")


def check(store: StoreUrl = DEFAULT_STORE, as_json: AsJson = False) -> ExitCode:
    """Check a store: schema, references, audit chain, rows that contradict each other; exit code 1 where something is wrong.

    Example: tagtrace db check --store city.db
    """
    from .store import Store
    from .store.checks import check_store

    must_exist(store)
    with Store.open(store) as opened:
        found = check_store(opened)
    if as_json:
        typer.echo(json.dumps([{"name": f.name, "text": f.text, "sound": f.sound} for f in found], ensure_ascii=False, indent=2))
    else:
        for finding in found:
            colour = None if finding.sound else typer.colors.RED
            typer.secho(f"{'ok   ' if finding.sound else 'WRONG'}  {finding.name}: {finding.text}", fg=colour)
    return ExitCode.OK if all(finding.sound for finding in found) else ExitCode.SOME_FAILED


def import_shops(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with shop_id, kind, value [shop_name, first_seen, status].")],
    store: StoreUrl = DEFAULT_STORE,
    rejects: Annotated[
        Path | None, typer.Option(help="Write the bad rows with their reasons to this CSV.", show_default=False)
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> ExitCode:
    """Take a shop list into the store: good rows all at once, bad ones named; exit code 1 where there was a bad one.

    Example: tagtrace shops import shops.csv --store city.db --rejects bad.csv
    """
    from .store import Store
    from .store.importing import import_shop_list

    with Store.open(store) as opened:
        report = import_shop_list(opened, path, rejects, by)
    counts = {
        "good": report.rows.good,
        "bad": report.rows.bad,
        "new": report.new,
        "adopted": report.adopted,
        "unchanged": report.unchanged,
        "new_shops": report.new_shops,
    }
    if as_json:
        typer.echo(json.dumps(counts | {"reasons": dict(report.rows.reasons)}, ensure_ascii=False, indent=2))
    else:
        _print_bad(path, report.rows, rejects)
        typer.echo(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items()))
    return ExitCode.SOME_FAILED if report.rows.bad else ExitCode.OK


def export(
    out: Annotated[Path | None, typer.Option(help="The CSV to write (default: standard output).", show_default=False)] = None,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Write the resources of all shops as a shop list; protected values are never in it.

    Example: tagtrace shops export --store city.db --out shops.csv
    """
    from .store import Store
    from .store.shops import export_shops

    must_exist(store)
    with Store.open(store) as opened, opened.read() as session:
        if out is None:
            export_shops(session, sys.stdout)
            return
        part = out.with_name(out.name + ".part")
        try:
            with part.open("w", encoding="utf-8", newline="") as file:
                count = export_shops(session, file)
            part.replace(out)
        except OSError as error:
            raise TagtraceError(f"{out}: cannot be written ({error}); check the folder and its free space") from error
        finally:
            part.unlink(missing_ok=True)
    typer.echo(f"{out}: {count} resources")


def list_shops(store: StoreUrl = DEFAULT_STORE, limit: Limit = 1000, as_json: AsJson = False) -> None:
    """List the shops with the numbers of their resources and of links of adverts to them.

    Example: tagtrace shops list --store city.db
    """
    from .store import Store
    from .store import shops as register

    must_exist(store)
    with Store.open(store) as opened, opened.read() as session:
        found = list(register.list_shops(session, limit))
    if as_json:
        rows = [{"id": s.id, "name": s.name, "resources": s.resources, "links": s.links} for s in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        _table(("shop", "name", "resources", "links"), ((s.id, s.name, str(s.resources), str(s.links)) for s in found))


def show_shop(
    shop: Annotated[str, typer.Argument(help="Id of the shop; that of a merged one leads to where it is now.")],
    store: StoreUrl = DEFAULT_STORE,
    graph: Annotated[
        Path | None, typer.Option(help="Write its graph of resources and clusters: .svg, .graphml or .json.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Adverts in the graph at most.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Show a shop: its resources, where each stands, and on request the graph of what hangs together with it.

    Example: tagtrace shops show SS001 --store city.db --graph SS001.svg
    """
    from .store import Store
    from .store.resources import list_resources
    from .store.shops import get_shop

    must_exist(store)
    with Store.open(store) as opened, opened.read() as session:
        found = get_shop(session, shop)
        held = list(list_resources(session, shop_id=found.id))
        if graph is not None:
            _write_graph(session, found.id, graph, limit)
    if as_json:
        record = {"id": found.id, "name": found.name, "former_ids": list(found.former_ids), "links": found.links}
        typer.echo(json.dumps(record | {"resources": [_resource(r) for r in held]}, ensure_ascii=False, indent=2))
        return
    former = f", also {', '.join(found.former_ids)}" if found.former_ids else ""
    typer.echo(f"{found.id} {found.name}: {found.resources} resources, {found.links} links{former}")
    _print_resources(held)


def merge_shops(
    keep: Annotated[str, typer.Argument(help="Id of the shop that stays.")],
    other: Annotated[str, typer.Argument(help="Id of the shop that becomes part of it; the id leads there from now on.")],
    why: Why,
    store: StoreUrl = DEFAULT_STORE,
    by: By = "",
) -> None:
    """Make two shops one; the id that goes leads to the one that stays.

    Example: tagtrace shops merge SS001 SS007 --why "same phone on nine walls" --store city.db
    """
    from .store import Store
    from .store.shops import merge

    must_exist(store)
    with Store.open(store) as opened:
        kept = opened.write(lambda session: merge(session, keep, other, why), by)
    typer.echo(f"{other} is now part of {kept}")


def split_shop(
    shop: Annotated[str, typer.Argument(help="Id of the shop to split.")],
    new: Annotated[str, typer.Argument(help="Id of the new shop, one that was never used.")],
    resources: Annotated[list[str], typer.Argument(metavar="KIND:VALUE…", help="Resources that go to the new shop.")],
    why: Why,
    name: Annotated[str, typer.Option(help="Name of the new shop.")] = "",
    store: StoreUrl = DEFAULT_STORE,
    by: By = "",
) -> None:
    """Take resources out of a shop and make them a shop of their own.

    Example: tagtrace shops split SS001 SS101 telegram:tulpar_kz2 --why "other seller" --store city.db
    """
    from .store import Store
    from .store.shops import split

    contacts = [_contact(*text.partition(":")[::2]) for text in resources]
    must_exist(store)
    with Store.open(store) as opened:
        opened.write(lambda session: split(session, shop, contacts, new, name, why), by)
    typer.echo(f"{new}: {len(contacts)} resources of {shop}")


def propose(store: StoreUrl = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Propose shops from contacts that are painted together and from confirmed siblings; nothing is changed.

    Example: tagtrace shops propose --store city.db
    """
    from .store import Store
    from .store.walls import grow

    must_exist(store)
    with Store.open(store) as opened, opened.read() as session:
        found = grow(session)
    if as_json:
        typer.echo(json.dumps(_growth(found), ensure_ascii=False, indent=2))
        return
    for proposal in found.proposals:
        target = f"for shop {proposal.shop_id}" if proposal.shop_id else "a shop of their own"
        typer.echo(f"{', '.join(f'{kind} {value}' for kind, value in proposal.contacts)}: {target}")
        for reason in proposal.reasons:
            typer.echo(f"    {reason}")
    for a, b, count in found.shops_together:
        typer.echo(f"shops {a} and {b} are painted together in {count} adverts")
    if found.hubs:
        typer.echo(f"many strangers show: {', '.join(f'{kind} {value}' for kind, value in found.hubs)}")
    if not (found.proposals or found.shops_together):
        typer.echo("nothing to propose")


def list_resources(
    store: StoreUrl = DEFAULT_STORE,
    state: Annotated[ResourceState | None, typer.Option(help="Only those that stand there.", show_default=False)] = None,
    kind: Annotated[IdentifierKind | None, typer.Option(help="Only this kind.", show_default=False)] = None,
    shop: Annotated[str, typer.Option(help="Only those of this shop.", show_default=False)] = "",
    limit: Limit = 1000,
    as_json: AsJson = False,
) -> None:
    """List the resources: kind, value, where each stands, and its shop.

    Example: tagtrace resources list --state verified --store city.db
    """
    from .store import Store
    from .store import resources as register
    from .store.shops import resolve

    must_exist(store)
    with Store.open(store) as opened, opened.read() as session:
        owner = resolve(session, shop) if shop else None
        found = list(register.list_resources(session, state=state, kind=kind, shop_id=owner, limit=limit))
    if as_json:
        typer.echo(json.dumps([_resource(record) for record in found], ensure_ascii=False, indent=2))
    else:
        _print_resources(found)


def set_resource(
    kind: Annotated[IdentifierKind, typer.Argument(help="Kind of the resource.")],
    value: Annotated[str, typer.Argument(help="Its value, in any usual spelling.")],
    state: Annotated[ResourceState, typer.Argument(help="Where it stands from now on.")],
    basis: Annotated[str, typer.Option(help="On what grounds; needed from `sent` on and to reject.")] = "",
    order: Annotated[str, typer.Option(help="Number of the order; needed for `blocked`.")] = "",
    store: StoreUrl = DEFAULT_STORE,
    by: By = "",
) -> None:
    """Record a step in the life of a resource: identified, verified, blocked, restored, or rejected. Sending it takes two people
    who sign in, at the review desk or with the API.

    Example: tagtrace resources set telegram tulpar_kz1 verified --by "A. Serik" --store city.db
    """
    from .store import Store
    from .store.resources import events, set_state

    must_exist(store)
    contact = _contact(kind, value)
    with Store.open(store) as opened:
        opened.write(lambda session: set_state(session, *contact, state, basis, order), by)
        with opened.read() as session:
            life = events(session, *contact)
    for event in life:
        typer.echo(_event(event))


def must_exist(store: str) -> None:
    """A mistyped path must not make an empty store that then holds nothing of what was asked for."""
    path = store.removeprefix("sqlite:///") if store.startswith("sqlite:///") or "://" not in store else ""
    if path and not Path(path).expanduser().is_file():
        raise TagtraceError(f"{path}: no such store; check --store, or make it with `tagtrace db upgrade --store {path}`")


def _contact(kind: str, value: str) -> tuple[IdentifierKind, str]:
    """A contact as a person typed it, canonical."""
    from .canonical import canonical_value

    try:
        known = IdentifierKind(kind)
    except ValueError as error:
        raise TagtraceError(f"{kind}: no kind of contact; write KIND:VALUE with one of {', '.join(IdentifierKind)}") from error
    canonical = canonical_value(known, value)
    # What no grammar accepts may still stand in the store (a rule was stricter once): it is looked for as it is.
    return known, canonical if canonical is not None else value


def _write_graph(session: Any, shop: str, path: Path, limit: int) -> None:
    from .graph import SUFFIXES, build_graph, render
    from .store.resources import list_resources
    from .store.shops import get_shop
    from .store.walls import adverts_of_shop, owners_of

    if path.suffix not in SUFFIXES:
        raise TagtraceError(f"{path}: a graph is written as {', '.join(SUFFIXES)}; give the file such an ending")
    adverts = adverts_of_shop(session, shop, limit)
    own = [(record.kind, record.value) for record in list_resources(session, shop_id=shop)]
    owners = owners_of(session, [*own, *(contact for advert in adverts for contact in advert.contacts)])
    names = {owner: get_shop(session, owner).name for owner in {shop, *owners.values()}}
    try:
        path.write_text(render(build_graph(names, owners, adverts), path.suffix), encoding="utf-8")
    except OSError as error:
        raise TagtraceError(f"{path}: cannot be written ({error}); check the folder and its free space") from error


def _print_bad(path: Path, rows: ListReport, rejects: Path | None) -> None:
    for row in rows.first_bad:
        typer.secho(f"{path}:{row.line}: {row.reason}", fg=typer.colors.RED, err=True)
    left = rows.bad - len(rows.first_bad)
    if left:
        where = f"all of them are in {rejects}" if rejects else "--rejects FILE writes all of them"
        typer.secho(f"… and {left} more; {where}", fg=typer.colors.RED, err=True)


def _resource(record: ResourceRecord) -> dict[str, object]:
    return {
        "kind": record.kind,
        "value": record.value,
        "state": record.state,
        "shop_id": record.shop_id,
        "shop_name": record.shop_name,
        "status": record.status,
        "first_seen": record.first_seen.isoformat() if record.first_seen else None,
    }


def _event(event: ResourceEvent) -> str:
    order = f", order {event.order_number}" if event.order_number else ""
    basis = f" ({event.basis}{order})" if event.basis or order else ""
    return f"{event.at:%Y-%m-%d %H:%M:%SZ}  {event.new}  by {event.actor}{basis}"


def _growth(found: Growth) -> dict[str, object]:
    return {
        "proposals": [
            {"contacts": p.contacts, "shop_id": p.shop_id, "adverts": p.adverts, "reasons": p.reasons} for p in found.proposals
        ],
        "hubs": found.hubs,
        "shops_together": found.shops_together,
    }


def _print_resources(records: Sequence[ResourceRecord]) -> None:
    rows = ((r.kind, r.value, r.state, r.shop_id or "", r.shop_name, r.status) for r in records)
    _table(("kind", "value", "state", "shop", "name", "status"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in rows:
        # What a list says is shown as it is: brackets in it are no markup.
        table.add_row(*map(Text, row))
    Console(width=None if sys.stdout.isatty() else _WIDEST_COLUMNS).print(table)
