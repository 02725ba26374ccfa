"""Measures the service as it runs: real processes, a real store, requests over the network of this machine.

- ``load``: how fast reports are acknowledged to many clients at once.
- ``kills``: whether reports are lost or read twice when service and workers are killed again and again.
- ``memory`` (``benchmark_service_memory``): whether processes grow with the number of photos read.
- ``hostile`` (``benchmark_service_hostile``): memory and honest clients while everything hostile comes at once.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from ..contract import TagtraceError
from .benchmark_copies import numbered

LIGHT = f"{__package__}.light_reader:build"
_START_S = 60.0
_ANSWER_S = 30.0
_READ_S = 1_800.0
_RETRIES = 200
_READ_BETWEEN = 5
"""Reports that are read between two kills, if they are within ``_KILL_S`` seconds."""
_KILL_S = 60.0
Json = dict[str, object]


@dataclass(slots=True)
class Server:
    """A service on a port of this machine, with its workers in one group of processes."""

    folder: Path
    workers: int
    reader: str
    port: int = 0
    key: str = ""
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    """Further settings of the service, by their names without ``TAGTRACE_``."""

    def prepare(self) -> None:
        """Make the store and a key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TAGTRACE_")}
        own = {"STORE": self.folder / "store.db", "PHOTOS": self.folder / "photos", "ENVIRONMENT": "development"}
        own |= {"PORT": self.port, "WORKERS": self.workers, "READER": self.reader, "KEY_RATE_PER_MINUTE": 1e9, "KEY_BURST": 10**9}
        own |= {"LEASE_S": 3, "JOB_BACKOFF_S": 0.1, "JOB_ATTEMPTS": 30, "WORKER_JOBS": 10**9, "LOG_LEVEL": "WARNING"}
        own |= {"LEAST_FREE_BYTES": 0, "MAX_WAITING_JOBS": 10**9, **self.settings}
        self.environment = kept | {f"TAGTRACE_{name}": str(value) for name, value in own.items()}
        self._command("db", "upgrade", "--store", str(own["STORE"]))
        scopes = [word for scope in ("reports:write", "reports:read") for word in ("--scope", scope)]
        self.key = self._command("keys", "create", "benchmark", "--owner", "benchmark", *scopes, "--store", str(own["STORE"]))

    def _command(self, *words: str) -> str:
        command = [sys.executable, "-m", "tagtrace.cli", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TagtraceError(f"tagtrace {words[0]} {words[1]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        log = (self.folder / "service.log").open("ab")
        command = [sys.executable, "-m", "tagtrace.cli", "serve"]
        self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        log.close()
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            try:
                if self.request("GET", "/health/ready")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise TagtraceError(f"{self.folder / 'service.log'}: the service did not start; the file says why")

    def kill(self) -> None:
        """``kill -9`` of the service and all its workers."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop it gently."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def worker_pids(self) -> list[int]:
        """The worker processes."""
        assert self.process is not None
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                parent = int((path.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
                spawned = b"spawn_main" in path.read_bytes()
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and spawned:
                found.append(int(path.parent.name))
        return found

    def cpu_seconds(self) -> float:
        """Processor time that the service has used, without its workers."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_S)
        try:
            connection.request(method, path, body or None, {"Authorization": f"Bearer {self.key}", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


@contextmanager
def serving(folder: Path, workers: int, reader: str, settings: dict[str, str] | None = None) -> Iterator[Server]:
    """A running service, stopped at the end."""
    server = Server(folder / uuid.uuid4().hex[:8], workers, reader, settings=settings or {})
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def load(folder: Path, clients: int, reports: int, side_px: int, workers: int, pause_s: float) -> Json:
    """Seconds until reports are acknowledged, with ``clients`` sending at once; each waits about ``pause_s`` after an answer."""
    photo = picture(side_px, 1)
    seconds: list[float] = []
    errors: list[str] = []
    with serving(folder, workers, LIGHT) as server:
        bodies = [multipart(numbered(photo, n), {"external_id": str(n)}) for n in range(reports)]

        own = {"Authorization": f"Bearer {server.key}"}

        def one(client: int) -> None:
            chance = random.Random(client)
            time.sleep(chance.uniform(0, pause_s))
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_ANSWER_S)
            for body, kind in bodies[client::clients]:
                begin = time.perf_counter()
                try:
                    connection.request("POST", "/v1/reports", body, {**own, "Content-Type": kind})
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 202:
                        errors.append(str(answer.status))
                except (OSError, http.client.HTTPException) as error:
                    errors.append(type(error).__name__)
                    connection.close()
                seconds.append(time.perf_counter() - begin)
                # Reports that are acknowledged together would be followed by some that come together, and so on.
                time.sleep(pause_s * chance.uniform(0.5, 1.5))

        begin, busy = time.perf_counter(), server.cpu_seconds()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, range(clients)))
        spent, busy = time.perf_counter() - begin, server.cpu_seconds() - busy
    found = {f"p{share}_ms": round(1000 * float(np.percentile(seconds, share)), 1) for share in (50, 95, 99)}
    facts: Json = {"clients": clients, "reports": reports, "photo_bytes": len(photo), "workers": workers, "pause_s": pause_s}
    return {
        **facts,
        **found,
        "reports_per_s": round(reports / spent, 1),
        "cpu_ms_per_report": round(1000 * busy / reports, 2),
        "errors": len(errors),
    }


def kills(folder: Path, reports: int, times: int, workers: int, reader: str) -> Json:
    """Kill the service and its workers ``times`` times while ``reports`` reports come in; count what was lost or done twice."""
    acknowledged: dict[int, set[str]] = {n: set() for n in range(reports)}
    done = threading.Event()
    with serving(folder, workers, reader) as server:

        def send(number: int) -> None:
            body, kind = multipart(picture(96, number), {"external_id": str(number)})
            headers = {"Content-Type": kind, "Idempotency-Key": f"n{number}"}
            for _ in range(_RETRIES):
                try:
                    status, text = server.request("POST", "/v1/reports", body, headers)
                    if status == 202:
                        acknowledged[number].add(json.loads(text)["id"])
                        return
                except OSError:
                    pass
                time.sleep(0.3)

        sender = threading.Thread(target=lambda: _all(send, range(reports), done))
        begin, rng = time.perf_counter(), random.Random(1)
        sender.start()
        for turn in range(times):
            # Spread over the time in which reports come in: each kill waits for its share of them.
            share = (turn + 0.5) / times * reports
            while sum(map(bool, acknowledged.values())) < share and not done.is_set():
                time.sleep(0.02)
            # In the middle of reading, not only of taking in.
            wait_read(server, min(reports, count_read(server) + _READ_BETWEEN), _KILL_S)
            time.sleep(rng.uniform(0, 1))
            server.kill()
            server.start()
        sender.join()
        read = wait_read(server, reports)
        spent = time.perf_counter() - begin
    ids = [name for names in acknowledged.values() for name in names]
    facts: Json = {"reports": reports, "kills": times, "workers": workers, "reader": reader, "seconds": round(spent, 1)}
    facts |= {"acknowledged": sum(map(bool, acknowledged.values())), "ids_twice": len(ids) - len(set(ids)), "read": read}
    return {**facts, **_judge(server.folder / "store.db", ids)}


def _all(send: object, numbers: Sequence[int], done: threading.Event) -> None:
    assert callable(send)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, numbers))
    done.set()


def wait_read(server: Server, reports: int, most_s: float = _READ_S) -> int:
    """Wait until so many reports are read, and give how many are."""
    end, read = time.monotonic() + most_s, 0
    while time.monotonic() < end and read < reports:
        time.sleep(0.2)
        read = count_read(server)
    return read


def count_read(server: Server) -> int:
    """How many reports are read, as the service says."""
    text = server.request("GET", "/metrics")[1].decode()
    found = [line for line in text.splitlines() if line.startswith('tagtrace_reports{state="read"}')]
    return int(float(found[0].split()[-1])) if found else 0


def _judge(store: Path, ids: Sequence[str]) -> Json:
    from ..linking.store import Store
    from ..linking.store.checks import check_store
    from ..linking.store.trials import count_twice

    with Store.open(str(store)) as opened:
        with opened.read() as session:
            found = count_twice(session, ids)
        unsound = [finding.text for finding in check_store(opened) if not finding.sound]
    return {**found, "unsound": unsound}


def resident(pid: int) -> float:
    """Megabytes (MiB) of memory that a process has in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def picture(side_px: int, seed: int) -> bytes:
    """A JPEG of soft noise, about as large as a photo of that size."""
    rng = np.random.default_rng(seed)
    small = PilImage.fromarray(rng.integers(0, 255, (max(8, side_px // 8), max(8, side_px // 6), 3), dtype=np.uint8))
    out = io.BytesIO()
    small.resize((side_px * 4 // 3, side_px), PilImage.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()


def multipart(photo: bytes, fields: dict[str, str]) -> tuple[bytes, str]:
    """The body of a report and its content type."""
    edge = uuid.uuid4().hex
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    file = 'Content-Disposition: form-data; name="photo"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    parts.append(f"--{edge}\r\n{file}\r\n\r\n")
    return "".join(parts).encode() + photo + f"\r\n--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"
