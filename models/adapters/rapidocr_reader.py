"""RapidOCR with the models in its wheel: PP-OCRv6 small, detector and recogniser (Latin and Chinese, no Cyrillic)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...contract import Image, Line
from .onnxruntime_offline import silence_onnxruntime
from .vendor import VendorReader, broken_engine, file_info, missing_library, read_lines_only, text_line, to_bgr

MODEL_FILES = {
    "detector": "PP-OCRv6_det_small.onnx",
    "orientation": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "recogniser": "PP-OCRv6_rec_small.onnx",
}


class RapidOcrReader(VendorReader):
    """A ``LineReader`` around ``rapidocr.RapidOCR``."""

    def _read(self, image: Image) -> list[Line]:
        found = self._engine(to_bgr(image))
        if found.boxes is None or found.txts is None:
            return []
        return read_lines_only(text_line(c, str(t), s) for c, t, s in zip(found.boxes, found.txts, found.scores, strict=True))


def rapidocr_small(threads: int = 0) -> RapidOcrReader:
    """RapidOCR on the processor. Its models are given by path: a missing one is an error here, never a download.

    Raises BrokenInstallationError when the library or a model file is missing.
    """
    silence_onnxruntime()
    try:
        import rapidocr
    except ImportError as error:
        raise missing_library("rapidocr", error) from error
    folder = Path(rapidocr.__file__).parent / "models"
    infos = tuple(file_info(task, f"rapidocr/{Path(file).stem}", folder / file) for task, file in MODEL_FILES.items())
    settings: dict[str, Any] = {
        "Global.log_level": "error",
        "Det.model_path": str(folder / MODEL_FILES["detector"]),
        "Cls.model_path": str(folder / MODEL_FILES["orientation"]),
        "Rec.model_path": str(folder / MODEL_FILES["recogniser"]),
    }
    if threads:
        settings["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
        settings["EngineConfig.onnxruntime.inter_op_num_threads"] = 1
    try:
        engine = rapidocr.RapidOCR(params=settings)
    except (OSError, RuntimeError, ValueError) as error:
        raise broken_engine("rapidocr", error) from error
    return RapidOcrReader(engine, infos)
