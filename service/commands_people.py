"""The commands ``tagtrace people …``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ..contract import TagtraceError
from .commands import _STORE_HELP, _open

_Store = Annotated[str | None, typer.Option(help=_STORE_HELP, envvar="TAGTRACE_STORE")]
_Roles = Annotated[
    list[str], typer.Option("--role", help="intake, analyst, expert or administrator; can be given several times.")
]
_Login = Annotated[str, typer.Argument(help="The name to sign in with.")]
_Name = Annotated[str, typer.Option(help="Name of the person, as colleagues see it.")]
_Lasting = Annotated[
    bool, typer.Option("--lasting", help="With --password-stdin: the person chose it and need not change it after signing in.")
]
_Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")]


def add(
    login: _Login,
    role: _Roles,
    name: _Name = "",
    password_stdin: _Stdin = False,
    lasting: _Lasting = False,
    store: _Store = None,
) -> None:
    """Add a person and show a first password, once; the person changes it after signing in, before anything else.

    Example: tagtrace people add aigul --role expert --name "Aigul S."
    """
    from .access import people

    if lasting and not password_stdin:
        raise TagtraceError("--lasting is for a password that the person chose: give it with --password-stdin")
    password = _password(password_stdin)
    with _open(store) as opened:
        number = people.add(opened, login, name, _roles(role), password, must_change=not lasting)
    _show(f"{login} is person {number}", password, password_stdin)


def list_people(store: _Store = None) -> None:
    """List the people who sign in.

    Example: tagtrace people list
    """
    from rich.console import Console
    from rich.table import Table

    from ..linking.store import people as rows

    table = Table("number", "login", "name", "roles", "since", "state")
    with _open(store) as opened, opened.read() as session:
        for person in rows.list_people(session):
            state = "active" if person.ended_at is None else f"ended {person.ended_at:%Y-%m-%d}"
            state += ", first password" if person.must_change else ""
            since = f"{person.created_at:%Y-%m-%d}"
            table.add_row(str(person.id), person.login, person.name, ", ".join(person.roles), since, state)
    Console().print(table)


def change(
    login: _Login,
    role: _Roles = [],  # noqa: B006 (typer copies it)
    active: Annotated[bool | None, typer.Option("--active/--ended", help="Whether the person may sign in.")] = None,
    sign_out: Annotated[bool, typer.Option("--sign-out", help="End all sessions of the person.")] = False,
    store: _Store = None,
) -> None:
    """Change a person's roles, let them sign in or not, sign them out everywhere.

    Example: tagtrace people set aigul --role expert --role analyst
    """
    from datetime import UTC, datetime

    from ..linking.store import people as rows

    def apply(session: Any) -> None:
        number = _find(session, login)
        if role or active is not None:
            rows.change_person(session, number, datetime.now(UTC), roles=_roles(role) if role else None, active=active)
        if sign_out:
            rows.end_sessions(session, number)

    if not (role or sign_out) and active is None:
        raise TagtraceError("nothing to change; give --role, --active, --ended or --sign-out")
    with _open(store) as opened:
        opened.write(apply)


def reset(login: _Login, password_stdin: _Stdin = False, store: _Store = None) -> None:
    """Give a person a new password, shown once, which they change after signing in; they are signed out everywhere.

    Example: tagtrace people reset aigul
    """
    from .access import people

    password = _password(password_stdin)
    with _open(store) as opened:
        with opened.read() as session:
            number = _find(session, login)
        people.set_password(opened, number, password, "")
    _show(f"{login} has a new password", password, password_stdin)


def _find(session: Any, login: str) -> int:
    from ..linking.store import people as rows

    found = rows.find_person(session, login.strip().lower())
    if found is None:
        raise TagtraceError(f"{login}: there is nobody with this name; `tagtrace people list` shows them")
    return found[0].id


def _roles(names: list[str]) -> Any:
    from .access import Role

    unknown = sorted(set(names) - {str(role) for role in Role})
    if unknown:
        raise TagtraceError(f"there is no role {', '.join(unknown)}; choose from: {', '.join(Role)}")
    return frozenset(Role(name) for name in names)


def _password(from_stdin: bool) -> str:
    from .access import people

    if not from_stdin:
        return people.new_password()
    return sys.stdin.readline().rstrip("\r\n")


def _show(said: str, password: str, from_stdin: bool) -> None:
    if not from_stdin:
        typer.echo(password)
    typer.echo(f"{said}." + ("" if from_stdin else " Keep the password now: it is not shown again."), err=True)
