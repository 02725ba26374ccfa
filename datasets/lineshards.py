"""Shards of line crops with their text: the training material of the recogniser, written once and read many times.

A folder holds pairs of files. ``shard-00000.bin`` is the encoded crops (JPEG or PNG, RGB), one after the other, and
``shard-00000.jsonl`` describes them, one JSON object a line, in the same order::

    {"offset": 0, "length": 3120, "text": "@zz_test", "width": 320, "height": 48, "height_px": 31.5, "style": "stencil",
     "legible": true}

``offset`` and ``length`` are bytes in the ``.bin`` file; ``width`` and ``height`` are pixels of the crop; ``height_px`` is the
height of the text in the photo it was cut from; any further keys are kept. Two large files instead of a million small ones keep
a disk busy with reading, and a crop is found by a seek.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import cv2
import numpy as np
import PIL.Image

from ..contract import Image, TagtraceError

DEFAULT_SHARD_CROPS = 5000
"""Crops a shard holds before the writer begins the next one."""

DEFAULT_JPEG_QUALITY = 92
"""Quality (0..100) of the stored JPEG: high, because the crops have been through the JPEG of their photo already."""

_REQUIRED = {"offset": int, "length": int, "text": str}


class LineShardWriter:
    """Appends line crops to shards in ``folder``; use it as a context manager.

    Files get their final names when a shard is complete, so that a reader never sees half a shard. Existing shards are kept
    and new ones numbered after them, in steps of ``stride`` from ``first``: several writers fill one folder when each has
    its own ``first`` below a common ``stride``.
    """

    def __init__(
        self,
        folder: str | Path,
        shard_crops: int = DEFAULT_SHARD_CROPS,
        jpeg_quality: int = DEFAULT_JPEG_QUALITY,
        first: int = 0,
        stride: int = 1,
    ) -> None:
        if shard_crops < 1 or stride < 1 or not 0 <= first < stride:
            raise TagtraceError(
                f"LineShardWriter: shard_crops={shard_crops}, first={first}, stride={stride}; need 0 <= first < stride"
            )
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._shard_crops = shard_crops
        self._quality = jpeg_quality
        self._number = first
        self._stride = stride
        self._rows: list[str] = []
        self._bin: BinaryIO | None = None
        self._offset = 0
        self.written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(self, crop: Image, text: str, *, height_px: float, style: str = "", legible: bool = True, **extra: Any) -> None:
        """Append one crop (``uint8``, (height, width, 3), RGB) that shows ``text``; ``extra`` must be JSON values."""
        if crop.ndim != 3 or crop.shape[2] != 3 or crop.dtype != np.uint8 or min(crop.shape) < 1:
            raise TagtraceError(f"a line crop must be uint8 of shape (height, width, 3), not {crop.dtype} {crop.shape}")
        done, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not done:
            raise TagtraceError(f"OpenCV could not encode a crop of shape {crop.shape} as JPEG")
        if self._bin is None:
            self._open()
        assert self._bin is not None
        self._bin.write(data.tobytes())
        row = {
            "offset": self._offset,
            "length": len(data),
            "text": text,
            "width": int(crop.shape[1]),
            "height": int(crop.shape[0]),
            "height_px": float(height_px),
            "style": style,
            "legible": bool(legible),
            **extra,
        }
        self._rows.append(json.dumps(row, ensure_ascii=False))
        self._offset += len(data)
        self.written += 1
        if len(self._rows) >= self._shard_crops:
            self.close()

    def close(self) -> None:
        """Complete the shard at hand. The writer may be used further: it begins a new shard."""
        if self._bin is None:
            return
        self._bin.close()
        self._bin = None
        stem = self._stem()
        rows = self._part(".jsonl")
        rows.write_text("\n".join(self._rows) + "\n", encoding="utf-8")
        self._part(".bin").rename(self.folder / f"{stem}.bin")
        rows.rename(self.folder / f"{stem}.jsonl")
        self._rows = []
        self._offset = 0
        self._number += self._stride

    def _open(self) -> None:
        while (self.folder / f"{self._stem()}.jsonl").exists():
            self._number += self._stride
        self._bin = self._part(".bin").open("wb")

    def _stem(self) -> str:
        return f"shard-{self._number:05d}"

    def _part(self, ending: str) -> Path:
        return self.folder / f".{self._stem()}{ending}.part"


class LineShards:
    """All crops of one or more folders of shards, as a sequence of (crop, description).

    Only the descriptions are held in memory; a crop is decoded when asked for. May be sent to worker processes: each opens
    the files for itself.
    """

    def __init__(self, folders: str | Path | Iterable[str | Path]) -> None:
        """Raises TagtraceError when a folder is missing or has no shards, or a description is damaged (file and line named)."""
        listed: list[str | Path] = [folders] if isinstance(folders, str | Path) else list(folders)
        self.rows: list[dict[str, Any]] = []
        self._files: list[Path] = []
        self._where: list[int] = []
        self._open: dict[int, BinaryIO] = {}
        for folder in listed:
            found = sorted(Path(folder).glob("shard-*.jsonl"))
            if not found:
                raise TagtraceError(f"{folder}: no shard-*.jsonl there; write line crops with `tagtrace synth` first")
            for path in found:
                self._read(path)

    def _read(self, path: Path) -> None:
        crops = path.with_suffix(".bin")
        if not crops.exists():
            raise TagtraceError(f"{crops}: missing, though {path.name} describes its crops; copy both files of the shard")
        size = crops.stat().st_size
        unsized: list[int] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise TagtraceError(f"{path}:{number}: not JSON ({error}); write the shard again") from error
            wrong = [k for k, kind in _REQUIRED.items() if not isinstance(row, dict) or not isinstance(row.get(k), kind)]
            if wrong:
                raise TagtraceError(f"{path}:{number}: missing or of a wrong type: {', '.join(wrong)}; write the shard again")
            if row["offset"] < 0 or row["length"] < 1 or row["offset"] + row["length"] > size:
                raise TagtraceError(f"{path}:{number}: the crop lies outside {crops.name} ({size} bytes); write the shard again")
            self.rows.append(row)
            self._where.append(len(self._files))
            if not (isinstance(row.get("width"), int) and isinstance(row.get("height"), int)):
                unsized.append(len(self.rows) - 1)
        self._files.append(crops)
        for index in unsized:
            self.rows[index]["width"], self.rows[index]["height"] = self._size(index)

    def _size(self, index: int) -> tuple[int, int]:
        """Width and height of a crop from its own header, for shards that do not say."""
        try:
            with PIL.Image.open(io.BytesIO(self.encoded(index))) as picture:
                return picture.size
        except OSError as error:
            raise self._broken(index) from error

    def _broken(self, index: int) -> TagtraceError:
        path, offset = self._files[self._where[index]], self.rows[index]["offset"]
        return TagtraceError(f"{path}: the crop at byte {offset} is not a picture; write the shard again")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Image, dict[str, Any]]:
        """The crop (``uint8``, (height, width, 3), RGB) and its description (the keys of the module's example)."""
        row = self.rows[index]
        picture = cv2.imdecode(np.frombuffer(self.encoded(index), np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise self._broken(index)
        return np.ascontiguousarray(picture[:, :, ::-1]).astype(np.uint8, copy=False), row

    def __iter__(self) -> Iterator[tuple[Image, dict[str, Any]]]:
        for index in range(len(self)):
            yield self[index]

    def encoded(self, index: int) -> bytes:
        """The crop as stored (JPEG or PNG bytes)."""
        row = self.rows[index]
        number = self._where[index]
        if number not in self._open:
            self._open[number] = self._files[number].open("rb")
        handle = self._open[number]
        handle.seek(row["offset"])
        return handle.read(row["length"])

    def close(self) -> None:
        """Close the files; they are opened again when needed."""
        for handle in self._open.values():
            handle.close()
        self._open = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}
