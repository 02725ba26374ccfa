"""From the name of a reader to a pipeline that is ready to run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..contract import BrokenInstallationError, LineReader, ModelInfo, TagtraceError
from ..inference.pipeline import Pipeline
from ..inference.reader import TagtraceReader
from ..models.runtime import Runtime
from .settings import ScoreSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)

OWN_READER = "tagtrace"
DEVICES = ("cpu",)
"""Where models can run. The weights are small: photos per second come from more workers."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A pipeline, the models in it, and the settings of those models as they stand in the results."""

    pipeline: Pipeline
    models: tuple[ModelInfo, ...]
    settings: Mapping[str, object]


def check_reader(name: str) -> None:
    """Raise ``TagtraceError`` for a reader that cannot exist, before anything is started."""
    from ..models.adapters import VENDOR_READERS

    if name != OWN_READER and name not in VENDOR_READERS and ":" not in name:
        raise TagtraceError(
            f"there is no reader {name!r}; choose one of: {', '.join((OWN_READER, *VENDOR_READERS))}, or name your own as "
            f"module:function (a function of the number of threads that returns a LineReader)"
        )


def runtime_named(name: str) -> Runtime:
    """The runtime of a name. Raises ``TagtraceError`` where there is none."""
    if name not in set(Runtime):
        raise TagtraceError(f"there is no runtime {name!r}; choose one of: {', '.join(Runtime)}")
    return Runtime(name)


def build_engine(settings: ScoreSettings, device: str = "cpu", threads: int = 0) -> Engine:
    """Load the reader that ``settings.reader`` names, and the code reader.

    ``threads`` bounds the processor threads of the models; 0 leaves it to them. Raises ``BrokenInstallationError`` when a model
    or library is missing, ``TagtraceError`` for an unknown reader or device.
    """
    if device not in DEVICES:
        raise TagtraceError(f"there is no device {device!r}; choose one of: {', '.join(DEVICES)}")
    check_reader(settings.reader)
    from ..models.codes import CodeSettings, ZxingReader

    # Where the detector points codes out, enlarging the whole photo found none beside them (in 440 photos of validation).
    codes = CodeSettings(try_harder=settings.reader != OWN_READER)
    reader, described = _reader(settings, threads)
    pipeline = Pipeline(reader, ZxingReader(codes), settings.pipeline)
    return Engine(pipeline, pipeline.infos, {**described, "codes": asdict(codes)})


def _reader(settings: ScoreSettings, threads: int) -> tuple[LineReader, dict[str, object]]:
    if settings.reader == OWN_READER:
        return _own_reader(settings, threads)
    if ":" in settings.reader:
        return _named_reader(settings.reader, threads), {}
    from ..models.adapters import vendor_reader

    return vendor_reader(settings.reader, threads), {}


def _own_reader(settings: ScoreSettings, threads: int) -> tuple[LineReader, dict[str, object]]:
    from ..models.detector import DetectionSettings, OnnxDetector
    from ..models.recogniser import OnnxRecogniser, ReadSettings
    from ..models.registry import Task, resolve

    seen = resolve(settings.detector or Task.DETECTOR, task=Task.DETECTOR)
    read = resolve(settings.recogniser or Task.RECOGNISER, task=Task.RECOGNISER)
    # What was found in training belongs to the weights, and counts more than the defaults.
    detection = replace(_adjusted(DetectionSettings(), seen.settings), threads=threads, runtime=settings.runtime)
    reading = replace(_adjusted(ReadSettings(), read.settings), threads=threads, runtime=settings.runtime)
    detector = OnnxDetector(seen.path, detection, seen.info)
    recogniser = OnnxRecogniser(read.path, reading, read.info)
    described = {"detector": asdict(detection), "recogniser": asdict(reading)}
    for name, runtime in (("detector", detector.runtime), ("recogniser", recogniser.runtime)):
        described[name]["runtime"] = str(runtime)
    for part in described.values():
        del part["threads"]
    return TagtraceReader(detector, recogniser, settings.lines), dict(described)


def _adjusted(settings: S, values: Mapping[str, Any]) -> S:
    known = {field.name for field in fields(settings)}
    return replace(settings, **{name: value for name, value in values.items() if name in known})


def _named_reader(name: str, threads: int) -> LineReader:
    module, _, function = name.partition(":")
    try:
        reader = getattr(importlib.import_module(module), function)(threads)
    except (ImportError, AttributeError) as error:
        raise BrokenInstallationError(f"reader {name}: cannot be loaded ({error}); check the module and the function") from error
    if not isinstance(reader, LineReader):
        raise TagtraceError(f"reader {name}: gives a {type(reader).__name__}, which is no LineReader (infos, read_lines)")
    return reader
