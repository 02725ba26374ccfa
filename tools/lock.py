"""Write the locks: names, versions and hashes of everything that the project installs, and no registry addresses.

Usage: python tools/lock.py [--upgrade]

- ``requirements.lock``    every extra, for every platform and every Python from 3.11 on
- ``locks/base.txt``       what scoring needs (``make demo``)
- ``locks/serve.txt``      what the service needs (``Dockerfile``)
- ``locks/test.txt``       what the tests need (``make test``)
- ``locks/installer.txt``  the installer itself

The parts agree with the whole because they are resolved under its versions. Versions stay as they are unless ``--upgrade`` is
given or ``pyproject.toml`` asks for others. Needs ``uv``; looks packages up in the registry that uv is set up with.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHOLE = ROOT / "requirements.lock"
PARTS = {
    "base.txt": (),
    "serve.txt": ("serve", "video", "heif", "postgres"),
    "test.txt": ("train", "notebooks", "peers", "heif", "postgres", "ray", "serve", "video", "dev"),
}
INSTALLER = "uv>=0.5"
LOWEST_PYTHON = "3.11"


def find_uv() -> str:
    """The program uv: beside this Python, else on the search path."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        sys.exit("tools/lock.py: uv is missing; run `make setup` first, or install it with: pip install uv")
    return found


def compile_lock(requirements: list[str], target: Path, extras: tuple[str, ...], constraint: Path | None, upgrade: bool) -> None:
    """Resolve requirements (the project itself and what builds it where none are given) under the versions of ``constraint``."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        overrides = Path(folder) / "overrides.txt"
        overrides.write_text("\n".join(config["tool"]["uv"]["override-dependencies"]) + "\n", encoding="utf-8")
        # The package is installed without build isolation, so what builds it is locked as well.
        build = Path(folder) / "build.in"
        build.write_text("\n".join(requirements or config["build-system"]["requires"]) + "\n", encoding="utf-8")
        command = [find_uv(), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate", "--no-header"]
        command += ["--python-version", LOWEST_PYTHON, "--overrides", str(overrides), "--output-file", str(target)]
        command += [str(build)] if requirements else [str(build), "pyproject.toml"]
        for extra in extras:
            command += ["--extra", extra]
        if constraint is not None:
            command += ["--constraint", str(constraint)]
        if upgrade:
            command.append("--upgrade")
        subprocess.run(command, cwd=ROOT, check=True)
    print(f"{target.relative_to(ROOT)}: {sum('==' in line for line in target.read_text(encoding='utf-8').splitlines())} packages")


def main() -> None:
    """Write every lock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    upgrade = parser.parse_args().upgrade
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locks = ROOT / "locks"
    locks.mkdir(exist_ok=True)
    compile_lock([], WHOLE, tuple(config["project"]["optional-dependencies"]), None, upgrade)
    for name, extras in PARTS.items():
        (locks / name).unlink(missing_ok=True)
        compile_lock([], locks / name, extras, WHOLE, upgrade=False)
    compile_lock([INSTALLER], locks / "installer.txt", (), None, upgrade)


if __name__ == "__main__":
    main()
