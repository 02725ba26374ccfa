"""The phone: where it stands, and what its lens, sensor and JPEG encoder do to the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class View:
    """Where the phone stands. Angles in degrees; ``scale`` is photo pixels per wall pixel at the point it looks at."""

    width: int
    height: int
    yaw: float
    pitch: float
    roll: float
    scale: float
    focal: float


def pick_view(rng: np.random.Generator, long_side: int, hard: bool) -> View:
    """Draw a view: mostly near frontal, sometimes strongly oblique, either orientation of the phone."""
    ratio = float(rng.choice([4 / 3, 3 / 2, 16 / 9], p=[0.6, 0.1, 0.3]))
    short = int(long_side / ratio)
    width, height = (long_side, short) if rng.random() < 0.6 else (short, long_side)
    spread = 1.0 if hard else 0.55
    yaw = float(np.clip(rng.normal(0, 24 * spread), -58, 58))
    pitch = float(np.clip(rng.normal(0, 13 * spread), -38, 38))
    roll = float(rng.normal(0, 4.5 * spread)) + (float(rng.uniform(-25, 25)) if rng.random() < 0.05 else 0.0)
    return View(width, height, yaw, pitch, roll, 1.0, float(rng.uniform(0.75, 1.25)) * long_side)


def homography(view: View, look_at: tuple[float, float], centre: tuple[float, float]) -> NDArray[np.float64]:
    """3x3 map from wall pixels to photo pixels (pinhole camera looking at the plane z = 0).

    ``look_at`` is the wall point, and ``centre`` the photo point where it is seen.
    """
    yaw, pitch, roll = np.radians([view.yaw, view.pitch, view.roll])
    ry = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    rx = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    rz = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    rotation = rz @ rx @ ry
    distance = view.focal / view.scale
    to_camera = np.column_stack([rotation[:, 0], rotation[:, 1], [0, 0, distance]])
    intrinsics = np.array([[view.focal, 0, centre[0]], [0, view.focal, centre[1]], [0, 0, 1]])
    shift = np.array([[1, 0, -look_at[0]], [0, 1, -look_at[1]], [0, 0, 1]])
    matrix = intrinsics @ to_camera @ shift
    return np.asarray(matrix / matrix[2, 2], np.float64)


def map_points(matrix: NDArray[np.float64], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map (n, 2) points through a 3x3 homography."""
    return np.asarray(cv2.perspectiveTransform(points.reshape(1, -1, 2).astype(np.float64), matrix)[0], np.float32)


AUTO_EXPOSURE = 0.9
"""How far a phone corrects the brightness of a scene towards its target: 0 not at all, 1 fully (in log light)."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the phone does to light. Lengths in photo pixels, ``target`` the brightness (0..1) that its meter
    aims at, ``noise`` in 0..1 units of deviation, ``jpeg`` quality 1..95."""

    gain: float
    target: float
    white: tuple[float, float, float]
    gamma: float
    blur: float
    motion: float
    motion_angle: float
    noise: float
    sharpen: float
    vignette: float
    jpeg: int


def pick_exposure(rng: np.random.Generator, hard: bool, dark: bool) -> Exposure:
    """Draw exposure, focus, shake, noise and compression."""
    noise = float(rng.gamma(1.5, 0.008 if not dark else 0.02))
    return Exposure(
        gain=float(np.exp(rng.normal(0, 0.16))),
        target=float(rng.uniform(0.24, 0.45) if dark else rng.uniform(0.40, 0.68)),
        white=tuple(float(v) for v in np.exp(rng.normal(0, 0.05, 3))),  # type: ignore[arg-type]
        gamma=float(np.exp(rng.normal(0, 0.12))),
        blur=float(rng.gamma(1.3, 0.45)) if rng.random() < (0.8 if hard else 0.5) else 0.0,
        motion=float(rng.gamma(1.5, 2.4)) if rng.random() < (0.25 if hard else 0.07) else 0.0,
        motion_angle=float(rng.uniform(0, np.pi)),
        noise=min(0.12, noise),
        sharpen=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.5 else 0.0,
        vignette=float(rng.uniform(0, 0.35)) if rng.random() < 0.4 else 0.0,
        jpeg=int(rng.choice([35, 50, 60, 70, 80, 88, 93], p=[0.05, 0.12, 0.15, 0.2, 0.2, 0.18, 0.1])),
    )


def develop(rng: np.random.Generator, picture: NDArray[np.float32], exposure: Exposure) -> NDArray[np.uint8]:
    """Scene light (H, W, 3), 0..1, to the picture a phone makes of it: ``uint8`` RGB, before JPEG."""
    meter = float(np.percentile(picture[::8, ::8].mean(axis=2), 60))
    gain = exposure.gain * (exposure.target / max(0.02, meter)) ** AUTO_EXPOSURE
    out = picture * (gain * np.array(exposure.white, np.float32))
    if exposure.vignette:
        height, width = out.shape[:2]
        ys, xs = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        out = out * (1 - exposure.vignette * 0.5 * (xs * xs + ys * ys))[..., None]
    if exposure.blur > 0.2:
        out = cv2.GaussianBlur(out, (0, 0), exposure.blur)
    if exposure.motion > 1.2:
        out = cv2.filter2D(out, -1, motion_kernel(exposure.motion, exposure.motion_angle))
    out = np.power(np.clip(out, 0, 1.6) / (1 + 0.12 * np.clip(out - 0.8, 0, None)), exposure.gamma)
    if exposure.noise > 0.002:
        height, width = out.shape[:2]
        grain = rng.standard_normal((height, width, 1), dtype=np.float32)
        chroma = cv2.resize(rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32), (width, height))
        out = out + exposure.noise * (0.4 + np.sqrt(np.clip(1 - out, 0, 1))) * (0.75 * grain + 0.5 * chroma)
    if exposure.sharpen:
        out = out + exposure.sharpen * (out - cv2.GaussianBlur(out, (0, 0), 1.2))
    return np.asarray(np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)


def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """A straight motion-blur kernel of ``length`` pixels at ``angle`` radians."""
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    middle, dx, dy = size / 2, np.cos(angle) * length / 2, np.sin(angle) * length / 2
    points = [(int((middle - dx) * 16), int((middle - dy) * 16)), (int((middle + dx) * 16), int((middle + dy) * 16))]
    cv2.line(kernel, points[0], points[1], 1.0, 1, cv2.LINE_AA, 4)
    kernel[size // 2, size // 2] = max(kernel[size // 2, size // 2], 0.5)
    return np.asarray(kernel / kernel.sum(), np.float32)


def jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Through the JPEG encoder and back: RGB in, RGB out."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None, "what was just encoded can be decoded"
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
