"""Which models are in use: a new one is put before the others of its task, and the one before can be taken back.

A folder of models (``weights.toml``, ``weights/``, ``cards/``) also has ``promotions.jsonl`` then: what was put into use, when,
and what it replaced. Files and entries of earlier models are kept; what decides is ``weights.toml``, changed last, in one move.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ..contract import TagtraceError
from .registry import REGISTRY_NAME, ModelFile, Task, default_folder, entry_text, load_registry, sha256_of

HISTORY_NAME = "promotions.jsonl"
_ENTRY = "[[model]]"


def begin_folder(folder: Path) -> None:
    """Make ``folder`` a folder of models with those that are in use now, unless it is one already."""
    if (folder / REGISTRY_NAME).is_file():
        return
    if folder.exists() and any(folder.iterdir()):
        raise TagtraceError(f"{folder}: holds other files and no {REGISTRY_NAME}; name an empty or new folder for the models")
    source = load_registry()
    for name in ("weights", "cards"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for model in source.models:
        weights = [model.path, *(path for path, _ in model.files)]
        for path, place in [*((path, "weights") for path in weights), *([(model.card, "cards")] if model.card else [])]:
            shutil.copyfile(path, folder / place / path.name)
    shutil.copyfile(source.path, folder / REGISTRY_NAME)


def put_in_use(model: ModelFile, name: str, card: str, folder: Path | None = None) -> ModelFile:
    """Copy a model into a folder of models, and put it before the others of its task; returns it as it is there.

    ``card`` is the text of its card. Raises TagtraceError where the name is taken or something cannot be written.
    """
    folder = folder or default_folder()
    begin_folder(folder)
    registry = load_registry(folder)
    if not name or not set(name) <= _NAME_SIGNS:
        raise TagtraceError(f"{name!r}: a model's name is made of small letters, digits, dots, - and _")
    if not model.licence:
        raise TagtraceError(f"{model.path}: has no licence; every model in use says its own")
    if any(known.name == name for known in registry.models):
        raise TagtraceError(f"{registry.path}: there is a model {name} already; choose another name with --name")
    replaced = next((known.name for known in registry.models if known.task == model.task), "")
    weights = folder / "weights"
    try:
        kept = replace(
            model,
            name=name,
            path=_copy(model.path, weights / f"{name}{model.path.suffix}"),
            card=folder / "cards" / f"{name}.md",
            files=tuple((_copy(path, weights / f"{name}{path.suffix}"), sha256) for path, sha256 in model.files),
        )
        assert kept.card is not None
        _write(kept.card, card)
        _insert(registry.path, kept)
        _remember(folder, {"task": model.task.value, "promoted": name, "sha256": model.sha256, "replaced": replaced})
    except OSError as error:
        raise TagtraceError(
            f"{folder}: cannot be written ({error.strerror or error}); name a folder of your own with --folder, and use it with "
            f"TAGTRACE_MODELS"
        ) from error
    return next(known for known in load_registry(folder).models if known.name == name)


def roll_back(folder: Path, task: Task) -> tuple[str, str]:
    """Put the model into use again that the one in use replaced; returns the names of both, the present one first.

    Raises TagtraceError where the present one was not put there by a promotion, or the one before is gone.
    """
    registry = load_registry(folder)
    own = [model.name for model in registry.models if model.task == task]
    if not own:
        raise TagtraceError(f"{registry.path}: holds no {task}")
    past = [entry for entry in _history(folder) if entry.get("promoted") == own[0]]
    before = str(past[-1]["replaced"]) if past else ""
    if before not in own:
        raise TagtraceError(f"{registry.path}: {own[0]} replaced no {task} that is still there; there is nothing to go back to")
    header, blocks = _blocks(registry.path.read_text(encoding="utf-8"))
    names = [_name(block) for block in blocks]
    moved = blocks.pop(names.index(before))
    blocks.insert(names.index(own[0]), moved)
    _write(registry.path, _text(header, blocks))
    _remember(folder, {"task": task.value, "rolled_back": own[0], "in_use": before})
    return own[0], before


_NAME_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")


def _insert(path: Path, model: ModelFile) -> None:
    """Put the entry of a model before the first one of its task."""
    header, blocks = _blocks(path.read_text(encoding="utf-8"))
    tasks = [tomllib.loads(block)["model"][0]["task"] for block in blocks]
    place = tasks.index(model.task.value) if model.task.value in tasks else len(blocks)
    blocks.insert(place, f"{_ENTRY}\n{entry_text(model)}\n")
    _write(path, _text(header, blocks))


def _blocks(text: str) -> tuple[str, list[str]]:
    """What stands before the first entry, and the entries, each with an empty line at its end."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines(keepends=True):
        if line.strip() == _ENTRY:
            parts.append([])
        parts[-1].append(line)
    header, *blocks = ("".join(part) for part in parts)
    return header, [block.rstrip("\n") + "\n\n" for block in blocks]


def _text(header: str, blocks: list[str]) -> str:
    return header + "".join(blocks).rstrip("\n") + "\n"


def _name(block: str) -> str:
    return str(tomllib.loads(block)["model"][0]["name"])


def _history(folder: Path) -> list[dict[str, object]]:
    path = folder / HISTORY_NAME
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _remember(folder: Path, entry: dict[str, str]) -> None:
    line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **entry}, ensure_ascii=False)
    with (folder / HISTORY_NAME).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _copy(source: Path, target: Path) -> Path:
    """Copy a file so that ``target`` is there whole or not at all; what is there already must be the same."""
    if target.exists():
        if sha256_of(target) != sha256_of(source):
            raise TagtraceError(f"{target}: is another file already; choose another name with --name")
        return target
    part = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, part)
    part.replace(target)
    return target


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".part", delete=False) as file:
        file.write(text)
        part = Path(file.name)
    part.chmod(0o644)
    part.replace(path)
