"""``kill -9`` of the service and of a worker, again and again, while reports come in: none is lost, none is read twice."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import random
import socket
import threading
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import service_helpers as helpers

from tagtrace.linking.store import Store
from tagtrace.linking.store.checks import check_store
from tagtrace.linking.store.reports import ReportState, count_reports
from tagtrace.linking.store.trials import count_twice
from tagtrace.service.jobs.worker import work
from tagtrace.service.run import serve
from tagtrace.service.settings import ServiceSettings
from tagtrace.training.benchmark_service import multipart, picture

KILLS = 20


def start(target: Any, settings: ServiceSettings) -> ForkServerProcess:
    """A process of its own; the libraries are loaded once for all of them, so that a start is quick."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tagtrace.service.run", "tagtrace.training.light_reader"])
    process = context.Process(target=target, args=(settings,))
    process.start()
    return process


def send_until_taken(settings: ServiceSettings, key: str, number: int) -> str:
    """What an intake system does: the same request until it is answered with 202."""
    body, kind = multipart(picture(96, number), {"external_id": str(number), "lat": "51.1", "lon": f"{71 + number * 0.01:.2f}"})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": kind, "Idempotency-Key": f"n{number}"}
    end = time.monotonic() + 300
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=10)
        try:
            connection.request("POST", "/v1/reports", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 202:
                return str(json.loads(text)["id"])
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise AssertionError(f"report {number} was never taken in")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reports", [200, pytest.param(1000, id="1000")])
def test_nothing_is_lost_or_read_twice(tmp_path: Path, reports: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values: dict[str, Any] = {"reader": "tagtrace.training.light_reader:build", "port": port, "log_level": "ERROR"}
    values |= {"lease_s": 2.0, "job_backoff_s": 0.05, "job_attempts": 30, "poll_s": 0.05}
    settings: ServiceSettings = helpers.make_settings(tmp_path, **values)
    Store.open(settings.store).close()
    key = helpers.key_for(settings.store)
    taken: dict[int, str] = {}
    service, worker = start(serve, settings), start(work, settings)

    def sending() -> None:
        for number in range(reports):
            taken[number] = send_until_taken(settings, key, number)

    sender = threading.Thread(target=sending)
    sender.start()
    rng, kills = random.Random(7), 0
    with Store.open(settings.store) as store:
        while True:
            with store.read() as session:
                states = count_reports(session)
            read = states.get(ReportState.READ, 0)
            if not sender.is_alive() and read == reports:
                break
            # Kills are spread over the reading, wherever it stands; each comes at a moment of its own.
            if kills < KILLS and read >= reports * kills // (KILLS + 1):
                time.sleep(rng.uniform(0, 0.3))
                service.kill()
                worker.kill()
                service.join()
                worker.join()
                kills += 1
                service, worker = start(serve, settings), start(work, settings)
            time.sleep(0.05)
    sender.join()
    service.terminate()
    worker.terminate()
    service.join()
    worker.join()
    with Store.open(settings.store) as store:
        with store.read() as session:
            found = count_twice(session, list(taken.values()))
        assert all(finding.sound for finding in check_store(store))
    assert kills == KILLS
    assert len(set(taken.values())) == reports
    assert found == dict.fromkeys(found, 0)
