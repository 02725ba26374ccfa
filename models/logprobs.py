"""CTC log-probabilities in few bytes, to keep them beside a reading: for linking again later, and for reading together.

Most of a step's probability lies on a few characters. Kept are those of at least ``LEAST`` (the ``MOST`` likely of a step, and
all of at least ``ALWAYS``), to a sixteenth of a nat; the rest of the step is spread evenly over the other characters. A line of
a handle takes a few hundred bytes instead of sixty thousand.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from ..contract import LogProbs

LEAST = 3e-4
MOST = 16
ALWAYS = 0.01
_SCALE = 16.0
_HEAD = struct.Struct("<BHH")
_VERSION = 1
_FLOOR = -30.0


def pack(log_probs: LogProbs) -> bytes:
    """``log_probs`` (steps, columns) as bytes, with a loss: see the module. ``ValueError`` above 65,535 steps or columns."""
    steps, columns = log_probs.shape
    if max(steps, columns) > 0xFFFF:
        raise ValueError(f"log-probabilities of shape {log_probs.shape} are too large to pack")
    # no more than a hundred characters can have a hundredth each
    order = np.argsort(-log_probs, axis=1, kind="stable")[:, : max(MOST, round(1 / ALWAYS))]
    values = np.take_along_axis(log_probs, order, axis=1)
    kept = values >= np.log(LEAST)
    kept[:, MOST:] &= values[:, MOST:] >= np.log(ALWAYS)
    kept[:, :1] = True
    counts = kept.sum(axis=1).astype(np.uint8)
    levels = np.clip(np.rint(-values * _SCALE), 0, 255).astype(np.uint8)
    body = counts.tobytes() + order.astype("<u2")[kept].tobytes() + levels[kept].tobytes()
    return _HEAD.pack(_VERSION, steps, columns) + zlib.compress(body, 6)


def unpack(data: bytes) -> LogProbs:
    """What ``pack`` kept: ``float32`` (steps, columns), every step summing to one. Raises ``ValueError`` for other bytes."""
    try:
        version, steps, columns = _HEAD.unpack_from(data)
        body = zlib.decompress(data[_HEAD.size :])
    except (struct.error, zlib.error) as error:
        raise ValueError(f"no packed log-probabilities: {error}") from error
    counts = np.frombuffer(body[:steps], np.uint8).astype(np.int64)
    total = int(counts.sum())
    if version != _VERSION or len(body) != steps + 3 * total:
        raise ValueError("no packed log-probabilities: unknown version or wrong length")
    places = np.frombuffer(body[steps : steps + 2 * total], "<u2").astype(np.int64)
    if total and int(places.max()) >= columns:
        raise ValueError("no packed log-probabilities: a column is out of range")
    rows = np.repeat(np.arange(steps), counts)
    probs = np.zeros((steps, columns))
    probs[rows, places] = np.exp(np.frombuffer(body[steps + 2 * total :], np.uint8) / -_SCALE)
    left = np.maximum(1.0 - probs.sum(axis=1), 1e-9) / np.maximum(columns - counts, 1)
    probs = np.where(probs > 0, probs, left[:, None])
    return np.asarray(np.maximum(np.log(probs / probs.sum(axis=1, keepdims=True)), _FLOOR), np.float32)
