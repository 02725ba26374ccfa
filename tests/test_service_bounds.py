"""A real server on a port: slow clients are sent away while others are served; videos give their sharpest frames."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import service_helpers as helpers
import uvicorn

from tagtrace.linking.store import Store
from tagtrace.service.jobs.video import sharpest_frames
from tagtrace.service.run import server_config
from tagtrace.service.settings import ServiceSettings


@contextmanager
def running(settings: ServiceSettings) -> Iterator[None]:
    Store.open(settings.store).close()
    server = uvicorn.Server(server_config(settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[ServiceSettings]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made: ServiceSettings = helpers.make_settings(tmp_path, port=port, header_timeout_s=1.0, body_timeout_s=1.5)
    with running(made):
        yield made


def connect(settings: ServiceSettings, text: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", settings.port), 20)
    made.sendall(text)
    return made


def test_slow_clients_are_sent_away_and_others_served(settings: ServiceSettings) -> None:
    key = helpers.key_for(settings.store)
    header = f"POST /v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
    header += "Content-Type: multipart/form-data; boundary=b\r\n"
    never = [connect(settings, b"GET /health/live HTTP/1.1\r\nHost: a\r\n") for _ in range(20)]
    slow = [connect(settings, header.encode() + b"Content-Length: 100000\r\n\r\n--b\r\n") for _ in range(5)]
    assert httpx.get(f"http://127.0.0.1:{settings.port}/health/ready", timeout=20).status_code == 200
    for one in never:
        assert one.recv(1000) == b"", "a header that never ends closes the connection"
    for one in slow:
        assert one.recv(1000).startswith(b"HTTP/1.1 408 ")
    for one in (*never, *slow):
        one.close()


def test_a_body_without_end_is_cut_off(settings: ServiceSettings) -> None:
    key = helpers.key_for(settings.store)
    header = f"POST /v1/reports HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    with connect(settings, header.encode() + b"Transfer-Encoding: chunked\r\n\r\n") as one:
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(40):
                one.sendall(chunk)
        except OSError:
            return
        assert one.recv(1000).startswith(b"HTTP/1.1 413 ")


def video(sharp_at: int, frames: int = 20, side: int = 128) -> bytes:
    """An MP4 whose one sharp frame is the one with this number."""
    av = pytest.importorskip("av")
    import cv2

    noise = np.random.default_rng(3).integers(0, 255, (side, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = side, side, "yuv420p", 4_000_000
        for n in range(frames):
            pixels = noise if n == sharp_at else cv2.GaussianBlur(noise, (0, 0), 5)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


def test_the_sharpest_frame_of_a_video_is_kept(tmp_path: Path) -> None:
    settings = helpers.make_settings(tmp_path, video_keep=2, video_frames=60)
    frames = sharpest_frames(io.BytesIO(video(sharp_at=4)), settings)
    assert len(frames) == 2
    assert frames[0].at_s == pytest.approx(0.4, abs=0.01)
    assert frames == sharpest_frames(io.BytesIO(video(sharp_at=4)), settings)


def walls_video(path: list[tuple[int, int]], blurred: set[int], side: int = 240) -> bytes:
    """An MP4 that looks at two walls: frame n shows wall ``path[n][0]``, moved by ``path[n][1]`` pixels; some are blurred."""
    av = pytest.importorskip("av")
    import cv2

    rng = np.random.default_rng(8)
    walls = []
    for word in ("@tulpar_kz1", "@umitsnow"):
        coarse = rng.integers(90, 200, (60, 90, 3), dtype=np.uint8)
        wall = cv2.resize(coarse, (2 * side, side), interpolation=cv2.INTER_CUBIC)
        walls.append(cv2.putText(wall, word, (90, side // 2), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (10, 10, 10), 3))
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = side, side, "yuv420p", 8_000_000
        for n, (wall, shift) in enumerate(path):
            pixels = np.ascontiguousarray(walls[wall][:, 40 + shift : 40 + shift + side])
            if n in blurred:
                pixels = cv2.GaussianBlur(pixels, (0, 0), 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


def test_each_wall_of_a_video_is_followed_and_its_sharpest_frame_kept(tmp_path: Path) -> None:
    """The second wall is shown for a moment only: equal parts of time would miss it."""
    path = [(0, 3 * n) for n in range(24)] + [(1, 4 * n) for n in range(6)]
    blurred = set(range(30)) - {9, 27}
    settings = helpers.make_settings(tmp_path, video_keep=2, video_frames=60)
    frames = sharpest_frames(io.BytesIO(walls_video(path, blurred)), settings)
    assert [frame.at_s for frame in frames] == pytest.approx([0.9, 2.7], abs=0.01)


def test_the_part_that_is_followed_has_to_be_in_view() -> None:
    """The sharpest frame of all has the wall's middle outside."""
    from tagtrace.service.jobs.following import _score, look

    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    anchor = look(noise, 0.0)
    here, gone = np.eye(3), np.array([[1.0, 0, 150], [0, 1, 0], [0, 0, 1]])
    assert _score(anchor, anchor, here)[0] and not _score(anchor, anchor, gone)[0]
    flat = look(np.full((200, 200, 3), 90, np.uint8) + noise // 200, 0.0)
    assert _score(anchor, anchor, here)[1] > 10 * _score(flat, anchor, here)[1]


def test_a_report_may_be_a_video(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tagtrace.linking.store.photos import PhotoFiles
    from tagtrace.scoring.build import build_engine
    from tagtrace.service.jobs.reading import ReportReader, score_settings
    from tagtrace.service.jobs.worker import Worker

    settings = helpers.make_settings(tmp_path, reader="service_helpers:light_reader", video_keep=2)
    with helpers.client_of(settings) as client:
        damaged = client.post("/v1/reports", files={"video": ("a.mp4", video(4)[:300], "video/mp4")})
        assert damaged.status_code == 422
        assert client.post("/v1/reports", files={"video": ("a.mp4", b"<html>", "video/mp4")}).status_code == 415
        sent = client.post("/v1/reports", files={"video": ("a.mp4", video(4), "video/mp4")})
        assert sent.status_code == 202, sent.text
        with Store.open(settings.store) as store:
            reader = ReportReader(build_engine(score_settings(settings)), settings, store, PhotoFiles(settings.photos))
            assert Worker(settings, store, reader).step()
        found = client.get(f"/v1/reports/{sent.json()['id']}").json()
    assert found["state"] == "read", found
    assert [file["kind"] for file in found["files"]] == ["video", "frame", "frame"]
    assert len(found["adverts"]) == 2
