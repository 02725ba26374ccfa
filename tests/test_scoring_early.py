"""A worker that is started before its parent knows what there is to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tagtrace.scoring.early import started
from tagtrace.scoring.pool import WorkerPool
from tagtrace.scoring.settings import ScoreSettings
from tagtrace.scoring.worker import WorkerSpec


def test_one_that_nobody_takes_ends() -> None:
    with started(wanted=True) as early:
        assert early is not None and early.process.is_alive()
    early.process.join(30)
    assert early.process.exitcode == 0
    with started(wanted=False) as early:
        assert early is None


def test_one_that_its_parent_leaves_by_an_error_ends() -> None:
    with pytest.raises(RuntimeError), started(wanted=True) as early:
        raise RuntimeError
    assert early is not None
    early.process.join(30)
    assert early.process.exitcode == 0


def test_it_becomes_the_first_worker_and_ends_with_the_others() -> None:
    with started(wanted=True) as early:
        assert early is not None
        with WorkerPool(WorkerSpec(ScoreSettings(), threads=1), 1, first=early) as pool:
            assert {model.task for model in pool.start().models} == {"detector", "recogniser"}
            assert [worker.process for worker in pool._workers] == [early.process]
        assert early.process.exitcode == 0


def test_a_run_without_a_store_begins_without_its_libraries() -> None:
    code = "import sys, tagtrace.scoring.commands, tagtrace.scoring.run; print({'sqlalchemy', 'ray', 'torch'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "set()"
