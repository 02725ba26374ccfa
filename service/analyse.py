"""``POST /v1/analyse``: one photo, the answer in the response, nothing stored."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from .access import Principal, Role, Scope, allow
from .problems import ProblemError, problems
from .reports.uploads import read_form, weigh_photo
from .state import StateDep

router = APIRouter(prefix="/v1", tags=["analyse"])
Caller = Annotated[Principal, allow(Role.ANALYST, Role.EXPERT, Role.INTAKE, Scope.ANALYSE)]
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"photo": {"type": "string", "format": "binary"}},
                "required": ["photo"],
            }
        }
    },
}


@router.post(
    "/analyse",
    summary="Read one photo; nothing is stored",
    responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
    openapi_extra={"requestBody": _BODY},
)
async def analyse(request: Request, state: StateDep, caller: Caller) -> dict[str, Any]:
    """Send `multipart/form-data` with one field `photo`. The answer has the form of a line of `results.jsonl`."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ProblemError(415, "Send multipart/form-data with a field `photo`.", "media-type")
    if state.analysing.locked():
        headers = {"Retry-After": str(state.settings.retry_after_s)}
        raise ProblemError(503, "Other photos are being read; send this one again later.", "busy", headers)
    form = await read_form(request, state.settings)
    try:
        photo = form.get("photo")
        if not isinstance(photo, UploadFile):
            raise ProblemError(422, "These values are wrong: photo.", "invalid-values")
        data = await photo.read(state.settings.max_photo_bytes + 1)
    finally:
        await form.close()
    found = await run_in_threadpool(weigh_photo, data, "photo", state.settings)
    if found.bytes_to_decode > state.settings.check_bytes:
        raise ProblemError(413, "photo: has too many pixels to be read at once; scale it down.", "photo-too-large")
    async with state.analysing, state.gate.memory(found.bytes_to_decode):
        return await run_in_threadpool(state.analyser.analyse, data)
