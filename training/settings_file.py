"""Settings of a command from a TOML file: typed dataclasses, with every wrong name or value named."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..contract import TagtraceError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)


def load_settings_file(kind: type[S], path: str | Path | None, given: Mapping[str, Any] | None = None) -> S:
    """Settings of the dataclass ``kind`` from a TOML file (None: the defaults); ``given`` values that are not None win.

    Keys are the names of the fields; a field that is a dataclass itself is a table of that name. Relative paths are taken from
    the working directory. Raises TagtraceError that names the file and the key where one is unknown, missing or of a wrong type.
    """
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TagtraceError(f"{path}: cannot be read as TOML settings: {error}") from error
    wanted = {name: value for name, value in (given or {}).items() if value is not None}
    return build_settings(kind, {**table, **wanted}, "settings" if path is None else str(path))


def build_settings(kind: type[S], values: Mapping[str, Any], where: str) -> S:
    """The dataclass ``kind`` from plain values; ``where`` names their source in errors, see ``load_settings_file``."""
    known = {entry.name: entry for entry in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TagtraceError(f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    missing = [
        name
        for name, entry in known.items()
        if name not in values and entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise TagtraceError(f"{where}: {' and '.join(missing)} must be given")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, name, where) for name, value in values.items()})


def _value(hint: Any, value: Any, name: str, where: str) -> Any:
    """One value as the type that ``hint`` says."""
    choices = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) in choices:
        return None
    wanted = next(choice for choice in choices if choice is not type(None))
    if dataclasses.is_dataclass(wanted):
        if isinstance(value, wanted):  # type: ignore[arg-type]
            return value
        if not isinstance(value, Mapping):
            raise TagtraceError(f"{where}: {name} is a table, written [{name}]")
        return build_settings(wanted, value, f"{where} [{name}]")  # type: ignore[arg-type]
    if typing.get_origin(wanted) is tuple:
        return _tuple(typing.get_args(wanted), value, name, where)
    return _plain(wanted, value, name, where)


def _tuple(parts: tuple[Any, ...], value: Any, name: str, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TagtraceError(f"{where}: {name} is {value!r}; write a list in square brackets")
    if len(parts) == 2 and parts[1] is Ellipsis:
        return tuple(_value(parts[0], item, name, where) for item in value)
    if len(parts) != len(value):
        raise TagtraceError(f"{where}: {name} has {len(value)} values; it takes {len(parts)}")
    return tuple(_value(part, item, name, where) for part, item in zip(parts, value, strict=True))


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes", Path: "a path in quotes"}


def _plain(wanted: Any, value: Any, name: str, where: str) -> Any:
    if wanted is Path and isinstance(value, str | Path):
        return Path(value)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    right = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    if not right or wanted is float:
        raise TagtraceError(f"{where}: {name} is {value!r}; it must be {_WORDS.get(wanted, wanted.__name__)}")
    return value
