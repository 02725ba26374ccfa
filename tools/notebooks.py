"""The notebooks as ``.ipynb``, from their pairs in ``.py`` (percent format), without outputs.

Usage: python tools/notebooks.py [--check]

The ``.py`` files are what is edited (any editor, or Jupyter with jupytext, see ``notebooks/jupytext.toml``). ``--check`` changes
nothing, and ends with 1 where a pair is not in step. The same ``.py`` gives the same ``.ipynb``, byte for byte.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def rendered(source: Path) -> str:
    """The text of the ``.ipynb`` that belongs to a ``.py``."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({})
    return nbformat.writes(notebook, version=4) + "\n"


def main() -> None:
    """Write what is not in step, or only name it."""
    stale = [source for source in sorted(NOTEBOOKS.glob("*.py")) if not _in_step(source)]
    if "--check" in sys.argv[1:]:
        print("\n".join(f"{source.name} and its .ipynb are not in step: run `make pair`" for source in stale) or "in step")
        sys.exit(1 if stale else 0)
    for source in stale:
        source.with_suffix(".ipynb").write_text(rendered(source), encoding="utf-8")
        print(f"written: {source.with_suffix('.ipynb').name}")


def _in_step(source: Path) -> bool:
    pair = source.with_suffix(".ipynb")
    return pair.is_file() and pair.read_text(encoding="utf-8") == rendered(source)


if __name__ == "__main__":
    main()
