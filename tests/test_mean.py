"""The mean of two recognisers' weights, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagtrace import cli
from tagtrace.contract import TagtraceError

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    from tagtrace.models.alphabet import ALPHABET
    from tagtrace.training.recogniser_net import Model

    folder = tmp_path_factory.mktemp("weights")
    paths = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        paths.append(folder / f"{seed}.safetensors")
        save_file({name: value.contiguous() for name, value in Model(1 + len(ALPHABET)).state_dict().items()}, paths[-1])
    return paths


def test_every_tensor_is_the_weighted_mean(weights: list[Path]) -> None:
    import torch
    from safetensors.torch import load_file

    from tagtrace.training.mean import mean_of

    first, second = (load_file(path) for path in weights)
    for name, value in mean_of(weights, (3.0, 1.0)).state_dict().items():
        wanted = (0.75 * first[name].double() + 0.25 * second[name].double()).to(value.dtype)
        torch.testing.assert_close(value, wanted)


def test_the_command_writes_all_forms(weights: list[Path], tmp_path: Path) -> None:
    assert cli.run(["train", "mean", *map(str, weights), "--out", str(tmp_path / "mean")]) == 0
    assert {"recogniser.onnx", "recogniser.safetensors", "easyocr"} <= {path.name for path in (tmp_path / "mean").iterdir()}


def test_what_has_no_mean_is_refused(weights: list[Path], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from tagtrace.training.mean import mean_of

    with pytest.raises(TagtraceError, match="two or more"):
        mean_of(weights[:1])
    with pytest.raises(TagtraceError, match="share above 0"):
        mean_of(weights, (1.0, -1.0))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"none")
    with pytest.raises(TagtraceError, match=r"broken\.safetensors"):
        mean_of([weights[0], broken])
    import torch

    other = tmp_path / "other.safetensors"
    save_file({"strange": torch.zeros(2)}, other)
    with pytest.raises(TagtraceError, match="not all of one network"):
        mean_of([weights[0], other])
