"""The weights by name: what they are, where they lie, and whether they are the files they should be.

``weights.toml`` beside this module lists every model file with its SHA-256, licence and card; the files lie in ``weights/`` and
the cards in ``cards/``. A file whose checksum differs is refused when it is loaded. Three ways to use other weights:

- the environment variable ``TAGTRACE_MODELS`` names a folder laid out like this one (``weights.toml``, ``weights/``, ``cards/``);
- ``TAGTRACE_DETECTOR`` and ``TAGTRACE_RECOGNISER`` name a model of the registry, or a model file, for one task;
- ``resolve`` takes the same names and paths as an argument.

A model file on its own may have its entry beside it (``line.onnx`` and ``line.toml``, as the training writes them). Where that
is missing, the classes and the alphabet are unknown here and come from the file itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from ..contract import BrokenInstallationError, ModelInfo, TagtraceError

Setting: TypeAlias = bool | int | float | str

MODELS_VARIABLE = "TAGTRACE_MODELS"
TASK_VARIABLE = "TAGTRACE_{task}"
REGISTRY_NAME = "weights.toml"
_CHUNK_BYTES = 1 << 20
_REQUIRED = ("name", "task", "file", "sha256", "licence")
_KNOWN = {*_REQUIRED, "input", "classes", "alphabet", "card", "source", "files", "settings"}


class Task(StrEnum):
    """What a model does."""

    DETECTOR = "detector"
    RECOGNISER = "recogniser"
    EASYOCR = "easyocr"
    """The recogniser in the form that EasyOCR loads; scoring does not use it."""
    FACES = "faces"
    """Finds faces to blur; scoring does not use it."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One model: the main file with its checksum, and what has to be known to run it.

    ``sha256`` is lower-case hex. ``input`` says in words what the network takes (shape, colour order, range). ``classes`` is for
    detectors and ``alphabet`` for recognisers (column 0 of the output is the blank). ``files`` are further files of the model
    with their checksums. ``settings`` are values found in training that belong to these weights (a threshold, a temperature).
    """

    name: str
    task: Task
    path: Path
    sha256: str
    licence: str = ""
    input: str = ""
    classes: tuple[str, ...] = ()
    alphabet: str = ""
    card: Path | None = None
    source: str = ""
    files: tuple[tuple[Path, str], ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def info(self) -> ModelInfo:
        """Provenance, as it stands in every result."""
        return ModelInfo(task=self.task.value, name=self.name, sha256=self.sha256)


@dataclass(frozen=True, slots=True)
class Registry:
    """All models of one ``weights.toml``, in its order; for each task the first one is used when none is named."""

    path: Path
    models: tuple[ModelFile, ...]


def default_folder() -> Path:
    """The folder that holds ``weights.toml``: the value of ``TAGTRACE_MODELS``, else the one installed with the package."""
    named = os.environ.get(MODELS_VARIABLE)
    return Path(named) if named else Path(__file__).parent


def load_registry(folder: Path | None = None) -> Registry:
    """Read ``weights.toml`` from ``folder`` (default: ``default_folder()``). No model file is opened.

    Raises ``BrokenInstallationError`` where it is missing or wrong: the message names the file, the entry and the field.
    """
    folder = default_folder() if folder is None else folder
    path = folder / REGISTRY_NAME
    document = _read_toml(path)
    entries = document.pop("model", [])
    if document:
        raise BrokenInstallationError(f"{path}: unknown key {sorted(document)[0]!r}; the only one is [[model]]")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BrokenInstallationError(f"{path}: each model is a table that starts with [[model]]")
    models = tuple(
        _parse(entry, f"{path}: model {number}", folder / "weights", folder / "cards")
        for number, entry in enumerate(entries, start=1)
    )
    names = [model.name for model in models]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BrokenInstallationError(f"{path}: more than one model is called {sorted(twice)[0]!r}; give each its own name")
    return Registry(path=path, models=models)


def resolve(wanted: Task | str, *, task: Task | None = None, folder: Path | None = None) -> ModelFile:
    """Find a model and check its files.

    ``wanted`` is a task (its first model, or what ``TAGTRACE_DETECTOR`` and the like name), a name in the registry, or the path
    of a model file, which then needs ``task`` unless its entry lies beside it. ``folder`` as for ``load_registry``.

    Raises ``BrokenInstallationError`` where the model is missing or its checksum differs, ``TagtraceError`` where no such
    model exists or it is one for another task.
    """
    if wanted in set(Task):
        task = Task(wanted)
        named = os.environ.get(TASK_VARIABLE.format(task=task.name))
        if named:
            return resolve(named, task=task, folder=folder)
    registry_error: BrokenInstallationError | None = None
    models: tuple[ModelFile, ...] = ()
    try:
        models = load_registry(folder).models
    except BrokenInstallationError as error:
        registry_error = error
    found = next((model for model in models if wanted in (model.name, model.task)), None)
    if found is None and Path(wanted).is_file():
        found = from_file(Path(wanted), task)
    if found is None:
        raise registry_error or _not_found(str(wanted), models, folder)
    if task is not None and found.task != task:
        raise TagtraceError(f"{found.name} is a {found.task}, but a {task} is wanted: name another model")
    verify(found)
    return found


def from_file(path: Path, task: Task | None = None) -> ModelFile:
    """A model by its file. Its entry is read from the file of the same name with the ending ``.toml`` where there is one, or from
    the ``weights.toml`` of the folder of models that it lies in (then its checksum counts); else the name is the file's and the
    checksum is taken from the file."""
    entry = path.with_suffix(".toml")
    if entry.is_file():
        return _parse(_read_toml(entry), str(entry), path.parent, path.parent)
    if path.parent.name == "weights" and (path.parent.parent / REGISTRY_NAME).is_file():
        listed = load_registry(path.parent.parent).models
        known = next((model for model in listed if model.path == path and task in (None, model.task)), None)
        if known is not None:
            return known
    if task is None:
        raise TagtraceError(f"{path}: cannot tell what this model does; put its entry beside it as {entry.name}, or say the task")
    return ModelFile(name=path.stem, task=task, path=path, sha256=sha256_of(path))


def verify(model: ModelFile) -> None:
    """Check every file of a model against its SHA-256; raise ``BrokenInstallationError`` where one is missing or differs."""
    for path, expected in ((model.path, model.sha256), *model.files):
        if not path.is_file():
            raise BrokenInstallationError(
                f"{path}: the file of the model {model.name} is missing; install tagtrace again, or restore the file"
            )
        actual = sha256_of(path)
        if actual != expected:
            raise BrokenInstallationError(
                f"{path}: not the file that the model {model.name} was registered with (SHA-256 {actual[:16]}…, expected "
                f"{expected[:16]}…), so it is not loaded; restore the file, or if the change is meant, put the new checksum into "
                f"the entry and bring its card up to date"
            )


def sha256_of(path: Path) -> str:
    """The lower-case hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise BrokenInstallationError(
            f"{path}: cannot be read ({error.strerror}); check that it exists and may be read"
        ) from error
    return digest.hexdigest()


def entry_text(model: ModelFile) -> str:
    """The entry of a model as TOML, the way it stands below ``[[model]]``; paths become names relative to the model's folder."""
    folder = model.path.parent
    pairs: list[tuple[str, object]] = [
        ("name", model.name),
        ("task", model.task.value),
        ("file", model.path.name),
        ("sha256", model.sha256),
        ("input", model.input),
        ("classes", list(model.classes)),
        ("alphabet", model.alphabet),
        ("licence", model.licence),
        ("card", model.card.name if model.card else ""),
        ("source", model.source),
        ("files", {path.relative_to(folder).as_posix(): sha256 for path, sha256 in model.files}),
        ("settings", dict(model.settings)),
    ]
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in pairs if value not in ("", [], {}))


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml_value(key)} = {_toml_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)  # texts, numbers and lists are written alike in JSON and TOML


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BrokenInstallationError(
            f"{path}: the list of models cannot be read ({error.strerror}); install tagtrace again, or correct {MODELS_VARIABLE}"
        ) from error
    except ValueError as error:
        raise BrokenInstallationError(f"{path}: not valid TOML ({error}); correct it") from error


def _not_found(wanted: str, models: tuple[ModelFile, ...], folder: Path | None) -> TagtraceError:
    place = (default_folder() if folder is None else folder) / REGISTRY_NAME
    if wanted in set(Task):
        return BrokenInstallationError(
            f"{place}: holds no {wanted}; train one with `tagtrace train {wanted}`, or name a model file in "
            f"{TASK_VARIABLE.format(task=wanted.upper())}"
        )
    known = ", ".join(model.name for model in models) or "none"
    return TagtraceError(f"{wanted}: no such model and no such file; the models in {place} are: {known}")


def _parse(entry: Mapping[str, object], where: str, weights: Path, cards: Path) -> ModelFile:
    unknown = sorted(set(entry) - _KNOWN)
    if unknown:
        raise BrokenInstallationError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}")
    texts = {key: _text(entry, key, where) for key in _KNOWN - {"classes", "files", "settings"}}
    if texts["task"] not in set(Task):
        raise BrokenInstallationError(f"{where}: task is {texts['task']!r}; it must be one of {', '.join(Task)}")
    further = _table(entry, "files", where)
    return ModelFile(
        name=texts["name"],
        task=Task(texts["task"]),
        path=_inside(weights, texts["file"], where),
        sha256=_checksum(texts["sha256"], where),
        licence=texts["licence"],
        input=texts["input"],
        classes=_classes(entry, where),
        alphabet=_alphabet(texts["alphabet"], where),
        card=_inside(cards, texts["card"], where) if texts["card"] else None,
        source=texts["source"],
        files=tuple((_inside(weights, name, where), _checksum(str(value), where)) for name, value in further.items()),
        settings=MappingProxyType(_table(entry, "settings", where)),
    )


def _text(entry: Mapping[str, object], key: str, where: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise BrokenInstallationError(f"{where}: {key} must be a text in quotes, not {value!r}")
    if not value and key in _REQUIRED:
        raise BrokenInstallationError(f"{where}: {key} is missing; every model has {', '.join(_REQUIRED)}")
    return value


def _table(entry: Mapping[str, object], key: str, where: str) -> dict[str, Setting]:
    value = entry.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, Setting) for item in value.values()):
        raise BrokenInstallationError(f"{where}: {key} must be a table of plain values")
    return dict(value)


def _classes(entry: Mapping[str, object], where: str) -> tuple[str, ...]:
    value = entry.get("classes", [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BrokenInstallationError(f"{where}: classes must be a list of texts, in the order of the network's outputs")
    return tuple(value)


def _alphabet(value: str, where: str) -> str:
    if len(set(value)) != len(value):
        twice = next(sign for sign in value if value.count(sign) > 1)
        raise BrokenInstallationError(f"{where}: alphabet holds {twice!r} more than once; each output of the network is one sign")
    return value


def _checksum(value: str, where: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise BrokenInstallationError(f"{where}: {value!r} is not a SHA-256; it must be 64 lower-case hex digits")
    return value


def _inside(folder: Path, name: str, where: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise BrokenInstallationError(f"{where}: {name!r} must be a name inside {folder.name}/")
    return folder / name
