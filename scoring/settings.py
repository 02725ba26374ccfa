"""All settings of a scoring run in one object, and which of them a finished photo depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from .. import __version__
from ..contract import SCHEMA_VERSION, ModelInfo
from ..inference.decode import DecodeSettings
from ..inference.pipeline import PipelineSettings
from ..inference.reader import ReaderSettings
from ..linking.clusters import ClusterSettings
from ..linking.shops import LinkSettings
from ..models.runtime import Runtime
from .placing import PlacingSettings


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Bounds of a run, and the looks of what it writes."""

    max_file_bytes: int = 1 << 30
    """Larger files are not opened."""
    photo_timeout_s: float = 900.0
    """A worker that takes longer for one photo is ended, and the photo fails."""
    start_timeout_s: float = 600.0
    """A worker that has not loaded its models after this time is taken as broken."""
    plain_progress_s: float = 10.0
    """Time between two lines of progress where there is no terminal."""
    annotated_side_px: int = 2000
    """Longest side of annotated pictures."""
    crop_side_px: int = 360
    """Longest side of the advert crops in the report."""
    crop_margin_share: float = 0.15
    """What is shown around an advert in the report, as a share of its size."""
    jpeg_quality: int = 85
    crop_jpeg_quality: int = 72
    in_memory_photos: int = 2000
    """Larger runs are placed on the disk, batch by batch, so that memory does not grow with them."""
    in_memory_photos_with_store: int = 20_000
    """The same for runs into a store: on the disk they need a copy of all its sightings."""
    report_crops: int = 3000
    """Adverts shown with their picture in the report, the surest first: it has to open in a browser."""


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """Everything that decides what a run finds."""

    reader: str = "tagtrace"
    detector: str = ""
    """A detector in the registry, or a model file; empty: the first one. For the reader ``tagtrace``."""
    recogniser: str = ""
    """A recogniser in the registry, or a model file; empty: the first one. For the reader ``tagtrace``."""
    runtime: Runtime = Runtime.AUTO
    """What runs the networks of the reader ``tagtrace``."""
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    lines: ReaderSettings = field(default_factory=ReaderSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    links: LinkSettings = field(default_factory=LinkSettings)
    clusters: ClusterSettings = field(default_factory=ClusterSettings)
    placing: PlacingSettings = field(default_factory=PlacingSettings)
    run: RunSettings = field(default_factory=RunSettings)

    def to_json(self) -> dict[str, object]:
        """The settings that decide results, as they stand in every record: not those of ``run``; models, and what
        runs them, are named apart."""
        parts = asdict(self)
        for name in ("run", "detector", "recogniser", "runtime"):
            del parts[name]
        return parts


def fingerprint(settings: ScoreSettings, models: Sequence[ModelInfo], engine: Mapping[str, object]) -> str:
    """Changes whenever the analysis of one photo may: with the version, the models, and the settings up to the extraction.

    ``engine`` are the settings of the models. Links and clusters are made anew from all photos at the end of every run, so
    their settings do not count.
    """
    parts = settings.to_json()
    parts = {name: parts[name] for name in ("reader", "decode", "lines", "pipeline")}
    described = {
        "version": __version__,
        "schema": SCHEMA_VERSION,
        "settings": parts,
        "engine": dict(engine),
        "models": [asdict(model) for model in models],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
