"""Further fonts for synthetic adverts, mostly hands: fetch them as npm packages and join their alphabets into one file each.

    python tools/fetch_fonts.py data/fonts
    tagtrace synth --fonts data/fonts …

Each ``@fontsource`` package (OFL-1.1 or Apache-2.0; its licence is copied beside the font) holds one web font per alphabet; a
line of mixed text wants them together. Needs npm, and fontTools from the extra ``train``.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from fontTools import merge
from fontTools.ttLib import TTFont, TTLibError

HANDS = """
    alex-brush caveat-brush comforter-brush comic-neue comic-relief covered-by-your-grace finger-paint gloria-hallelujah handlee
    itim kaushan-script knewave mansalva marck-script nanum-brush-script nanum-pen-script neucha pangolin patrick-hand rock-salt
    rubik-spray-paint rubik-wet-paint schoolbell sedgwick-ave-display shantell-sans sriracha vibur
""".split()
OTHERS = """
    allerta-stencil balsamiq-sans big-shoulders-stencil-display kelly-slab rubik-mono-one saira-stencil-one sirin-stencil
    stardos-stencil
""".split()
HELD_OUT = {
    "delicious-handrawn": "val",
    "gochi-hand": "val",
    "rubik-dirt": "val",
    "reenie-beanie": "test",
    "stick-no-bills": "test",
}
SUBSETS = ("latin", "latin-ext", "cyrillic", "cyrillic-ext")
HEAVIEST_FIRST = (700, 400, 500, 600, 800)
KEPT_WEIGHTS = 2


def fetch(family: str, out: Path) -> list[Path]:
    """The fonts of one family, written under ``out`` to the folder of its split: up to two weights, each with all alphabets."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            ["npm", "pack", "--silent", f"@fontsource/{family}"], cwd=folder, check=True, capture_output=True, text=True
        )
        with tarfile.open(Path(folder, run.stdout.strip().splitlines()[-1])) as archive:
            archive.extractall(folder, filter="data")
        package = Path(folder, "package")
        written = []
        for weight in [w for w in HEAVIEST_FIRST if (package / f"files/{family}-latin-{w}-normal.woff").is_file()][:KEPT_WEIGHTS]:
            parts = []
            for subset in SUBSETS:
                source = package / f"files/{family}-{subset}-{weight}-normal.woff"
                if source.is_file():
                    font = TTFont(source)
                    font.flavor = None
                    # layout rules refer to glyphs of other subsets and are not needed to paint single letters
                    for table in ("GSUB", "GPOS", "GDEF", "STAT"):
                        if table in font:
                            del font[table]
                    parts.append(Path(folder, f"{subset}.ttf"))
                    font.save(parts[-1])
            name = family.replace("-", "") + ("hand" if family in HANDS else "")
            target = out / HELD_OUT.get(family, "train") / f"{name}-{weight}.ttf"
            target.parent.mkdir(parents=True, exist_ok=True)
            (merge.Merger().merge([str(part) for part in parts]) if len(parts) > 1 else TTFont(parts[0])).save(target)
            written.append(target)
        licence = package / "LICENSE"
        if licence.is_file():
            (out / f"{family}.LICENSE").write_bytes(licence.read_bytes())
        return written


def main() -> None:
    """Fetch every family into the folder that the command line names."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "data/fonts")
    out.mkdir(parents=True, exist_ok=True)
    for family in (*HANDS, *OTHERS, *HELD_OUT):
        try:
            print(*fetch(family, out), sep="\n", flush=True)
        except (subprocess.CalledProcessError, OSError, AssertionError, TTLibError) as error:
            print(f"{family}: left out ({error})", file=sys.stderr)


if __name__ == "__main__":
    main()
