"""The weights by name: a changed file is refused, a wrong entry is named, other weights can be used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tagtrace import cli
from tagtrace.contract import BrokenInstallationError, ExitCode, TagtraceError
from tagtrace.models.registry import Task, default_folder, entry_text, from_file, load_registry, resolve, sha256_of, verify

NETWORK = b"pretend network " * 100_000


def make_models(folder: Path, *, content: bytes = NETWORK, **changes: str) -> Path:
    """A folder with one detector, its card and two recognisers; ``changes`` replace lines of the detector's entry."""
    (folder / "weights").mkdir(parents=True)
    (folder / "cards").mkdir()
    (folder / "weights" / "walls.onnx").write_bytes(content)
    (folder / "weights" / "lines.onnx").write_bytes(b"lines")
    (folder / "weights" / "lines.yaml").write_bytes(b"yaml")
    (folder / "cards" / "walls.md").write_text("# walls\n")
    (folder / "cards" / "lines.md").write_text("# lines\n")
    entry = {
        "name": '"walls"',
        "task": '"detector"',
        "file": '"walls.onnx"',
        "sha256": f'"{hashlib.sha256(NETWORK).hexdigest()}"',
        "licence": '"AGPL-3.0-or-later"',
        "classes": '["line", "code"]',
        "card": '"walls.md"',
        "settings": "{ confidence = 0.25, tiles = 2 }",
    } | changes
    lines = "".join(f"{key} = {value}\n" for key, value in entry.items() if value)
    second = "".join(
        f'[[model]]\nname = "{name}"\ntask = "recogniser"\nfile = "lines.onnx"\nlicence = "MIT"\ncard = "lines.md"\n'
        f'sha256 = "{hashlib.sha256(b"lines").hexdigest()}"\nalphabet = "абв\\"\\\\@_."\n'
        f'files = {{ "lines.yaml" = "{hashlib.sha256(b"yaml").hexdigest()}" }}\n'
        for name in ("lines", "lines-big")
    )
    (folder / "weights.toml").write_text(f"[[model]]\n{lines}{second}", encoding="utf-8")
    return folder


def test_resolve_gives_the_first_model_of_a_task_and_any_by_name(tmp_path: Path) -> None:
    folder = make_models(tmp_path)
    detector = resolve("detector", folder=folder)
    assert (detector.name, detector.task, detector.classes) == ("walls", Task.DETECTOR, ("line", "code"))
    assert detector.path.read_bytes() == NETWORK
    assert dict(detector.settings) == {"confidence": 0.25, "tiles": 2}
    assert detector.info.sha256 == hashlib.sha256(NETWORK).hexdigest()
    assert resolve(Task.RECOGNISER, folder=folder).name == "lines"
    assert resolve("lines-big", folder=folder).alphabet == 'абв"\\@_.'


@pytest.mark.parametrize("content", [NETWORK[:-1], NETWORK[:-1] + b"!", b""])
def test_a_changed_file_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = make_models(tmp_path, content=content)
    with pytest.raises(BrokenInstallationError, match=r"walls\.onnx: not the file .*restore the file") as refused:
        resolve("detector", folder=folder)
    assert refused.value.exit_code == ExitCode.BROKEN_INSTALLATION
    assert resolve("recogniser", folder=folder).name == "lines"


def test_a_changed_or_missing_further_file_is_refused(tmp_path: Path) -> None:
    folder = make_models(tmp_path)
    model = resolve("lines", folder=folder)
    (folder / "weights" / "lines.yaml").write_bytes(b"YAML")
    with pytest.raises(BrokenInstallationError, match=r"lines\.yaml: not the file"):
        verify(model)
    (folder / "weights" / "lines.yaml").unlink()
    with pytest.raises(BrokenInstallationError, match=r"lines\.yaml: .*missing"):
        verify(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": '"ABC"'}, "not a SHA-256"),
        ({"sha256": ""}, "sha256 is missing"),
        ({"licence": ""}, "licence is missing"),
        ({"task": '"painter"'}, "task is 'painter'"),
        ({"name": "7"}, "name must be a text"),
        ({"name": '"lines"'}, "more than one model is called 'lines'"),
        ({"file": '"../walls.onnx"'}, "must be a name inside weights/"),
        ({"file": '"/walls.onnx"'}, "must be a name inside weights/"),
        ({"classes": '"line"'}, "classes must be a list"),
        ({"alphabet": '"abca"'}, "alphabet holds 'a' more than once"),
        ({"settings": "{ a = [1] }"}, "settings must be a table of plain values"),
        ({"colour": '"RGB"'}, "unknown key 'colour'"),
        ({"name": '"walls'}, "not valid TOML"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    folder = make_models(tmp_path, **changes)
    with pytest.raises(BrokenInstallationError, match=message) as wrong:
        load_registry(folder)
    assert str(folder / "weights.toml") in str(wrong.value)


def test_an_empty_registry_says_how_to_get_a_model(tmp_path: Path) -> None:
    (tmp_path / "weights.toml").write_text("# nothing yet\n")
    assert load_registry(tmp_path).models == ()
    with pytest.raises(BrokenInstallationError, match="holds no recogniser; train one with `tagtrace train recogniser`"):
        resolve("recogniser", folder=tmp_path)
    with pytest.raises(BrokenInstallationError, match="cannot be read"):
        load_registry(tmp_path / "nowhere")


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(TagtraceError, match="wals: no such model and no such file.*walls, lines, lines-big"):
        resolve("wals", folder=make_models(tmp_path))


def test_the_environment_names_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_models(tmp_path / "models")
    monkeypatch.setenv("TAGTRACE_MODELS", str(folder))
    assert default_folder() == folder
    assert resolve("recogniser").name == "lines"
    monkeypatch.setenv("TAGTRACE_RECOGNISER", "lines-big")
    assert resolve("recogniser").name == "lines-big"
    monkeypatch.setenv("TAGTRACE_RECOGNISER", "walls")
    with pytest.raises(TagtraceError, match="walls is a detector, but a recogniser is wanted"):
        resolve("recogniser")
    own = tmp_path / "own.onnx"
    own.write_bytes(b"own")
    monkeypatch.setenv("TAGTRACE_RECOGNISER", str(own))
    found = resolve("recogniser")
    assert (found.name, found.path, found.sha256) == ("own", own, sha256_of(own))


def test_a_file_of_its_own_works_without_any_registry(tmp_path: Path) -> None:
    own = tmp_path / "own.onnx"
    own.write_bytes(b"own")
    assert resolve(str(own), task=Task.DETECTOR, folder=tmp_path / "nowhere").task == Task.DETECTOR
    with pytest.raises(TagtraceError, match=r"cannot tell what this model does; put its entry beside it as own\.toml"):
        resolve(str(own), folder=tmp_path / "nowhere")


def test_the_entry_beside_a_file_comes_along_and_its_checksum_counts(tmp_path: Path) -> None:
    model = resolve("lines", folder=make_models(tmp_path))
    beside = model.path.with_suffix(".toml")
    beside.write_text(entry_text(model), encoding="utf-8")
    again = from_file(model.path)
    assert (again.alphabet, again.files, again.sha256, again.licence) == (model.alphabet, model.files, model.sha256, "MIT")
    model.path.write_bytes(b"LINES")
    with pytest.raises(BrokenInstallationError, match="not the file"):
        resolve(str(model.path), folder=tmp_path)


def test_list_and_verify_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_models(tmp_path)
    assert cli.run(["models", "list", "--json", "--folder", str(folder)]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in listed] == ["walls", "lines", "lines-big"]
    assert listed[1]["alphabet"] == 'абв"\\@_.'
    assert cli.run(["models", "list", "--folder", str(folder)]) == ExitCode.OK
    assert "walls" in capsys.readouterr().out
    assert cli.run(["models", "verify", "--folder", str(folder)]) == ExitCode.OK
    assert "3 of 3 models" in capsys.readouterr().out

    (folder / "weights" / "walls.onnx").write_bytes(b"changed")
    (folder / "cards" / "lines.md").unlink()
    assert cli.run(["models", "verify", "--folder", str(folder)]) == ExitCode.BROKEN_INSTALLATION
    report = capsys.readouterr()
    assert "walls.onnx: not the file" in report.err
    assert "the model lines has no card" in report.err
    assert "0 of 3 models" in report.out


def test_verify_without_models_or_registry_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["models", "verify", "--folder", str(tmp_path)]) == ExitCode.BROKEN_INSTALLATION
    assert "weights.toml" in capsys.readouterr().err
    (tmp_path / "weights.toml").write_text("")
    assert cli.run(["models", "verify", "--folder", str(tmp_path)]) == ExitCode.BROKEN_INSTALLATION
    assert cli.run(["models", "list", "--folder", str(tmp_path)]) == ExitCode.OK


def test_every_registered_model_is_the_file_it_should_be_with_a_card_and_a_licence() -> None:
    for model in load_registry().models:
        verify(model)
        assert model.path.stat().st_size < 25 * 1024 * 1024
        assert model.card is not None
        assert model.card.is_file()
        assert model.licence
        if model.task is not Task.FACES:
            assert model.classes if model.task is Task.DETECTOR else model.alphabet
