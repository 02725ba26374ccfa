"""A line reader from outside tagtrace, as ``--reader fixed_reader:make`` loads it: what it reads is told by the picture.

The colour of the top left pixel chooses the texts. Some colours misbehave, as photos do that meet a bug or fill the memory.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from tagtrace.contract import Image, Line, ModelInfo, Reading, Region

RAISE, KILL, SLOW, KILL_PARENT = (255, 0, 0), (254, 0, 0), (253, 0, 0), (252, 0, 0)
TEXTS: dict[tuple[int, int, int], tuple[str, ...]] = {
    (10, 10, 10): ("РАБОТА", "@tulpar_kz1"),
    (20, 20, 20): ("@umitsnow",),
    (30, 30, 30): ("<script>alert('x')</script> @tulpar_kz2",),
}


class FixedReader:
    def __init__(self, threads: int) -> None:
        self.threads = threads

    @property
    def infos(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("reader", "fixed", "0" * 64),)

    def read_lines(self, images: Sequence[Image]) -> list[tuple[list[Line], list[Region]]]:
        return [(self._lines(image), []) for image in images]

    def _lines(self, image: Image) -> list[Line]:
        red, green, blue = (int(value) for value in image[0, 0])
        colour = (red, green, blue)
        if colour == RAISE:
            raise RuntimeError("this picture meets a bug")
        if colour == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if colour == KILL_PARENT:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        if colour == SLOW:
            time.sleep(float(os.environ.get("FIXED_READER_SLEEP", "1")))
        lines = []
        for row, text in enumerate(TEXTS.get(colour, ())):
            top = 20.0 + 40 * row
            quad = ((20.0, top), (180.0, top), (180.0, top + 30), (20.0, top + 30))
            lines.append(Line(quad, 0.95, Reading(text, 0.97)))
        return lines


def make(threads: int) -> FixedReader:
    return FixedReader(threads)


def no_reader(threads: int) -> object:
    return object()
