"""The house: what is packaged is what is there, dependencies are declared where they are used, the locks agree."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagtrace import __version__
from tagtrace.datasets.fonts import packages

NOT_PACKAGES = {"tests", "tools", "notebooks", "build", "dist", "runs", "data"}
BASE_ROOMS = ("cli.py", "contract.py", "scoring", "linking", "inference", "models")
NOTES = {"training/EXPERIMENTS.md"}  # for whoever works on the code; not installed
# Adapters in base rooms that run with an extra only: each is imported when its reader is asked for.
OPTIONAL = {"torch", "torchvision", "easyocr", "easyocr_en_models", "rapidocr", "faster_paddle"}
OPTIONAL |= {"pytesseract", "openvino", "onnx", "pillow_heif", "ray"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))


def packages_on_disk(root: Path) -> set[str]:
    """Every folder with an ``__init__.py`` below the root, as the package it is installed as."""
    found = {"tagtrace"}
    for init in root.glob("*/**/__init__.py"):
        parts = init.relative_to(root).parts[:-1]
        if parts[0] not in NOT_PACKAGES and not parts[0].startswith("."):
            found.add(".".join(("tagtrace", *parts)))
    return found


def locked(path: Path) -> dict[str, set[str]]:
    """The versions per name in a lock (more than one where they depend on the Python version)."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
        versions.setdefault(normal(name), set()).add(version)
    return versions


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]) for requirement in requirements}


def test_every_package_on_disk_is_installed_and_no_other(root: Path, project: dict[str, Any]) -> None:
    listed = project["tool"]["setuptools"]["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == packages_on_disk(root)


def test_no_module_lies_where_the_wheel_would_miss_it(root: Path) -> None:
    packages = packages_on_disk(root)
    for module in root.glob("*/**/*.py"):
        parts = module.relative_to(root).parts[:-1]
        if parts[0] not in NOT_PACKAGES and not parts[0].startswith("."):
            assert ".".join(("tagtrace", *parts)) in packages, f"{module}: its folder has no __init__.py"


def test_every_data_file_is_package_data(root: Path, project: dict[str, Any]) -> None:
    """Whatever lies in a package and is no module is installed with it; only notes for developers stay out."""
    patterns = project["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for package, globs in patterns.items()
        for pattern in globs
        for path in root.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    rooms = {package.split(".")[1] for package in project["tool"]["setuptools"]["packages"] if "." in package}
    tracked = [root / name for name in listed if name.split("/")[0] in rooms]
    notes = {root / name for name in NOTES}
    left_out = [path for path in tracked if path.suffix != ".py" and path.is_file() and path not in packaged | notes]
    assert not left_out


def test_version_is_the_same_everywhere(root: Path, project: dict[str, Any]) -> None:
    assert project["project"]["version"] == __version__ == importlib.metadata.version("tagtrace")
    assert f"## {__version__}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def third_party(paths: list[Path]) -> dict[str, Path]:
    """Every imported module that is neither ours nor Python's, and who asks for it (``_typeshed`` is for checkers alone)."""
    known = sys.stdlib_module_names | {"tagtrace", "_typeshed"} | {path.stem for path in Path(__file__).parent.glob("*.py")}
    return {name: path for path in paths for name in imports_of(path) if name not in known}


def test_what_scoring_imports_is_a_base_dependency(root: Path, project: dict[str, Any]) -> None:
    modules = [
        path for room in BASE_ROOMS for path in ([root / room] if room.endswith(".py") else sorted((root / room).rglob("*.py")))
    ]
    declared = names(project["project"]["dependencies"])
    owners = importlib.metadata.packages_distributions()
    for name, path in third_party(modules).items():
        if name not in OPTIONAL:
            assert {normal(owner) for owner in owners.get(name, [name])} & declared, f"{path} imports {name}: not in dependencies"


def test_what_anything_imports_is_declared_somewhere(root: Path, project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    declared = names([*project["project"]["dependencies"], *(line for lines in extras.values() for line in lines), "setuptools"])
    modules = [path for path in root.glob("*/**/*.py") if not path.relative_to(root).parts[0].startswith(".")]
    modules = [path for path in modules if path.relative_to(root).parts[0] not in {"build", "dist", "runs", "data"}]
    owners = importlib.metadata.packages_distributions()
    for name, path in third_party(modules).items():
        assert {normal(owner) for owner in owners.get(name, [name])} & declared, f"{path} imports {name}: declared nowhere"


def test_every_font_of_the_generator_is_installed_with_the_training(project: dict[str, Any]) -> None:
    declared = names(project["project"]["optional-dependencies"]["train"])
    assert {name for name in declared if name.startswith("fontpkg-")} == set(packages())


def test_no_torch_without_the_extra(project: dict[str, Any]) -> None:
    assert not names(project["project"]["dependencies"]) & {"torch", "torchvision", "ultralytics", "easyocr", "opencv-python"}


def test_one_opencv_only() -> None:
    """Two OpenCV distributions overwrite each other's files."""
    installed = {normal(found.metadata["Name"]) for found in importlib.metadata.distributions()}
    assert {name for name in installed if name.startswith("opencv")} == {"opencv-python-headless"}


@pytest.mark.parametrize("lock", ["requirements.lock", "locks/base.txt", "locks/test.txt", "locks/installer.txt"])
def test_locks_hold_names_versions_and_hashes_alone(root: Path, lock: str) -> None:
    lines = (root / lock).read_text(encoding="utf-8").splitlines()
    entry = re.compile(r"[a-z0-9][\w.-]*==[\w.+!]+( ; [^\\]+)? \\")
    digest = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    for line in lines:
        assert entry.fullmatch(line) or digest.fullmatch(line), line


def test_locks_cover_what_is_declared_and_agree(root: Path, project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    whole, base, test = (locked(root / name) for name in ("requirements.lock", "locks/base.txt", "locks/test.txt"))
    assert names(project["project"]["dependencies"]) <= set(base)
    assert names([line for lines in extras.values() for line in lines]) <= set(whole)
    tested = ("train", "notebooks", "peers", "heif", "postgres", "dev")
    assert names([line for extra in tested for line in extras[extra]]) <= set(test)
    assert set(base) <= set(test) <= set(whole)
    for part in (base, test):
        assert {name: whole[name] for name in part} == part
    assert not {"torch", "opencv-python"} & set(base)
    assert "opencv-python" not in whole


def test_nothing_committed_that_must_not_be(root: Path, tmp_path: Path) -> None:
    check = [sys.executable, str(root / "tools" / "check_clean.py")]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "fine.md").write_text("see a/home/page, ./work/b and https://t.me/name\n")
    assert subprocess.run([*check, str(tmp_path)], check=False).returncode == 0
    (tmp_path / "paths.md").write_text("in " + "/ho" + "me/someone/x\n")
    (tmp_path / "address.txt").write_text("https://" + "pypi.example/simple\n")
    (tmp_path / "long.py").write_text("x = 1\n" * 451)
    (tmp_path / "big.bin").write_bytes(b"\0" * (25 * 1024 * 1024 + 1))
    found = subprocess.run([*check, str(tmp_path)], check=False, capture_output=True, text=True)
    assert found.returncode == 1
    assert [line.split(":")[0] for line in found.stdout.splitlines()] == ["address.txt", "big.bin", "long.py", "paths.md"]


def test_setup_is_skipped_only_while_lock_and_metadata_stay(root: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; here = Path(sys.argv[2])\n"
        "import environment as e\n"
        "def stamp(profile, text): (here / f'.tagtrace-{profile}').write_text(text)\n"
        "print(e.is_done(here, 'base'), e.is_done(here, 'test'))\n"
        "stamp('base', e.fingerprint('base')); print(e.is_done(here, 'base'), e.is_done(here, 'test'))\n"
        "stamp('test', e.fingerprint('test')); stamp('base', 'old'); print(e.is_done(here, 'base'), e.is_done(here, 'test'))\n"
        "stamp('test', 'old'); print(e.is_done(here, 'base'), e.is_done(here, 'test'))\n"
    )
    command = [sys.executable, "-c", program, str(root / "tools"), str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert said == ["False", "False", "True", "False", "True", "True", "False", "False"]


def test_setup_names_what_it_can_do(root: Path) -> None:
    ended = subprocess.run([sys.executable, str(root / "tools" / "environment.py")], check=False, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "base|serve|test" in ended.stderr
