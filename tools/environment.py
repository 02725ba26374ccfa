"""Set up ``.venv`` from a lock, with nothing but Python.

- ``python tools/environment.py base``, ``… serve`` and ``… test`` make the environment where there is none, install
  the locked packages with their hashes checked, and tagtrace itself so that edits take effect. They do nothing where it is done.
- ``python tools/environment.py copy FOLDER`` puts the package into a folder of its own, exactly as a wheel installs it.

``TAGTRACE_VENV`` names another place than ``.venv``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOWEST_PYTHON = (3, 11)
PROFILES = {"base": ("base", "serve", "test"), "serve": ("serve", "test"), "test": ("test",)}
"""Profile to the profiles that include it: the locked versions are the same, so a full environment serves for scoring too."""


def say(text: str) -> None:
    """One line on standard output, at once."""
    print(f"[setup] {text}", flush=True)


def run(*command: str | Path) -> None:
    """Run a program; end with its own message where it fails."""
    try:
        subprocess.run([str(part) for part in command], cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"[setup] failed with exit code {error.returncode}: {' '.join(map(str, command[:6]))} …")


def place() -> Path:
    """The folder of the environment."""
    return Path(os.environ.get("TAGTRACE_VENV", ROOT / ".venv")).absolute()


def fingerprint(profile: str) -> str:
    """Changes when the environment has to be brought up to date: the lock, the metadata of the package, or its place changed."""
    digest = hashlib.sha256(str(ROOT).encode())
    for source in (ROOT / "locks" / f"{profile}.txt", ROOT / "pyproject.toml"):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def is_done(environment: Path, profile: str) -> bool:
    """Whether the environment holds this profile, or one that includes it, as it is locked now."""
    for including in PROFILES[profile]:
        stamp = environment / f".tagtrace-{including}"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint(including):
            return True
    return False


def make_environment(environment: Path) -> None:
    """Create the environment. Debian's Python comes without ensurepip: then its package is installed, or named."""
    if (environment / "bin" / "python").is_file():
        return
    say(f"creating {environment}")
    if importlib.util.find_spec("ensurepip") is not None:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(environment)
        return
    uv = shutil.which("uv")
    if uv:
        run(uv, "venv", "--quiet", "--python", sys.executable, environment)
        return
    run("bash", ROOT / "tools" / "system_packages.sh", "python3-venv")
    # A new process: this one has already noted that the module is not there.
    run(sys.executable, "-m", "venv", environment)


def find_installer(environment: Path) -> Path | str:
    """uv, installed into the environment by pip from its own lock; else one on the search path."""
    inside = environment / "bin" / "uv"
    if not inside.is_file() and (environment / "bin" / "pip").is_file():
        lock = ROOT / "locks" / "installer.txt"
        run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", lock)
    if inside.is_file():
        return inside
    found = shutil.which("uv")
    if found is None:
        sys.exit(f"[setup] {environment} has neither pip nor uv; remove it with `make clean` and try again")
    return found


def install(environment: Path, profile: str) -> None:
    """Install a profile: the lock is complete, so nothing is resolved and nothing else comes in (no second OpenCV)."""
    python = environment / "bin" / "python"
    uv = find_installer(environment)
    say(f"installing locks/{profile}.txt")
    lock = ROOT / "locks" / f"{profile}.txt"
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--require-hashes", "--requirement", lock)
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", "--editable", ROOT)
    (environment / f".tagtrace-{profile}").write_text(fingerprint(profile), encoding="utf-8")
    say("ready")


def copy_package(environment: Path, target: Path) -> None:
    """Install tagtrace alone, not editable, into ``target``, which is made anew. Old build results would come along: removed."""
    for old in (target, ROOT / "build" / "lib"):
        shutil.rmtree(old, ignore_errors=True)
    uv, python = find_installer(environment), environment / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", "--target", target, ROOT)


def main() -> None:
    """Do what the command line says."""
    if sys.version_info < LOWEST_PYTHON:
        sys.exit(f"[setup] Python {sys.version.split()[0]} is too old: 3.11 or newer is needed (make PYTHON=python3.12 …)")
    environment = place()
    match sys.argv[1:]:
        case [profile] if profile in PROFILES:
            if not is_done(environment, profile):
                make_environment(environment)
                install(environment, profile)
        case ["copy", target]:
            copy_package(environment, Path(target).absolute())
        case _:
            sys.exit(f"usage: python tools/environment.py {'|'.join(PROFILES)}, or: python tools/environment.py copy FOLDER")


if __name__ == "__main__":
    main()
