"""The least time that a photo can take on this machine: decoding, and the arithmetic of the networks at the highest rate.

Scoring also cuts out crops, searches codes, weighs readings and extracts contacts: what it takes beyond this limit is ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..scoring.settings import ScoreSettings
from .benchmark import machine, processors
from .benchmark_decoding import DecodeTime, JpegPhoto, decode_times, jpeg_photos, least_decode
from .benchmark_probe import ProbeSettings, Program, Rate, bandwidth, peaks, programs, rate
from .benchmark_seen import Seen, networks_at_work
from .flops import Shape


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How the limits are measured."""

    threads: int = 0
    """What counts as all processors; 0: those that this process may use."""
    decoded: int = 16
    """So many of the photos are decoded again and again."""
    probe: ProbeSettings = field(default_factory=ProbeSettings)


@dataclass(frozen=True, slots=True)
class NetworkWork:
    """One network and what it has to do per photo, on average of the photos."""

    name: str
    model: Path
    program: Program
    """What scoring runs it with."""
    operations: float
    """Floating-point operations per photo."""
    runs: float
    """Inputs per photo, each of them one batch."""
    shape: Shape
    """The input that takes most of the arithmetic."""
    operations_of_shape: int
    """Floating-point operations of that input."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one photo asks for, on average: decoding, and the arithmetic of each network."""

    photos: int
    jpegs: tuple[JpegPhoto, ...]
    side_px: int
    """Long side of the largest picture that a network sees."""
    networks: tuple[NetworkWork, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """Least seconds per photo on ``threads`` processors that all work on photos of their own."""

    threads: int
    decode_full: float
    """Of the fastest decoder, every pixel."""
    decode_reduced: float
    """Of the fastest decoder, no more pixels than the networks' input has."""
    networks: Mapping[str, float]
    """By network: its arithmetic at the highest rate that was measured."""

    @property
    def seconds(self) -> float:
        """The limit: decoding reduced, where photos are large enough, and the arithmetic."""
        return self.decode_reduced + sum(self.networks.values())

    @property
    def seconds_full(self) -> float:
        """The limit of a program that decodes every pixel."""
        return self.decode_full + sum(self.networks.values())

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with both sums."""
        return {**asdict(self), "seconds": self.seconds, "seconds_full": self.seconds_full}


@dataclass(frozen=True, slots=True)
class Limits:
    """All that was measured of a machine."""

    machine: Mapping[str, Any]
    work: Work
    decoding: tuple[DecodeTime, ...]
    bandwidths: Mapping[int, float]
    """Gigabytes per second read and written, by threads."""
    rates: tuple[Rate, ...]
    """Of the networks made for it, and of the models."""
    limits: tuple[Limit, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        networks = [{**asdict(n), "model": n.model.name} for n in self.work.networks]
        return {
            "machine": dict(self.machine),
            "photos": self.work.photos,
            "networks": networks,
            "decoding": [{**asdict(d), "megapixels_per_second": d.megapixels_per_second} for d in self.decoding],
            "bandwidth_gb_per_s": {str(threads): rate for threads, rate in self.bandwidths.items()},
            "rates": [{**asdict(r), "gflops": r.gflops} for r in self.rates],
            "limits": [limit.to_json() for limit in self.limits],
        }


def work_of(photos: Sequence[Path], settings: LimitSettings, scoring: ScoreSettings) -> Work:
    """Score the photos once and count what the networks have to do.

    Raises TagtraceError where there is no JPEG among the photos.
    """
    jpegs = jpeg_photos(photos, settings.decoded)
    seen = networks_at_work(photos, scoring, threads=settings.threads or processors())
    sides = [side for network in seen.values() for shape in network.shapes if shape[1] == 3 for side in shape[2:]]
    networks = tuple(_network(name, network, len(photos)) for name, network in seen.items())
    return Work(len(photos), tuple(jpegs), max(sides, default=1), networks)


def _network(name: str, seen: Seen, photos: int) -> NetworkWork:
    usual = seen.usual()
    return NetworkWork(
        name=name,
        model=seen.model,
        program=programs(seen.model)[0],
        operations=seen.operations() / photos,
        runs=seen.shapes.total() / photos,
        shape=usual,
        operations_of_shape=seen.counter.count(usual),
    )


def limit_now(work: Work, threads: int, settings: LimitSettings) -> Limit:
    """Measure only what the limit is made of, at this moment: some seconds."""
    with tempfile.TemporaryDirectory(prefix="tagtrace-limits-") as folder:
        used = dict.fromkeys(network.program for network in work.networks)
        rates = [r for program in used for r in peaks(program, threads, Path(folder), settings.probe)]
        rates += [_network_rate(n, n.program, threads, settings.probe) for n in work.networks]
    times = decode_times(work.jpegs, threads, settings.probe, scales=(1,))
    return _limit(work, threads, times, rates, settings)


def _limit(work: Work, threads: int, times: Sequence[DecodeTime], rates: Sequence[Rate], settings: LimitSettings) -> Limit:
    full = min(t.seconds for t in times if t.scale == 1 and t.threads == threads)
    reduced = min(full, least_decode(work.jpegs, work.side_px, threads, settings.probe))
    highest = {n.name: max(r.gflops for r in rates if r.program == n.program and r.threads == threads) for n in work.networks}
    return Limit(threads, full, reduced, {n.name: n.operations / highest[n.name] / 1e9 for n in work.networks})


def measure_limits(
    photos: Sequence[Path],
    settings: LimitSettings | None = None,
    scoring: ScoreSettings | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Limits:
    """Measure decoding, memory and arithmetic with one thread and with all, and the limits that follow from them.

    Raises TagtraceError where the photos are none, or a model cannot be loaded.
    """
    settings = settings or LimitSettings()
    everything = settings.threads or processors()
    progress(f"scoring {len(photos)} photos, to count what the networks have to do")
    work = work_of(photos, replace(settings, threads=everything), scoring or ScoreSettings())
    times, rates, bandwidths, limits = list[DecodeTime](), list[Rate](), dict[int, float](), list[Limit]()
    for threads in sorted({1, everything}):
        progress(f"{threads} threads: decoding, memory, arithmetic")
        times += decode_times(work.jpegs, threads, settings.probe)
        bandwidths[threads] = bandwidth(threads, settings.probe)
        rates += _rates(work, threads, settings.probe)
        limits.append(_limit(work, threads, times, rates, settings))
    return Limits(machine(), work, tuple(times), bandwidths, tuple(rates), tuple(limits))


def _rates(work: Work, threads: int, probe: ProbeSettings) -> list[Rate]:
    """Every program on the networks made for it, and on those models that it can run."""
    found = []
    with tempfile.TemporaryDirectory(prefix="tagtrace-limits-") as folder:
        for program in programs():
            found += peaks(program, threads, Path(folder), probe)
    for network in work.networks:
        found += [_network_rate(network, program, threads, probe) for program in programs(network.model)]
    return found


def _network_rate(n: NetworkWork, program: Program, threads: int, probe: ProbeSettings) -> Rate:
    return rate(n.model, n.name, n.shape, program, threads, n.operations_of_shape, probe)
