"""The commands ``tagtrace serve`` and ``tagtrace keys``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_STORE_HELP = "Path of an SQLite file, or postgresql://user@host/database; else TAGTRACE_STORE or the settings file."


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes that read photos; 0 where they run elsewhere.")] = None,
    store: Annotated[str | None, typer.Option(help=_STORE_HELP)] = None,
    photos: Annotated[str | None, typer.Option(help="Folder, or URL of fsspec, for photos as received.")] = None,
    development: Annotated[bool, typer.Option("--development", help="Accept settings that are unsafe elsewhere.")] = False,
) -> None:
    """Serve the API and the review desk, and read the photos that come in.

    Every setting can also stand in the environment (TAGTRACE_PORT) or in the TOML file that TAGTRACE_SETTINGS names.

    Example: tagtrace serve --store city.db --development
    """
    from .run import serve as run
    from .settings import load_settings

    given: dict[str, Any] = {"host": host, "port": port, "workers": workers, "store": store, "photos": photos}
    if development:
        given["environment"] = "development"
    run(load_settings(**{name: value for name, value in given.items() if value is not None}))


def work(
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 1,
    store: Annotated[str | None, typer.Option(help=_STORE_HELP)] = None,
    photos: Annotated[str | None, typer.Option(help="Folder, or URL of fsspec, for photos as received.")] = None,
    development: Annotated[bool, typer.Option("--development", help="Accept settings that are unsafe elsewhere.")] = False,
) -> None:
    """Read the photos of reports that others take in, and send webhooks; on as many machines as there is work for.

    Example: tagtrace work --store postgresql://user@host/city --workers 4
    """
    from .run import work as run
    from .settings import load_settings

    given: dict[str, Any] = {"store": store, "photos": photos}
    if development:
        given["environment"] = "development"
    run(load_settings(**{name: value for name, value in given.items() if value is not None}), workers)


def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    owner: Annotated[str, typer.Option(help="The system it belongs to: keys of one owner see the same reports.")],
    scope: Annotated[list[str], typer.Option(help="What the key may do; can be given several times.")],
    days: Annotated[int, typer.Option(help="Days until it expires.")] = 365,
    store: Annotated[str | None, typer.Option(help=_STORE_HELP, envvar="TAGTRACE_STORE")] = None,
) -> None:
    """Make an API key and show it, once.

    Example: tagtrace keys create "intake of the city" --owner city --scope reports:write --scope reports:read
    """
    from ..contract import TagtraceError
    from .access import Scope, keys

    unknown = sorted(set(scope) - {str(item) for item in Scope})
    if unknown:
        raise TagtraceError(f"there is no scope {', '.join(unknown)}; choose from: {', '.join(Scope)}")
    with _open(store) as opened:
        made = keys.create(opened, name, owner, frozenset(Scope(item) for item in scope), days)
    typer.echo(made.text)
    typer.echo(f"Keep it now: it is not shown again. It expires on {made.expires_at:%Y-%m-%d}; its id is {made.id}.", err=True)


def list_keys(store: Annotated[str | None, typer.Option(help=_STORE_HELP, envvar="TAGTRACE_STORE")] = None) -> None:
    """List the API keys: id, owner, scopes and times, never the keys themselves.

    Example: tagtrace keys list
    """
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table

    from ..linking.store import keys as rows

    table = Table("id", "name", "owner", "scopes", "expires", "last used", "state")
    with _open(store) as opened, opened.read() as session:
        now = datetime.now(UTC)
        for key in rows.list_keys(session):
            state = "revoked" if key.revoked_at else "expired" if key.expires_at <= now else "active"
            used = "never" if key.used_at is None else f"{key.used_at:%Y-%m-%d %H:%M}"
            table.add_row(key.id, key.name, key.owner, ", ".join(key.scopes), f"{key.expires_at:%Y-%m-%d}", used, state)
    Console().print(table)


def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id of the key, as `tagtrace keys list` shows it.")],
    store: Annotated[str | None, typer.Option(help=_STORE_HELP, envvar="TAGTRACE_STORE")] = None,
) -> None:
    """End an API key at once.

    Example: tagtrace keys revoke 0123456789ab
    """
    from ..linking.store import keys as rows

    with _open(store) as opened:
        opened.write(lambda session: rows.revoke_key(session, key_id))


def _open(store: str | None) -> Any:
    from ..contract import TagtraceError
    from ..linking.store import Store

    if not store:
        raise TagtraceError("name the store with --store, or in the variable TAGTRACE_STORE")
    if "://" not in store and not Path(store).expanduser().exists():
        raise TagtraceError(f"{store}: no such store; set it up with `tagtrace db upgrade --store {store}`")
    return Store.open(store)
