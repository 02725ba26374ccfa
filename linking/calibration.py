"""From the sum of the evidence to a probability: how often links of such evidence were right when it could be checked.

The evidence is added up as if its pieces were independent and the recogniser knew its own doubts; neither is so. For each outcome
a curve sets that right: ``probability = most / (1 + exp(-(slope * log_odds + offset)))``. That is Platt's (1999), with a limit
``most`` below 1 for what goes wrong whatever the evidence says. The numbers stand in ``link_calibration.toml``, which
``tagtrace train calibration`` writes together with what they were fitted to.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..contract import BrokenInstallationError, Outcome

FILE = Path(__file__).with_name("link_calibration.toml")


@dataclass(frozen=True, slots=True)
class Curve:
    """``slope`` is at least 0 and has no unit, ``offset`` is in nats, ``most`` a probability in 0..1 (1: no limit)."""

    slope: float = 1.0
    offset: float = 0.0
    most: float = 1.0

    def apply(self, log_odds: float) -> float:
        """Calibrated log-odds in nats. Never falls when ``log_odds`` rises."""
        inner = min(max(self.slope * log_odds + self.offset, -_LIMIT), _LIMIT)
        # Of p = most / (1 + exp(-inner)) the odds are most / (1 - most + exp(-inner)).
        return math.log(self.most) - math.log(1.0 - self.most + math.exp(-inner))


_LIMIT = 500.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve per outcome, and the SHA-256 of the recogniser whose readings they were fitted to.

    An outcome that is not listed is left as it is.
    """

    curves: Mapping[Outcome, Curve]
    recogniser: str = ""

    def apply(self, outcome: Outcome, log_odds: float) -> float:
        """Calibrated log-odds in nats. Never falls when ``log_odds`` rises."""
        curve = self.curves.get(outcome)
        return log_odds if curve is None else curve.apply(log_odds)


def read_calibration(path: Path) -> Calibration:
    """Read a file that ``toml_text`` wrote; raises ``BrokenInstallationError`` naming it when it is missing or wrong."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        curves = {Outcome(name): _curve(row) for name, row in data["outcome"].items()}
        recogniser = str(data.get("recogniser", ""))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        message = f"{path}: not a calibration of links ({error!r}); restore it or run `tagtrace train calibration`"
        raise BrokenInstallationError(message) from error
    return Calibration(curves, recogniser)


def _curve(row: Mapping[str, float]) -> Curve:
    curve = Curve(float(row["slope"]), float(row["offset"]), float(row["most"]))
    if not (curve.slope >= 0 and 0 < curve.most <= 1 and math.isfinite(curve.offset)):
        raise ValueError(f"slope {curve.slope}, offset {curve.offset}, most {curve.most}: more evidence must never mean less")
    return curve


def toml_text(calibration: Calibration, remarks: Mapping[str, float | int | str]) -> str:
    """The calibration as the text of its file; ``remarks`` say what it was fitted to."""
    out = ["# Written by `tagtrace train calibration`: how the evidence for a link becomes its probability.", ""]
    out.append(f'recogniser = "{calibration.recogniser}"')
    out += ["", "[fit]", *(f"{name} = {_toml(value)}" for name, value in remarks.items())]
    for outcome, curve in sorted(calibration.curves.items()):
        values = (
            f"{name} = {value:.6f}" for name, value in (("slope", curve.slope), ("offset", curve.offset), ("most", curve.most))
        )
        out += ["", f"[outcome.{outcome}]", *values]
    return "\n".join(out) + "\n"


@lru_cache(maxsize=1)
def bundled() -> Calibration:
    """The calibration that comes with tagtrace."""
    return read_calibration(FILE)


def _toml(value: float | int | str) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value:.6g}" if isinstance(value, float) else str(value)
