"""What must not be committed: registry addresses, paths of one machine, files that are too big, modules that are too long.

Usage: python tools/check_clean.py [FOLDER]. Looks at the files that git knows or would add, prints one line per finding and
exits with 1 where there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST_BYTES = 25 * 1024 * 1024
LONGEST_MODULE_LINES = 450
PATTERNS = {
    "registry address": re.compile(
        r"https?://[^\s\"'<>]+(?:/simple\b|\.whl\b|\.tgz\b|\.tar\.gz\b)"
        r"|https?://(?:files\.)?(?:pypi|pythonhosted)\b|--(?:extra-)?ind[e]x-url\b|--find-lin[k]s\b"
    ),
    "path of one machine": re.compile(r"(?:^|[^\w.\-/])/(?:home/\w|work/[a-z.]|root/[\w.]|Users/\w)"),
}


def committed_files(folder: Path) -> list[Path]:
    """Every file that git tracks or would add, as paths; files deleted but still tracked are left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout.decode("utf-8").split("\0")
    return [folder / name for name in sorted(set(listed)) if name and (folder / name).is_file()]


def findings(folder: Path) -> Iterator[str]:
    """One line per finding: file, line where there is one, and what is wrong."""
    for path in committed_files(folder):
        name = path.relative_to(folder)
        if path.stat().st_size > LARGEST_BYTES:
            yield f"{name}: {path.stat().st_size / 1e6:.0f} MB; a committed file holds at most {LARGEST_BYTES / 1e6:.0f} MB"
            continue
        content = path.read_bytes()
        if b"\0" in content:
            continue
        lines = content.decode("utf-8", errors="replace").splitlines()
        if path.suffix == ".py" and len(lines) > LONGEST_MODULE_LINES:
            yield f"{name}: {len(lines)} lines; a module has at most {LONGEST_MODULE_LINES}"
        for number, line in enumerate(lines, start=1):
            for what, pattern in PATTERNS.items():
                if pattern.search(line):
                    yield f"{name}:{number}: {what}: {line.strip()[:120]}"


def main() -> None:
    """Print the findings of the folder named on the command line, or of this project."""
    found = list(findings(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))
    print("\n".join(found) if found else "clean: no addresses, no paths of one machine, nothing too big or too long")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
