"""The gate before a model: it is put into use when it keeps every limit against the one in use, and refused otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..contract import TagtraceError
from ..models.library import put_in_use
from ..models.registry import REGISTRY_NAME as REGISTRY
from ..models.registry import ModelFile, Task, default_folder, load_registry, resolve, sha256_of, verify
from .compare import CompareSettings, Comparison, Contestant, DataSet, compare
from .compare_stats import Difference
from .export import find_model

LICENCE = "AGPL-3.0-or-later"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a new model has to keep. Falls and rises are differences to the model in use, in the units of the measure (0.01 is one
    point of a hundred); those that end in ``_sure`` bound the worse end of the interval."""

    least_photos: int = 100
    """Photos to be compared on."""
    least_empty_photos: int = 20
    """Photos without an advert among them."""
    least_identifiers: int = 50
    """Legible identifiers in them."""
    recall_fall: float = 0.0
    recall_fall_sure: float = 0.05
    """Recall may not fall by more than this at the worse end of its interval."""
    precision_fall: float = 0.01
    precision_fall_sure: float = 0.05
    cer_rise: float = 0.01
    """Character error rate, missed lines counted as wrong."""
    false_adverts_rise: float = 0.02
    """False adverts per photo without any."""
    link_fall: float = 0.01
    """Share of shops linked rightly, where a list of shops is given."""
    cluster_fall: float = 0.02
    """Pairwise F1 of clusters, where adverts are seen more than once."""
    slower: float = 1.15
    """How many times the time of the model in use (median over photos, measured in turn)."""


@dataclass(frozen=True, slots=True)
class PromoteSettings:
    """The gate, and how the two are compared."""

    limits: Limits = field(default_factory=Limits)
    compare: CompareSettings = field(default_factory=CompareSettings)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One limit: its name and value, what was found (None: not measured), and whether it is kept."""

    limit: str
    bound: float
    found: float | None
    kept: bool
    words: str

    def describe(self) -> str:
        """One line."""
        found = "not measured" if self.found is None else f"{self.found:.4g}"
        return f"{'kept' if self.kept else 'FAILS'}  {self.limit} = {self.bound:g}: {self.words} {found}"


@dataclass(frozen=True, slots=True, eq=False)
class Promotion:
    """What was decided: the comparison (A in use, B new), every limit, and the model as it is in use now (None: refused)."""

    comparison: Comparison
    verdicts: tuple[Verdict, ...]
    model: ModelFile | None

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The limits that are not kept."""
        return tuple(verdict for verdict in self.verdicts if not verdict.kept)


def judge(comparison: Comparison, limits: Limits) -> tuple[Verdict, ...]:
    """Every limit against a comparison of the model in use (A) with a new one (B).

    What was not measured is not kept, but for links and clusters, which not every data set can tell.
    """
    measures = {entry.measure.name: entry for entry in comparison.measures}
    recall = measures.get("identifier_recall")

    def result(name: str) -> Difference | None:
        return measures[name].result if name in measures else None

    sides = {"recall": result("identifier_recall"), "precision": result("identifier_precision")}
    speed = comparison.speed.ratio if comparison.speed else None
    out = [
        _least("least_photos", limits.least_photos, comparison.photos, "photos"),
        _least("least_empty_photos", limits.least_empty_photos, comparison.empty_photos, "photos without an advert"),
        _least("least_identifiers", limits.least_identifiers, recall.count[0] if recall else 0, "legible identifiers"),
        _most("recall_fall", limits.recall_fall, _fall(sides["recall"]), "recall falls by"),
        _most("recall_fall_sure", limits.recall_fall_sure, _fall(sides["recall"], sure=True), "recall may fall by"),
        _most("precision_fall", limits.precision_fall, _fall(sides["precision"]), "precision falls by"),
        _most("precision_fall_sure", limits.precision_fall_sure, _fall(sides["precision"], sure=True), "precision may fall by"),
        _most("cer_rise", limits.cer_rise, _rise(result("cer_with_misses")), "character errors rise by"),
        _most("false_adverts_rise", limits.false_adverts_rise, _rise(result("false_adverts")), "false adverts rise by"),
        _most("slower", limits.slower, speed, "times as long:"),
    ]
    for name, bound, measure, words in (
        ("link_fall", limits.link_fall, "link_accuracy", "links fall by"),
        ("cluster_fall", limits.cluster_fall, "cluster_f1", "clusters fall by"),
    ):
        if measure in measures:
            out.append(_most(name, bound, _fall(result(measure)), words))
    return tuple(out)


_ROUNDING = 1e-9


def _least(name: str, bound: float, found: float, words: str) -> Verdict:
    return Verdict(name, bound, found, found >= bound, f"{words}:")


def _most(name: str, bound: float, found: float | None, words: str) -> Verdict:
    return Verdict(name, bound, found, found is not None and found <= bound + _ROUNDING, words)


def _fall(result: Difference | None, *, sure: bool = False) -> float | None:
    value = None if result is None else result.low if sure else result.difference
    return None if value is None else 0.0 - value  # no "-0"


def _rise(result: Difference | None) -> float | None:
    return None if result is None else result.difference


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to be put into use: a model file (or a registered model), the name it gets, and where."""

    model: str
    task: Task
    name: str = ""
    """Empty: the task and the beginning of the checksum."""
    folder: Path | None = None
    """The folder of models; None: the one in use."""
    source: str = ""
    """How it was made, in a few words, for its entry and card."""
    licence: str = LICENCE


def promote(
    candidate: Candidate,
    data: Sequence[DataSet],
    out: Path,
    settings: PromoteSettings | None = None,
    *,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> Promotion:
    """Compare a model with the one in use, judge it, and put it into use where it keeps every limit.

    The comparison is written to ``out``. Raises TagtraceError where the candidate is no model of the task, or is in use already.
    """
    from .promote_card import card_text

    settings = settings or PromoteSettings()
    folder = candidate.folder or default_folder()
    new = find_model(candidate.model)
    if new.task is not candidate.task:
        raise TagtraceError(f"{candidate.model}: is a {new.task}, and --task says {candidate.task}")
    verify(new)
    present = {task: _present(task, folder) for task in (Task.DETECTOR, Task.RECOGNISER)}
    if present[candidate.task].sha256 == new.sha256:
        raise TagtraceError(f"{candidate.model}: is in use already, as {present[candidate.task].name}")
    beside = {**present, candidate.task: new}
    a = Contestant(present[candidate.task].name, present[Task.DETECTOR], present[Task.RECOGNISER])
    b = Contestant(new.name, beside[Task.DETECTOR], beside[Task.RECOGNISER])
    comparison = compare(a, b, data, out, settings.compare, progress)
    verdicts = judge(comparison, settings.limits)
    if dry_run or not all(verdict.kept for verdict in verdicts):
        return Promotion(comparison, verdicts, None)
    name = candidate.name or f"{candidate.task}-{new.sha256[:8]}"
    described = _described(new, present[candidate.task], candidate)
    return Promotion(comparison, verdicts, put_in_use(described, name, card_text(described, name, comparison, verdicts), folder))


def _present(task: Task, folder: Path) -> ModelFile:
    """The model in use in a folder of models; in one that is to be made, the one in use here."""
    models = load_registry(folder if (folder / REGISTRY).is_file() else None).models
    found = next((model for model in models if model.task is task), None)
    return found or resolve(task)


def _described(new: ModelFile, old: ModelFile, candidate: Candidate) -> ModelFile:
    """The new model with what its entry needs: what its file does not say is as in the model that it replaces."""
    from dataclasses import replace

    weights = new.path.with_suffix(".safetensors")
    files = new.files or (((weights, sha256_of(weights)),) if candidate.task is Task.RECOGNISER and weights.is_file() else ())
    classes, alphabet = _told(new)
    return replace(
        new,
        licence=new.licence or candidate.licence,
        input=new.input or old.input,
        classes=classes,
        alphabet=alphabet,
        source=candidate.source or new.source or "trained by `tagtrace train`, put into use by `tagtrace promote`",
        files=files,
    )


def _told(model: ModelFile) -> tuple[tuple[str, ...], str]:
    """Classes of a detector, or alphabet of a recogniser, from the network itself."""
    if model.task is Task.DETECTOR:
        from ..models.detector import OnnxDetector

        return OnnxDetector(model.path).classes, ""
    from ..models.recogniser import OnnxRecogniser

    return (), OnnxRecogniser(model.path).alphabet
