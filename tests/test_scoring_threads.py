"""Threads of a worker: a second worker on a second processor must find that processor free."""

from __future__ import annotations

import json
import subprocess
import sys

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
