"""Files that came with a request: bounded while they come in, judged by their content, kept under their SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import partial

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from ...contract import Failure
from ...inference.decode import DecodeSettings, Inspected, inspect, weigh
from ...linking.store.photos import PhotoFiles
from ...linking.store.reports import FileKind, NewFile
from ..gate import Gate
from ..problems import ProblemError
from ..requests import MULTIPART, SPOOL
from ..settings import ServiceSettings

_ACTIVE = re.compile(rb"<script[\s>]|<\?php[\s]|<html[\s>]|<!doctype\s|<svg\s+xmlns|<iframe[\s>]", re.IGNORECASE)
"""Content that a browser or server would run; no camera writes it into a picture."""
_ZIP_END = b"PK\x05\x06"
_ZIP_TAIL = 65_557
"""The end record of a ZIP archive lies within so many bytes of its end."""
_ZIP_RECORD = 22
_PDF_HEAD = 1_024
VIDEO_MEMORY = 200_000_000
"""Bytes of memory for looking at the first frame of a video: a decoder keeps up to 16 others beside it."""
VIDEO_BRANDS = (b"\x1aE\xdf\xa3",)
_STATUS = {"too_large": 413, "unsupported": 415, "not_a_picture": 415}


async def read_form(request: Request, settings: ServiceSettings) -> FormData:
    """The form of a request, with at most so many files and fields as a report may have; ``ProblemError`` 400 otherwise."""
    bounds = {"max_fields": settings.max_fields, "max_part_size": settings.max_field_bytes}
    try:
        if not request.headers.get("content-type", "").lower().startswith(MULTIPART):
            return await request.form(**bounds)
        # What ``request.form`` does, but for the memory; asked twice, it gives the same form.
        if request._form is not None:
            return request._form
        parser = MultiPartParser(request.headers, request.stream(), max_files=settings.max_photos + 1, **bounds)
        parser.spool_max_size = request.scope.get(SPOOL, parser.spool_max_size)
        request._form = await parser.parse()
        return request._form
    except (HTTPException, MultiPartException) as error:
        said = error.detail if isinstance(error, HTTPException) else error.message
        raise ProblemError(400, f"The form cannot be read: {said}", "bad-form") from error
    except (UnicodeDecodeError, ValueError, KeyError) as error:
        raise ProblemError(400, "The form cannot be read: it is damaged.", "bad-form") from error


def weigh_photo(data: bytes, name: str, settings: ServiceSettings) -> Inspected:
    """What a photo is and takes to unpack. Refuses, as ``check_photo``, what can be refused without unpacking it."""
    if len(data) > settings.max_photo_bytes:
        raise _too_large(name, settings)
    found = _accepted(weigh(data, name, DecodeSettings(max_pixels=settings.max_pixels)))
    if found.bytes_to_look > settings.check_bytes:
        raise ProblemError(413, f"{name}: takes too much memory to unpack; scale it down, or send a JPEG.", "photo-too-large")
    return found


def _too_large(name: str, settings: ServiceSettings) -> ProblemError:
    return ProblemError(413, f"{name}: is larger than {settings.max_photo_bytes} bytes; scale it down.", "photo-too-large")


def check_photo(data: bytes, name: str, settings: ServiceSettings) -> None:
    """Refuse what is no photo: ``ProblemError`` 413, 415 or 422 that names the file by its place in the request."""
    weigh_photo(data, name, settings)
    _look(data, name, settings)


def _look(data: bytes, name: str, settings: ServiceSettings) -> None:
    _accepted(inspect(data, name, DecodeSettings(max_pixels=settings.max_pixels)))
    other = second_nature(data)
    if other:
        raise ProblemError(
            422, f"{name}: is a picture and {other} at once; send the photo as the camera wrote it.", "photo-polyglot"
        )


def _accepted(found: Inspected | Failure) -> Inspected:
    if isinstance(found, Failure):
        raise ProblemError(_STATUS.get(str(found.code), 422), f"{found.message}.", f"photo-{found.code}".replace("_", "-"))
    return found


def second_nature(data: bytes) -> str:
    """What else a file is beside a picture; empty for an honest one."""
    if b"%PDF-" in data[:_PDF_HEAD]:
        return "a PDF document"
    tail = data[-_ZIP_TAIL:]
    at = tail.rfind(_ZIP_END)
    if at >= 0 and len(tail) - at >= _ZIP_RECORD:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + _ZIP_RECORD + comment == len(tail):
            return "a ZIP archive"
    return "a document with active content" if _ACTIVE.search(data) else ""


def looks_like_video(head: bytes) -> bool:
    """Whether a file that begins like this may be MP4, MOV or WebM."""
    return head.startswith(VIDEO_BRANDS) or head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")


async def take_files(
    photos: Sequence[UploadFile], videos: Sequence[UploadFile], files: PhotoFiles, settings: ServiceSettings, gate: Gate
) -> tuple[NewFile, ...]:
    """Check the files of a report and put them on the disk. Copies of one file count once."""
    if len(photos) > settings.max_photos:
        raise ProblemError(
            422, f"These are {len(photos)} photos; at most {settings.max_photos} go into one report.", "too-many-photos"
        )
    if len(videos) > 1:
        raise ProblemError(422, "At most one video goes into one report.", "too-many-videos")
    _check_space(files, settings)
    taken: dict[str, NewFile] = {}
    for number, upload in enumerate(photos, start=1):
        file = await _pass(upload, f"photo {number}", files, settings, gate)
        taken[file.sha256] = file
    for upload in videos:
        async with gate.memory(VIDEO_MEMORY):
            file = await run_in_threadpool(_take_video, upload, files, settings)
        taken[file.sha256] = file
    return tuple(taken.values())


async def _pass(upload: UploadFile, name: str, files: PhotoFiles, settings: ServiceSettings, gate: Gate) -> NewFile:
    """Take one photo in: most are cheap to look at; the others have to wait for memory."""
    size = upload.size or 0
    if size > settings.max_photo_bytes:
        raise _too_large(name, settings)
    take = partial(_take_photo, upload, name, files, settings, settings.cheap_bytes)
    if size <= settings.cheap_bytes:
        taken = await asyncio.get_running_loop().run_in_executor(gate.cheap, take)
    else:
        # A large file is not even read before there is memory for it.
        async with gate.memory(size):
            taken = await run_in_threadpool(take)
    if isinstance(taken, NewFile):
        return taken
    async with gate.memory(taken + size):
        taken = await run_in_threadpool(_take_photo, upload, name, files, settings, settings.check_bytes)
    assert isinstance(taken, NewFile)
    return taken


def _take_photo(upload: UploadFile, name: str, files: PhotoFiles, settings: ServiceSettings, most: int) -> NewFile | int:
    """Check a photo and put it on the disk, or say how much memory that would take where it is more than ``most``."""
    upload.file.seek(0)
    data = upload.file.read(settings.max_photo_bytes + 1)
    memory = weigh_photo(data, name, settings).bytes_to_look
    if max(memory, len(data)) > most:
        return memory
    _look(data, name, settings)
    return NewFile(files.put(data), len(data), FileKind.PHOTO)


def _take_video(upload: UploadFile, files: PhotoFiles, settings: ServiceSettings) -> NewFile:
    if (upload.size or 0) > settings.max_video_bytes:
        raise ProblemError(
            413, f"The video is larger than {settings.max_video_bytes} bytes; send a shorter one.", "video-too-large"
        )
    upload.file.seek(0)
    if not looks_like_video(upload.file.read(32)):
        raise ProblemError(415, "The video is no MP4, MOV or WebM.", "video-unsupported")
    from ..jobs.video import check_video

    check_video(upload.file, settings)
    return NewFile(*files.put_file(upload.file), FileKind.VIDEO)


def _check_space(files: PhotoFiles, settings: ServiceSettings) -> None:
    free = files.free_bytes()
    if free is not None and free < settings.least_free_bytes:
        headers = {"Retry-After": str(settings.retry_after_s)}
        raise ProblemError(503, "There is no space for photos at the moment; come back later.", "no-space", headers)


def digest(settings: ServiceSettings, *parts: object) -> str:
    """A keyed SHA-256 over the content of a request: nobody without the secret can find out by trying what was in it."""
    key = settings.secret.get_secret_value().encode("utf-8")
    return hmac.new(key, repr(parts).encode("utf-8"), hashlib.sha256).hexdigest()
