"""Things that are pasted or screwed on: stickers, posters, leaflets, signs, plates; printed text and QR codes on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

from ..fonts import Font, as_shown, pick
from ..world import LineText
from .glyphs import ink_box, set_line, smooth_noise, trim
from .layout import Block, Corners, PlacedLine, rectangle

_PAPERS = (
    (250, 250, 246),
    (250, 250, 246),
    (244, 226, 70),
    (240, 200, 60),
    (250, 236, 150),
    (150, 210, 120),
    (60, 170, 90),
    (240, 150, 60),
    (236, 120, 150),
    (130, 190, 230),
    (30, 30, 34),
    (40, 60, 130),
    (200, 40, 44),
    (225, 225, 225),
)


def printed(
    rng: np.random.Generator, lines: Sequence[LineText], payload: str | None, fonts: Sequence[Font], cap_px: float, style: str
) -> Block:
    """A sheet of paper or plastic with printed lines and, below or beside them, a QR code of ``payload``."""
    paper = np.asarray(np.array(_PAPERS[int(rng.integers(len(_PAPERS)))], np.float32) / 255, np.float32)
    dark = float(paper.mean()) < 0.45
    ink_colour = (
        np.array(
            (245, 245, 240) if dark else ((20, 20, 24), (20, 20, 24), (150, 20, 24), (24, 40, 120))[int(rng.integers(4))],
            np.float32,
        )
        / 255
    )
    masks = _line_masks(rng, lines, fonts, cap_px)
    code = _code(rng, payload) if payload else None
    widest = max([box[2] - box[0] for _, _, box, _ in masks] + [1])
    module = (
        max(1, round(max(0.5 * widest, 5 * cap_px) / code.shape[0] * float(rng.uniform(0.55, 1.0)))) if code is not None else 0
    )
    side = module * code.shape[0] if code is not None else 0
    beside = code is not None and rng.random() < 0.2
    pad = max(4, int(cap_px * rng.uniform(0.6, 1.4)))
    gap = cap_px * float(rng.uniform(0.35, 0.8))
    text_h = int(sum(box[3] - box[1] + gap for _, _, box, _ in masks)) if masks else 0
    width = (widest + pad + side if beside else max(widest, side)) + 2 * pad
    height = (max(text_h, side) if beside else text_h + (side + int(gap) if side else 0)) + 2 * pad
    alpha = np.ones((height, width), np.float32)
    ink = np.zeros((height, width), np.float32)
    rgb = np.broadcast_to(paper, (height, width, 3)).astype(np.float32).copy()
    column = widest + 2 * pad if beside else width
    placed, y = [], float(pad)
    for line, mask, box, size in masks:
        w, h = box[2] - box[0], box[3] - box[1]
        x0, y0 = max(1, (column - w) // 2), int(y)
        cut = mask[box[1] : box[3], box[0] : box[2]][: height - y0, : width - x0]
        ink[y0 : y0 + cut.shape[0], x0 : x0 + cut.shape[1]] = np.maximum(ink[y0 : y0 + cut.shape[0], x0 : x0 + cut.shape[1]], cut)
        placed.append(PlacedLine(line, rectangle(x0, y0, x0 + w, y0 + h), size))
        y += h + gap
    rgb = np.asarray(rgb * (1 - ink[..., None]) + ink_colour * ink[..., None], np.float32)
    quad: Corners | None = None
    if code is not None:
        x0, y0 = (widest + 2 * pad, (height - side) // 2) if beside else ((width - side) // 2, min(int(y), height - side - pad))
        x0, y0 = max(2, min(x0, width - side - 2)), max(2, y0)
        _print_code(rgb, ink, code, module, x0, y0, paper, rng)
        quad = rectangle(x0, y0, x0 + side, y0 + side)
    rgb, alpha = _age(rng, rgb, alpha, cap_px)
    return Block(alpha, rgb, ink, tuple(placed), quad, style)


def _line_masks(
    rng: np.random.Generator, lines: Sequence[LineText], fonts: Sequence[Font], cap_px: float
) -> list[tuple[LineText, NDArray[np.float32], tuple[int, int, int, int], float]]:
    font = pick(rng, fonts, "".join(line.text for line in lines), "poster") if lines else None
    out = []
    for line in lines:
        size = cap_px * (float(np.exp(rng.normal(0.1, 0.25))) if line.kind == "word" else 1.0)
        tracking = float(rng.uniform(0, 0.1)) if rng.random() < 0.3 else 0.0
        assert font is not None
        mask = trim(set_line(rng, line.text, font, size, tracking=tracking), 2)
        box = ink_box(mask)
        if box[2] - box[0] >= 2:
            out.append((replace(line, text=as_shown(font, line.text)), mask, box, size))
    return out


def _code(rng: np.random.Generator, payload: str) -> NDArray[np.uint8]:
    """Modules of a QR code without quiet zone: 1 dark, 0 light, shape (n, n)."""
    level = str(rng.choice(["l", "m", "q", "h"], p=[0.3, 0.4, 0.2, 0.1]))
    return np.array([list(row) for row in segno.make_qr(payload, error=level, boost_error=False).matrix], np.uint8)


def _print_code(
    rgb: NDArray[np.float32],
    ink: NDArray[np.float32],
    code: NDArray[np.uint8],
    module: int,
    x0: int,
    y0: int,
    paper: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    side = code.shape[0] * module
    quiet = int(module * rng.integers(2, 5))
    light = np.array((0.97, 0.97, 0.96), np.float32) if paper.mean() < 0.75 or rng.random() < 0.5 else paper
    rgb[max(0, y0 - quiet) : y0 + side + quiet, max(0, x0 - quiet) : x0 + side + quiet] = light
    modules = np.kron(code, np.ones((module, module), np.uint8)).astype(np.float32)
    rgb[y0 : y0 + side, x0 : x0 + side] = light * (1 - modules[..., None]) + 0.07 * modules[..., None]
    ink[y0 : y0 + side, x0 : x0 + side] = modules


def _age(
    rng: np.random.Generator, rgb: NDArray[np.float32], alpha: NDArray[np.float32], cap_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Wrinkles, stains, torn corners and edges."""
    height, width = alpha.shape
    shade = 1 + float(rng.uniform(0.01, 0.06)) * smooth_noise(rng, (height, width), max(6.0, cap_px * float(rng.uniform(0.6, 3))))
    rgb = np.clip(rgb * shade[..., None], 0, 1)
    if rng.random() < 0.4:  # folds: thin bright-dark pairs
        for _ in range(int(rng.integers(1, 4))):
            fold = np.zeros((height, width), np.float32)
            cv2.line(
                fold, (int(rng.integers(width)), 0), (int(rng.integers(width)), height), 1.0, 1 + int(cap_px * 0.04), cv2.LINE_AA
            )
            rgb = np.clip(rgb + fold[..., None] * float(rng.uniform(-0.15, 0.15)), 0, 1)
    if rng.random() < 0.35:
        corner = int(rng.integers(4))
        size = int(min(height, width) * rng.uniform(0.05, 0.22))
        xs, ys = (0 if corner in (0, 3) else width), (0 if corner in (0, 1) else height)
        points = np.array([[xs, ys], [xs + (size if xs == 0 else -size), ys], [xs, ys + (size if ys == 0 else -size)]], np.int32)
        cv2.fillPoly(alpha, [points], 0.0)
    if rng.random() < 0.3:
        rough = np.minimum.reduce(
            [
                np.arange(width)[None, :] + np.zeros((height, 1)),
                (width - 1 - np.arange(width))[None, :] + np.zeros((height, 1)),
                np.arange(height)[:, None] + np.zeros((1, width)),
                (height - 1 - np.arange(height))[:, None] + np.zeros((1, width)),
            ]
        ).astype(np.float32)
        alpha = alpha * (rough > 2 + 0.12 * cap_px * smooth_noise(rng, (height, width), max(3.0, 0.4 * cap_px)))
    return rgb.astype(np.float32), alpha.astype(np.float32)


def board(rng: np.random.Generator, lines: Sequence[str], fonts: Sequence[Font], cap_px: float, kind: str) -> Block:
    """A sign that is not an advert: house number, shop sign, number plate, road sign, notice."""
    schemes = {
        "house": (
            ((30, 60, 150), (240, 240, 240)),
            ((240, 240, 240), (30, 50, 120)),
            ((20, 110, 70), (245, 245, 245)),
            ((250, 250, 250), (20, 20, 20)),
        ),
        "plate": (((245, 245, 245), (15, 15, 15)),),
        "road": (((245, 245, 245), (20, 20, 20)), ((20, 70, 170), (250, 250, 250)), ((250, 210, 40), (20, 20, 20))),
        "sign": (
            ((200, 30, 36), (250, 250, 250)),
            ((20, 120, 60), (250, 250, 250)),
            ((250, 220, 60), (180, 20, 24)),
            ((30, 60, 160), (255, 235, 60)),
            ((245, 245, 245), (200, 30, 36)),
            ((40, 40, 44), (240, 200, 90)),
        ),
        "notice": (((245, 245, 245), (200, 24, 28)), ((250, 225, 60), (20, 20, 20)), ((245, 245, 245), (20, 20, 20))),
    }
    options = schemes.get(kind, schemes["notice"])
    ground, ink_colour = (np.array(c, np.float32) / 255 for c in options[int(rng.integers(len(options)))])
    masks = _line_masks(rng, [LineText(text, text, "word", (1, 1), "") for text in lines], fonts, cap_px)
    pad = max(4, int(cap_px * rng.uniform(0.4, 0.9)))
    widest = max([box[2] - box[0] for _, _, box, _ in masks] + [4])
    gap = 0.4 * cap_px
    height = int(sum(box[3] - box[1] + gap for _, _, box, _ in masks) - gap) + 2 * pad
    width = widest + 2 * pad
    rgb = np.broadcast_to(ground, (height, width, 3)).astype(np.float32).copy()
    ink = np.zeros((height, width), np.float32)
    placed, y = [], float(pad)
    for line, mask, box, size in masks:
        w, h = box[2] - box[0], box[3] - box[1]
        x0, y0 = (width - w) // 2, int(y)
        cut = mask[box[1] : box[3], box[0] : box[2]][: height - y0, : width - x0]
        ink[y0 : y0 + cut.shape[0], x0 : x0 + cut.shape[1]] = cut
        placed.append(PlacedLine(line, rectangle(x0, y0, x0 + w, y0 + h), size))
        y += h + gap
    rgb = np.asarray(rgb * (1 - ink[..., None]) + ink_colour * ink[..., None], np.float32)
    if rng.random() < 0.6:
        cv2.rectangle(rgb, (2, 2), (width - 3, height - 3), tuple(map(float, ink_colour)), max(1, int(cap_px * 0.06)))
    return Block(np.ones((height, width), np.float32), rgb, ink, tuple(placed), None, kind)
