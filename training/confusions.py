"""Counting what the recogniser takes for what, on generated lines of contacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from ..contract import Line, Quad, Reading, Recogniser, TagtraceError
from ..datasets.lineshards import LineShards
from ..datasets.world import WORD
from ..inference.identifiers.extract import extract_advert, extract_text
from ..inference.identifiers.fold import latin_view
from ..inference.identifiers.settings import ExtractSettings
from ..linking.confusions import CHARACTERS, Confusions, toml_text
from ..models import registry
from ..models.recogniser import OnnxRecogniser, ReadSettings

_ANYWHERE: Quad = ((0.0, 0.0), (100.0, 0.0), (100.0, 20.0), (0.0, 20.0))
OTHER_CHARACTER = "?"
"""Stands for every character that folded values do not hold."""


@dataclass(frozen=True, slots=True)
class CountSettings:
    """What is counted."""

    most_errors: float = 0.5
    """A line with more edits per painted character is no misread of it but something else, and is left out."""
    batch: int = 32
    """Crops read at a time."""
    unsure_from: float = 0.25
    """Contacts are extracted from this confidence on: the register may confirm what is not reported by itself."""
    threads: int = 1


def folded(text: str) -> str:
    """A text in the form that confusions are counted in: lower case, look-alikes as Latin letters, no spaces."""
    return "".join(c if c in CHARACTERS else OTHER_CHARACTER for c in latin_view(text) if c != " ")


@dataclass(frozen=True, slots=True, eq=False)
class LineRead:
    """One line of a contact: its text as painted, and what was read."""

    painted: str
    reading: Reading


def count(pairs: Iterable[tuple[str, str]], settings: CountSettings | None = None) -> Confusions:
    """The confusions in (painted, read) pairs of texts as they are, and the shares of errors in them."""
    settings = settings or CountSettings()
    seen: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    inserted: Counter[str] = Counter()
    pairs_of: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in ("substituted", "merged", "split")}
    shares, lines = [], 0
    for painted, read in ((folded(p), folded(r)) for p, r in pairs):
        edits = Levenshtein.distance(painted, read)
        if not painted or edits > settings.most_errors * len(painted):
            continue
        lines += 1
        seen.update(painted)
        if edits:
            shares.append(edits / len(painted))
        for left, right in _changes(painted, read):
            if len(left) == 2 and len(right) == 1:
                pairs_of["merged"][left, right] += 1
            elif len(left) == 1 and len(right) == 2:
                pairs_of["split"][left, right] += 1
            else:
                pairs_of["substituted"].update(zip(left, right, strict=False))
                deleted.update(left[len(right) :])
                inserted.update(right[len(left) :])
    substituted, merged, split = pairs_of.values()
    return Confusions(seen, substituted, deleted, inserted, merged, split, tuple(sorted(shares)), lines)


def contact_shares(lines: Iterable[LineRead], settings: CountSettings | None = None) -> tuple[float, ...]:
    """Edits per character of each contact that was extracted with a wrong value, ascending: the misreads that are looked up.

    A line that is read too badly gives no contact, or one of another kind, and is never looked up.
    """
    settings = settings or CountSettings()
    extraction = ExtractSettings(unsure_from=settings.unsure_from)
    shares = []
    for line in lines:
        found = extract_advert([Line(_ANYWHERE, 1.0, line.reading)], settings=extraction)
        values = {item.kind: folded(item.value) for item in found}
        for item in extract_text(line.painted):
            painted, read = folded(item.value), values.get(item.kind, "")
            edits = Levenshtein.distance(painted, read)
            if read and 0 < edits <= settings.most_errors * len(painted):
                shares.append(edits / len(painted))
    return tuple(sorted(shares))


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


def read_lines(folders: Sequence[Path], recogniser: Recogniser, settings: CountSettings) -> Iterator[LineRead]:
    """Every legible line of a contact in the folders of line shards, read."""
    shards = LineShards(list(folders))
    wanted = [
        i for i, row in enumerate(shards.rows) if row.get("legible", True) and row.get("kind", WORD) != WORD and row["text"]
    ]
    for start in range(0, len(wanted), settings.batch):
        members = wanted[start : start + settings.batch]
        readings = recogniser.read([shards[i][0] for i in members])
        yield from (LineRead(str(shards.rows[i]["text"]), reading) for i, reading in zip(members, readings, strict=True))
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
    lines = list(read_lines(folders, recogniser, settings))
    table = count(((line.painted, line.reading.text) for line in lines), settings)
    table = replace(table, shares=contact_shares(lines, settings), recogniser=file.sha256)
    if not table.lines:
        named = ", ".join(map(str, folders))
        raise TagtraceError(
            f"{named}: no line of a contact could be read; make lines with `tagtrace synth --lines 2000 --split val`"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(toml_text(table), encoding="utf-8")
    errors = sum(map(sum, (c.values() for c in (table.substituted, table.deleted, table.inserted, table.merged, table.split))))
    characters = sum(table.seen.values())
    report(f"{table.lines} lines, {characters} characters: {errors} errors; {len(table.shares)} contacts extracted wrong")
    return table
