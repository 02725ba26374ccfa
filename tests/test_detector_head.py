"""The head as it is exported against the head as it is trained."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from tagtrace.training.ultralytics_offline import offline_ultralytics

torch = pytest.importorskip("torch")
offline_ultralytics()
from tagtrace.training.detector_head import CELLS, as_convolutions, choose_cells  # noqa: E402 - needs ultralytics to be loaded offline

CLASSES = 3


@pytest.fixture(scope="module")
def networks() -> tuple[Any, Any]:
    """A network with weights of chance, and the same with cells that are chosen."""
    from ultralytics.nn.tasks import OBBModel

    torch.manual_seed(5)
    dense = OBBModel("yolo11n-obb.yaml", nc=CLASSES, verbose=False).eval()
    for norm in (part for part in dense.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        norm.weight.data.uniform_(0.5, 2)
        norm.bias.data.uniform_(-0.5, 0.5)
        norm.running_mean.uniform_(-0.1, 0.1)
        norm.running_var.uniform_(0.05, 1)
    for branch in dense.model[-1].cv3:  # it would begin with the same low score everywhere
        branch[-1].weight.data.normal_(0, 0.3)
    chosen = deepcopy(dense)
    choose_cells(chosen)
    return dense, chosen


def run(network: Any, pictures: Any) -> Any:
    with torch.no_grad():
        found = network(pictures)
    return (found[0] if isinstance(found, tuple) else found).numpy()


@pytest.mark.parametrize(("rows", "columns"), [(128, 160), (160, 96)])
def test_the_best_cells_of_the_finest_grid_and_all_others_are_as_trained(
    networks: tuple[Any, Any], rows: int, columns: int
) -> None:
    pictures = torch.rand(2, 3, rows, columns)
    wanted, found = (run(network, pictures) for network in networks)
    fine = rows * columns // 64
    assert fine > CELLS
    assert found.shape == (2, 4 + CLASSES + 1, CELLS + wanted.shape[2] - fine)
    np.testing.assert_allclose(found[:, :, CELLS:], wanted[:, :, fine:], atol=2e-3, rtol=1e-4)
    for one, other in zip(found, wanted, strict=True):
        best = np.argsort(-other[4:-1, :fine].max(axis=0), kind="stable")[:CELLS]
        np.testing.assert_allclose(one[:, :CELLS], other[:, best], atol=2e-3, rtol=1e-4)


def test_a_grid_of_few_cells_is_filled_up_with_nothing(networks: tuple[Any, Any]) -> None:
    """All cells of the grid are among them, those at its border, too, whose surroundings lie partly outside."""
    pictures = torch.rand(1, 3, 64, 64)
    wanted, found = (run(network, pictures)[0] for network in networks)
    fine = 64
    best = np.argsort(-wanted[4:-1, :fine].max(axis=0), kind="stable")
    np.testing.assert_allclose(found[:, :fine], wanted[:, best], atol=2e-3, rtol=1e-4)
    assert found[4:-1, fine:CELLS].max() == 0
    np.testing.assert_allclose(found[:, CELLS:], wanted[:, fine:], atol=2e-3, rtol=1e-4)


def test_the_weights_come_back_as_they_were_trained(networks: tuple[Any, Any]) -> None:
    dense, chosen = networks
    fused = deepcopy(dense)
    fused.fuse(verbose=False)
    trained = {name: values.numpy() for name, values in fused.state_dict().items()}
    changed = {name: values.numpy() for name, values in chosen.state_dict().items()}
    assert changed.keys() != trained.keys()
    back = as_convolutions(changed)
    assert back.keys() == trained.keys()
    for name, values in trained.items():
        np.testing.assert_array_equal(back[name], values)
