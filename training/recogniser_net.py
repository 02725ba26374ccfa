"""The recogniser network: convolutional blocks, two attention layers over the width, and a CTC head.

The shape is that of PP-OCRv6 *small* (PaddleOCR, Apache-2.0: an LCNetV4-like body and an SVTR neck), so that its weights can
be the start of training, with three changes: one grey channel in, any input height, and one time step per 4 pixels of width
instead of 8, because identifiers have narrow doubled letters (``ll``, ``11``) that need a blank between them.

This file imports nothing but torch: it is copied as it is into the files that ``easyocr.Reader`` loads (class ``Model``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

STEP_PX = 4
"""Pixels of input width per time step."""


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the mean of the whole picture."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(dim, dim // 4, 1)
        self.up = nn.Conv2d(dim // 4, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.up(functional.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * functional.hardsigmoid(gate)


class Stem(nn.Module):
    """Grey picture to ``dim`` channels at a quarter of its height and width (rounded up)."""

    def __init__(self, mid: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, mid, 3, 2, 1)
        self.conv2 = nn.Conv2d(mid, mid // 2, 2)
        self.conv3 = nn.Conv2d(mid // 2, mid, 2)
        self.conv4 = nn.Conv2d(2 * mid, mid, 3, 2, 1)
        self.conv5 = nn.Conv2d(mid, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.conv1(x))
        edge = (0, 1, 0, 1)
        fine = functional.relu(self.conv2(functional.pad(x, edge)))
        fine = functional.relu(self.conv3(functional.pad(fine, edge)))
        # x is not negative after relu, so that a zero pad does what "ignore outside" would do
        pooled = functional.max_pool2d(functional.pad(x, edge), 2, 1)
        x = functional.relu(self.conv4(torch.cat((pooled, fine), 1)))
        return functional.relu(self.conv5(x))


class Block(nn.Module):
    """Depthwise 3x3 to look around, then two 1x1 convolutions to think, with ``hidden`` channels between them; ``stride`` 2
    halves the height and drops the shortcut."""

    def __init__(self, dim: int, out: int, excite: bool, stride: int, hidden: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(dim, dim, 3, (stride, 1), 1, groups=dim)
        self.excite = SqueezeExcite(dim) if excite else nn.Identity()
        self.widen = nn.Conv2d(dim, hidden, 1)
        self.narrow = nn.Conv2d(hidden, out, 1)
        self.shortcut = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        x = self.excite(self.look(x))
        y: Tensor = self.narrow(functional.gelu(self.widen(x)))
        return x + y if self.shortcut else y


class Attention(nn.Module):
    """One transformer layer (pre-norm) over the time steps; no position code, the convolutions carry the order."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps=1e-5)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-5)
        self.fc1 = nn.Linear(dim, 2 * dim)
        self.fc2 = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, steps, dim = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, steps, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax((q * (dim // self.heads) ** -0.5) @ k.transpose(-1, -2), -1)
        x = x + self.proj((weights @ v).transpose(1, 2).reshape(n, steps, dim))
        y: Tensor = x + self.fc2(functional.silu(self.fc1(self.norm2(x))))
        return y


class ConvNorm(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, dim: int, out: int, kernel: tuple[int, int] = (1, 1), groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, out, kernel, 1, (kernel[0] // 2, kernel[1] // 2), groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.norm(self.conv(x)))


class Neck(nn.Module):
    """Features of one row to context-aware features: a local convolution, attention layers, and a shortcut past them."""

    def __init__(self, dim: int, out: int, layers: int, heads: int) -> None:
        super().__init__()
        self.past = ConvNorm(dim, out)
        self.enter = ConvNorm(dim, out)
        self.local = ConvNorm(out, out, (1, 7), out)
        self.layers = nn.ModuleList(Attention(out, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(out, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        past = self.past(x).squeeze(2).transpose(1, 2)
        x = self.enter(x)
        x = (x + self.local(x)).squeeze(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        y: Tensor = self.norm(x) + past
        return y


class Model(nn.Module):
    """Reads one text line per picture.

    Input: ``float32`` (n, 1, height, width), grey, -1 black to 1 white; output: logits (n, ceil(width / 4), ``num_class``),
    class 0 the CTC blank. The second argument of ``forward`` is ignored (``easyocr`` passes one). ``hidden`` has the channels
    inside each block, first to last, also of the one that begins each later stage; empty: twice those that come in.
    """

    def __init__(
        self,
        num_class: int,
        stem: int = 48,
        dims: Sequence[int] = (96, 192, 384),
        depths: Sequence[int] = (3, 6, 2),
        neck: int = 120,
        layers: int = 2,
        heads: int = 8,
        hidden: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.stem = Stem(stem, dims[0])
        plan: list[tuple[int, int, bool, int]] = []
        for stage, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
            if stage:
                plan.append((dims[stage - 1], dim, False, 2))
            plan += [(dim, dim, i % 2 == 0 and i < depth - 1, 1) for i in range(depth)]
        widths = hidden or [2 * block[0] for block in plan]
        self.body = nn.Sequential(*(Block(*block, hidden=width) for block, width in zip(plan, widths, strict=True)))
        self.neck = Neck(dims[-1], neck, layers, heads)
        self.head = nn.Linear(neck, num_class)

    def forward(self, x: Tensor, _text: Tensor | None = None) -> Tensor:
        x = self.body(self.stem(x)).mean(2, keepdim=True)
        logits: Tensor = self.head(self.neck(x))
        return logits
