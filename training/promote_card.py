"""The card of a promoted model: what it is, what it measured against the one it replaced, and how to repeat that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..models.registry import ModelFile, Task
from .compare import Comparison
from .compare_text import markdown
from .runs import RUN_FILE, environment

if TYPE_CHECKING:
    from .promote import Verdict

_TAKES = {
    Task.DETECTOR: "Takes a photo, gives oriented boxes of text lines and codes.",
    Task.RECOGNISER: "Takes the crop of one text line, gives CTC log-probabilities over its alphabet.",
}
_TEMPLATE = """# {name}

*{takes}*

| | |
|---|---|
| file | `weights/{name}{suffix}`, SHA-256 `{sha256}` |
| task | {task} |
| input | {input} |
| output | {output} |
| licence | {licence} |
| put into use | {date}, in place of {replaced} |

## Data

{source}

{training}

Compared on data whose manifest has the SHA-256 `{data_sha256}`: {photos} photos, {empty} of them without an advert.

## Results

`{command}` on {machine}

{comparison}

## The gate

| limit | bound | found |
|---|---|---|
{limits}

## Limits

Nobody has looked at where it fails yet: `tagtrace evaluate` writes pictures of its worst misses. Replace this paragraph.
"""


def card_text(model: ModelFile, name: str, comparison: Comparison, verdicts: Sequence[Verdict]) -> str:
    """The card as Markdown, to be completed by people."""
    here = environment()
    output = f"classes {', '.join(model.classes)}" if model.classes else f"{len(model.alphabet)} signs and the blank"
    found = [(v.limit, v.bound, "not measured" if v.found is None else f"{v.found:.4g}") for v in verdicts]
    body = markdown(comparison).split("\n", 1)[1].split("![", 1)[0].replace("\n## ", "\n### ").strip()
    return _TEMPLATE.format(
        name=name,
        takes=_TAKES[model.task],
        suffix=model.path.suffix,
        sha256=model.sha256,
        task=model.task.value,
        input=model.input or "see the entry in weights.toml",
        output=output,
        licence=model.licence,
        date=datetime.now(UTC).date().isoformat(),
        replaced=comparison.a.name,
        source=model.source,
        training=_training(model),
        data_sha256=comparison.data_sha256,
        photos=comparison.photos,
        empty=comparison.empty_photos,
        command=" ".join(here["command"]),
        machine=f"{here['system']}, tagtrace {here['tagtrace']}",
        comparison=body,
        limits="\n".join(f"| {limit} | {bound:g} | {value} |" for limit, bound, value in found),
    )


def _training(model: ModelFile) -> str:
    """What the record of its training tells, where it lies in the folder of the model or the one above."""
    for folder in (model.path.parent, model.path.parent.parent):
        path = folder / RUN_FILE
        if path.is_file():
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            data, seed = told["data"], told["settings"].get("seed")
            begun, version = told["begun"][0]["at"], told["environment"]["tagtrace"]
            return (
                f"Trained by `tagtrace train {told['kind']}` on {data['files']} files whose manifest has the SHA-256 "
                f"`{data['sha256']}`, seed {seed}, begun {begun}, with tagtrace {version}."
            )
    return "No record of a training lies beside the file."
