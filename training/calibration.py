"""Fit how the evidence for a link becomes its probability, and measure on other shops whether the probabilities are true."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..contract import Outcome, TagtraceError
from ..datasets.world import World
from ..inference.pipeline import PipelineSettings
from ..linking import calibration as bundled
from ..linking.calibration import Calibration, Curve
from ..linking.explain import LinkSettings
from ..models import registry
from ..models.recogniser import OnnxRecogniser, ReadSettings
from .calibration_data import Case, DrawSettings, ReadLine, draw_register, link_lines, make_crops, read_crops
from .runs import TrackingSettings, begin_run

BINS = 10
LEAST_IN_BIN = 25
"""The share that was right of fewer links says little."""
_MOST_SLOPE = 2.0
"""Chosen on the held-out links of seed 41, and checked with seed 43: see the card."""
_SLIPS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
"""Shares of links that are wrong whatever the evidence, as they are tried."""
FIT_SPLIT, HELD_OUT_SPLIT = "val", "test"
CARD = Path(bundled.__file__).parent.parent / "models" / "cards" / "linking.md"


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """What is fitted to what. ``model`` is a recogniser in the registry, or empty for the first one."""

    seed: int = 41
    draw: DrawSettings = field(default_factory=DrawSettings)
    model: str = ""
    threads: int = 1
    ridge: float = 1.0
    """Pull of a fitted curve towards leaving the log-odds as they are: as much as about so many links would pull."""
    weights: tuple[float, ...] = (0.2, 0.35, 0.5, 1.0)
    """Values of ``LinkSettings.reading_weight`` that are compared; the fit itself uses the one in force."""
    tracking: TrackingSettings = field(default_factory=TrackingSettings)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Links against the truth. Of each of the equal-mass bins: mean probability, share that was right, links.

    ``ece`` is the expected calibration error, the mean over all links of what the two differ by in their bin; ``brier`` the mean
    squared and ``log_loss`` the mean logarithmic error (nats).
    """

    name: str
    links: int
    right: float
    ece: float
    brier: float
    log_loss: float
    bins: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration with its measures: on the held-out shops, whole and per outcome, and before calibration."""

    calibration: Calibration
    held_out: Reliability
    before: Reliability
    outcomes: tuple[Reliability, ...]
    weights: tuple[tuple[float, float], ...]
    """Log-loss on the fitted shops per value of ``reading_weight``, each with a calibration of its own."""
    links: int


def fit_curve(log_odds: NDArray[np.float64], right: NDArray[np.bool_], ridge: float) -> Curve:
    """The curve of least log-loss through links with these log-odds, of which some were right.

    The slope lies in 0..``_MOST_SLOPE``: evidence is never made to count much more than it says. ``most`` is at most
    (n + 1) / (n + 2) of n links, Laplace's rule of succession: no probability is more certain than so many links can tell.
    """

    def loss(parameters: NDArray[np.float64], most: float) -> float:
        slope, offset = parameters
        probability = most / (1.0 + np.exp(-np.clip(slope * log_odds + offset, -30, 30)))
        told = np.where(right, np.log(probability), np.log1p(-probability))
        return float(-told.sum() + 0.5 * ridge * ((slope - 1.0) ** 2 + offset**2))

    start, bounds = np.array([0.9, 0.0]), [(0.0, _MOST_SLOPE), (-20.0, 20.0)]
    limit = 1.0 - 1.0 / (len(right) + 2.0)
    found = []
    for most in [limit, *(1.0 - slip for slip in _SLIPS if 1.0 - slip < limit)]:
        best = minimize(loss, start, args=(most,), bounds=bounds, method="L-BFGS-B")
        found.append((float(best.fun), most, best.x))
    _, most, (slope, offset) = min(found, key=lambda entry: entry[0])
    return Curve(float(slope), float(offset), most)


def fit(cases: Sequence[Case], ridge: float, recogniser: str = "") -> Calibration:
    """A curve for every outcome that has cases."""
    curves = {}
    for outcome in Outcome:
        own = [case for case in cases if case.outcome is outcome]
        if own:
            curves[outcome] = fit_curve(np.array([c.log_odds for c in own]), np.array([c.right for c in own]), ridge)
    return Calibration(curves, recogniser)


def reliability(name: str, cases: Sequence[Case], calibration: Calibration | None) -> Reliability:
    """How true the probabilities of the cases are, without a calibration or with one."""
    odds = np.array([c.log_odds if calibration is None else calibration.apply(c.outcome, c.log_odds) for c in cases])
    probability = 1.0 / (1.0 + np.exp(-np.clip(odds, -14.0, 14.0)))
    right = np.array([case.right for case in cases], np.float64)
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(BINS, max(1, len(cases) // LEAST_IN_BIN)))
    bins = tuple((float(probability[p].mean()), float(right[p].mean()), len(p)) for p in parts)
    ece = sum(abs(mean - share) * count for mean, share, count in bins) / max(len(cases), 1)
    loss = -np.log(np.where(right > 0, probability, 1 - probability))
    brier = (probability - right) ** 2
    return Reliability(name, len(cases), float(right.mean()), float(ece), float(brier.mean()), float(loss.mean()), bins)


def calibrate(out: Path, settings: CalibrationSettings, report: Callable[[str], None] = lambda message: None) -> Fitted:
    """Fit on the shops of one split, measure on those of another, and write ``link_calibration.toml``, ``linking.md`` and
    ``reliability.png`` to ``out``, with the record of the run (see ``runs``). Crops made in an earlier run there are used again.
    """
    model = registry.resolve(settings.model or registry.Task.RECOGNISER, task=registry.Task.RECOGNISER)
    record = begin_run(out, "calibration", settings, [model.path], settings.tracking)
    recogniser = OnnxRecogniser(model.path, ReadSettings(threads=settings.threads), model.info)
    links = LinkSettings()
    lines = {}
    for split in (FIT_SPLIT, HELD_OUT_SPLIT):
        shards = make_crops(out / split, split, settings.seed, settings.draw.crops)
        lines[split] = read_crops(shards, recogniser)
        report(f"{split}: read {len(lines[split])} crops")
    cases = {split: _cases(split, lines[split], links, settings) for split in lines}
    if not all(cases.values()):
        raise TagtraceError(f"{out}: no contact could be read on the crops; make more of them with --crops")
    fitted = fit(cases[FIT_SPLIT], settings.ridge, model.sha256)
    held = cases[HELD_OUT_SPLIT]
    outcomes = {outcome: [case for case in held if case.outcome is outcome] for outcome in Outcome}
    result = Fitted(
        fitted,
        reliability("all links", held, fitted),
        reliability("before calibration", held, None),
        tuple(reliability(outcome.value, own, fitted) for outcome, own in outcomes.items() if own),
        tuple((weight, _loss_at(weight, lines[FIT_SPLIT], links, settings)) for weight in settings.weights),
        len(cases[FIT_SPLIT]),
    )
    _write(out, result, settings, model.name)
    whole = result.held_out
    record.finish({"links": whole.links, "ece": whole.ece, "brier": whole.brier, "log_loss": whole.log_loss})
    return result


def install(out: Path) -> None:
    """Put the calibration and its card in place of those of the package."""
    shutil.copyfile(out / bundled.FILE.name, bundled.FILE)
    shutil.copyfile(out / CARD.name, CARD)


def _cases(split: str, lines: Sequence[ReadLine], links: LinkSettings, settings: CalibrationSettings) -> list[Case]:
    shops = World(settings.seed, split).shops
    extract = PipelineSettings().extract
    out: list[Case] = []
    for number in range(settings.draw.rounds):
        rng = np.random.default_rng([settings.seed, 32, number])
        register = draw_register(rng, shops, lines, settings.draw)
        out += link_lines(lines, register, links, extract)
    return out


def _loss_at(weight: float, lines: Sequence[ReadLine], links: LinkSettings, settings: CalibrationSettings) -> float:
    """Log-loss on the shops of the fit with another weight of the recogniser's likelihood, fitted anew."""
    cases = _cases(FIT_SPLIT, lines, replace(links, reading_weight=weight), settings)
    return reliability("", cases, fit(cases, settings.ridge)).log_loss


def _write(out: Path, result: Fitted, settings: CalibrationSettings, model: str) -> None:
    from .calibration_report import card, plot

    remarks: dict[str, float | int | str] = {
        "seed": settings.seed,
        "crops": settings.draw.crops,
        "links": result.links,
        "held_out_links": result.held_out.links,
        "held_out_ece": result.held_out.ece,
        "model": model,
    }
    (out / bundled.FILE.name).write_text(bundled.toml_text(result.calibration, remarks), encoding="utf-8")
    (out / CARD.name).write_text(card(result, settings, model), encoding="utf-8")
    plot(result, out / "reliability.png")
