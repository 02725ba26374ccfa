"""The speed of two models, measured in turn on the same photos, so that what else the machine does weighs on both alike."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.registry import ModelFile, Task
from ..scoring.build import Engine, build_engine
from ..scoring.settings import ScoreSettings
from .compare_stats import StatisticsSettings, draw_weights, interval, sign_test
from .evaluate_parts import load_photo
from .predictions import Prediction


@dataclass(frozen=True, slots=True)
class SpeedSettings:
    """How speed is measured."""

    photos: int = 40
    """Photos at most, spread evenly over the data; 0: do not measure."""
    repeats: int = 2
    """How often each is read by each side; the faster time counts."""
    threads: int = 1
    """Processor threads of the models; 0 leaves it to the runtime."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Median seconds per photo of A and B; how many times the time of A that of B is (median over photos) with its interval, and
    the probability of such a split by chance (sign test). ``in_turn``: measured here, and not in two runs that may differ."""

    a: float
    b: float
    ratio: float
    low: float | None
    high: float | None
    p: float | None
    photos: int
    in_turn: bool
    threads: int | None = None


def measure_speed(
    a: Sequence[ModelFile],
    b: Sequence[ModelFile],
    photos: Sequence[Path],
    settings: SpeedSettings,
    statistics: StatisticsSettings,
) -> Speed | None:
    """Read photos with both, in turn and each first half of the times; decoding is not counted. None where none are wanted."""
    if not settings.photos:
        return None
    chosen = [photos[int(i)] for i in np.linspace(0, len(photos) - 1, min(settings.photos, len(photos)))]
    engines = [_engine(models, settings.threads) for models in (a, b)]
    best = np.full((2, len(chosen)), np.inf)
    for number, path in enumerate(chosen):
        photo = load_photo(path)
        if not number:
            for engine in engines:
                engine.pipeline.analyse([photo])
        for turn in range(settings.repeats):
            for which in (0, 1) if (number + turn) % 2 else (1, 0):
                begin = time.perf_counter()
                engines[which].pipeline.analyse([photo])
                best[which, number] = min(best[which, number], time.perf_counter() - begin)
    return _speed(best[0], best[1], statistics, True, settings.threads)


def speed_of_predictions(
    a: Mapping[str, Prediction], b: Mapping[str, Prediction], statistics: StatisticsSettings
) -> Speed | None:
    """The speed that predictions tell of the same photos; None where they tell none."""
    both = [name for name in a if name in b and a[name].seconds is not None and b[name].seconds is not None]
    if not both:
        return None
    times = [np.array([side[name].seconds for name in both], np.float64) for side in (a, b)]
    return _speed(times[0], times[1], statistics, False, None)


def _speed(
    a: NDArray[np.float64], b: NDArray[np.float64], statistics: StatisticsSettings, in_turn: bool, threads: int | None
) -> Speed:
    ratios = b / np.maximum(a, 1e-9)
    weights = draw_weights(len(ratios), statistics).astype(np.int64)
    drawn = np.array([np.median(np.repeat(ratios, row)) for row in weights])
    low, high = interval(drawn, statistics)
    middle = float(np.median(a)), float(np.median(b))
    return Speed(*middle, float(np.median(ratios)), low, high, sign_test(a, b), len(ratios), in_turn, threads)


def _engine(models: Sequence[ModelFile], threads: int) -> Engine:
    names = {model.task: str(model.path) for model in models}
    return build_engine(ScoreSettings(detector=names[Task.DETECTOR], recogniser=names[Task.RECOGNISER]), threads=threads)
