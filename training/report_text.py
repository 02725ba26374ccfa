"""Results of an evaluation as Markdown for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .metrics import AllIdentifierScores, IdentifierScores, LinkCount, Scores
from .misses import Miss
from .slices import Confusion, PhotoSlice, Slice


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """How much of everything the report shows."""

    confusions: int = 30
    misses: int = 20


DEFAULT_REPORT = ReportSettings()


def shown(value: float | int | str | None) -> str:
    """A cell of a table: three decimals, a dash for what does not exist, and nothing that would end the cell."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def table(header: Sequence[str], rows: Iterable[Sequence[float | int | str | None]], left: int = 1) -> str:
    """A Markdown table; the first ``left`` columns are set to the left, the others to the right."""
    rule = [":--" if i < left else "--:" for i in range(len(header))]
    lines = [header, rule, *([shown(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _lines(scores: Scores) -> str:
    parts = [("all", scores.photos, scores.detection)]
    parts += [(name, part.photos, part.detection) for name, part in scores.by_difficulty.items()]
    rows = [(name, photos, d.p, d.r, d.f1, d.cer, d.cer_folded, d.cer_with_misses, d.ad_recall) for name, photos, d in parts]
    head = ("photos of", "n", "precision", "recall", "F1", "CER", "CER folded", "CER with misses", "adverts found")
    d = scores.detection
    alarms = (
        f"\nFalse lines per photo without an advert: {shown(d.fp_per_negative)} "
        f"(off any text: {shown(d.fp_per_negative_off_text)}) over {d.negatives} photos.\n"
    )
    return table(head, rows) + alarms


def _identifiers(scores: AllIdentifierScores, difficulties: Mapping[str, IdentifierScores]) -> str:
    parts = {"all": scores.all, **scores.by_kind, **difficulties}
    rows: list[tuple[float | int | str | None, ...]] = [
        (name, s.recall, s.legible, s.recall_all, s.total, s.precision, s.predicted, s.wrong_kind)
        for name, s in parts.items()
        if s.total or s.predicted
    ]
    codes = scores.from_codes
    rows.append(("in codes", codes.recall, codes.legible, codes.recall_all, codes.total, None, None, None))
    head = ("identifiers", "recall of legible", "n", "recall of all", "n", "precision", "n", "wrong kind")
    other = "".join(f" {kind} {count}," for kind, count in scores.not_measured.items()).rstrip(",")
    note = f"Reported, of kinds that the truth does not know (not measured):{other}.\n" if other else ""
    return table(head, rows) + f"\nMissed by one character: {scores.missed_by_one_char}. {note}\n"


def _links(scores: Scores) -> str:
    link = scores.linking
    groups: dict[str, LinkCount] = {
        "registered": link.registered,
        "sibling": link.sibling,
        "unknown": link.unknown,
        "of all, read exactly": link.read,
    }
    rows = [(name, c.n, c.right, c.wrong, c.none) for name, c in groups.items()]
    text = f"Accuracy {shown(link.accuracy)} over {link.n} shop sightings; {link.sibling_confusion} confused with a sibling; "
    text += f"{link.photos_without_ids_linked} photos without identifiers linked.\n\n"
    return text + table(("shop", "n", "right", "wrong", "none"), rows)


def _clusters(scores: Scores) -> str:
    c = scores.clustering
    rows = [
        (name, s.items, s.pairwise.p, s.pairwise.r, s.pairwise.f1, s.bcubed["p"], s.bcubed["r"], s.bcubed["f1"])
        for name, s in (("advert", c.wall), ("shop", c.shop))
    ]
    head = ("clusters by", "items", "pair P", "pair R", "pair F1", "B³ P", "B³ R", "B³ F1")
    return table(head, rows) + ("" if c.given else "\nNo clusters were given: every advert counts as alone.\n")


def _slices(slices: Sequence[Slice]) -> str:
    out = []
    head = ("lines", "found", "recall", "CER", "CER folded", "exact", "identifiers", "recall of identifiers")
    for of in dict.fromkeys(s.of for s in slices):
        rows = [
            (s.name, s.lines, s.found, s.recall, s.cer, s.cer_folded, s.exact, s.identifiers, s.identifier_recall)
            for s in slices
            if s.of == of
        ]
        if len(rows) > 1 or rows[0][0] != "unknown":
            out.append(table((of, *head), rows))
    return "\n".join(out)


def _photo_slices(slices: Sequence[PhotoSlice]) -> str:
    head = ("by", "photos", "photos", "false lines", "per photo", "identifiers reported", "precision")
    return table(
        head,
        ((s.of, s.name, s.photos, s.false_lines, s.false_lines_per_photo, s.reported, s.precision) for s in slices),
        left=2,
    )


def _confusions(confusions: Sequence[Confusion], most: int) -> str:
    def named(character: str) -> str:
        return {"": "(nothing)", " ": "(space)"}.get(character, character)

    rows = [(named(c.truth), named(c.read), c.count, c.share) for c in confusions[:most]]
    return table(("painted", "read as", "times", "of all of them"), rows, left=2)


def _misses(misses: Mapping[str, Sequence[Miss]], sheets: Sequence[Path], most: int) -> str:
    out = []
    pictures = {path.stem: path.name for path in sheets}
    for what, listed in misses.items():
        out.append(f"### {what.replace('_', ' ').capitalize()}: {len(listed)}\n")
        if what in pictures:
            out.append(f"![{what}]({pictures[what]})\n")
        if listed:
            out.append(table(("photo", "painted", "read"), ((m.photo, m.truth, m.read) for m in listed[:most]), left=3))
    return "\n".join(out)


def report(
    title: str,
    scores: Scores,
    slices: Sequence[Slice],
    photo_slices: Sequence[PhotoSlice],
    confused: Sequence[Confusion],
    misses: Mapping[str, Sequence[Miss]],
    sheets: Sequence[Path] = (),
    settings: ReportSettings = DEFAULT_REPORT,
) -> str:
    """The whole report."""
    seconds = scores.seconds
    speed = f" Seconds per photo: median {seconds.median:.3f}, 95 % within {seconds.p95:.3f}." if seconds else ""
    difficulties = {name: part.identifiers for name, part in scores.by_difficulty.items()}
    parts = [
        f"# {title}\n",
        f"{scores.photos} photos, {scores.predicted} of them with a prediction.{speed}\n",
        "## Text lines of legible adverts (IoU 0.5)\n",
        _lines(scores),
        "## Exact identifiers\n",
        _identifiers(scores.identifiers, difficulties),
        "## Links to known shops\n",
        _links(scores),
        "## Clusters\n",
        _clusters(scores),
        "## Slices of legible lines\n",
        _slices(slices),
        "## False alarms\n",
        _photo_slices(photo_slices),
        "## Characters taken for others\n",
        _confusions(confused, settings.confusions),
        "## Worst misses\n",
        _misses(misses, sheets, settings.misses),
    ]
    return "\n".join(parts)
