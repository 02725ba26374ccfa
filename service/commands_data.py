"""The commands ``resources export``, ``retention run``, ``vault rotate`` and ``audit verify``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..contract import ExitCode, TagtraceError
from .commands import _STORE_HELP, _open

_Store = Annotated[str | None, typer.Option(help=_STORE_HELP, envvar="TAGTRACE_STORE")]


def export(
    format_: Annotated[str, typer.Option("--format", help="csv, json, stix, misp or geojson.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="File to write; standard output without it.")] = None,
    state: Annotated[list[str], typer.Option(help="verified, sent or blocked; can be given several times.")] = ["verified"],  # noqa: B006
    store: _Store = None,
) -> None:
    """Write resources for the blocking system: verified ones only, by their exact addresses, never a protected value.

    Example: tagtrace resources export --format stix --out verified.stix.json
    """
    from ..linking.life import ResourceState
    from ..linking.store import audit, exporting
    from .exports import FORMATS, write

    if format_ not in FORMATS:
        raise TagtraceError(f"{format_}: no such format; choose from: {', '.join(FORMATS)}")
    try:
        states = [ResourceState(name) for name in state]
    except ValueError as error:
        raise TagtraceError(f"{error}; choose from: {', '.join(exporting.EXPORTABLE)}") from error
    with _open(store) as opened:
        with opened.read() as session:
            rows = list(exporting.exported(session, states))
            places = list(exporting.places(session, [row.id for row in rows])) if format_ == "geojson" else []
        text = write(format_, rows, places, datetime.now(UTC))
        details = {"format": format_, "states": sorted(set(state)), "resources": [row.id for row in rows]}
        opened.write(lambda session: audit.note(session, "resource.export", "resources", details))
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise TagtraceError(f"{out}: cannot be written ({error}); check the folder and its free space") from error
    typer.echo(f"{len(rows)} resources in {out}", err=True)


def verify(
    pack: Annotated[Path | None, typer.Argument(help="An evidence pack (ZIP) to verify, too.")] = None, store: _Store = None
) -> ExitCode:
    """Verify the audit chain of a store, and an evidence pack: alone, or against the store that it was made from.

    Example: tagtrace audit verify evidence-0123456789ab.zip --store city.db
    """
    from ..linking.store import audit
    from .evidence.pack import Finding
    from .evidence.pack import verify as verify_pack

    if pack is None and not store:
        raise TagtraceError("name a store with --store, an evidence pack, or both")
    if pack is not None:
        if store:
            with _open(store) as opened:
                found = verify_pack(pack, opened)
        else:
            found = verify_pack(pack)
    else:
        with _open(store) as opened, opened.read() as session:
            broken = audit.verify_audit(session)
        words = f"entry {broken.number} {broken.what}" if broken else "no entry was altered or is missing"
        found = [Finding(f"audit chain of the store: {words}", broken is None)]
    for item in found:
        typer.secho(f"{'ok   ' if item.right else 'WRONG'}  {item.what}", fg=None if item.right else typer.colors.RED)
    return ExitCode.OK if all(item.right for item in found) else ExitCode.SOME_FAILED


def rotate(store: _Store = None) -> None:
    """Encrypt reporters' data with the first key of TAGTRACE_VAULT_KEYS that is still under another one.

    Example: tagtrace vault rotate --store city.db
    """
    from .settings import load_settings
    from .vault import Vault

    vault = Vault(load_settings())
    with _open(store) as opened:
        typer.echo(f"{vault.rotate(opened)} reports have the new key")
