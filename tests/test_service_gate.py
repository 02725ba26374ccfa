"""How uploads wait for memory: the smallest first, nobody for ever, and nothing that was held is lost."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
import service_helpers as helpers
from PIL import Image as PilImage

from tagtrace.service.gate import Budget, Gate
from tagtrace.service.problems import ProblemError
from tagtrace.service.reports import uploads
from tagtrace.service.requests import SPOOL, BodyBounds


def test_no_more_is_held_than_there_is_and_the_smallest_goes_first() -> None:
    async def trial() -> tuple[list[str], int]:
        budget, order, held, most = Budget(100), [], 0, 0

        async def take(name: str, amount: int) -> None:
            nonlocal held, most
            async with budget.hold(amount, 10):
                order.append(name)
                held += amount
                most = max(most, held)
                await asyncio.sleep(0.01)
                held -= amount

        first = asyncio.create_task(take("first", 60))
        await asyncio.sleep(0)
        names = {"monster": 100, "large": 50, "small": 30, "small too": 30}
        await asyncio.gather(first, *(take(name, amount) for name, amount in names.items()))
        return order, most

    order, most = asyncio.run(trial())
    assert order == ["first", "small", "small too", "large", "monster"]
    assert most <= 100


def test_who_gives_up_waiting_leaves_the_budget_whole() -> None:
    async def trial() -> None:
        budget = Budget(10)
        async with budget.hold(10, 1):
            with pytest.raises(TimeoutError):
                async with budget.hold(5, 0.01):
                    pass
            waiting = asyncio.create_task(budget.hold(5, 10).__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
        async with asyncio.timeout(1), budget.hold(10, 1):
            pass

    asyncio.run(trial())


def test_waiting_in_vain_is_told(tmp_path: Path) -> None:
    async def trial() -> int:
        gate = Gate.make(helpers.make_settings(tmp_path, check_bytes=1000, check_wait_s=0.01))
        async with gate.memory(10**9):
            with pytest.raises(ProblemError) as refused:
                async with gate.memory(1):
                    pass
        return refused.value.status

    assert asyncio.run(trial()) == 503


def test_files_stay_in_memory_only_while_there_is_some_for_them(tmp_path: Path) -> None:
    seen: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope[SPOOL])
        if len(seen) < 3:
            await bounds({**scope}, receive, send)

    settings = helpers.make_settings(tmp_path, spool_bytes=2_000_000)
    bounds = BodyBounds(application, settings)
    headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"900000")]
    scope = {"type": "http", "method": "POST", "headers": headers}
    asyncio.run(bounds(scope, None, None))  # type: ignore[arg-type]
    assert seen == [1_000_000, 1_000_000, 1]
    seen.clear()
    asyncio.run(bounds(scope, None, None))  # type: ignore[arg-type]
    assert seen[0] == 1_000_000, "what was held is given back"


def encoded(kind: str, side: int, **options: Any) -> bytes:
    out = io.BytesIO()
    PilImage.new("RGB", (side, side), 90).save(out, kind, **options)
    return out.getvalue()


def test_dear_pictures_wait_for_memory_and_too_dear_ones_are_refused(tmp_path: Path) -> None:
    """A WebP takes 16 bytes for a pixel, a progressive JPEG 6, whatever their files are."""
    settings = helpers.make_settings(tmp_path, cheap_bytes=100_000, check_bytes=1_000_000)
    photos = {"cheap": encoded("JPEG", 300), "dear": encoded("JPEG", 400, progressive=True), "bomb": encoded("WEBP", 300)}
    held = {name: uploads.weigh(data, name) for name, data in photos.items()}
    assert {name: getattr(found, "bytes_to_look", 0) for name, found in held.items()} == {
        "cheap": 5_625,
        "dear": 960_000,
        "bomb": 1_440_000,
    }
    with helpers.client_of(settings) as client:
        sent = {name: client.post("/v1/reports", files={"photo": ("a", data)}).status_code for name, data in photos.items()}
        assert sent == {"cheap": 202, "dear": 202, "bomb": 413}
        analysed = client.post("/v1/analyse", files={"photo": ("a", photos["dear"])})
        assert analysed.status_code == 413, "reading takes more than looking"


def test_large_tables_and_words_are_refused(tmp_path: Path) -> None:
    settings = helpers.make_settings(tmp_path, max_csv_bytes=1_000, max_json_bytes=500)
    with helpers.client_of(settings) as client:
        table = b"web\n" + b"t.me/sample_kz1\n" * 100
        assert client.post("/v1/reports/import", content=table, headers={"Content-Type": "text/csv"}).status_code == 413
        assert client.post("/v1/reports", json={"text": "a" * 600, "web": ["t.me/sample_kz1"]}).status_code == 413
        assert client.post("/v1/reports", json={"text": "a" * 100, "web": ["t.me/sample_kz1"]}).status_code == 202
