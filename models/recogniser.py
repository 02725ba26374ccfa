"""The recogniser at work: line crops in, readings out, from its ONNX export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import BrokenInstallationError, Char, Image, LogProbs, ModelInfo, Reading
from .ctc import DecodeSettings, align, beam_search, best_path, log_softmax
from .linecrop import CropSettings, prepare
from .runtime import Runtime, load_network

_WIDTHS = 32
"""Widths of crops that there can be, and a few."""
MIN_SIDE_PX = 3
"""Crops less high or wide than this hold nothing to read."""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """How lines are read."""

    threads: int = 0
    """Processor threads; 0 lets the runtime choose."""
    runtime: Runtime = Runtime.AUTO
    """What runs the network."""
    max_batch: int = 1
    """Crops of one width that are read together at most: more gain nothing on a processor, and take memory for each number."""
    turn_below: float = 1.0
    """Evidence (in characters) below which a line is read turned by 180 degrees, too, and the better of both is kept. The wrong
    way up it is reached by hardly any line."""
    turn_gain: float = 0.5
    """How much more evidence the turned reading must have to be kept."""
    even: float = 0.5
    """Confidence of a character that is no evidence for the way up; each character counts by what it has above it."""
    decode: DecodeSettings = field(default_factory=DecodeSettings)


class OnnxRecogniser:
    """Reads line crops with an exported recogniser; a ``contract.Recogniser``.

    The model file carries its alphabet and crop settings in its metadata. A crop is brought to the network's height in
    proportion and read at its own width, with crops of the same width at most: its reading does not depend on the others.
    The object holds nothing that changes, so threads may share it.
    """

    def __init__(self, model: Path, settings: ReadSettings | None = None, info: ModelInfo | None = None) -> None:
        """Raises BrokenInstallationError where ``model`` is not a recogniser that ``tagtrace train recogniser`` exported."""
        self.settings = settings or ReadSettings()
        self._network, digest = load_network(model, self.settings.threads, self.settings.runtime, _WIDTHS)
        self.alphabet, self.crop = _described(model, self._network.metadata)
        self._info = info or ModelInfo(task="recogniser", name=model.stem, sha256=digest)

    @property
    def info(self) -> ModelInfo:
        """Name and checksum of the weights."""
        return self._info

    @property
    def runtime(self) -> Runtime:
        """What runs the network."""
        return self._network.runtime

    def read(self, crops: Sequence[Image], upright: bool = False, quick: bool = False) -> list[Reading]:
        """One reading per crop (``uint8`` RGB, the text along the width, either way up unless ``upright``), in order.

        A crop in which nothing is read gives an empty text with confidence 0. ``quick`` leaves the search for other texts to
        ``complete``, and has no hypotheses.
        """
        pictures = [prepare(crop, self.crop) if min(crop.shape[:2]) >= MIN_SIDE_PX else None for crop in crops]
        straight = self._run(pictures)
        firsts = [None if table is None else best_path(table, self.alphabet, self.settings.decode) for table in straight]
        least = self.settings.turn_below
        doubtful = [not upright and first is not None and self._evidence(first) < least for first in firsts]
        # grey values and contrast of a crop are the same either way up, so the prepared picture can be turned
        again = [picture if doubt else None for picture, doubt in zip(pictures, doubtful, strict=True)]
        turned = self._run([None if picture is None else picture[::-1, ::-1] for picture in again])
        readings = [self._choose(*found) for found in zip(straight, firsts, turned, strict=True)]
        return readings if quick else [self.complete(reading) for reading in readings]

    def complete(self, reading: Reading) -> Reading:
        """A quick reading with its hypotheses; the best of them can be another text."""
        table, chars = reading.log_probs, reading.chars
        if table is None:
            return reading
        hypotheses = beam_search(table, self.alphabet, self.settings.decode)
        text = hypotheses[0].text
        if text != reading.text:
            chars = align(table, text, self.alphabet, self.settings.decode)
        return replace(reading, text=text, confidence=confidence_of(chars), hypotheses=hypotheses, chars=chars)

    def _run(self, pictures: Sequence[NDArray[np.float32] | None]) -> list[LogProbs | None]:
        """Log-probabilities (steps, 1 + characters) of each prepared picture; None stays None."""
        found: list[LogProbs | None] = [None] * len(pictures)
        widths: dict[int, list[int]] = {}
        for number, picture in enumerate(pictures):
            if picture is not None:
                widths.setdefault(picture.shape[1], []).append(number)
        for _, members in sorted(widths.items()):
            for start in range(0, len(members), self.settings.max_batch):
                batch = members[start : start + self.settings.max_batch]
                stacked = np.stack([pictures[n] for n in batch])[:, None]  # type: ignore[misc]
                logits = self._network.run(stacked)[0]
                for number, table in zip(batch, log_softmax(logits), strict=True):
                    found[number] = table
        return found

    def _choose(self, upright: LogProbs | None, first: tuple[Char, ...] | None, turned: LogProbs | None) -> Reading:
        if upright is None or first is None:
            return Reading("", 0.0, alphabet=self.alphabet)
        if turned is not None:
            second = best_path(turned, self.alphabet, self.settings.decode)
            if self._evidence(second) > self._evidence(first) + self.settings.turn_gain:
                return self._reading(turned, second, flipped=True)
        return self._reading(upright, first, flipped=False)

    def _evidence(self, chars: tuple[Char, ...]) -> float:
        """How much speaks for this way up: many sure characters against few or doubtful ones."""
        return sum(char.confidence - self.settings.even for char in chars)

    def _reading(self, table: LogProbs, chars: tuple[Char, ...], flipped: bool) -> Reading:
        text = "".join(char.text for char in chars)
        return Reading(text, confidence_of(chars), (), chars, table, self.alphabet, flipped)


def confidence_of(chars: Sequence[Char]) -> float:
    """Geometric mean of the characters' confidences; 0 for none."""
    if not chars:
        return 0.0
    return float(np.exp(np.mean(np.log([max(char.confidence, 1e-9) for char in chars]))))


def _described(model: Path, metadata: Mapping[str, str]) -> tuple[str, CropSettings]:
    """Alphabet and crop settings from a model's metadata."""
    try:
        crop: dict[str, Any] = json.loads(metadata["crop"])
        return metadata["alphabet"], CropSettings(**crop)
    except (KeyError, ValueError, TypeError) as error:
        raise BrokenInstallationError(
            f"{model}: has no alphabet and crop settings of a tagtrace recogniser in its metadata ({error}); "
            f"export it with `tagtrace train recogniser`"
        ) from error
