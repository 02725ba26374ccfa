"""Files that came with a request: bounded while they come in, judged by their content, kept under their SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from ...contract import Failure
from ...inference.decode import DecodeSettings, inspect
from ...linking.store.photos import PhotoFiles
from ...linking.store.reports import FileKind, NewFile
from ..problems import ProblemError
from ..settings import ServiceSettings

_ACTIVE = re.compile(rb"<script[\s>]|<\?php[\s]|<html[\s>]|<!doctype\s|<svg\s+xmlns|<iframe[\s>]", re.IGNORECASE)
"""Content that a browser or server would run; no camera writes it into a picture."""
_ZIP_END = b"PK\x05\x06"
_ZIP_TAIL = 65_557
"""The end record of a ZIP archive lies within so many bytes of its end."""
_ZIP_RECORD = 22
_PDF_HEAD = 1_024
VIDEO_BRANDS = (b"\x1aE\xdf\xa3",)
_STATUS = {"too_large": 413, "unsupported": 415, "not_a_picture": 415}


@dataclass(frozen=True, slots=True)
class Gate:
    """Bounds how many uploads are unpacked at a time."""

    small: asyncio.Semaphore
    large: asyncio.Semaphore

    @classmethod
    def make(cls, settings: ServiceSettings) -> Gate:
        """A gate by the settings."""
        return cls(asyncio.Semaphore(settings.checks_at_once), asyncio.Semaphore(1))


async def read_form(request: Request, settings: ServiceSettings) -> FormData:
    """The form of a request, with at most so many files and fields as a report may have; ``ProblemError`` 400 otherwise."""
    try:
        return await request.form(
            max_files=settings.max_photos + 1, max_fields=settings.max_fields, max_part_size=settings.max_field_bytes
        )
    except HTTPException as error:
        raise ProblemError(400, f"The form cannot be read: {error.detail}", "bad-form") from error
    except (UnicodeDecodeError, ValueError, KeyError) as error:
        raise ProblemError(400, "The form cannot be read: it is damaged.", "bad-form") from error


def check_photo(data: bytes, name: str, settings: ServiceSettings) -> None:
    """Refuse what is no photo: ``ProblemError`` 413, 415 or 422 that names the file by its place in the request."""
    if len(data) > settings.max_photo_bytes:
        raise ProblemError(413, f"{name}: is larger than {settings.max_photo_bytes} bytes; scale it down.", "photo-too-large")
    found = inspect(data, name, DecodeSettings(max_pixels=settings.max_pixels))
    if isinstance(found, Failure):
        raise ProblemError(_STATUS.get(str(found.code), 422), f"{found.message}.", f"photo-{found.code}".replace("_", "-"))
    other = second_nature(data)
    if other:
        raise ProblemError(
            422, f"{name}: is a picture and {other} at once; send the photo as the camera wrote it.", "photo-polyglot"
        )


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
        async with gate.small:
            file = await run_in_threadpool(_take_photo, upload, f"photo {number}", files, settings)
        taken[file.sha256] = file
    for upload in videos:
        async with gate.large:
            file = await run_in_threadpool(_take_video, upload, files, settings)
        taken[file.sha256] = file
    return tuple(taken.values())


def _take_photo(upload: UploadFile, name: str, files: PhotoFiles, settings: ServiceSettings) -> NewFile:
    data = upload.file.read(settings.max_photo_bytes + 1)
    check_photo(data, name, settings)
    return NewFile(files.put(data), len(data), FileKind.PHOTO)


def _take_video(upload: UploadFile, files: PhotoFiles, settings: ServiceSettings) -> NewFile:
    data = upload.file.read(settings.max_video_bytes + 1)
    if len(data) > settings.max_video_bytes:
        raise ProblemError(
            413, f"The video is larger than {settings.max_video_bytes} bytes; send a shorter one.", "video-too-large"
        )
    if not looks_like_video(data[:32]):
        raise ProblemError(415, "The video is no MP4, MOV or WebM.", "video-unsupported")
    from ..jobs.video import check_video

    check_video(data, settings)
    return NewFile(files.put(data), len(data), FileKind.VIDEO)


def _check_space(files: PhotoFiles, settings: ServiceSettings) -> None:
    place = Path(files.url)
    if not place.is_dir():
        return
    if shutil.disk_usage(place).free < settings.least_free_bytes:
        headers = {"Retry-After": str(settings.retry_after_s)}
        raise ProblemError(503, "There is no space for photos at the moment; come back later.", "no-space", headers)


def digest(settings: ServiceSettings, *parts: object) -> str:
    """A keyed SHA-256 over the content of a request: nobody without the secret can find out by trying what was in it."""
    key = settings.secret.get_secret_value().encode("utf-8")
    return hmac.new(key, repr(parts).encode("utf-8"), hashlib.sha256).hexdigest()
