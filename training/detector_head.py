"""The detector's head as it is exported: on the finest grid, boxes are worked out only where something is seen.

The class branch says for every cell of a grid what it shows. Few cells of a photo show anything, so on the finest grid, which has
three quarters of all cells, the branches of box and angle look at the most promising cells alone, each with as much around it as
two 3x3 convolutions see. The weights are those of the head as trained; for a cell that is chosen the numbers are, too, up to
rounding. On the coarser grids it is not worth the moving about.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from ultralytics.nn.modules.head import OBB

CELLS = 128
"""Cells of the finest grid that get a box. In none of 700 photos, generated and real, had more than 117 a score of 0.1 and more,
or more than 90 one of 0.25."""
_LINEAR = re.compile(r"(?P<start>.*\.cv[24]\.0\.(?P<step>[012]))\.(?P<part>weight|bias)")
"""Weights of the branches of box and angle on the finest grid, as ``choose_cells`` leaves them."""


class ChosenCells(OBB):  # type: ignore[misc]  # ultralytics has no types
    """Gives what ``OBB`` gives, (batch, 4 + classes + 1, cells), with ``CELLS`` of the finest grid, by falling score.

    A grid of fewer cells is filled up with cells of score 0. For inference only.
    """

    def forward(self, x: list[Tensor]) -> Tensor:
        parts = [self._chosen(x[0]), *(self._all(number, x[number]) for number in range(1, self.nl))]
        boxes, scores, angles, anchors, strides = (torch.cat(part, -1) for part in zip(*parts, strict=True))
        angles = (angles.sigmoid() - 0.25) * torch.pi
        return torch.cat((self.decode_bboxes(self.dfl(boxes), anchors, angles) * strides, scores.sigmoid(), angles), 1)

    def _all(self, number: int, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What the branches give for all cells of a grid, their middles and strides: each (batch, ..., cells)."""
        boxes, scores, angles = (branch[number](features).flatten(2) for branch in (self.cv2, self.cv3, self.cv4))
        rows, columns = features.shape[2], features.shape[3]
        cells = torch.arange(rows * columns)[None].expand(len(features), -1)
        return boxes, scores, angles, *self._where(cells, columns, number)

    def _chosen(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The same for the most promising cells of the finest grid."""
        rows, columns = features.shape[2], features.shape[3]
        scores = functional.pad(self.cv3[0](features).flatten(2), (0, CELLS), value=-1e4)
        chosen = scores.amax(1).topk(CELLS, 1).indices
        scores = scores.gather(2, chosen[:, None].expand(-1, self.nc, -1))
        # what fills up a small grid stands for its last cell
        chosen = chosen.clamp(max=rows * columns - 1)
        around, inside = _around(features, chosen)
        boxes, angles = (
            _look(branch[0], around, inside).reshape(len(features), CELLS, -1).transpose(1, 2) for branch in (self.cv2, self.cv4)
        )
        return boxes, scores, angles, *self._where(chosen, columns, 0)

    def _where(self, cells: Tensor, columns: int, number: int) -> tuple[Tensor, Tensor]:
        """Middles (batch, 2, cells) of cells of a grid, in cells, and the pixels for a cell."""
        anchors = torch.stack((cells % columns, cells // columns), 1).float() + 0.5
        return anchors, torch.full_like(anchors[:, :1], float(self.stride[number]))


def _around(features: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """What two 3x3 convolutions see around cells (batch, cells) of a grid.

    The second wants the first at nine places around each cell: the 3 x 3 values around each place, (batch * cells * 9, 9 *
    channels), zero outside of the grid; and whether the place is inside, (batch * cells * 9, 1).
    """
    batch, channels, rows, columns = features.shape
    wide, near = columns + 4, torch.arange(3)
    steps = (near[:, None] * wide + near).reshape(-1)
    padded = functional.pad(features.permute(0, 2, 3, 1), (0, 0, 2, 2, 2, 2)).reshape(-1, channels)
    row, column = cells // columns, cells % columns
    corner = (row + torch.arange(batch)[:, None] * (rows + 4)) * wide + column
    values = corner.reshape(-1, 1, 1) + steps[:, None] + steps
    place_row = row.reshape(-1, 1, 1) + near[:, None]
    place_column = column.reshape(-1, 1, 1) + near
    inside = (place_row > 0) & (place_row <= rows) & (place_column > 0) & (place_column <= columns)
    return padded[values.reshape(-1)].reshape(-1, 9 * channels), inside.reshape(-1, 1)


def _look(branch: nn.Sequential, around: Tensor, inside: Tensor) -> Tensor:
    """A branch of the head for cells, (cells, channels)."""
    # the second convolution saw zeros outside of the grid, not what the first would give there
    places = functional.silu(branch[0](around)) * inside
    found: Tensor = branch[2](functional.silu(branch[1](places.reshape(-1, 9 * places.shape[1]))))
    return found


def _linear(conv: nn.Conv2d) -> nn.Linear:
    """A convolution as what it does at one place: of (row, column, channel) around it."""
    linear = nn.Linear(conv.weight[0].numel(), conv.out_channels)
    linear.weight.data = conv.weight.data.permute(0, 2, 3, 1).flatten(1)
    linear.bias.data = conv.bias.data  # type: ignore[union-attr]
    return linear


def as_convolutions(stored: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The weights of an export by the names and in the shapes that the head is trained with; others as they are."""
    back = {}
    for name, values in stored.items():
        found = _LINEAR.fullmatch(name)
        if found and values.ndim == 2:
            side = 1 if found["step"] == "2" else 3
            values = values.reshape(len(values), side, side, -1).transpose(0, 3, 1, 2)
        back[f"{found['start']}.conv.{found['part']}" if found and found["step"] != "2" else name] = values
    return back


def choose_cells(model: Any) -> None:
    """Have a trained YOLO with oriented boxes work out boxes of its finest grid only where something is seen."""
    model.fuse(verbose=False)
    head = model.model[-1]
    head.__class__ = ChosenCells
    for branch in (head.cv2, head.cv4):
        first, second, last = branch[0]
        branch[0] = nn.Sequential(_linear(first.conv), _linear(second.conv), _linear(last))
