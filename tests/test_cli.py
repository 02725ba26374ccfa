"""The command line: loaded lazily, documented, and ending with the right code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tagtrace import __version__, cli
from tagtrace.cli import COMMANDS, EXIT_CODES, GROUPS, Lazy
from tagtrace.contract import BrokenInstallationError, ExitCode, TagtraceError

HEAVY = {"onnxruntime", "cv2", "torch", "torchvision", "ultralytics", "easyocr", "PIL", "pyarrow", "shapely", "zxingcpp"}


def modules_after(*arguments: str) -> tuple[set[str], str]:
    """The top-level modules, and the rooms, that a fresh process has imported after running a command."""
    program = (
        "import sys, tagtrace.cli\n"
        f"code = tagtrace.cli.run({list(arguments)!r})\n"
        "names = {n.split('.')[0] for n in sys.modules} | {'.'.join(n.split('.')[:2]) for n in sys.modules}\n"
        "print('MODULES', code, *sorted(names))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    text, _, listed = ended.stdout.rpartition("MODULES ")
    code, *names = listed.split()
    assert code == "0", ended.stderr
    return set(names), text


def test_help_lists_every_command_and_imports_no_room() -> None:
    names, text = modules_after("--help")
    assert not names & HEAVY
    assert not {name for name in names if re.match(r"tagtrace\.(training|scoring|linking|inference|datasets|models)", name)}
    for words in COMMANDS:
        assert re.search(rf"│ {words.split()[0]} ", text), words
    for code in EXIT_CODES:
        assert re.search(rf"\b{int(code)}\b", text.partition("Exit codes")[2])


@pytest.mark.parametrize("arguments", [("--version",), ("models", "--help"), ("train", "--help"), ("models", "list")])
def test_light_commands_stay_light(arguments: tuple[str, ...]) -> None:
    names, _ = modules_after(*arguments)
    assert not names & HEAVY
    assert "tagtrace.training" not in names


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_CODES) == set(ExitCode)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help_with_an_example(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*words.split(), "--help"]) == ExitCode.OK
    text = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"Example:\s.*\btagtrace {words}\b", text), "the help needs a line `Example: tagtrace …`"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_of_every_command_is_explained(words: str) -> None:
    for parameter in cli.load(words).params:
        assert parameter.help, f"tagtrace {words}: {parameter.name} has no help"


def test_groups_are_the_ones_of_the_table() -> None:
    assert {words.rpartition(" ")[0] for words in COMMANDS} - {""} == set(GROUPS)


def test_readme_names_every_command_and_exit_code(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    for words in COMMANDS:
        assert f"tagtrace {words}" in readme, words
    for code in ExitCode:
        assert f"| {int(code)} |" in readme, code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-command"], "No such command"),
        (["models", "lst"], "Did you mean 'list'"),
        (["models", "list", "--no-such-option"], "No such option"),
        (["synth"], "Missing option"),
    ],
)
def test_wrong_use_is_told_with_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == ExitCode.USAGE
    assert message in " ".join(capsys.readouterr().err.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"tagtrace {__version__}\n"


@pytest.mark.parametrize(
    ("outcome", "code", "message"),
    [
        (None, ExitCode.OK, ""),
        (ExitCode.SOME_FAILED, ExitCode.SOME_FAILED, ""),
        (ExitCode.NOTHING_SCORED, ExitCode.NOTHING_SCORED, ""),
        (TagtraceError("a.jpg: is odd; turn it"), ExitCode.USAGE, "tagtrace: a.jpg: is odd; turn it\n"),
        (BrokenInstallationError("b.onnx: changed"), ExitCode.BROKEN_INSTALLATION, "tagtrace: b.onnx: changed\n"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, ""),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch.nn"),
            ExitCode.BROKEN_INSTALLATION,
            "pip install 'tagtrace[train]'",
        ),
    ],
)
def test_what_a_command_ends_with(
    outcome: object, code: ExitCode, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> object:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr("tagtrace.models.commands.list_models", command)
    monkeypatch.setitem(COMMANDS, "models list", Lazy("models.commands", "list_models", "List.", "train"))
    assert cli.run(["models", "list"]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_missing_room_is_a_damaged_installation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(COMMANDS, "models list", Lazy("models.no_such_module", "list_models", "List."))
    assert cli.run(["models", "list"]) == ExitCode.BROKEN_INSTALLATION
    assert "installation is damaged" in capsys.readouterr().err
