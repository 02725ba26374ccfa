"""Weights in the forms of other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagtrace.cli import run
from tagtrace.models.alphabet import ALPHABET

pytestmark = pytest.mark.train


def test_easyocr_files_hold_the_weights_they_were_made_from(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from tagtrace.training.recogniser_net import Model

    torch.manual_seed(3)
    model = Model(1 + len(ALPHABET))
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "w.safetensors")
    assert run(["export", "easyocr", "--weights", str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "out")]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"tagtrace_line.py", "tagtrace_line.yaml", "tagtrace_line.pth"}
    written = torch.load(tmp_path / "out" / "tagtrace_line.pth", weights_only=True)
    for name, value in model.state_dict().items():
        assert torch.equal(written[f"module.{name}"], value)


def test_a_file_that_is_no_weights_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    assert run(["export", "easyocr", "--weights", str(tmp_path / "bad.safetensors"), "--out", str(tmp_path)]) == 2
    assert "bad.safetensors" in capsys.readouterr().err
