"""A narrower recogniser from a trained one: the channels inside its blocks that matter least are taken away.

Most of the arithmetic is in the two 1x1 convolutions of each block. How much a channel between them matters is measured on
training crops: the change of the loss, to the first order, if it were zero (Molchanov et al. 2019). The channels that matter
least for their arithmetic go first, in whichever block; what they carried is then given, as far as a linear map can (least
squares), to those that stay. A training with the whole network as ``teacher`` should follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..contract import TagtraceError
from ..datasets.lineshards import LineShards
from ..models.linecrop import CropSettings
from .recogniser import export
from .recogniser_augment import AugmentSettings
from .recogniser_data import Batch, BatchSettings, TrainBatches
from .recogniser_net import Block, Model
from .recogniser_settings import NetworkSettings
from .recogniser_trainer import ctc_loss, log_probs_of, model_of

MEASURED_WIDTH_PX = 384
"""Width of the picture for which arithmetic is counted: that of a common line."""


@dataclass(frozen=True, slots=True)
class PruneSettings:
    """How much is taken away, and what that is decided by."""

    share: float = 0.55
    """Arithmetic of the narrower network as a share of the whole one's, above 0, at most 1."""
    step: int = 16
    """Channels go in groups of so many: what a processor takes at once."""
    least: float = 0.25
    """Share of its channels that every block keeps, 0..1."""
    batches: int = 24
    """Batches of training crops to measure on, of about 32 crops each."""
    ridge: float = 1e-3
    """Added to the diagonal of the least squares, as a share of its mean: channels that go together make them unsteady."""
    threads: int = 1
    seed: int = 1
    """Seed of the order and the changes of the crops."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise TagtraceError(f"share is {self.share}: it must be above 0 and at most 1")
        for name in ("least", "ridge"):
            if not 0 <= getattr(self, name) <= 1:
                raise TagtraceError(f"{name} is {getattr(self, name)}: it must be between 0 and 1")
        for name in ("step", "batches", "threads"):
            if getattr(self, name) < 1:
                raise TagtraceError(f"{name} is {getattr(self, name)}: it must be at least 1")


@dataclass(frozen=True, slots=True)
class Channels:
    """What crops told about the channels inside one block."""

    importance: Tensor
    """(hidden,) mean over crops of the absolute change of the loss if the channel were zero."""
    moments: Tensor
    """(hidden + 1, hidden + 1) mean over places of the products of the channels and, last, a constant 1."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A narrower network, its sizes, and multiplications of the whole and of this one for a line of ``MEASURED_WIDTH_PX``."""

    model: Model
    network: NetworkSettings
    before: int
    after: int


def write_pruned(weights: Path, data: Sequence[str], out: Path, settings: PruneSettings) -> Pruned:
    """Prune the recogniser of a ``.safetensors`` file or a checkpoint and write it to the folder ``out`` in all forms.

    Raises TagtraceError as ``prune`` does, or where the weights cannot be read.
    """
    torch.set_num_threads(settings.threads)
    model, network, crop = model_of(weights)
    pruned = prune(model, network, data, crop, settings)
    out.mkdir(parents=True, exist_ok=True)
    export(pruned.model, out, crop, pruned.network)
    return pruned


def prune(model: Model, network: NetworkSettings, data: Sequence[str], crop: CropSettings, settings: PruneSettings) -> Pruned:
    """A narrower copy of ``model``, whose sizes are ``network``, measured on the folders of line shards ``data``.

    Raises TagtraceError where no widths reach ``settings.share``, or the data have no crop to measure on.
    """
    batches = TrainBatches(LineShards(data), crop, BatchSettings(), AugmentSettings(), settings.seed, 0)
    if not len(batches):
        raise TagtraceError(f"{', '.join(data)}: no crop there that can be measured on")
    measured = measure(model, (batches[number] for number in range(min(len(batches), settings.batches))))
    kept = _choose(model, [channels.importance for channels in measured], crop, settings)
    sizes = replace(network, hidden=tuple(len(stay) for stay in kept))
    state = model.state_dict()
    for number, (block, stay, channels) in enumerate(zip(_blocks(model), kept, measured, strict=True)):
        name = f"body.{number}"
        state[f"{name}.widen.weight"] = block.widen.weight.detach()[stay]
        state[f"{name}.widen.bias"] = _bias(block.widen)[stay]
        state[f"{name}.narrow.weight"], state[f"{name}.narrow.bias"] = _refit(block, stay, channels.moments, settings.ridge)
    narrow = Model(model.head.out_features, **asdict(sizes))
    narrow.load_state_dict(state)
    return Pruned(narrow.eval(), sizes, arithmetic(model, crop)[0], arithmetic(narrow, crop)[0])


def measure(model: Model, batches: Iterable[Batch]) -> list[Channels]:
    """What ``batches`` tell about the channels inside each block of ``model``."""
    model.eval()
    blocks = _blocks(model)
    inside: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        arguments[0].retain_grad()
        inside.append(arguments[0])

    hooks = [block.narrow.register_forward_pre_hook(keep) for block in blocks]
    widths = [block.narrow.in_channels for block in blocks]
    importance = [torch.zeros(width, dtype=torch.float64) for width in widths]
    moments = [torch.zeros(width + 1, width + 1, dtype=torch.float64) for width in widths]
    crops = 0
    try:
        for batch in batches:
            inside.clear()
            ctc_loss(log_probs_of(model, batch, bfloat16=False), batch).backward()  # type: ignore[no-untyped-call]
            crops += len(batch.lengths)
            for number, active in enumerate(inside):
                _add(importance[number], moments[number], active)
    finally:
        for hook in hooks:
            hook.remove()
        model.zero_grad(set_to_none=True)
    # the last product is that of the constant with itself: the number of places
    return [Channels(total / crops, products / products[-1, -1]) for total, products in zip(importance, moments, strict=True)]


def _add(importance: Tensor, moments: Tensor, active: Tensor) -> None:
    """Add what one batch tells about one block; ``active`` (n, hidden, height, width) are its channels, with their gradient."""
    values, gradient = active.detach(), active.grad
    assert gradient is not None
    # the loss is a mean over the crops of the batch
    importance += (values * gradient).sum((2, 3)).abs().sum(0).double() * len(values)
    flat = functional.pad(values.permute(0, 2, 3, 1).flatten(0, 2), (0, 1), value=1.0)
    moments += (flat.T @ flat).double()


@torch.no_grad()
def arithmetic(model: Model, crop: CropSettings) -> tuple[int, list[int]]:
    """Multiplications of ``model`` for a line of ``MEASURED_WIDTH_PX``, and those of one channel inside each block."""
    total = 0
    each: list[int] = []

    def count(layer: nn.Module, _: object, out: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += out.numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            total += out.numel() * layer.in_features

    def count_block(block: nn.Module, _: object, out: Tensor) -> None:
        assert isinstance(block, Block)
        each.append(out.shape[2] * out.shape[3] * (block.widen.in_channels + block.narrow.out_channels))

    hooks = [layer.register_forward_hook(count) for layer in model.modules()]
    hooks += [block.register_forward_hook(count_block) for block in _blocks(model)]
    try:
        model.eval()(torch.zeros(1, 1, crop.height, MEASURED_WIDTH_PX))
    finally:
        for hook in hooks:
            hook.remove()
    return total, each


def _choose(model: Model, importance: Sequence[Tensor], crop: CropSettings, settings: PruneSettings) -> list[Tensor]:
    """The channels that stay inside each block, in their order: groups of ``step`` go, the least important for its cost first."""
    whole, cost = arithmetic(model, crop)
    orders = [values.argsort() for values in importance]
    gone = [0] * len(orders)
    limits = [int(len(order) * (1 - settings.least)) // settings.step for order in orders]
    left = whole
    while left > settings.share * whole:
        offers = []
        for number, order in enumerate(orders):
            if gone[number] < limits[number]:
                group = order[gone[number] * settings.step :][: settings.step]
                offers.append((float(importance[number][group].sum()) / cost[number], number))
        if not offers:
            raise TagtraceError(
                f"share is {settings.share}: where every block keeps {settings.least} of its channels, {left / whole:.2f} of the "
                "arithmetic is left; give a larger share or a smaller least"
            )
        number = min(offers)[1]
        gone[number] += 1
        left -= settings.step * cost[number]
    return [order[count * settings.step :].sort().values for order, count in zip(orders, gone, strict=True)]


def _refit(block: Block, stay: Tensor, moments: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``narrow`` that give with the channels ``stay`` alone, as far as they can, what it gave with all."""
    weight, bias = block.narrow.weight.detach(), _bias(block.narrow)
    last = len(moments) - 1
    if len(stay) == last:
        return weight.clone(), bias.clone()
    gone = torch.ones(last, dtype=torch.bool)
    gone[stay] = False
    kept = torch.cat((stay, torch.tensor([last])))  # the constant, for the bias
    lost = weight[:, gone, 0, 0].double() @ moments[:last][gone][:, kept]
    products = moments[kept][:, kept]
    slack = torch.full((len(kept),), ridge * float(products.diagonal()[:-1].mean()), dtype=torch.float64)
    slack[-1] = 0.0
    given = torch.linalg.solve(products + slack.diag(), lost.T).T.float()
    return weight[:, stay] + given[:, :-1, None, None], bias + given[:, -1]


def _blocks(model: Model) -> list[Block]:
    return [block for block in model.body if isinstance(block, Block)]


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias.detach()
