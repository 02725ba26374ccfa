"""Counting what the recogniser takes for what, on generated lines of contacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from ..contract import Recogniser, TagtraceError
from ..datasets.lineshards import LineShards
from ..datasets.world import WORD
from ..inference.identifiers.fold import latin_view
from ..linking.confusions import CHARACTERS, Confusions, toml_text
from ..models import registry
from ..models.recogniser import OnnxRecogniser, ReadSettings

OTHER_CHARACTER = "?"
"""Stands for every character that folded values do not hold."""


@dataclass(frozen=True, slots=True)
class CountSettings:
    """What is counted."""

    most_errors: float = 0.5
    """A line with more edits per painted character is no misread of it but something else, and is left out."""
    batch: int = 32
    """Crops read at a time."""
    threads: int = 1


def folded(text: str) -> str:
    """A text in the form that confusions are counted in: lower case, look-alikes as Latin letters, no spaces."""
    return "".join(c if c in CHARACTERS else OTHER_CHARACTER for c in latin_view(text) if c != " ")


def count(pairs: Iterable[tuple[str, str]], recogniser: str = "", settings: CountSettings | None = None) -> Confusions:
    """The confusions in (painted, read) pairs of texts as they are; ``recogniser`` is the SHA-256 of its file."""
    settings = settings or CountSettings()
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("seen", "deleted", "inserted")}
    double: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ("substituted", "merged", "split")}
    shares, lines = [], 0
    for painted, read in ((folded(p), folded(r)) for p, r in pairs):
        edits = Levenshtein.distance(painted, read)
        if not painted or edits > settings.most_errors * len(painted):
            continue
        lines += 1
        counts["seen"].update(painted)
        if edits:
            shares.append(edits / len(painted))
        for left, right in _changes(painted, read):
            if len(left) == 2 and len(right) == 1:
                double["merged"][left, right] += 1
            elif len(left) == 1 and len(right) == 2:
                double["split"][left, right] += 1
            else:
                double["substituted"].update(zip(left, right, strict=False))
                counts["deleted"].update(left[len(right) :])
                counts["inserted"].update(right[len(left) :])
    return Confusions(**counts, **double, shares=tuple(sorted(shares)), lines=lines, recogniser=recogniser)


def _changes(painted: str, read: str) -> Iterator[tuple[str, str]]:
    """The pieces in which two texts differ, neighbouring edits together: (painted, read)."""
    left = right = ""
    for op in Levenshtein.opcodes(painted, read):
        if op.tag == "equal":
            if left or right:
                yield left, right
            left = right = ""
        else:
            left += painted[op.src_start : op.src_end]
            right += read[op.dest_start : op.dest_end]
    if left or right:
        yield left, right


def read_lines(folders: Sequence[Path], recogniser: Recogniser, settings: CountSettings) -> Iterator[tuple[str, str]]:
    """(painted, read) of every legible line of a contact in the folders of line shards."""
    shards = LineShards(list(folders))
    wanted = [
        i for i, row in enumerate(shards.rows) if row.get("legible", True) and row.get("kind", WORD) != WORD and row["text"]
    ]
    for start in range(0, len(wanted), settings.batch):
        members = wanted[start : start + settings.batch]
        readings = recogniser.read([shards[i][0] for i in members])
        yield from ((str(shards.rows[i]["text"]), reading.text) for i, reading in zip(members, readings, strict=True))
    shards.close()


def measure(
    folders: Sequence[Path],
    out: Path,
    model: str = "",
    settings: CountSettings | None = None,
    report: Callable[[str], None] = lambda message: None,
) -> Confusions:
    """Read the lines with a recogniser (registered name or file; the first registered if empty), count, and write ``out``.

    Raises ``TagtraceError`` when the folders hold no line of a contact that can be compared.
    """
    settings = settings or CountSettings()
    file = registry.resolve(model or registry.Task.RECOGNISER, task=registry.Task.RECOGNISER)
    recogniser = OnnxRecogniser(file.path, ReadSettings(threads=settings.threads), file.info)
    table = count(read_lines(folders, recogniser, settings), file.sha256, settings)
    if not table.lines:
        named = ", ".join(map(str, folders))
        raise TagtraceError(
            f"{named}: no line of a contact could be read; make lines with `tagtrace synth --lines 2000 --split val`"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(toml_text(table), encoding="utf-8")
    errors = sum(map(sum, (c.values() for c in (table.substituted, table.deleted, table.inserted, table.merged, table.split))))
    characters = sum(table.seen.values())
    report(f"{table.lines} lines, {characters} characters: {len(table.shares)} lines misread in {errors} places")
    return table
