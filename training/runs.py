"""A training run on record: plain files beside its checkpoints, and MLflow and TensorBoard where they are wanted.

``run.json`` holds the settings, the environment and the hash of the data, ``manifest.tsv`` the SHA-256 of every data file,
``metrics.jsonl`` one object per step that was logged, ``result.json`` what came out. Whoever has the folder can tell what made
the model.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .. import __version__
from ..contract import TagtraceError
from ..datasets.files import atomic_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RUN_FILE, METRICS_FILE, RESULT_FILE, MANIFEST_FILE = "run.json", "metrics.jsonl", "result.json", "manifest.tsv"
_LIBRARIES = ("torch", "ultralytics", "numpy", "opencv-python-headless", "onnx", "onnxruntime")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """Where a run is shown besides its own files."""

    tensorboard: bool = False
    """Write event files for TensorBoard to ``tensorboard`` in the run's folder (extra ``tensorboard``)."""
    mlflow: str = ""
    """Tracking URI of MLflow, for example ``sqlite:///mlflow.db`` or a server's address; empty: none (extra ``mlflow``)."""
    experiment: str = "tagtrace"
    """Name of the experiment in MLflow."""


class Tracker(Protocol):
    """Another place where a run is shown."""

    def begin(self, settings: Mapping[str, Any]) -> None:
        """The run begins, or goes on."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers at a step."""

    def end(self, result: Mapping[str, Any]) -> None:
        """The run is complete."""


class RunRecord:
    """The files of one run in ``folder``; made when a run begins or goes on, see the module."""

    def __init__(self, folder: Path, trackers: Sequence[Tracker] = ()) -> None:
        self.folder = folder
        self._trackers = trackers

    def log(self, step: int, values: Mapping[str, float | int]) -> None:
        """Append numbers at ``step`` to ``metrics.jsonl`` and show them to the trackers."""
        with (self.folder / METRICS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for tracker in self._trackers:
            tracker.log(step, values)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``: the run is complete."""
        _write_json(self.folder / RESULT_FILE, {**result, "finished": _now()})
        for tracker in self._trackers:
            tracker.end(result)

    @property
    def complete(self) -> bool:
        """Whether this run came to its end."""
        return (self.folder / RESULT_FILE).is_file()

    def forget_after(self, step: int) -> None:
        """Drop the numbers after ``step``: those steps are taken again."""
        path = self.folder / METRICS_FILE
        if path.is_file():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
            with atomic_text(path) as file:
                file.writelines(f"{line}\n" for line in kept)


def begin_run(
    folder: Path,
    kind: str,
    settings: DataclassInstance,
    data: Sequence[Path],
    tracking: TrackingSettings | None = None,
    *,
    resume: bool = False,
    may_change: frozenset[str] = frozenset(),
) -> RunRecord:
    """Begin the record of a run of ``kind`` in ``folder``, or go on with it.

    ``data`` are files or folders that the run depends on. With ``resume`` the settings must be those of the run but for the
    fields ``may_change``. Raises TagtraceError where they differ, or a library of ``tracking`` is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trackers = trackers_of(folder, tracking or TrackingSettings(), kind)
    plain = plain_settings(settings)
    digest, rows = manifest_of(data)
    path = folder / RUN_FILE
    before: dict[str, Any] = {}
    if resume and path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        _check_same(before["settings"], plain, may_change, path)
    else:
        for name in (METRICS_FILE, RESULT_FILE):
            (folder / name).unlink(missing_ok=True)
    with atomic_text(folder / MANIFEST_FILE) as file:
        file.writelines(f"{sha256}\t{name}\n" for name, sha256 in rows)
    times = [*before.get("begun", []), {"at": _now(), "data": digest}]
    described = {"kind": kind, "settings": plain, "data": {"sha256": digest, "files": len(rows)}, "begun": times}
    _write_json(path, {**described, "environment": environment()})
    for tracker in trackers:
        tracker.begin({**plain, "data_sha256": digest})
    return RunRecord(folder, trackers)


def manifest_of(data: Iterable[Path]) -> tuple[str, list[tuple[str, str]]]:
    """One SHA-256 over all files of ``data`` (files, and folders to the bottom), and (name, SHA-256) of each.

    Names are relative to what was given, so that the hash is the same wherever the data lie. Files whose name begins with a dot
    and caches of ultralytics (``*.cache``, ``*.npy``) are left out.
    """
    rows = []
    for number, place in enumerate(data):
        files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        for path in files:
            if not path.name.startswith(".") and path.suffix not in {".cache", ".npy"}:
                name = path.name if path == place else path.relative_to(place).as_posix()
                rows.append((f"{number}/{name}", _sha256_of(path)))
    whole = hashlib.sha256("".join(f"{name}\t{sha256}\n" for name, sha256 in rows).encode())
    return whole.hexdigest(), rows


def environment() -> dict[str, Any]:
    """What a run depends on besides settings and data: versions, processor, system, the command line."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "tagtrace": __version__,
        "python": platform.python_version(),
        "libraries": versions,
        "system": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        # the program's folder says nothing but where somebody's files lie, and a notebook's arguments are those of its kernel
        "command": ["(in a notebook)"] if "ipykernel" in sys.modules else [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def plain_settings(settings: DataclassInstance) -> dict[str, Any]:
    """Settings as JSON values; paths as text, tuples as lists."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    return plain


def trackers_of(folder: Path, tracking: TrackingSettings, kind: str) -> list[Tracker]:
    """The trackers that the settings ask for. Raises TagtraceError that names the extra where a library is missing."""
    trackers: list[Tracker] = []
    if tracking.tensorboard:
        trackers.append(_TensorBoard(folder / "tensorboard"))
    if tracking.mlflow:
        trackers.append(_MLflow(folder, tracking, kind))
    return trackers


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        module = _library("torch.utils.tensorboard", "tensorboard")
        self._writer: Any = module.SummaryWriter(str(folder))

    def begin(self, settings: Mapping[str, Any]) -> None:
        self._writer.add_text("settings", "\n\n".join(f"`{name}`: {value}" for name, value in settings.items()))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def end(self, result: Mapping[str, Any]) -> None:
        self._writer.add_text("result", json.dumps(result, default=str))
        self._writer.close()


class _MLflow:
    """One run of MLflow; a training that goes on goes on there, too: its id is kept in ``mlflow.txt``."""

    def __init__(self, folder: Path, tracking: TrackingSettings, kind: str) -> None:
        # so that nothing is reported to anybody but the tracking server
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        self._mlflow: Any = _library("mlflow", "mlflow")
        self._mlflow.set_tracking_uri(tracking.mlflow)
        self._mlflow.set_experiment(tracking.experiment)
        self._id = folder / "mlflow.txt"
        self._name = f"{kind} {folder.name}"

    def begin(self, settings: Mapping[str, Any]) -> None:
        known = self._id.read_text(encoding="utf-8").strip() if self._id.is_file() else None
        run = self._mlflow.start_run(run_id=known, run_name=None if known else self._name)
        self._id.write_text(run.info.run_id + "\n", encoding="utf-8")
        if known is None:
            self._mlflow.log_params({name: str(value)[:500] for name, value in settings.items()})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics({name: float(value) for name, value in values.items()}, step=step)

    def end(self, result: Mapping[str, Any]) -> None:
        numbers = {name: float(value) for name, value in result.items() if isinstance(value, int | float)}
        self._mlflow.log_metrics(numbers)
        self._mlflow.end_run()


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TagtraceError(
            f"{extra} is not installed ({error}); install it with: pip install 'tagtrace[{extra}]', or leave it out"
        ) from error


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], may_change: frozenset[str], path: Path) -> None:
    changed = [name for name in now if name not in may_change and name in before and _differ(before[name], now[name])]
    if changed:
        name = changed[0]
        raise TagtraceError(
            f"{path}: this run was begun with {name} = {before[name]}, now it is {now[name]}; go on with the same settings, or "
            f"begin a new run in another folder"
        )


def _differ(before: Any, now: Any) -> bool:
    """Whether two settings differ, but for parts that an earlier version did not have."""
    if isinstance(before, dict) and isinstance(now, dict):
        return any(_differ(before[name], now[name]) for name in now if name in before)
    return bool(before != now)


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut off by a kill
        return sys.maxsize


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise TagtraceError(f"{path}: cannot be read ({error.strerror or error}); check the data") from error
    return digest.hexdigest()


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_text(path) as file:
        json.dump(values, file, ensure_ascii=False, indent=1, default=str)
        file.write("\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
