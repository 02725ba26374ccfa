"""Threads of a worker: a second worker on a second processor must find that processor free."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import json, time
import numpy, scipy.linalg
from threadpoolctl import threadpool_info
from tagtrace.scoring.worker import limit_threads

limit_threads(2)
table = numpy.ones((400, 128), numpy.float32)
other = numpy.ones((128, 256), numpy.float32)
begin, own = time.process_time(), time.thread_time()
for _ in range(300):
    table @ other
print(json.dumps({
    "threads": [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"],
    "process": time.process_time() - begin,
    "thread": time.thread_time() - own,
}))
"""


def test_matrix_products_take_no_processor_from_another_worker() -> None:
    told = json.loads(subprocess.run([sys.executable, "-c", _SCRIPT], check=True, capture_output=True, text=True).stdout)
    assert told["threads"] and set(told["threads"]) == {1}
    assert told["process"] < 1.2 * told["thread"] + 0.02


_HEAP = """
import resource, sys
import numpy
from tagtrace.scoring.heap import bound_heap, keep_heap

{"keep": keep_heap, "bound": bound_heap, "leave": lambda: None}[sys.argv[1]]()
for _ in range(5):
    numpy.ones(6_000_000, numpy.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    numpy.ones(6_000_000, numpy.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_of_a_photo_is_kept_for_the_next_one_or_given_back() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", _HEAP, how], check=True, capture_output=True, text=True).stdout)
        for how in ("keep", "bound")
    }
    assert faults["keep"] < 2_000
    # 50 times 6 MB in pages of 4 KB are 73,000, but some pages are larger
    assert faults["bound"] > 20_000
